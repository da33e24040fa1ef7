"""The highest rate that holds an objective, from steps whose answer is sometimes wrong.

Plain bisection never recovers from one wrong answer. Probabilistic bisection (Horstein 1963; Waeber, Frazier &
Henderson 2013) keeps a distribution of the capacity over log rates and asks at its median; an answer shifts weight
but never excludes a side. Near the capacity an answer is a coin toss, far from it nearly sure: the chance of "held"
is a logistic curve in log(rate) of `width`, between `lapse` and 1 - `lapse` (a noisy step can happen at any rate).

The climb goes up the rungs, then by a factor, until a step fails, so that the search starts with both sides known. The
search ends when the 90 % interval is narrow enough and both sides are confirmed by steps of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRID = 2001


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the rate offered and whether the objective held there."""

    rate_per_s: float
    held: bool


@dataclass(frozen=True, slots=True)
class BisectionPlan:
    """Rates per second. The result's 90 % interval is at most `tolerance` wide, unless `steps` are spent first."""

    first_per_s: float
    highest_per_s: float  # what the generator can send at all
    tolerance: float = 0.06
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
    `below_bottom`: not even the lowest rate held.
    """

    phase: str
    next_per_s: float | None
    estimate_per_s: float | None
    low_per_s: float | None
    high_per_s: float | None
    reached_top: bool = False
    below_bottom: bool = False


def judge_steps(steps: Sequence[Step], plan: BisectionPlan) -> BisectionState:
    """The next rate to offer after `steps`; a pure function of them, so that a search can be resumed."""
    if not steps:
        return BisectionState("climb", plan.first_per_s, None, None, None)
    climbing = _climb(steps, plan)
    if climbing is not None:
        return climbing
    estimate, low, high = posterior(steps, plan)
    if len(steps) >= plan.steps:
        return BisectionState("done", None, estimate, low, high)
    if high / low > 1 + plan.tolerance:
        return BisectionState("search", estimate, estimate, low, high)
    # Confirmed by a step that held just below and one that failed just above, each within the tolerance.
    reach = 1 + plan.tolerance
    if not any(step.held and estimate / reach <= step.rate_per_s <= estimate for step in steps):
        return BisectionState("confirm", min(low, estimate / (1 + plan.tolerance / 2)), estimate, low, high)
    if not any(not step.held and estimate <= step.rate_per_s <= estimate * reach for step in steps):
        return BisectionState("confirm", max(high, estimate * (1 + plan.tolerance / 2)), estimate, low, high)
    return BisectionState("done", None, estimate, low, high)


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
        return BisectionState("climb", max(bottom / plan.factor, plan.lowest_per_s), None, None, bottom)
    return None


def posterior(steps: Sequence[Step], plan: BisectionPlan) -> tuple[float, float, float]:
    """Median, 5 % and 95 % point of the capacity (per second), given the steps and a prior flat in log(rate)."""
    rates = np.array([step.rate_per_s for step in steps])
    held = np.array([step.held for step in steps])
    low, high = rates.min() / plan.factor, rates.max() * plan.factor
    capacity = np.linspace(np.log(low), np.log(high), GRID)
    position = np.clip((capacity[:, None] - np.log(rates)) / plan.width, -50, 50)
    chance = plan.lapse + (1 - 2 * plan.lapse) / (1 + np.exp(-position))
    weight = np.log(np.where(held, chance, 1 - chance)).sum(1)
    density = np.exp(weight - weight.max())
    cumulative = np.cumsum(density)
    cumulative /= cumulative[-1]
    points = np.exp(np.interp([0.5, 0.05, 0.95], cumulative, capacity))
    return float(points[0]), float(points[1]), float(points[2])
