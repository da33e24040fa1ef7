"""Objectives: how they are written, and what a run lets be said about them."""

from __future__ import annotations

from typing import Any

import pytest

from headwind.analysis import context, gates
from headwind.errors import Exit, UsageError
from headwind.histogram import from_counts
from headwind.run import Errors, Latency, Run
from tests.analysis.runs import HEALTHY, SLOW, healthy, slow


def outcome(run: Run, objective: str) -> str:
    (gate,) = gates.judge(context.of(run, "wrk.txt"), [gates.parse(objective)])
    return gate.outcome


@pytest.mark.parametrize(
    ("text", "metric", "operator", "threshold", "unit"),
    [
        ("p99<250ms", "p99", "<", 0.25, "s"),
        ("p99.9 <= 1.5 s", "p99.9", "<=", 1.5, "s"),
        ("P50<900us", "p50", "<", 0.0009, "s"),
        ("mean<50ms", "mean", "<", 0.05, "s"),
        ("max<2s", "max", "<", 2.0, "s"),
        ("errors<0.1%", "errors", "<", 0.001, "share"),
        ("late<0.01", "late", "<", 0.01, "share"),
        ("rps>1,000", "rps", ">", 1000.0, "1/s"),
        ("goodput>=1000/s", "goodput", ">=", 1000.0, "1/s"),
        ("requests>=50000", "requests", ">=", 50000.0, "1"),
    ],
)
def test_an_objective_is_read(text: str, metric: str, operator: str, threshold: float, unit: str) -> None:
    found = gates.parse(text)
    assert (found.metric, found.operator, found.unit) == (metric, operator, unit)
    assert found.threshold == pytest.approx(threshold)


@pytest.mark.parametrize(
    "text",
    [
        "",
        *[
            "p99",
            "p99<250",
            "p99<250%",
            "p<1ms",
            "p101<1ms",
            "p0<1s",
            "errors<5",
            "errors<1ms",
            "rps>1%",
            "speed>3",
            "mean9<1s",
        ],
        "late<10",
        "p99=<1s",
        "rps50>3",
    ],
)
def test_what_is_no_objective_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"p99<250ms|as in|per cent|did you mean|at most at 100"):
        gates.parse(text)


@pytest.mark.parametrize(
    ("run", "objective", "expected"),
    [
        # The percentile is among the late answers: how slow is unknown, that it is above 2 s is certain.
        (SLOW, "p99<250ms", "failed"),
        (SLOW, "p99<2s", "failed"),
        (SLOW, "p99<5s", "not_judged"),
        (SLOW, "p78<2.1s", "held"),
        (SLOW, "p50<1s", "not_judged"),
        (SLOW, "p50<2.1s", "held"),
        (SLOW, "max<2s", "failed"),
        (SLOW, "max<30s", "not_judged"),
        # Certain: the 613 late answers took at least 2 s, so the mean of all is at least 1.58 s.
        (SLOW, "mean<1.5s", "failed"),
        (SLOW, "mean<2s", "not_judged"),
        (SLOW, "errors<0.1%", "failed"),
        (SLOW, "errors<22%", "held"),
        (SLOW, "late<22%", "held"),
        (SLOW, "late<21.9%", "failed"),
        (SLOW, "rps>61", "held"),
        (SLOW, "goodput>61", "failed"),
        (SLOW, "requests>=2788", "held"),
        (HEALTHY, "p99<250ms", "held"),
        (HEALTHY, "p99<213ms", "failed"),
        (HEALTHY, "p95<250ms", "held"),
        (HEALTHY, "p95<200ms", "not_judged"),
        (HEALTHY, "p99.9<300ms", "held"),
        (HEALTHY, "mean<160ms", "held"),
        (HEALTHY, "errors<0.1%", "held"),
        (HEALTHY, "rps>1300.35", "failed"),
        (HEALTHY, "rps>=1300.35", "held"),
    ],
)
def test_a_run_is_judged_only_by_what_it_proves(run: Run, objective: str, expected: str) -> None:
    assert outcome(run, objective) == expected


@pytest.mark.parametrize("objective", ["p99<1s", "rps>1", "errors<50%", "requests>=1"])
def test_an_interrupted_run_is_not_judged(objective: str) -> None:
    assert outcome(healthy(interrupted=True), objective) == "not_judged"


def test_latency_of_error_pages_is_not_judged() -> None:
    errors = Errors(connect=0, read=0, write=0, timeout=0, status=58_594)
    assert outcome(healthy(errors=errors), "p99<250ms") == "not_judged"
    assert outcome(healthy(errors=errors), "rps>1") == "not_judged"
    assert outcome(healthy(errors=errors), "errors<1%") == "failed"
    assert outcome(healthy(errors=errors), "requests>=1") == "failed"


