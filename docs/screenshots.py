"""Make the pictures of the README and the docs from the committed sample report: `python docs/screenshots.py`.

Those of an experiment come from its own report: `python docs/screenshots.py --experiment reports/<folder>/report.html`.

Needs the packages of requirements-dev.txt and a Chromium on the PATH. Every picture stays under 300 KB.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "reports" / "sample" / "report.html"
IMAGES = ROOT / "docs" / "images"
MAX_BYTES = 300_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A part of the page: from its top down to `height` pixels, or the element `of`."""

    name: str
    width: int = 1280
    height: int = 900
    scheme: Literal["light", "dark"] = "light"
    of: str | None = None
    scale: float = 1.0
    open_findings: bool = False


PICTURES = (
    Picture("report", height=1000),
    Picture("report-dark", height=1000, scheme="dark"),
    Picture("report-phone", width=390, height=844, scale=1.5),
    Picture("report-phone-dark", width=390, height=844, scheme="dark", scale=1.5),
    Picture("percentiles", of="figure:has(#percentiles-title)", scale=1.5),
    Picture("over-time", of="figure:has(#over-time-title)"),
    Picture("finding", of=".finding", open_findings=True, scale=1.25),
)
# Of these, those that the experiment's report has.
EXPERIMENT = tuple(
    Picture(name, of=f"figure:has(#{name}-title)", width=1100, scale=1.25)
    for name in ("ratios", "capacity", "ladder", "stages")
)


def main(argv: Sequence[str] | None = None) -> int:
    """Take every picture; 0 where all were taken and none is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, default=SAMPLE, help="another report.html")
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, metavar="DIR")
    parser.add_argument("--experiment", action="store_true", help="the page is an experiment's")
    options = parser.parse_args(argv)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium on the PATH: `apt-get install chromium`, then again.", file=sys.stderr)
        return 6
    options.output.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        pictures = EXPERIMENT if options.experiment else PICTURES
        sizes = [take(browser, picture, options.page, options.output) for picture in pictures]
        browser.close()
    return 0 if max(sizes) <= MAX_BYTES else 1


def take(browser: Any, picture: Picture, page_file: Path, output: Path) -> int:
    """Take one picture; its size in bytes, 0 where the page does not have that element."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,
        device_scale_factor=picture.scale,
    )
    page = context.new_page()
    page.goto(page_file.resolve().as_uri())
    if picture.open_findings:
        page.evaluate("document.querySelector('.finding details').open = true")
    target = output / f"{picture.name}.png"
    if picture.of and not page.locator(picture.of).count():
        context.close()
        return 0
    if picture.of:
        page.locator(picture.of).first.screenshot(path=target)
    else:
        page.screenshot(path=target)
    context.close()
    size = target.stat().st_size
    print(f"{target}: {size:,} bytes{' - too large' if size > MAX_BYTES else ''}")
    return size


if __name__ == "__main__":
    sys.exit(main())
