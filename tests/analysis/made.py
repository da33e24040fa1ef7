"""Runs and what was watched beside them, made for one finding at a time."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwind.analysis import context, rules
from headwind.analysis.finding import Finding
from headwind.histogram import from_counts
from headwind.run import Errors, Latency, Run, ThreadRate
from headwind.samples import Sample, Timeline
from tests.analysis.runs import HEALTHY, healthy
from tests.analysis.watched import Process, watched

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


def steady(per_slot: int = 130, slots: int = 450) -> list[int]:
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
    return Run(**{**{name: getattr(FAST, name) for name in Run.__annotations__}, **changes})


def on_schedule(*, answered: int, in_time: int, unanswered: int = 0) -> Run:
    """500 requests a second for 4 s on a random schedule of ours, every one of which is known."""
    latency = from_counts({1_000: answered}, late=unanswered, limit_us=1_000_000 if unanswered else None)
    return healthy(
        requests=answered,
        duration_s=4.0,
        requests_per_s=in_time / 4.0,
        rate_target_per_s=500.0,
        histogram=latency,
        latency=HEALTHY.latency,
        latency_from_send=HEALTHY.latency,
    )


def on(*processes: Process, **machine: Any) -> Case:
    return Case(HEALTHY, samples=watched(processes, **machine))
