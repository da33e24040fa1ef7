"""The highest rate that holds an objective, from steps whose answer is sometimes wrong.

Plain bisection never recovers from one wrong answer. Probabilistic bisection (Horstein 1963; Waeber, Frazier &
Henderson 2013) keeps a distribution of the capacity over log rates and asks at its median; an answer shifts weight
but never excludes a side.

An answer is more than yes or no: 2 % of requests over the limit of a p99 say that the capacity is near, 50 % that it
is not. What a step tells, and how surely, is in `evidence`; the unknown steepness of the server is averaged over. Where
only yes or no is known, the chance of "held" is a logistic curve in log(rate) of `width`, between `lapse` and
1 - `lapse`.

The climb goes up the rungs, then by a factor, until a step fails, so that the search starts with both sides known. The
search ends when the 90 % interval is narrow enough and both sides are confirmed by steps of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headwind.statistics.blocks import Floats
from headwind.statistics.evidence import Slow, Wait, told_share, told_wait

GRID = 1201
STEEPNESS = np.geomspace(0.5, 1024, 24)
POWERS = (0.0, 1.0)  # of the rate in which the line is straight: 0 is its logarithm
_STEEPNESS_DOUBT = 0.7  # of its log around 1 + 2 wait C: a burstiness c² between 0.5 and 2
_DOWN = 2.0  # the climb's factor while nothing holds
_BELOW = 16.0  # the capacity may be so far below the lowest rate tried: what held there may have held by luck


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the rate offered, whether the objective held there, and how clearly; `shown` None: only yes or no."""

    rate_per_s: float
    held: bool
    shown: Slow | Wait | None = None


@dataclass(frozen=True, slots=True)
class BisectionPlan:
    """Rates per second. The search's 90 % interval is at most `tolerance` wide, unless `steps` are spent first."""

    first_per_s: float
    highest_per_s: float  # what the generator can send at all
    tolerance: float = 0.05
    near: float = 0.2  # an interval so wide is worth confirming
    away: float = 0.045  # from the estimate to a step that is to confirm it
    reach: float = 0.10  # how far from the estimate a step may be that confirms it
    factor: float = 2.0
    width: float = 0.05
    lapse: float = 0.02
    steps: int = 30
    lowest_per_s: float = 0.5
    wait_s: float | None = None  # what the limit leaves for waiting, if it is one on latency
    rungs: tuple[
        float, ...
    ] = ()  # rates to climb by, ascending, where something is known of the server already


@dataclass(frozen=True, slots=True)
class BisectionState:
    """What to do next (`next_per_s`, None: it is over) and what is known: estimate and 90 % interval, rates per second.

    `phase`: climb, search, confirm, done; `reached_top`: the highest rate held, so the capacity is at least that;
    `below_bottom`: not even the lowest rate held; `confirmed`: a step held at or below the interval's lower end and one
    failed at or above its upper end, both within `reach` of the estimate.
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
    away, reach = 1 + plan.away, 1 + plan.reach
    below = any(step.held and estimate / reach <= step.rate_per_s <= low for step in steps)
    above = any(not step.held and high <= step.rate_per_s <= estimate * reach for step in steps)
    ready = high / low <= 1 + plan.near
    if len(steps) >= plan.steps or (below and above and high / low <= 1 + plan.tolerance):
        return BisectionState("done", None, estimate, low, high, confirmed=below and above)
    if not ready or (below and above):
        return BisectionState("search", estimate, estimate, low, high, confirmed=below and above)
    wanted = max(estimate * away, high) if below else min(estimate / away, low)
    return BisectionState("confirm", wanted, estimate, low, high)


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
    lowest = max(min(rates) / _BELOW, plan.lowest_per_s / plan.factor)
    capacity = np.linspace(np.log(lowest), np.log(max(rates) * plan.factor), GRID)
    steepness = STEEPNESS[:, None]
    likely = np.zeros((len(POWERS), len(STEEPNESS), GRID))
    if plan.wait_s is not None:
        expected = 1 + 2 * plan.wait_s * np.exp(capacity)
        likely -= 0.5 * (np.log(steepness / expected) / _STEEPNESS_DOUBT) ** 2
    for step in steps:
        likely += _told(step, capacity, steepness, plan)
    density = np.exp(likely - likely.max()).sum((0, 1))
    cumulative = np.cumsum(density)
    cumulative /= cumulative[-1]
    points = np.exp(np.interp([0.5, 0.05, 0.95], cumulative, capacity))
    return float(points[0]), float(points[1]), float(points[2])


def _told(step: Step, capacity: Floats, steepness: Floats, plan: BisectionPlan) -> Floats:
    """Log likelihood, to be added to (powers, steepness, capacities)."""
    if step.shown is None:
        return _told_yes_or_no(step, capacity, plan)
    if isinstance(step.shown, Wait):
        return told_wait(step.shown, step.rate_per_s, np.exp(capacity), steepness)
    ratio = np.log(step.rate_per_s) - capacity
    distances = [np.expm1(power * ratio) / power if power else ratio for power in POWERS]
    return np.stack([told_share(step.shown, steepness * distance) for distance in distances])


def _told_yes_or_no(step: Step, capacity: Floats, plan: BisectionPlan) -> Floats:
    position = np.clip((capacity - np.log(step.rate_per_s)) / plan.width, -50, 50)
    chance = plan.lapse + (1 - 2 * plan.lapse) / (1 + np.exp(-position))
    return np.asarray(np.log(chance if step.held else 1 - chance))
