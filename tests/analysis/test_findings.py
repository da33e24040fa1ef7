"""Every finding: a case in which it must speak, and a neighbouring one in which it must stay silent."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from headwind.analysis import answer, context, rules
from headwind.analysis.excluded import excluded
from headwind.analysis.finding import Finding
from headwind.histogram import from_counts
from headwind.run import Errors, Latency, ReadWarning, Run, ThreadRate
from headwind.samples import Sample, Timeline
from tests.analysis.runs import HEALTHY, SLOW, healthy, slow
from tests.analysis.watched import HEALTHY_PROCESSES, MASTER, MIB, WRK, Process, watched

CLEAN = Errors(connect=0, read=0, write=0, timeout=0, status=0)


@dataclass(frozen=True)
class Case:
    """A run with what was watched beside it and what was asked of it."""

    run: Run
    target: int | None = None
    samples: Sequence[Sample] = field(default=())
    environment: Mapping[str, Any] = field(default_factory=dict)


def judged(case: Case | Run) -> list[Finding]:
    case = Case(case) if isinstance(case, Run) else case
    return rules.judge(of(case))


def of(case: Case) -> context.Context:
    return context.of(
        case.run, "wrk.txt", target=case.target, samples=case.samples, environment=case.environment
    )


def errors(**changes: int | None) -> Errors:
    return Errors(**{**CLEAN.to_json(), **changes})


def steady(per_slot: int = 130, slots: int = 450, **holes: int) -> list[int]:
    draw = random.Random(7)
    return [max(0, round(draw.gauss(per_slot, math.sqrt(per_slot)))) for _ in range(slots)]


def timeline(counts: Sequence[int], errors: Sequence[int] = ()) -> Timeline:
    return Timeline(0.1, tuple(counts), tuple(errors) or (0,) * len(counts))


def with_stalls(begins: Sequence[int], length: int) -> Timeline:
    """`length` slots of 100 ms without an answer from each of `begins`."""
    counts = steady()
    for begin in begins:
        counts[begin : begin + length] = [0] * length
    return timeline(counts)


def trend(change: float) -> Timeline:
    counts = steady()
    return timeline([round(count * (1 + change * at / len(counts))) for at, count in enumerate(counts)])


def slow_start(seconds: int) -> Timeline:
    counts = steady()
    return timeline([count // 2 if at < seconds * 10 else count for at, count in enumerate(counts)])


def modes(slow_share: float, slow_us: int) -> Any:
    draw = random.Random(3)
    counts: dict[int, int] = {}
    for _ in range(20_000):
        middle = slow_us if draw.random() < slow_share else 5_000
        value = int(draw.lognormvariate(math.log(middle), 0.15))
        counts[value] = counts.get(value, 0) + 1
    return from_counts(counts)


def percentiles(p50: float, p99: float, top: float) -> Latency:
    return Latency(
        mean_s=p50,
        stdev_s=p50,
        max_s=top,
        percentiles_s={"50": p50, "75": p50 * 1.1, "90": p50 * 1.2, "99": p99},
    )


# 4 connections at 4,000/s: 1 ms each; E = 1 ms, so latencies above 2 ms get synthetic samples.
FAST = healthy(
    connections=4,
    requests=180_000,
    duration_s=45.0,
    requests_per_s=4000.0,
    latency=Latency(
        mean_s=0.00098, stdev_s=0.0001, max_s=0.0019, percentiles_s={"50": 0.00097, "99": 0.0015}
    ),
    thread_requests_per_s=ThreadRate(mean=1005.0),
)


def fast(**changes: Any) -> Run:
    return Run(**{**{name: getattr(FAST, name) for name in Run.__slots__}, **changes})


def on(*processes: Process, **machine: Any) -> Case:
    return Case(HEALTHY, samples=watched(processes, **machine))


LATE_BUT_MEASURED = healthy(
    late=3, timeout_s=10.0, histogram=from_counts({150_000: 58_591, 2_500_000: 3}, limit_us=10_000_000)
)

# code: (cases in which it must speak, neighbouring cases in which it must be silent)
CASES: Mapping[str, tuple[Sequence[Case | Run], Sequence[Case | Run]]] = {
    "target_met": ([Case(HEALTHY, 58_594)], [Case(HEALTHY, 58_595), HEALTHY]),
    "target_missed": (
        [Case(HEALTHY, 58_595), Case(healthy(errors=errors(status=10_000)), 50_000)],
        [Case(HEALTHY, 58_594), Case(healthy(interrupted=True), 58_595), HEALTHY],
    ),
    "no_answers": (
        [healthy(requests=0, requests_per_s=0.0, latency=None)],
        [HEALTHY, healthy(requests=0, requests_per_s=None, complete=False)],
    ),
    "every_answer_failed": (
        [
            healthy(errors=errors(status=58_594)),
            healthy(errors=errors(status=58_594), status_codes={"500": 58_594}),
        ],
        [healthy(errors=errors(status=58_593)), HEALTHY],
    ),
    "script_did_not_run": (
        [
            healthy(errors=errors(status=58_594), status_codes={"405": 58_594}),
            healthy(errors=errors(status=58_594), status_codes={"404": 58_000, "422": 594}),
        ],
        [healthy(errors=errors(status=58_594), status_codes={"405": 58_000, "500": 594})],
    ),
    "error_answers": ([healthy(errors=errors(status=1))], [HEALTHY, healthy(errors=errors(status=58_594))]),
    "read_errors": ([healthy(errors=errors(read=3))], [HEALTHY, healthy(errors=errors(read=None))]),
    "connect_errors": ([healthy(errors=errors(connect=3))], [HEALTHY]),
    "write_errors": ([healthy(errors=errors(write=3))], [HEALTHY]),
    "requests_failed": (
        [
            Run("locust", complete=True, requests=1000, errors=Errors(status=12)),
            Run("k6", requests=9, errors=Errors(read=1)),
        ],
        [
            Run("locust", complete=True, requests=1000, errors=Errors(status=0)),
            healthy(errors=errors(status=12)),
        ],
    ),
    "every_request_failed": (
        [Run("vegeta", requests=10, errors=Errors(connect=10))],
        [Run("vegeta", requests=10, errors=Errors(connect=9))],
    ),
    "late_answers": (
        [
            SLOW,
            slow(timeout_s=2.0),
            LATE_BUT_MEASURED,
        ],
        [slow(errors=CLEAN), slow(latency=Latency(mean_s=1.0, max_s=3.0))],
    ),
    "timeouts_unclear": (
        [slow(latency=Latency(mean_s=1.0, max_s=3.0)), healthy(errors=errors(timeout=60_000))],
        [SLOW, slow(latency=Latency(mean_s=1.0, max_s=3.0), timeout_s=5.0), HEALTHY],
    ),
    "mean_understated": (
        [SLOW, fast(latency=Latency(mean_s=0.0007, max_s=0.0009))],
        [HEALTHY, FAST, fast(latency=Latency(mean_s=0.00085, max_s=0.0019)), slow(connections=None)],
    ),
    "saturation_likely": (
        [SLOW, slow(errors=CLEAN, latency=Latency(mean_s=3.2, max_s=4.0))],
        [HEALTHY, slow(connections=4), slow(errors=errors(status=2000)), slow(rate_target_per_s=62.0)],
    ),
    "synthetic_samples": (
        [fast(latency=Latency(mean_s=0.105, stdev_s=0.2, max_s=1.0))],
        [FAST, fast(latency=Latency(mean_s=0.00105, max_s=1.0)), SLOW],
    ),
    "requests_overlap": (
        [fast(latency=Latency(mean_s=0.0016, max_s=0.0019))],
        [FAST, fast(latency=Latency(mean_s=0.0016, max_s=0.5))],
    ),
    "goodput": (
        [SLOW, healthy(errors=errors(timeout=6000))],
        [HEALTHY, healthy(errors=errors(timeout=2)), healthy(errors=errors(status=600, timeout=600))],
    ),
    "long_tail": (
        [
            fast(latency=percentiles(0.0001, 0.0018, 0.0019)),
            Run("oha", requests=50_000, latency=percentiles(0.01, 0.5, 0.9)),
        ],
        [
            FAST,
            Run("oha", requests=50_000, latency=percentiles(0.01, 0.09, 0.9)),
            Run("oha", requests=500, latency=percentiles(0.01, 0.5, 0.9)),
            # Where wrk may have corrected, the measured p99 is only known to be at least the median.
            fast(latency=percentiles(0.0005, 0.006, 1.0)),
        ],
    ),
    "two_modes": (
        [healthy(histogram=modes(0.3, 50_000)), healthy(histogram=modes(0.04, 50_000))],
        [
            healthy(histogram=modes(0.3, 6_000)),
            healthy(histogram=modes(0.0, 1)),
            healthy(histogram=modes(0.005, 50_000)),
        ],
    ),
    "stalls": (
        [healthy(timeline=with_stalls([200], 8)), fast(timeline=with_stalls([50, 90, 300], 3))],
        [healthy(timeline=with_stalls([200], 2)), healthy(timeline=timeline(steady())), HEALTHY],
    ),
    "periodic_stalls": (
        [healthy(timeline=with_stalls([50, 150, 250, 350], 6))],
        [
            healthy(timeline=with_stalls([50, 60, 250, 400], 6)),
            healthy(timeline=with_stalls([50, 150, 250], 6)),
        ],
    ),
    "drift": (
        [healthy(timeline=trend(-0.4)), healthy(timeline=trend(0.4))],
        [healthy(timeline=trend(-0.1)), healthy(timeline=trend(0.0))],
    ),
    "warm_up_inside": (
        [healthy(timeline=slow_start(4))],
        [healthy(timeline=timeline(steady())), healthy(timeline=with_stalls([200], 8))],
    ),
    "idle_windows": (
        [fast(thread_requests_per_s=ThreadRate(mean=2000.0))],
        [FAST, SLOW, HEALTHY, fast(thread_requests_per_s=ThreadRate(mean=1100.0))],
    ),
    "interrupted": ([healthy(interrupted=True)], [HEALTHY]),
    "text_cut": (
        [healthy(complete=False, requests=None, requests_per_s=None)],
        [HEALTHY, healthy(complete=False)],
    ),
    "clock_step": (
        [healthy(duration_s=1.8e19, requests_per_s=0.0), Case(HEALTHY, environment={"clock_step_s": -3.0})],
        [HEALTHY, Case(HEALTHY, environment={"clock_step_s": 0.002})],
    ),
    "run_short": ([healthy(duration_s=9.0), healthy(requests=900)], [healthy(duration_s=10.0), HEALTHY]),
    "connections_rounded": ([healthy(threads=12, connections=500)], [HEALTHY, healthy(threads=5)]),
    "load_not_delivered": (
        [Run("wrk2", requests=1000, requests_per_s=900.0, rate_target_per_s=1000.0)],
        [Run("wrk2", requests=1000, requests_per_s=990.0, rate_target_per_s=1000.0), HEALTHY],
    ),
    "generator_late": (
        [healthy(warnings=(ReadWarning("generator_late", "p99 168.3 ms with connections free"),))],
        [HEALTHY, healthy(warnings=(ReadWarning("latency_from_send", "counts from the send"),))],
    ),
    "same_host": (
        [HEALTHY, healthy(url="http://127.0.0.1/"), healthy(url="http://[::1]:80/")],
        [healthy(url="http://10.0.0.7/"), healthy(url=None), healthy(url="http://localhost.example.org/")],
    ),
    "generator_near_limit": (
        [healthy(requests=12_000_000, requests_per_s=266_000.0)],
        [HEALTHY, healthy(requests=9_000_000, requests_per_s=200_000.0)],
    ),
    "generator_limited": (
        [on(MASTER, Process(101, "server", 0.5), Process(200, "generator", 1.2, 0.97))],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.5), Process(200, "generator", 3.0, 0.8)),
        ],
    ),
    "generator_threads_above_cores": (
        [on(*HEALTHY_PROCESSES, cpus=2, busy_cores=1.8)],
        [on(*HEALTHY_PROCESSES, cpus=4)],
    ),
    "no_keepalive": (
        [Case(HEALTHY, environment={"connections_opened": 58_700})],
        [
            Case(HEALTHY, environment={"connections_opened": 260}),
            Case(HEALTHY, environment={"connections_opened": None}),
            Case(healthy(requests=2_000), environment={"connections_opened": 1_900}),
        ],
    ),
    "noisy_host": (
        [on(*HEALTHY_PROCESSES, steal=0.08), on(*HEALTHY_PROCESSES, busy_cores=3.5)],
        [on(*HEALTHY_PROCESSES, steal=0.02), on(WRK, busy_cores=3.5)],
    ),
    "worker_restarts": (
        [on(MASTER, Process(101, "server", 0.7, end_s=20.0), Process(103, "server", 0.7, begin_s=22.0), WRK)],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.001, end_s=20.0), Process(102, "server", 0.7), WRK),
        ],
    ),
    "worker_died": (
        [on(MASTER, Process(101, "server", 0.7, end_s=20.0), Process(102, "server", 0.7), WRK)],
        [on(*HEALTHY_PROCESSES)],
    ),
    "one_busy_worker": (
        [
            on(MASTER, Process(101, "server", 0.99), WRK, busy_cores=1.6),
            on(Process(101, "server", 1.0), WRK, busy_cores=1.6),
        ],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.99), WRK, cpus=2, busy_cores=1.9),
            on(MASTER, Process(101, "server", 0.6), WRK, busy_cores=1.6),
        ],
    ),
    "cpu_full": (
        [on(MASTER, Process(101, "server", 1.6), Process(102, "server", 1.7), WRK, busy_cores=3.95)],
        [on(*HEALTHY_PROCESSES), on(*HEALTHY_PROCESSES, busy_cores=3.95)],
    ),
    "workers_above_cores": (
        [on(MASTER, *(Process(pid, "server", 0.4) for pid in (101, 102, 103)), WRK, cpus=2, busy_cores=1.9)],
        [on(*HEALTHY_PROCESSES, cpus=2, busy_cores=1.9)],
    ),
    "load_uneven": (
        [on(MASTER, Process(101, "server", 0.9), Process(102, "server", 0.2), WRK)],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.9), WRK),
            on(
                Process(300, "server", 0.0, parent_pid=7),
                Process(101, "server", 0.9, parent_pid=300),
                Process(102, "server", 0.8, parent_pid=300),
                WRK,
            ),
            # A shell and a master that only watch over the workers are no idle workers.
            on(
                Process(99, "server", 0.0),
                MASTER,
                Process(101, "server", 0.9),
                Process(102, "server", 0.8),
                WRK,
            ),
        ],
    ),
    "thread_oversubscription": (
        [
            on(
                MASTER,
                *(Process(pid, "server", 1.6, 0.4, threads=9) for pid in (101, 102)),
                WRK,
                busy_cores=3.9,
            )
        ],
        [
            on(
                MASTER,
                *(Process(pid, "server", 0.9, 0.2, threads=40) for pid in (101, 102)),
                WRK,
                busy_cores=3.9,
            )
        ],
    ),
    "memory_growth": (
        [on(MASTER, Process(101, "server", 0.7, rss=lambda t_s: (100 + 4 * t_s) * MIB), WRK)],
        [
            on(MASTER, Process(101, "server", 0.7, rss=lambda t_s: (100 + min(200, 20 * t_s)) * MIB), WRK),
            on(MASTER, Process(101, "server", 0.7, rss=lambda t_s: (1000 + t_s) * MIB), WRK),
        ],
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_it_speaks_where_it_must(code: str) -> None:
    for case in CASES[code][0]:
        assert code in [finding.code for finding in judged(case)], case


@pytest.mark.parametrize("code", CASES)
def test_it_is_silent_next_to_it(code: str) -> None:
    for case in CASES[code][1]:
        assert code not in [finding.code for finding in judged(case)], case


def all_cases() -> list[Case | Run]:
    return [case for spoken, silent in CASES.values() for case in (*spoken, *silent)]


def test_every_finding_says_all_that_a_finding_says() -> None:
    for case in all_cases():
        for finding in judged(case):
            assert finding.title, finding
            assert finding.advice, finding
            assert finding.expect, finding
            assert finding.verify, finding
            assert finding.evidence, finding
            assert all(row.name and row.source for row in finding.evidence), finding
            assert finding.runs == (0,), finding
            assert Finding.from_json(finding.to_json()) == finding


def test_a_code_is_told_once_and_in_order_of_severity() -> None:
    for case in all_cases():
        found = judged(case)
        codes = [finding.code for finding in found]
        assert len(codes) == len(set(codes)), codes
        ranks = [rules.SEVERITY_RANK[finding.severity] for finding in found]
        assert ranks == sorted(ranks)


HEALTHY_CASES = [
    HEALTHY,
    FAST,
    Case(HEALTHY, 50_000, watched(HEALTHY_PROCESSES)),
    Case(
        healthy(timeline=timeline(steady()), histogram=modes(0.0, 1)),
        50_000,
        watched(HEALTHY_PROCESSES, cpus=2),
    ),
    healthy(threads=4, connections=200, requests=2_000_000, requests_per_s=44_400.0),
    healthy(duration_s=10.0, requests=13_000),
    Run("hey", complete=True, requests=20_000, requests_per_s=2000.0, latency=percentiles(0.01, 0.03, 0.2)),
]


@pytest.mark.parametrize("case", HEALTHY_CASES)
def test_a_healthy_run_raises_no_warning(case: Case | Run) -> None:
    assert [finding for finding in judged(case) if finding.severity != "info"] == []


def test_every_code_has_its_cases() -> None:
    """A rule that is added without a case fails here: the codes are read from the rules' own source."""
    import ast
    from pathlib import Path

    import headwind.analysis as package

    codes = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                first = node.args[0]
                codes |= {
                    n.value
                    for n in ast.walk(first)
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                }
    across = {"saturated_across_loads", "not_saturated", "equal_runs_differ"}
    assert codes - across <= set(CASES) | {"script_did_not_run", "every_answer_failed"}
    assert {"late_answers", "stalls", "memory_growth"} <= codes


