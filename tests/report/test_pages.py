"""Pages in a real browser: both widths, both schemes, keyboard, screen reader, paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from headwind.report import html, index
from headwind.run import Run
from tests.report.documents import (
    CUT_RUN,
    ENVIRONMENT,
    FULL_RUN,
    HOSTILE,
    SAMPLES,
    capacity_document,
    comparison_document,
    diagnosis_document,
    difference_document,
    document,
    full_document,
    hostile_document,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

RAW = "Running 45s test @ http://localhost:8000/v1/prediction\n" + "x" * 300

PAGES: dict[str, Callable[[], str]] = {
    "full": lambda: html.render(full_document(), samples=SAMPLES, environment=ENVIRONMENT, raw_text=RAW),
    "cut": lambda: html.render(document(CUT_RUN), raw_text=RAW),
    "empty": lambda: html.render(document(Run(tool="wrk"))),
    "index": lambda: index.render(
        [index.entry("20261120-120000-first", full_document(), "a/report.html"), index.entry("x", {}, None)]
        * 9
    ),
    "several": lambda: html.render(document(FULL_RUN, CUT_RUN, FULL_RUN)),
    "comparison": lambda: html.render(comparison_document(), environment=ENVIRONMENT),
    "capacity": lambda: html.render(capacity_document()),
    "diagnosis": lambda: html.render(diagnosis_document()),
    "difference": lambda: html.render(difference_document("before", HOSTILE)),
    "hostile": lambda: html.render(hostile_document(), environment={HOSTILE: HOSTILE}, raw_text=HOSTILE),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page, rendered once."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {name: folder / f"{name}.html" for name in PAGES}
    for name, path in paths.items():
        path.write_text(PAGES[name](), encoding="utf-8")
    return paths


class Visit:
    """A page that was opened, with all that it complained about."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.goto(path.as_uri())

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a file at a width and in a scheme."""
    contexts = []

    def open_(path: Path, width: int = 1280, scheme: Any = "light") -> Visit:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        return Visit(context.new_page(), path)

    yield open_
    for context in contexts:
        context.close()


# The report itself in every combination; of the rest, each width and each scheme once.
VIEWS = [("full", width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
VIEWS += [(name, *view) for name in PAGES if name != "full" for view in ((1280, "light"), (390, "dark"))]


@pytest.mark.parametrize(("name", "width", "scheme"), VIEWS)
def test_a_page_opens_cleanly_fits_its_width_and_has_no_accessibility_violation(
    name: str, width: int, scheme: str, written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    seen = visit(written[name], width, scheme)
    # What is folded is part of the page, too.
    seen.ask("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert seen.ask("document.documentElement.scrollWidth") <= width
    found = Axe().run(seen.page)
    assert found.violations_count == 0, found.generate_report()
    assert seen.complaints == []
    assert len(seen.requests) == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_charts_are_drawn_once_and_inside_the_page(
    width: int, written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    seen = visit(written["full"], width)
    boxes = seen.ask(
        "[...document.querySelectorAll('figure svg')].map((one) => one.getBoundingClientRect())"
        ".filter((box) => box.width > 0).map((box) => [box.left, box.right, box.height])"
    )
    assert len(boxes) == 6
    assert all(left >= 0 and right <= width and height > 80 for left, right, height in boxes)
    marks = seen.ask("document.querySelectorAll('figure svg path, figure svg rect').length")
    assert marks > 50


def test_charts_change_their_colours_with_the_scheme(
    written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    script = "getComputedStyle(document.querySelector('figure svg [stroke=\"#2457a6\"]')).stroke"
    assert visit(written["full"], 1280, "light").ask(script) != visit(written["full"], 1280, "dark").ask(
        script
    )


def test_text_in_charts_is_readable_at_both_widths(
    written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    for width in (1280, 390):
        heights = visit(written["full"], width).ask(
            "[...document.querySelectorAll('figure svg text')].map((one) => one.getBoundingClientRect().height)"
            ".filter((height) => height > 0)"
        )
        assert min(heights) >= 11


def test_every_interactive_part_works_from_the_keyboard(
    written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    seen = visit(written["full"])
    wanted = seen.ask("document.querySelectorAll('a[href], summary').length")
    reached = set()
    for _ in range(200):
        seen.page.keyboard.press("Tab")
        tag = seen.ask("document.activeElement.tagName")
        if tag == "BODY":
            break
        if tag == "SUMMARY" and not seen.ask("document.activeElement.parentElement.open"):
            seen.page.keyboard.press("Enter")
            assert seen.ask("document.activeElement.parentElement.open")
        reached.add(seen.ask("document.activeElement.outerHTML"))
        outline = seen.ask("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert len([one for one in reached if one.startswith(("<a", "<summary"))]) == wanted
    assert any(one.startswith("<button") for one in reached)


def test_the_skip_link_leads_to_the_report(written: dict[str, Path], visit: Callable[..., Visit]) -> None:
    seen = visit(written["full"])
    seen.page.keyboard.press("Tab")
    assert seen.ask("document.activeElement.textContent") == "Skip to the report"
    seen.page.keyboard.press("Enter")
    assert seen.ask("document.activeElement.id") == "report"


def test_the_copy_button_copies_its_command_and_says_so(
    written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    from playwright.sync_api import expect

    seen = visit(written["full"])
    seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = seen.page.locator("#again ~ .command .copy")
    seen.page.bring_to_front()
    button.focus()
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".told")).to_have_text("Copied.")
    assert seen.ask("navigator.clipboard.readText()") == ENVIRONMENT["again"]


def test_without_script_everything_is_still_there(chromium: Browser, written: dict[str, Path]) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written["full"].as_uri())
    assert page.locator("figure svg").first.is_visible()
    assert not page.locator(".copy").first.is_visible()
    context.close()


def test_paper_is_light_and_shows_what_is_folded(
    written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    seen = visit(written["full"], 1280, "dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert seen.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    seen.ask("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.locator("text=headwind run --connections 2").first.is_visible()
    assert not seen.page.locator("nav").is_visible()


def test_a_screen_reader_gets_headings_in_order_and_words_for_every_chart(
    written: dict[str, Path], visit: Callable[..., Visit]
) -> None:
    seen = visit(written["full"])
    levels = seen.ask("[...document.querySelectorAll('h1,h2,h3')].map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    labels = seen.ask("[...document.querySelectorAll('figure [role=img]')].map((one) => one.ariaLabel)")
    assert len(labels) == 3
    assert all(len(label) > 40 for label in labels)
