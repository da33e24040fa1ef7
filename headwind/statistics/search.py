"""Which of many settings is within 3 % of the best, in as little load time as possible.

Comparing eight worker counts by the full family takes hours at 4 % noise, and most of it is spent on settings that
nobody would choose. The search asks less: name one setting that is very probably within the margin of the best.
Every round runs the settings still in the race once, shuffled (so each round is a block); after it, settings that
very probably are not the best leave, and the search ends as soon as the leader's probable loss is within the margin.
This is successive elimination for an epsilon-best arm (Even-Dar, Mannor & Mansour 2006) with posterior probabilities
in place of worst-case bounds: the effects are multivariate t around the least-squares fit, under a flat prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwind.statistics.blocks import SET_ASIDE_LEVEL, Floats, checked, fit

DRAWS = 1000
FIRST_ROUNDS = (
    3  # before any setting may leave: of two trials that disagree, none can be called the stray one
)


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """`doubt`: how probable it may be that the named setting is more than `margin` below the best.

    `leave_below`: a setting leaves when it is the best with less than this probability.
    """

    settings: int
    trials: int  # at most, over all settings
    margin: float = 0.03
    doubt: float = 0.01
    leave_below: float = 0.004

    def __post_init__(self) -> None:
        if self.settings < 2:
            raise ValueError(f"a search needs two or more settings, not {self.settings}")


@dataclass(frozen=True, slots=True)
class SearchState:
    """After some rounds: the leader, the settings of the next round (none: the search is over), and the doubt left."""

    leader: int
    next_round: tuple[int, ...]
    doubt: float
    sure: bool
    effects: Floats


def judge_search(logs: ArrayLike, plan: SearchPlan, generator: np.random.Generator) -> SearchState:
    """Natural logs (rounds, settings) with NaN where a setting was not in the round -> who leads and who goes on.

    Raises ValueError for another shape, and for infinities: a rate of 0 has no logarithm.
    """
    observed = checked(logs, plan.settings)
    rounds = observed.shape[0]
    everyone = tuple(range(plan.settings))
    if rounds < FIRST_ROUNDS:
        return SearchState(0, everyone, 1.0, False, np.zeros(plan.settings))
    now = fit(observed, set_aside_level=SET_ASIDE_LEVEL)
    draws = _posterior(now.effects, now.covariance * now.variance, float(now.degrees), generator)
    racing: NDArray[np.bool_] = np.isfinite(observed[-1])
    best = draws.max(-1)
    leader = int(np.where(racing, now.effects, -np.inf).argmax())
    doubt = float((draws[:, leader] < best - np.log1p(plan.margin)).mean())
    chance = (draws >= best[:, None]).mean(0)
    stay = tuple(
        int(i)
        for i in np.flatnonzero(
            racing & ((chance >= plan.leave_below) | (now.effects >= now.effects[leader]))
        )
    )
    sure = doubt <= plan.doubt or len(stay) == 1
    spent = int(np.isfinite(observed).sum())
    over = sure or spent + len(stay) > plan.trials
    return SearchState(leader, () if over else stay, doubt, sure, now.effects)


def _posterior(effects: Floats, covariance: Floats, degrees: float, generator: np.random.Generator) -> Floats:
    """Draws of the effects, shape (DRAWS, settings): multivariate t with the fit's degrees of freedom."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = generator.standard_normal((DRAWS, len(effects))) @ root.T
    scale = np.sqrt(degrees / generator.chisquare(degrees, DRAWS))
    return np.asarray(effects + normal * scale[:, None])
