"""One step of a capacity search, judged from the times of its requests: pure, so that simulations follow its rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwind.analysis.gates import Objective
from headwind.errors import UsageError
from headwind.run import Run
from headwind.statistics.bisection import BisectionPlan, BisectionState, Step
from headwind.statistics.evidence import Queue, Slow, Wait
from headwind.statistics.trend import in_flight, trend
from headwind.stress.schedule import Requests, percentile

# With the steps for users after it, a whole command stays under four minutes.
CAPACITY_BUDGET_S = 222.0
# Shares of the closed loop's ceiling; the first three are what the report states for users, too.
USERS_SHARES = (0.5, 0.7, 0.9)
CLIMB_SHARES = (*USERS_SHARES, 1.1)
LOWEST_SHARE = 0.005  # of the ceiling, where requests hardly ever meet: what fails there fails at any rate
HIGHEST_SHARE = 1.6  # a schedule can hold more than a closed loop reached, but not by much
RUNG_S, COARSE_S, NEAR_S, SLOW_S, LONGEST_S = 1, 6, 30, 42, 45
_LOAD_STARTS_S = 0.8  # beside its length, what a load takes at least
SLOW_RELAXATION_S = 1.0
_SLICES = 10
_ALONE = 1.5  # slow requests come together a little at any server
_LEAST_WAIT = 0.05  # of the unloaded time
_BURSTIER = 2.0  # than a queue is: then the slices of the step itself are believed
SETTLING_SHARE = 0.2  # of a step, before it is judged: the queue fills from empty
DELIVERED = 0.98  # paced sends below this share of the schedule: the server does not keep up


def climb_plan(ceiling_per_s: float, wait_s: float | None = None) -> BisectionPlan:
    """The search around a closed loop's ceiling per second; `wait_s`: what the limit leaves for waiting."""
    rungs = tuple(round(share * ceiling_per_s, 2) for share in CLIMB_SHARES)
    return BisectionPlan(
        rungs[0],
        HIGHEST_SHARE * ceiling_per_s,
        factor=1.25,
        wait_s=wait_s,
        lowest_per_s=max(0.5, LOWEST_SHARE * ceiling_per_s),
        rungs=rungs,
    )


def step_length_s(state: BisectionState, relaxation_s: float = 0.0) -> int:
    """Short in the climb, where any step is clear; then long, longer for a queue that takes long to settle."""
    if state.phase == "climb":
        return COARSE_S
    return SLOW_S if relaxation_s > SLOW_RELAXATION_S else NEAR_S


def least_budget_s(connections: int) -> int:
    """The shortest time in which a search can find anything: the ladder, the climb and one step near the capacity."""
    rungs = connections.bit_length() * (RUNG_S + _LOAD_STARTS_S)
    return math.ceil(rungs + len(CLIMB_SHARES) * (COARSE_S + _LOAD_STARTS_S) + NEAR_S)


def check_budget(budget_s: float, connections: int) -> None:
    """Raise UsageError for a budget in which no search can find anything."""
    least_s = least_budget_s(connections)
    if budget_s < least_s:
        raise UsageError(
            f"a budget of {budget_s:g} s ends before the first step near the capacity; give --budget {least_s}s or "
            "more."
        )


def longer_s(length_s: int) -> int:
    """The length of a second try where what is in flight was still growing."""
    return min(2 * length_s, LONGEST_S)