def test_figures_that_the_text_lacks_are_not_judged() -> None:
    cut = Run("wrk", requests=1000, latency=Latency(mean_s=0.1, max_s=0.2), errors=Errors())
    assert [outcome(cut, text) for text in ("rps>1", "errors<1%", "late<1%", "p50<1s", "mean<1s")] == [
        "not_judged"
    ] * 5
    errors = Errors(connect=0, read=5, write=0, timeout=0, status=5)
    assert outcome(Run("wrk", errors=errors), "errors<1%") == "not_judged"


def test_no_answer_at_all_fails_what_it_can_fail() -> None:
    dead = healthy(requests=0, requests_per_s=0.0, latency=None, errors=Errors(0, 12, 0, 0, 0))
    assert outcome(dead, "rps>1") == "failed"
    assert outcome(dead, "errors<1%") == "failed"
    assert outcome(dead, "p99<250ms") == "not_judged"


def test_a_run_of_nothing_but_timeouts_does_not_hold_an_error_rate() -> None:
    hung = healthy(requests=0, requests_per_s=0.0, latency=None, errors=Errors(0, 0, 0, 1905, 0), late=None)
    assert outcome(hung, "errors<1%") == "failed"
    silent = healthy(requests=0, requests_per_s=0.0, latency=None)
    assert outcome(silent, "errors<1%") == "not_judged"


def test_errors_are_a_share_of_the_requests_tried() -> None:
    errors = Errors(connect=10, read=40, write=9_000, timeout=20, status=30)
    run = healthy(requests=950, errors=errors, late=20)
    (gate,) = gates.judge(context.of(run, "wrk.txt"), [gates.parse("errors<11%")])
    assert gate.measured == pytest.approx((30 + 20 + 40 + 10) / (950 + 40 + 10))


def test_an_exact_histogram_decides_every_percentile() -> None:
    run = healthy(histogram=from_counts({1000: 989, 400_000: 11}), latency=Latency(mean_s=1.0, max_s=9.0))
    assert outcome(run, "p98<2ms") == "held"
    assert outcome(run, "p99<250ms") == "failed"
    assert outcome(run, "mean<10ms") == "held"
    late = healthy(histogram=from_counts({1000: 980}, late=20, limit_us=10_000_000))
    assert outcome(late, "p98<2ms") == "held"
    assert outcome(late, "p99<10s") == "failed"
    assert outcome(late, "p99<11s") == "not_judged"


def test_other_tools_percentiles_are_judged_as_printed() -> None:
    run = Run("locust", complete=True, requests=900, latency=Latency(percentiles_s={"95": 0.2, "99": 0.4}))
    assert [outcome(run, f"p{p}<300ms") for p in (90, 95, 97, 99)] == ["held", "held", "not_judged", "failed"]


def test_the_worst_outcome_is_the_exit_code() -> None:
    assert gates.exit_code([]) == Exit.DONE
    assert gates.exit_code(["held", "not_judged"]) == Exit.GATE_NOT_JUDGED
    assert gates.exit_code(["held", "not_judged", "failed"]) == Exit.GATE_FAILED


def test_reasons_say_the_bound_and_where_it_is_from() -> None:
    (gate,) = gates.judge(context.of(SLOW, "wrk.txt"), [gates.parse("p99<250ms")])
    assert (
        gate.reason
        == "p99<250ms: p99 is unknown, but at least 2 s (among the answers later than the timeout)."
    )
    assert (gate.measured, gate.low, gate.high) == (None, 2.0, None)


def test_a_target_counts_no_error_answers() -> None:
    run = slow(requests=55_000, errors=Errors(0, 0, 0, 0, 10_000))
    (gate,) = gates.judge(context.of(run, "wrk.txt"), [gates.target(50_000)])
    assert (gate.outcome, gate.measured) == ("failed", 45_000)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"slo": ["p99<250ms"], "targets": 5}, "unknown key targets"),
        ({"slo": [3]}, "list of objectives"),
        ({"target": "many"}, "whole number"),
        ("p99<250ms and so on", "no objective"),
    ],
)
def test_a_file_of_objectives_is_checked(data: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gates.objectives_from(data, "gates.yaml")


def test_a_file_of_objectives_is_read() -> None:
    found = gates.objectives_from({"target": 50_000, "slo": ["p99<250ms", "errors<0.1%"]}, "gates.yaml")
    assert [one.metric for one in found] == ["requests", "p99", "errors"]
    assert [one.metric for one in gates.objectives_from(["rps>3"], "gates.yaml")] == ["rps"]
