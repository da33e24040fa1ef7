"""The highest rate that holds an objective, from steps whose answer is sometimes wrong.

Plain bisection never recovers from one wrong answer. Probabilistic bisection (Horstein 1963; Waeber, Frazier &
Henderson 2013) keeps a distribution of the capacity over log rates and asks at its median; an answer shifts weight
but never excludes a side.

An answer is more than yes or no: a p99 of 9.9 ms for a limit of 10 ms says that the capacity is near, one of 4 ms
that it is not. So a step also tells its room, limit / figure, which is 1 at the capacity. Queues make it nearly a
straight line in the rate (the p99 of M/M/1 and M/D/1 grows as 1 / (1 - load)), so near the capacity C it is taken as
1 + k (1 - rate / C) with an unknown slope k, and with a doubt that grows with the distance from C, since the line
bends. Student's t keeps one spoilt step from deciding. Where only yes or no is known, the chance of "held" is a
logistic curve in log(rate) of `width`, between `lapse` and 1 - `lapse`.

The climb goes up the rungs, then by a factor, until a step fails, so that the search starts with both sides known. The
search ends when the 90 % interval is narrow enough and both sides are confirmed by steps of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headwind.statistics.blocks import Floats

GRID = 801
SLOPES = np.geomspace(0.5, 128, 25)  # 1.6 for a p99 of five services in M/D/1, 54 for one of 125 services
CONFIRM_AT = 0.75  # of the reach, away from the estimate
_DOWN = 2.0  # the climb's factor while nothing holds
_BEND = 0.2  # of what the line says at a distance, as a standard deviation; chosen by simulation on M/D/1
_LEAST_ERROR = 0.03  # relative, of any figure of one step
_SHARPEST = 0.008  # no step tells rates apart that are closer than this
_DEGREES = 6
_FARTHEST_ROOM = 8.0  # beyond, a step says no more than that it held


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the rate offered, whether the objective held there, and how clearly.

    `room` is limit / figure (0: no figure, since answers never came), None where only yes or no is known; `error` is
    its relative standard error.
    """

    rate_per_s: float
    held: bool
    room: float | None = None
    error: float = 0.1


@dataclass(frozen=True, slots=True)
class BisectionPlan:
    """Rates per second. The search's 90 % interval is at most `tolerance` wide, unless `steps` are spent first."""

    first_per_s: float
    highest_per_s: float  # what the generator can send at all
    tolerance: float = 0.05
    near: float = 0.2  # an interval so wide is worth confirming
    reach: float = 0.06  # how far from the estimate a step may be that confirms it
    factor: float = 2.0
    width: float = 0.05
    lapse: float = 0.02
    steps: int = 30
    lowest_per_s: float = 0.5
    rungs: tuple[
        float, ...
    ] = ()  # rates to climb by, ascending, where something is known of the server already


@dataclass(frozen=True, slots=True)
class BisectionState:
    """What to do next (`next_per_s`, None: it is over) and what is known: estimate and 90 % interval, rates per second.

    `phase`: climb, search, confirm, done; `reached_top`: the highest rate held, so the capacity is at least that;
    `below_bottom`: not even the lowest rate held; `confirmed`: a step held just below and one failed just above.
    """

    phase: str
    next_per_s: float | None
    estimate_per_s: float | None
    low_per_s: float | None
    high_per_s: float | None
    reached_top: bool = False
    below_bottom: bool = False
    confirmed: bool = False


def judge_steps(steps: Sequence[Step], plan: BisectionPlan) -> BisectionState:
    """The next rate to offer after `steps`; a pure function of them, so that a search can be resumed."""
    if not steps:
        return BisectionState("climb", plan.first_per_s, None, None, None)
    climbing = _climb(steps, plan)
    if climbing is not None:
        return climbing
    estimate, low, high = posterior(steps, plan)
    # Confirmed by a step that held just below and one that failed just above; such steps narrow the interval, too.
    reach, away = 1 + plan.reach, 1 + CONFIRM_AT * plan.reach
    below = any(step.held and estimate / reach <= step.rate_per_s <= estimate for step in steps)
    above = any(not step.held and estimate <= step.rate_per_s <= estimate * reach for step in steps)
    ready = high / low <= 1 + plan.near
    if len(steps) >= plan.steps or (below and above and high / low <= 1 + plan.tolerance):
        return BisectionState("done", None, estimate, low, high, confirmed=below and above)
    if not ready or (below and above):
        return BisectionState("search", estimate, estimate, low, high, confirmed=below and above)
    return BisectionState("confirm", estimate * away if below else estimate / away, estimate, low, high)


def _climb(steps: Sequence[Step], plan: BisectionPlan) -> BisectionState | None:
    """Up by `factor` while everything holds, down while nothing does; None once both answers have been seen."""
    rates = [step.rate_per_s for step in steps]
    if all(step.held for step in steps):
        top = max(rates)
        if top >= plan.highest_per_s:
            return BisectionState("done", None, top, top, None, reached_top=True)
        above = next((rung for rung in plan.rungs if rung > top), top * plan.factor)
        return BisectionState("climb", min(above, plan.highest_per_s), top, top, None)
    if not any(step.held for step in steps):
        bottom = min(rates)
        if bottom <= plan.lowest_per_s:
            return BisectionState("done", None, None, None, bottom, below_bottom=True)
        return BisectionState("climb", max(bottom / _DOWN, plan.lowest_per_s), None, None, bottom)
    return None


def posterior(steps: Sequence[Step], plan: BisectionPlan) -> tuple[float, float, float]:
    """Median, 5 % and 95 % point of the capacity (per second), given the steps and a prior flat in log(rate)."""
    rates = [step.rate_per_s for step in steps]
    capacity = np.linspace(np.log(min(rates) / plan.factor), np.log(max(rates) * plan.factor), GRID)
    weight = np.zeros((len(SLOPES), GRID))
    for step in steps:
        if step.room is None or step.held != (step.room >= 1) or step.room > _FARTHEST_ROOM:
            weight += _told_yes_or_no(step, capacity, plan)
        else:
            weight += _told_room(step.room, step.error, 1 - step.rate_per_s / np.exp(capacity))
    density = np.exp(weight - weight.max()).sum(0)
    cumulative = np.cumsum(density)
    cumulative /= cumulative[-1]
    points = np.exp(np.interp([0.5, 0.05, 0.95], cumulative, capacity))
    return float(points[0]), float(points[1]), float(points[2])


def _told_yes_or_no(step: Step, capacity: Floats, plan: BisectionPlan) -> Floats:
    position = np.clip((capacity - np.log(step.rate_per_s)) / plan.width, -50, 50)
    chance = plan.lapse + (1 - 2 * plan.lapse) / (1 + np.exp(-position))
    return np.asarray(np.log(chance if step.held else 1 - chance))


def _told_room(room: float, error: float, distance: Floats) -> Floats:
    """Log likelihood (slopes, capacities) of a step's room; `distance` is 1 - rate / capacity."""
    line = SLOPES[:, None] * distance
    spread = np.sqrt(
        (room * max(error, _LEAST_ERROR)) ** 2 + (_BEND * line) ** 2 + (_SHARPEST * SLOPES[:, None]) ** 2
    )
    off = (room - np.maximum(1 + line, 0.0)) / spread
    return np.asarray(-np.log(spread) - (_DEGREES + 1) / 2 * np.log1p(off**2 / _DEGREES))
