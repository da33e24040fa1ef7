"""A report cut at any character never raises and never gives a number that is not the whole one's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.formats import read_text
from headwind.run import Run
from tests.formats.printer import Report, Report2, Row
from tests.formats.strategies import NOISE, reports, reports2
from tests.formats.test_wrk import SATURATED

# What a cut may change besides turning a value into null: what is said about the run as a whole.
OF_THE_WHOLE = {"lines", "complete", "interrupted", "warnings", "tool", "late_threshold_s"}


def assert_only_less(part: Any, whole: Any, where: str) -> None:
    """Every value of `part` is that of `whole`, or null."""
    if part is None:
        return
    if isinstance(part, Mapping):
        assert isinstance(whole, Mapping), where
        for name, value in part.items():
            if name not in OF_THE_WHOLE:
                assert name in whole, f"{where}.{name}"
                assert_only_less(value, whole[name], f"{where}.{name}")
        return
    assert part == whole, where


def runs_of(text: str) -> list[Run]:
    runs = read_text(text, "text")
    assert len(runs) <= 1
    return runs


@given(
    report=st.one_of(reports(), reports2()),
    before=NOISE,
    at=st.integers(0, 10**6),
    from_front=st.booleans(),
)
@settings(max_examples=400)
def test_a_cut_leaves_only_whole_values(report: Report, before: str, at: int, from_front: bool) -> None:
    text = report.text()
    (whole,) = runs_of(text)
    at %= len(text) + 1
    for run in runs_of(text[at:] if from_front else before + text[:at]):
        if run.tool != whole.tool:
            run = replace(run, late=None)  # without its own lines wrk2's report is wrk's
        assert_only_less(run.to_json(), whole.to_json(), "run")


MINUTES = Report2(
    url="http://localhost:8080/a?id=12",
    duration_s=120,
    threads=12,
    connections=400,
    latency=Row(9.9e7, 6.1e7, 1.2e8, 64.05),
    rate=Row(1234.5, 99.9, 849.99, 71.26),
    requests=1_234_567,
    runtime_us=120_050_000,
    bytes_read=123_456_789,
    errors=(1, 22, 333, 4444),
    status=55,
    ranks_us={
        50.0: 5.2e7,
        75.0: 5.5e7,
        90.0: 6e7,
        99.0: 7e7,
        99.9: 8e7,
        99.99: 9e7,
        99.999: 1e8,
        100.0: 1.1e8,
    },
)
MILLISECONDS = Report(
    url="http://localhost:8080/a?id=12",
    duration_s=30,
    threads=12,
    connections=400,
    latency=Row(999_999, 999_999, 999_999, 64.05),
    rate=Row(849.9, 12.34, 850_000, 100.0),
    requests=1_234_567,
    runtime_us=30_050_000,
    bytes_read=123_456_789,
    errors=(1, 22, 333, 4444),
    status=55,
    percentiles_us={50: 100, 75: 5000, 90: 849_000, 99: 999_000},
)


@pytest.mark.parametrize("report", [MINUTES, MILLISECONDS], ids=["minutes", "milliseconds"])
@pytest.mark.parametrize("ending", ["", "\r", " "], ids=["bare", "CR", "space"])
def test_every_single_cut(report: Report, ending: str) -> None:
    text = report.text()
    (whole,) = runs_of(text)
    for at in range(len(text)):
        # A space or a line end is part of what was cut off only where the report has one there.
        if ending and text[at] not in " \n":
            continue
        for run in runs_of(text[:at] + ending):
            assert_only_less(run.to_json(), whole.to_json(), f"cut at {at}")


def test_a_cut_is_told() -> None:
    for at in range(SATURATED.index("4 threads") + 12, len(SATURATED) - 3):
        (run,) = runs_of(SATURATED[:at])
        assert not run.complete
        assert any(warning.code == "cut" for warning in run.warnings)


@pytest.mark.parametrize(
    ("end", "field"),
    [
        ("http://localhost:8000/v1/pred", "url"),
        ("and 20", "connections"),
        ("in 45.10", "duration_s"),
        ("KB read\n  Socket errors: connect 0, read 0, write 0, timeout 61", "late"),
        ("Requests/sec:     61.8", "requests_per_s"),
    ],
)
def test_what_touches_the_end_of_the_text_is_unknown(end: str, field: str) -> None:
    (run,) = runs_of(SATURATED[: SATURATED.index(end) + len(end)])
    assert getattr(run, field) is None


@pytest.mark.parametrize("second", ["  10 goroutine(s) running concurrently", "100 connections"])
def test_a_header_like_wrks_whose_next_line_another_tool_began_is_no_run(second: str) -> None:
    header = "Running 10s test @ http://localhost:8080/\n"
    for at in range(second.index("0 ") + 3, len(second) + 1):
        assert read_text(header + second[:at], "text", tool="wrk") == [], second[:at]
    for ending in ("", "  ", "  10", "  10 thr", "  10 threads and 100 conn", "  10 threads and 100 c"):
        assert len(read_text(header + ending, "text")) == 1, ending
