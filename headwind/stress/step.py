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
from headwind.statistics.trend import in_flight, trend
from headwind.stress.schedule import Requests, percentile

# With the steps for users after it, a whole command stays under four minutes.
CAPACITY_BUDGET_S = 222.0
# Shares of the closed loop's ceiling; the first three are what the report states for users, too.
USERS_SHARES = (0.5, 0.7, 0.9)
CLIMB_SHARES = (*USERS_SHARES, 1.1)
LOWEST_SHARE = 0.005  # of the ceiling, where requests hardly ever meet: what fails there fails at any rate
HIGHEST_SHARE = 1.6  # a schedule can hold more than a closed loop reached, but not by much
COARSE_S, NEAR_S, SLOW_S, LONGEST_S = 6, 30, 40, 45
NEAR_RATIO = 1.5  # a step is near when the 90 % interval is narrower than this: right after the climb
SLOW_RELAXATION_S = 1.0
_UNSETTLED_ROOM = 0.9
_SLICES = 10
SETTLING_SHARE = 0.2  # of a step, before it is judged: the queue fills from empty
DELIVERED = 0.98  # paced sends below this share of the schedule: the server does not keep up


def climb_plan(ceiling_per_s: float) -> BisectionPlan:
    """The search around a closed loop's ceiling, in requests per second."""
    rungs = tuple(round(share * ceiling_per_s, 2) for share in CLIMB_SHARES)
    return BisectionPlan(
        rungs[0],
        HIGHEST_SHARE * ceiling_per_s,
        factor=1.25,
        lowest_per_s=max(0.5, LOWEST_SHARE * ceiling_per_s),
        rungs=rungs,
    )


def step_length_s(state: BisectionState, relaxation_s: float = 0.0) -> int:
    """Short in the climb, where any step is clear; long when near, longer for a queue that takes long to settle."""
    if state.phase == "climb" or not state.low_per_s or not state.high_per_s:
        return COARSE_S
    if state.high_per_s / state.low_per_s >= NEAR_RATIO:
        return COARSE_S
    return SLOW_S if relaxation_s > SLOW_RELAXATION_S else NEAR_S


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
    requests found every connection busy; `send_lag_s` is the generator's own p99. `room` is limit / figure of the
    objective that is nearest to breaking, 0 without a figure, None where no objective is on latency; `room_error` its
    relative standard error.
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
    room: float | None = None
    room_error: float = 0.1

    @property
    def answer(self) -> Step:
        """What the search is told. A queue that still grows has not shown its figure, which is at least this large."""
        held = self.held and not self.growing
        room = self.room
        if self.held and self.growing:
            room = None if room is None or room > 3.0 else min(room, _UNSETTLED_ROOM)
        return Step(self.rate_per_s, held, room, self.room_error)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


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
    requests: Requests, rate_per_s: float, length_s: float, objectives: Sequence[Objective]
) -> StepFigures:
    """A step of which every request's times are known; an answer that never came took longer than any limit."""
    begin_s = SETTLING_SHARE * length_s
    settled = requests.due_s >= begin_s
    latency_s = np.where(np.isnan(requests.latency_s), np.inf, requests.latency_s)[settled]
    bad = np.isinf(latency_s) | (requests.status[settled] > 399)
    measured = {one.text: _figure(one, latency_s, bad) for one in objectives}
    done_s = np.where(np.isnan(requests.done_s), np.inf, requests.done_s)
    slope = trend(*in_flight(requests.due_s, np.minimum(done_s, length_s + 1e6), begin_s, length_s))
    room, room_error = _room(objectives, measured, latency_s, requests.due_s[settled])
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
        room=room,
        room_error=room_error,
    )


def _room(
    objectives: Sequence[Objective],
    measured: dict[str, float],
    latency_s: NDArray[np.float64],
    due_s: NDArray[np.float64],
) -> tuple[float | None, float]:
    """limit / figure of the nearest objective on latency, and its relative standard error.

    The error is the jackknife's over slices of time (Quenouille 1956): requests are not independent, since one burst
    makes all of them wait, but slices nearly are.
    """
    rooms = {one: one.threshold / measured[one.text] for one in objectives if one.unit == "s"}
    if not rooms:
        return None, 0.1
    nearest = min(rooms, key=lambda one: rooms[one])
    if not len(due_s) or math.isinf(measured[nearest.text]):
        return 0.0, 0.1
    edges = np.linspace(due_s[0], due_s[-1], _SLICES + 1)[1:-1]
    slices = np.searchsorted(edges, due_s)
    nothing = np.zeros(0, bool)
    without = np.array([_figure(nearest, latency_s[slices != one], nothing) for one in range(_SLICES)])
    if np.isinf(without).any() or (without <= 0).any():
        return rooms[nearest], 0.3
    logs = np.log(without)
    error = math.sqrt((_SLICES - 1) / _SLICES * float(((logs - logs.mean()) ** 2).sum()))
    return rooms[nearest], error


def judge_paced(
    run: Run, lag_s: float | None, sent: int, rate_per_s: float, objectives: Sequence[Objective]
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
    rooms = [one.threshold / measured[one.text] for one in objectives if one.unit == "s"]
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
        room=0.0 if behind else min(rooms, default=None),
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
