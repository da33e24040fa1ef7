"""A run's folder renders again from disk, whatever a crash left of it, and the index lists every run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwind.cli import main
from headwind.errors import UnreadableError
from headwind.report import folder, index
from tests.report.documents import CUT_RUN as SHORT
from tests.report.documents import ENVIRONMENT, HOSTILE, SAMPLES, document, full_document, hostile_document

RAW = "Running 45s test @ http://user:hunter2@localhost:8000/v1?token=abc123\n"


def whole_run(run: Path) -> Path:
    """A run's folder with all that a run leaves."""
    run.mkdir()
    (run / "run.json").write_text(json.dumps(full_document()))
    (run / "samples.jsonl").write_text("".join(json.dumps(one.to_json()) + "\n" for one in SAMPLES))
    (run / "environment.json").write_text(json.dumps(ENVIRONMENT))
    (run / "wrk.txt").write_text(RAW)
    return run


def short_run(run: Path) -> Path:
    """A run's folder with nothing but a document."""
    run.mkdir()
    (run / "run.json").write_text(json.dumps(document(SHORT)))
    return run


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run's folder, rendered once for the tests that only look."""
    run = whole_run(tmp_path_factory.mktemp("reports") / "20261120-120000-first")
    folder.render(run)
    return run


def test_a_folder_renders_everything_that_lies_in_it(rendered: Path) -> None:
    page = (rendered / "report.html").read_text()
    assert "CPU in cores" in page
    assert "sha256 2c26" in page
    assert "Running 45s test" in page
    pictures = {path.name for path in rendered.glob("report-*.png")}
    assert len(pictures) == 6
    assert all(name in (rendered / "report.md").read_text() for name in pictures)


def test_secrets_of_a_url_in_the_raw_text_reach_no_report(rendered: Path) -> None:
    for path in rendered.glob("report*"):
        assert b"hunter2" not in path.read_bytes()
        assert b"abc123" not in path.read_bytes()


def test_samples_cut_by_a_crash_are_used_up_to_the_cut(tmp_path: Path) -> None:
    samples = whole_run(tmp_path / "run") / "samples.jsonl"
    whole = samples.read_text()
    samples.write_text(whole[: len(whole) // 2])
    assert 30 < len(folder.read(samples.parent).samples) < len(SAMPLES)


def test_a_folder_with_the_document_alone_renders(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(document(SHORT)))
    assert folder.render(tmp_path)[0].name == "report.html"


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_broken_document_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UnreadableError, match="run the test again"):
        folder.render(tmp_path)


def test_the_index_lists_every_run_with_the_newest_first(tmp_path: Path) -> None:
    first = whole_run(tmp_path / "20261120-120000-first")
    (first / "report.html").write_text("rendered")
    for name, text in (
        ("20261121-090000-second", json.dumps(document(SHORT))),
        ("20261122-090000-broken", "{"),
        ("20261123-090000-hostile", json.dumps(hostile_document())),
        ("keepsakes", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("run.json" if text else "x.txt")).write_text(text)
    page = index.write(tmp_path).read_text()
    places = [page.index(label) for label in ("hostile<", "broken<", "second<", ">first<")]
    assert places == sorted(places)
    assert 'href="20261120-120000-first/report.html"' in page
    assert "1 of 3 failed" in page
    assert "is no JSON document" in page
    assert "<img" not in page
    assert "keepsakes" not in page


def test_a_folder_s_name_cannot_become_markup(tmp_path: Path) -> None:
    short_run(tmp_path / HOSTILE.replace("/", ""))
    page = index.write(tmp_path).read_text()
    assert "<img" not in page
    assert page.count("<script") == 1


def test_the_command_renders_a_run_and_writes_the_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = short_run(tmp_path / "20261120-120000-first")
    assert main(["report", str(run), str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(run / "report.html"), str(tmp_path / "index.html")]
    assert main(["report", "--all", str(tmp_path)]) == 0
    assert capsys.readouterr().err.splitlines() == [str(run / "report.html")]


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [("missing", 2, "is no folder"), ("", 2, "holds no run; `headwind run` makes one")],
)
def test_the_command_says_what_to_give_instead(
    tmp_path: Path, path: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path / path)]) == code
    assert said in capsys.readouterr().err


def test_explain_writes_markdown_with_pictures_and_html_with_the_raw_text(tmp_path: Path) -> None:
    source = tmp_path / "wrk.txt"
    source.write_text(
        "Running 45s test @ http://localhost:8000/v1/prediction\n"
        "  4 threads and 200 connections\n"
        "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n"
        "    Latency     1.46s   309.13ms   2.00s    71.26%\n"
        "    Req/Sec    21.25     24.38   232.00     90.89%\n"
        "  2788 requests in 45.10s, 381.17KB read\n"
        "  Socket errors: connect 0, read 0, write 0, timeout 613\n"
        "Requests/sec:     61.82\n"
        "Transfer/sec:      8.45KB\n"
    )
    assert main(["explain", str(source), "--format", "md", "-o", str(tmp_path / "a.md")]) == 0
    assert (tmp_path / "a-percentiles.png").is_file()
    assert main(["explain", str(source), "--format", "html", "-o", str(tmp_path / "a.html")]) == 0
    page = (tmp_path / "a.html").read_text()
    assert "2788 requests in 45.10s" in page
    assert "unknown, above 2 s" in page
