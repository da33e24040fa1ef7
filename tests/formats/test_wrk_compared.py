"""Two reports side by side, or the lines in which they differ: never figures of both in one run."""

from __future__ import annotations

import difflib
from dataclasses import replace

import pytest

from headwind.formats import read_text
from headwind.run import Errors
from tests.formats.printer import Report, Row

ONE = Report(
    url="http://localhost:8080/flights",
    duration_s=10,
    threads=2,
    connections=10,
    latency=Row(1250.0, 310.0, 9100.0, 88.25),
    rate=Row(4010.0, 120.0, 4400.0, 70.5),
    requests=80_123,
    runtime_us=10_020_000,
    bytes_read=9_876_543,
    errors=(0, 2, 0, 7),
)
OTHER = replace(ONE, latency=Row(1900.0, 310.0, 9900.0, 61.0), requests=52_001)
ELSEWHERE = replace(OTHER, url="http://localhost:9090/flights")


def normal_diff(one: list[str], other: list[str], missing_end: str = "") -> str:
    """What `diff` prints of two texts."""
    parts = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        assert tag == "replace"
        ranges = [f"{a + 1},{b}" if b - a > 1 else f"{b}" for a, b in ((i, j), (k, m))]
        parts += [f"{ranges[0]}c{ranges[1]}\n", *(f"< {line}" for line in one[i:j]), missing_end, "---\n"]
        parts += [f"> {line}" for line in other[k:m]]
    return "".join(parts)


@pytest.mark.parametrize("missing_end", ["", "\\ No newline at end of file\n"])
def test_the_sides_of_a_diff_are_two_runs_of_which_lines_are_missing(missing_end: str) -> None:
    one, other = (report.text().splitlines(keepends=True) for report in (ONE, OTHER))
    first, second = read_text(f"$ diff a b\n{normal_diff(one, other, missing_end)}$ ls\n", "text")
    assert (first.requests, second.requests) == (80_123, 52_001)
    assert (first.requests_per_s, second.requests_per_s) == (7996.31, 5189.72)
    for run, mean_s in ((first, 0.00125), (second, 0.0019)):
        assert run.latency is not None
        assert run.latency.mean_s == mean_s
        # Lines that are alike are not in a diff, so that a missing one does not stand for zero.
        assert (run.errors, run.late, run.url) == (Errors(), None, None)


@pytest.mark.parametrize("other", [OTHER, ELSEWHERE], ids=["the same URL", "another URL"])
@pytest.mark.parametrize("gutter", ["\t", "   |\t", "          ", "\t\t\t\t"])
def test_two_reports_side_by_side_come_apart_or_have_no_figures(other: Report, gutter: str) -> None:
    columns = (report.text().splitlines() for report in (ONE, other))
    text = "".join(f"{left:<62}{gutter}{right}\n" for left, right in zip(*columns, strict=True))
    runs = read_text(text, "text")
    assert len(runs) == 2
    wholes = [
        replace(run, lines=runs[0].lines)
        for report in (ONE, other)
        for run in read_text(report.text(), "text")
    ]
    if runs == wholes:  # a bar at the same place of every line shows where the columns are
        return
    for run in runs:
        assert (run.requests, run.requests_per_s, run.bytes_read, run.errors) == (None, None, None, Errors())
        assert run.url in (None, ONE.url if other is OTHER else None)
        assert "lines_mixed" in {warning.code for warning in run.warnings}


def test_quoted_lines_that_are_of_no_diff_are_one_report() -> None:
    (expected,) = read_text(ONE.text(), "text")
    lines = ONE.text().splitlines(keepends=True)
    for prefixes in (["> "] * len(lines), ["> ", ""] * len(lines)):
        text = "".join(f"{prefix}{line}" for prefix, line in zip(prefixes, lines, strict=False))
        (run,) = read_text("On Friday somebody wrote:\n\n" + text, "text")
        assert replace(run, lines=expected.lines) == expected