def relaxation_s(limit_s: float | None, ceiling_per_s: float) -> float:
    """How long a serial queue whose p99 is at the limit takes to forget where it began; 0 without a limit.

    Heavy traffic: the tail falls as exp(-eta t) with eta = 2 (1 - load) / S, the p99 is 4.6 / eta, and the queue, a
    reflected Brownian motion, relaxes with 2 S / (1 - load)^2 = 8 / (S eta^2) (Kleinrock 1976, chapter 2.9).
    """
    return 8 * limit_s**2 / 4.6**2 * ceiling_per_s if limit_s else 0.0


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What a step showed after settling; times in seconds, None where the answer never came.

    `measured` has a figure per objective; `growing`: what is in flight still had an upward trend; `busy_share` of the
    requests found every connection busy; `send_lag_s` is the generator's own p99. `slow_share` of the requests broke
    the objective that is nearest to breaking; `shown` is what the search learns, None where only yes or no is known.
    """

    rate_per_s: float
    length_s: float
    answers: int
    p50_s: float | None
    p99_s: float | None
    measured: dict[str, float | None]
    held: bool
    growing: bool
    busy_share: float
    send_lag_s: float | None
    slow_share: float | None = None
    shown: Slow | Wait | None = None

    @property
    def answer(self) -> Step:
        """What the search is told. Slow requests cannot be counted while a queue still grows: only that it failed."""
        unsettled = self.held and self.growing and isinstance(self.shown, Slow)
        return Step(self.rate_per_s, self.held and not self.growing, None if unsettled else self.shown)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "shown"}


def check_objectives(objectives: Sequence[Objective]) -> None:
    """Raise UsageError for an objective that a rate cannot be searched for."""
    for objective in objectives:
        if objective.threshold <= 0:
            raise UsageError(f"{objective.text!r} can hold at no rate; give a limit above 0.")
        if objective.unit not in ("s", "share") or not objective.upper or objective.metric == "late":
            raise UsageError(
                f"{objective.text!r} does not get worse with the rate; capacity takes latencies and errors, such as "
                "p99<250ms or errors<0.1%."
            )


def judge_exact(
    requests: Requests,
    rate_per_s: float,
    length_s: float,
    objectives: Sequence[Objective],
    queue: Queue | None = None,
) -> StepFigures:
    """A step of which every request's times are known; an answer that never came took longer than any limit.

    `queue`: what the closed loop showed of the server, if anything.
    """
    begin_s = SETTLING_SHARE * length_s
    settled = requests.due_s >= begin_s
    latency_s = np.where(np.isnan(requests.latency_s), np.inf, requests.latency_s)[settled]
    bad = np.isinf(latency_s) | (requests.status[settled] > 399)
    measured = {one.text: _figure(one, latency_s, bad) for one in objectives}
    done_s = np.where(np.isnan(requests.done_s), np.inf, requests.done_s)
    slope = trend(*in_flight(requests.due_s, np.minimum(done_s, length_s + 1e6), begin_s, length_s))
    told = []
    for one in objectives:
        slow = latency_s > one.threshold if one.unit == "s" else bad
        among = _Among(float(slow.mean()) if len(slow) else 1.0, len(slow), _burst_of(slow))
        told.append(_tell(one, measured[one.text], among, rate_per_s, length_s, queue))
    nearest = max(told, key=lambda one: one.near, default=None)
    free = requests.taken_s <= requests.due_s
    lag_s = (requests.sent_s - requests.due_s)[free & ~np.isnan(requests.sent_s)]
    return StepFigures(
        rate_per_s=rate_per_s,
        length_s=length_s,
        answers=int(np.isfinite(latency_s).sum()),
        p50_s=percentile(latency_s, 50),
        p99_s=percentile(latency_s, 99),
        measured={text: None if math.isinf(value) else value for text, value in measured.items()},
        held=all(one.holds(measured[one.text]) for one in objectives),
        growing=slope.growing,
        busy_share=float((~free).mean()) if len(free) else 0.0,
        send_lag_s=float(np.quantile(lag_s, 0.99)) if len(lag_s) else None,
        slow_share=nearest.share if nearest else None,
        shown=nearest.shown if nearest else None,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    near: tuple[
        float, float
    ]  # the share that broke the objective over what it allows; the figure over its limit
    share: float | None = None
    shown: Slow | Wait | None = None


@dataclass(frozen=True, slots=True)
class _Among:
    """The share of `count` requests that broke an objective, and how much together they came (0: not known)."""

    share: float
    count: int
    burst: float = 0.0


def _tell(
    objective: Objective,
    figure: float,
    among: _Among,
    rate_per_s: float,
    length_s: float,
    queue: Queue | None,
) -> _Told:
    percent = percent_of(objective)
    if percent is None or not among.count:
        return _Told((figure / objective.threshold,) * 2)
    allowed = 1 - percent / 100
    near = (among.share / allowed, figure / objective.threshold)
    burst, reached = _ALONE, 1.0
    if queue and objective.unit == "s":
        limit_s = objective.threshold
        if queue.settles_slowly(limit_s, percent, NEAR_S):
            return _Told(near, among.share, _waited(figure, limit_s, percent, length_s, queue))
        burst = queue.burst(rate_per_s, limit_s, percent)
        reached = queue.reached(limit_s, length_s)
    independent = among.count / (among.burst if among.burst > _BURSTIER * burst else burst)
    return _Told(near, among.share, Slow(among.share, allowed, independent, reached))


def _waited(figure: float, limit_s: float, percent: float, length_s: float, queue: Queue) -> Wait | None:
    if math.isinf(figure):
        return None
    wait_s = max(figure - queue.unloaded_s, _LEAST_WAIT * queue.unloaded_s)
    return Wait(wait_s, queue.wait_s(limit_s), percent, length_s, SETTLING_SHARE)


def percent_of(objective: Objective) -> float | None:
    """The percentile that an objective bounds, errors < 0.1 % being one for 99.9 %; None for a mean or a maximum."""
    if objective.metric == "errors":
        return 100 * (1 - objective.threshold) if objective.threshold < 1 else None
    percent = float(objective.metric[1:]) if objective.metric[1:].replace(".", "").isdigit() else 100.0
    return percent if 0 < percent < 100 else None


def _burst_of(slow: NDArray[np.bool_]) -> float:
    """Variance / mean of the number of slow requests in the slices of a step: how much together they come."""
    counts = np.array([part.sum() for part in np.array_split(slow, _SLICES)], float)
    return float(counts.var(ddof=1) / counts.mean()) if counts.any() else 0.0


def judge_paced(
    run: Run,
    lag_s: float | None,
    sent: int,
    rate_per_s: float,
    objectives: Sequence[Objective],
    queue: Queue | None = None,
) -> StepFigures:
    """A step above the exact rates: latency from the send plus the lag of the send, an upper bound per percentile."""
    length_s = run.duration_s or 0.0
    histogram = run.histogram
    behind = sent < DELIVERED * rate_per_s * length_s
    late_s = lag_s or 0.0
    failed = (run.errors.status or 0) / run.requests if run.requests else 1.0

    def bound(percent: float) -> float:
        value = histogram.percentile_s(percent) if histogram else None
        return math.inf if value is None else value + late_s

    measured = {}
    for one in objectives:
        if one.metric == "errors":
            measured[one.text] = failed
        elif one.metric == "mean":
            mean_s = histogram.mean_s() if histogram else None
            measured[one.text] = math.inf if mean_s is None else mean_s + late_s
        else:
            measured[one.text] = bound(100.0 if one.metric == "max" else float(one.metric[1:]))
    told = []
    for one in objectives:
        slow = histogram.over(max(0.0, one.threshold - late_s)) if histogram and one.unit == "s" else None
        share = slow / histogram.total if histogram and slow is not None else failed
        among = _Among(share, 0 if behind else run.requests or 0)
        told.append(_tell(one, measured[one.text], among, rate_per_s, length_s, queue))
    nearest = max(told, key=lambda one: one.near, default=None)
    return StepFigures(
        rate_per_s=rate_per_s,
        length_s=length_s,
        answers=run.requests or 0,
        p50_s=histogram.percentile_s(50) if histogram else None,
        p99_s=None if math.isinf(bound(99)) else bound(99),
        measured={text: None if math.isinf(value) else value for text, value in measured.items()},
        held=not behind and all(one.holds(measured[one.text]) for one in objectives),
        growing=False,
        busy_share=0.0,
        send_lag_s=lag_s,
        slow_share=nearest.share if nearest else None,
        shown=nearest.shown if nearest else None,
    )


def _figure(objective: Objective, latency_s: NDArray[np.float64], bad: NDArray[np.bool_]) -> float:
    if not len(latency_s):
        return math.inf
    if objective.metric == "errors":
        return float(bad.mean())
    if objective.metric == "mean":
        return float(latency_s.mean())
    value = percentile(latency_s, 100.0 if objective.metric == "max" else float(objective.metric[1:]))
    return math.inf if value is None else value