def test_what_the_figures_speak_against_is_ruled_out_with_its_figure() -> None:
    run = healthy(timeline=timeline(steady()))
    judged_context = context.of(run, "wrk.txt", samples=watched(HEALTHY_PROCESSES))
    ruled_out = {row.code: row.evidence for row in excluded(judged_context, set())}
    assert ruled_out["late_answers"] == "no answer came later than 2 s (wrk's default timeout, assumed)"
    assert ruled_out["mean_understated"].startswith("the mean of 153 ms agrees with Little's law")
    assert ruled_out["generator_limited"] == "the generator's busiest thread used 15 % of a core"
    assert {"stalls", "drift", "worker_restarts", "memory_growth", "noisy_host"} <= set(ruled_out)


@pytest.mark.parametrize("case", all_cases())
def test_nothing_is_both_told_and_ruled_out(case: Case | Run) -> None:
    case = Case(case) if isinstance(case, Run) else case
    judged_context = of(case)
    told = {finding.code for finding in rules.judge(judged_context)}
    assert told.isdisjoint(row.code for row in excluded(judged_context, told))


def test_late_answers_are_given_a_mean_only_where_they_alone_can_fill_the_gap() -> None:
    def title(run: Run) -> str:
        return next(finding.title for finding in judged(run) if finding.code == "mean_understated")

    assert "(they took about 9.02 to 9.53 s each)" in title(SLOW)
    # Three late answers cannot have waited for the missing 4,700 s of a run of 45 s.
    assert "they took" not in title(slow(errors=errors(timeout=3)))


