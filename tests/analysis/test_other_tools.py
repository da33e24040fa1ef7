"""What runs of other tools than wrk prove: roundings, requests given up, and requests counted without an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwind.analysis import answer, context, gates
from headwind.analysis.target import target as target_rule
from headwind.formats import read_path
from headwind.run import Errors, Latency, Run

FIXTURES = Path(__file__).parents[1] / "formats" / "fixtures"


def gate(run: Run, objective: str) -> gates.Gate:
    (judged,) = gates.judge(context.of(run, "run.txt"), [gates.parse(objective)])
    return judged


def run(tool: str, warning: str | None = None, p99_s: float = 0.25, **changes: Any) -> Run:
    latency = Latency(mean_s=0.1, max_s=9.0, percentiles_s={"50": 0.1, "99": p99_s})
    base = Run(tool=tool, complete=True, requests=1000, requests_per_s=100.0, latency=latency, **changes)
    return base.warn(warning, "It is rounded.") if warning else base


@pytest.mark.parametrize(
    ("warning", "p99_s", "held", "failed"),
    [
        ("percentiles_two_digits", 0.25, "p99<256ms", "p99<245ms"),
        ("percentiles_two_digits", 0.1, "p99<106ms", "p99<99ms"),
        ("percentiles_two_digits", 0.042, "p99<43ms", "p99<41ms"),
        ("percentiles_two_digits", 2.5, "p99<2.56s", "p99<2.44s"),
        ("percentiles_two_digits", 31.0, "p99<32s", "p99<30s"),
        ("percentiles_interpolated", 0.22, "p99<251ms", "p99<200ms"),
        ("percentiles_interpolated", 0.0105, "p99<11.1ms", "p99<10ms"),
        ("whole_milliseconds", 0.002, "p99<3.1ms", "p99<1ms"),
        ("rounded", 0.002, "p99<2.06ms", "p99<1.94ms"),
    ],
)
def test_a_percentile_is_judged_within_what_its_tool_rounds(
    warning: str, p99_s: float, held: str, failed: str
) -> None:
    one = run("locust", warning, p99_s)
    at_the_edge = f"p99<={p99_s * 1e3:g}ms"
    assert [gate(one, text).outcome for text in (held, failed, at_the_edge)] == [
        "held",
        "failed",
        "not_judged",
    ]
    assert gate(run("locust", None, p99_s), at_the_edge).outcome == "held"


def test_a_maximum_is_not_rounded_to_two_digits_or_interpolated() -> None:
    for code in ("percentiles_two_digits", "percentiles_interpolated"):
        assert gate(run("locust", code), "max<=9s").outcome == "held"
    assert gate(run("ab", "whole_milliseconds"), "max<=9s").outcome == "not_judged"


def test_beyond_the_last_bucket_nothing_bounds_a_percentile() -> None:
    assert gate(run("fortio", "percentiles_interpolated", 120.0), "p99<1000s").outcome == "not_judged"


@pytest.mark.parametrize("tool", ["autocannon", "h2load", "hey", "oha"])
def test_requests_given_up_stand_above_every_latency(tool: str) -> None:
    one = run(tool, errors=Errors(timeout=50, status=0))
    assert gate(one, "p99<10s").outcome == "not_judged"
    assert gate(one, "p99<8s").outcome == "failed"
    assert gate(one, "p50<300ms").outcome == "held"
    assert gate(one, "mean<1s").outcome == "not_judged"
    assert gate(one, "mean<0.1s").outcome == "failed"
    assert gate(one, "errors<1%").outcome == "failed"


@pytest.mark.parametrize("tool", ["bombardier", "vegeta"])
def test_time_outs_that_are_among_the_latencies_change_no_percentile(tool: str) -> None:
    assert gate(run(tool, errors=Errors(timeout=50, status=0)), "p99<=250ms").outcome == "held"


def test_a_real_run_with_time_outs_does_not_hold_its_printed_percentiles() -> None:
    (one,) = read_path(FIXTURES / "hey" / "time-outs.txt")
    assert one.errors.timeout
    assert gate(one, "p99<250ms").outcome != "held"


@pytest.mark.parametrize("tool", ["fortio", "vegeta"])
def test_requests_without_an_answer_are_not_counted_as_good(tool: str) -> None:
    one = run(tool, errors=Errors(connect=300, read=0, timeout=100, status=50))
    assert gate(one, "requests>=550").outcome == "held"
    assert gate(one, "requests>=551").outcome == "failed"
    assert gate(one, "goodput>=55").outcome == "held"
    assert gate(one, "goodput>=55.1").outcome == "failed"
    assert "45 % failed requests" in answer.sentence(context.of(one, "run.txt"), [])


def test_where_most_requests_got_no_answer_no_latency_is_judged() -> None:
    one = run("vegeta", errors=Errors(connect=900, read=0, timeout=0, status=0))
    judged = gate(one, "p99<1s")
    assert judged.outcome == "not_judged"
    assert "90 % of the requests failed" in judged.reason


def test_failures_of_all_kinds_are_not_called_error_answers() -> None:
    one = run("k6", "errors_not_split", errors=Errors(status=200))
    assert "20 % failed requests" in answer.sentence(context.of(one, "run.txt"), [])
    assert "20 % error answers" in answer.sentence(context.of(run("hey", errors=Errors(status=200)), ""), [])


def test_where_errors_are_unknown_nobody_says_that_enough_were_answered_well() -> None:
    one = run("k6", errors=Errors())
    assert gate(one, "requests>=1000").outcome == "not_judged"
    assert gate(one, "requests>=1001").outcome == "failed"
    assert gate(one, "goodput>=50").outcome == "not_judged"
    assert gate(one, "goodput>=101").outcome == "failed"
    for target, verdict in ((900, "not judged"), (1100, "missed")):
        asked = context.of(one, "run.txt", target=target)
        assert answer.sentence(asked, []).startswith(f"Target {verdict}")
        assert [finding.code for finding in target_rule(asked)] == ["target_missed"] * (target == 1100)
