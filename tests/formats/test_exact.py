"""The exact figures of the Lua side join the run, and wrk's correction is undone or the histogram is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwind.formats import attach_exact, read_path, read_text
from headwind.run import Latency, Run
from tests.formats.exact_object import corrected, exact_object
from tests.formats.test_wrk import SATURATED, codes

PRINTED = Run(tool="wrk", connections=4, latency=Latency(mean_s=0.1, percentiles_s={"50": 0.005}))
RESPONSES = st.dictionaries(st.integers(1, 60_000), st.integers(1, 40), min_size=1, max_size=40)


@given(RESPONSES, st.integers(1, 20), st.integers(0, 30))
def test_the_histogram_holds_what_was_measured(raw: dict[int, int], connections: int, timeouts: int) -> None:
    run = attach_exact(
        replace(PRINTED, connections=connections),
        exact_object(raw, connections=connections, timeouts=timeouts),
    )
    assert run.histogram is not None
    assert dict(zip(run.histogram.values_us, run.histogram.counts, strict=True)) == raw
    assert run.histogram.total == run.requests
    assert run.warnings == ()


@given(RESPONSES, st.integers(1, 20))
def test_the_corrected_summary_is_that_of_the_samples_wrk_adds(raw: dict[int, int], connections: int) -> None:
    exact = exact_object(raw, connections=connections)
    run = attach_exact(replace(PRINTED, connections=connections), exact)
    assert run.histogram is not None
    step = run.histogram.expected_interval_us
    samples = sorted(
        value for value, count in (corrected(raw, step) if step else raw).items() for _ in range(count)
    )
    summary = run.histogram.corrected()
    assert summary["count"] == len(samples)
    assert summary["mean_s"] == pytest.approx(sum(samples) / len(samples) / 1e6)
    for percent, value in summary["percentiles_s"].items():
        rank = max(1, -(-round(float(percent) / 100 * len(samples) * 1e6) // 10**6))
        assert value == samples[rank - 1] / 1e6, percent


def test_counts_rates_and_codes_are_the_exact_ones() -> None:
    run = attach_exact(
        PRINTED, exact_object({5000: 90, 900_000: 10}, connections=4, duration_us=1_003_500, status=3)
    )
    assert (run.requests, run.duration_s, run.bytes_read) == (100, 1.0035, 4000)
    assert run.requests_per_s == pytest.approx(100 / 1.0035)
    assert (run.errors.status, run.status_codes) == (3, {"200": 97, "500": 3})
    assert run.timeline is not None
    assert run.timeline.slot_s == 0.1
    assert run.timeout_s == 10.0
    assert run.complete


def test_the_printed_row_stays_and_percentiles_it_lacks_are_filled() -> None:
    run = attach_exact(PRINTED, exact_object({5000: 100}, connections=4))
    assert run.latency == Latency(mean_s=0.1, percentiles_s={"50": 0.005, "99.9": 0.005})


@pytest.mark.parametrize(
    ("timeout_us", "timeouts", "late", "threshold_s"),
    [(10_000_000, 3, 8, 2.0), (2_000_000, 3, 3, 2.0), (1_000_000, 3, 3, 1.0), (10_000_000, 0, 5, 2.0)],
)
def test_late_is_counted_above_the_threshold(
    timeout_us: int, timeouts: int, late: int, threshold_s: float
) -> None:
    raw = {5000: 95}
    if timeout_us > 2_000_000:
        raw[2_000_001] = 5
    run = attach_exact(PRINTED, exact_object(raw, connections=4, timeouts=timeouts, timeout_us=timeout_us))
    assert (run.late, run.late_threshold_s) == (late, threshold_s)


def test_a_late_answer_of_an_unknown_limit_leaves_late_unknown() -> None:
    run = attach_exact(PRINTED, exact_object({5000: 95}, connections=4, timeouts=3, timeout_us=None))
    assert run.late is None


def test_a_histogram_that_does_not_add_up_is_left_out() -> None:
    exact = exact_object({5000: 100}, connections=4)
    exact["histogram"]["counts"][0] += 1
    run = attach_exact(PRINTED, exact)
    assert run.histogram is None
    assert codes(run) == {"histogram_check_failed"}


def test_pipelining_is_recognised_by_its_batches() -> None:
    run = attach_exact(PRINTED, exact_object({5000: 100}, connections=4, pipeline=16))
    assert run.pipeline == 16
    assert run.histogram is not None


def test_without_connections_the_correction_cannot_be_undone() -> None:
    run = attach_exact(replace(PRINTED, connections=None), exact_object({5000: 100}, connections=4))
    assert run.histogram is None
    assert codes(run) == {"correction_not_undone"}


def test_figures_of_another_run_are_left_out() -> None:
    run = attach_exact(replace(PRINTED, requests=99), exact_object({5000: 100}, connections=4))
    assert run.requests == 99
    assert codes(run) == {"exact_of_another_run"}


@pytest.mark.parametrize("field", ["duration_us", "requests", "bytes", "errors"])
@pytest.mark.parametrize("value", [None, -1, "many", [], {}, 1.5, 1e400])
def test_a_malformed_object_changes_nothing(field: str, value: object) -> None:
    run = attach_exact(PRINTED, {**exact_object({5000: 100}, connections=4), field: value})
    assert replace(run, warnings=()) == PRINTED
    assert codes(run) == {"exact_unreadable"}


def test_the_line_on_stdout_is_joined_with_the_report_above_it() -> None:
    exact = exact_object(
        {1000: 2175}, connections=200, timeouts=613, duration_us=45_100_000, timeout_us=2_000_000
    )
    (run,) = read_text(f"{SATURATED}Transfer/sec:      8.45KB\nheadwind.wrk/1 {json.dumps(exact)}\n", "text")
    assert run.histogram is not None
    assert (run.timeout_s, run.late, run.status_codes) == (2.0, 613, {"200": 2788, "500": 0})


def test_a_run_folder_joins_each_report_with_its_object_whatever_their_order(tmp_path: Path) -> None:
    first, second = SATURATED, SATURATED.replace("2788", "1000").replace("61.82", "22.17").replace("613", "0")
    exacts = [
        exact_object({1000: 1000}, connections=200, duration_us=45_100_000),
        exact_object({1000: 2175}, connections=200, timeouts=613, duration_us=45_100_000),
    ]
    (tmp_path / "wrk.txt").write_text(first + second)
    (tmp_path / "exact.jsonl").write_text(
        "".join(json.dumps(exact) + "\n" for exact in exacts) + '{"schema": "hea'
    )
    runs = list(read_path(tmp_path))
    assert [(run.requests, run.errors.timeout) for run in runs] == [(2788, 613), (1000, 0)]
    assert all(run.histogram and run.histogram.total == run.requests for run in runs)


def test_a_run_folder_gives_the_runs_of_its_document(tmp_path: Path) -> None:
    (tmp_path / "wrk.txt").write_text(SATURATED)
    run = attach_exact(PRINTED, exact_object({5000: 100}, connections=4))
    document = {"schema": "headwind.run/1", "source": "x", "findings": [], "runs": [run.to_json()]}
    (tmp_path / "run.json").write_text(json.dumps(document))
    assert list(read_path(tmp_path)) == [run]
    (tmp_path / "run.json").write_text(json.dumps(document)[:-20])
    assert [run.requests for run in read_path(tmp_path)] == [2788]


@pytest.mark.parametrize("key", ["99.9.9", "p99", "-1", "101", "nan", ""])
def test_a_percentile_of_no_rank_makes_the_object_unreadable(key: str) -> None:
    exact = exact_object({5000: 100}, connections=4)
    exact["latency_us"]["percentiles"] = {key: 5000}
    assert codes(attach_exact(PRINTED, exact)) == {"exact_unreadable"}


def test_a_timeout_from_outside_does_not_overrule_the_exact_one(tmp_path: Path) -> None:
    exact = exact_object({1000: 2175}, connections=200, timeouts=613, duration_us=45_100_000)
    (tmp_path / "wrk.txt").write_text(f"{SATURATED}headwind.wrk/1 {json.dumps(exact)}\n")
    (run,) = read_path(tmp_path, timeout_s=3.0)
    assert (run.timeout_s, run.late, run.late_threshold_s) == (10.0, 613, 2.0)