def test_a_run_of_headwind_is_repeated_by_its_own_command() -> None:
    command = "headwind run --url http://x/ --script 'my script.lua' --connections 200"
    (finding,) = [
        one for one in judged(Case(SLOW, environment={"again": command})) if one.code == "saturation_likely"
    ]
    assert finding.verify == f"{command} --connections 100"
    (finding,) = [one for one in judged(SLOW) if one.code == "saturation_likely"]
    assert finding.verify.startswith("wrk -t4 -c100 -d45s --timeout 30s --latency http")


ANSWERS = {
    "limited by the load generator": on(
        MASTER, Process(101, "server", 0.5), Process(200, "generator", 1.2, 0.97)
    ),
    "limited by one full server process": on(MASTER, Process(101, "server", 0.99), WRK, busy_cores=1.6),
    "a lower bound": on(*HEALTHY_PROCESSES, busy_cores=3.5),
    "limited by the CPU": on(MASTER, Process(101, "server", 3.4), WRK, busy_cores=3.95),
    "likely saturated": Case(SLOW),
    "see that the script runs": Case(healthy(errors=errors(status=58_594), status_codes={"405": 58_594})),
}


@pytest.mark.parametrize("told", ANSWERS)
def test_the_answer_is_one_sentence_that_says_what_limits(told: str) -> None:
    case = ANSWERS[told]
    judged_context = of(case)
    sentence = answer.sentence(judged_context, rules.judge(judged_context))
    assert told in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_a_target_that_an_interrupted_run_did_not_reach_is_not_called_missed() -> None:
    case = Case(healthy(interrupted=True), 58_595)
    told = answer.sentence(of(case), judged(case))
    assert told.startswith("Target not judged, the run was interrupted: 58,594 of 58,595 requests")
