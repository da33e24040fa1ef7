"""Which of many settings is within 3 % of the best, in as little load time as possible.

Comparing eight worker counts by the full family takes hours at 4 % noise, and most of it is spent on settings that
nobody would choose. The search asks less: name one setting that is very probably within the margin of the best.
Every round runs the settings still in the race once, shuffled (so each round is a block); after it, settings that
very probably are not the best leave, and the search ends as soon as the leader's probable loss is within the margin.
This is successive elimination for an epsilon-best arm (Even-Dar, Mannor & Mansour 2006) with posterior probabilities
in place of worst-case bounds: the effects are multivariate t around the least-squares fit, under a flat prior.

Where settings have a cost, the cheapest that is itself very probably within the margin is named instead of the leader.
Once the leader is sure, the search goes on for a cheaper setting as long as the trials left would probably settle it.

Of the pairs, differences and equivalence are claimed as in `verdicts`, by Holm's rule over all pairs, since the leader
is chosen by the same data; with plain t quantiles, whose error at the end of a search is measured by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from headwind.statistics.blocks import SET_ASIDE_LEVEL, Fit, Floats, checked, fit
from headwind.statistics.verdicts import Claims, claim

DRAWS = 1000
HALF = 0.5  # of a doubt: beyond, the setting is rather not within the margin
# Of claims about pairs. A search stops where luck makes a leader and it judges stray trials by few others: found by
# simulation (bench/statistics.py, `false_claims`), where 4 % here were 8 % of searches with a false claim, all equal.
ALPHA = 0.01
FIRST_ROUNDS = (
    3  # before any setting may leave: of two trials that disagree, none can be called the stray one
)


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """`doubt`: how probable it may be that the named setting is more than `margin` below the best.

    `leave_below`: a setting leaves when it is the best with less than this probability. `costs`: one a setting, in any
    unit; empty where all cost the same. `alpha`: familywise, of the claims about pairs.
    """

    settings: int
    trials: int  # at most, over all settings
    margin: float = 0.03
    doubt: float = 0.01
    leave_below: float = 0.004
    costs: tuple[float, ...] = ()
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        if self.settings < 2:
            raise ValueError(f"a search needs two or more settings, not {self.settings}")
        if self.costs and len(self.costs) != self.settings:
            raise ValueError(f"{self.settings} settings have as many costs, not {len(self.costs)}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SearchPlan:
        return cls(**{**data, "costs": tuple(data.get("costs", ()))})

    @property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of the first and second setting of every pair."""
        return np.triu_indices(self.settings, 1)


@dataclass(frozen=True, slots=True)
class SearchState:
    """After some rounds: the leader, the settings of the next round (none: the search is over), and the doubts left.

    `doubts[k]`: how probable it is that k is more than the margin below the best. `sure`: the leader's is small
    enough; then `named` is the cheapest whose own is, else the leader. `claims`: of `SearchPlan.pairs`, as in verdicts.
    """

    leader: int
    named: int
    next_round: tuple[int, ...]
    doubts: tuple[float, ...]
    sure: bool
    effects: Floats
    claims: Claims

    @property
    def doubt(self) -> float:
        """The leader's."""
        return self.doubts[self.leader]


def unjudged(plan: SearchPlan) -> SearchState:
    """Of a search with fewer rounds than are judged: nobody leads, everybody stays."""
    everyone = tuple(range(plan.settings))
    claims = np.zeros(len(plan.pairs[0]), np.int8)
    return SearchState(0, 0, everyone, (1.0,) * plan.settings, False, np.zeros(plan.settings), claims)


def judge_search(logs: ArrayLike, plan: SearchPlan, generator: np.random.Generator) -> SearchState:
    """Natural logs (rounds, settings) with NaN where a setting was not in the round -> who leads and who goes on.

    Raises ValueError for another shape, and for infinities: a rate of 0 has no logarithm.
    """
    observed = checked(logs, plan.settings)
    if observed.shape[0] < FIRST_ROUNDS:
        return unjudged(plan)
    now = fit(observed, set_aside_level=SET_ASIDE_LEVEL)
    draws = _posterior(now.effects, now.covariance * now.variance, float(now.degrees), generator)
    racing: NDArray[np.bool_] = np.isfinite(observed[-1])
    best = draws.max(-1)[:, None]
    leader = int(np.where(racing, now.effects, -np.inf).argmax())
    doubts = (draws < best - np.log1p(plan.margin)).mean(0)
    chance = (draws >= best).mean(0)
    stay = racing & ((chance >= plan.leave_below) | (now.effects >= now.effects[leader]))
    sure = bool(doubts[leader] <= plan.doubt) or int(stay.sum()) == 1
    named, pursued = leader, np.zeros_like(stay)
    left = plan.trials - int(np.isfinite(observed).sum())
    if sure:
        named = _cheapest(leader, doubts, now.effects, plan)
        pursued = _pursued(named, doubts, observed, left, stay, plan)
        stay |= pursued
    over = (sure and not pursued.any()) or stay.sum() > left
    return SearchState(
        leader,
        named,
        () if over else tuple(int(k) for k in np.flatnonzero(stay)),
        tuple(float(doubt) for doubt in doubts),
        sure,
        now.effects,
        _claims(now, plan),
    )


def _cheapest(leader: int, doubts: Floats, effects: Floats, plan: SearchPlan) -> int:
    """The cheapest setting that is itself within the margin of the best beyond doubt; of equal cost the faster."""
    if not plan.costs:
        return leader
    fit_ones = [leader, *(int(k) for k in np.flatnonzero(doubts <= plan.doubt) if k != leader)]
    return min(fit_ones, key=lambda k: (plan.costs[k], -effects[k]))


def _pursued(
    named: int, doubts: Floats, observed: Floats, left: int, stay: NDArray[np.bool_], plan: SearchPlan
) -> NDArray[np.bool_]:
    """The settings cheaper than the named one whose own doubt the trials left would probably dispel.

    A setting that is rather not within the margin is not pursued.
    """
    pursued = np.zeros_like(stay)
    if not plan.costs:
        return pursued
    open_ones = (np.array(plan.costs) < plan.costs[named]) & (doubts > plan.doubt) & (doubts < HALF)
    together = int((stay | open_ones).sum())
    for k in np.flatnonzero(open_ones):
        own = int(np.isfinite(observed[:, k]).sum())
        needed = rounds_needed(float(doubts[k]), own, plan.doubt)
        pursued[k] = needed is not None and (needed - own) * together <= left
    return pursued


def rounds_needed(doubt: float, rounds: int, allowed: float) -> int | None:
    """Rounds in all after which a doubt that is left after `rounds` would probably be down to `allowed`.

    A doubt d is the normal tail beyond z = -ndtri(d) standard errors, and z grows with the root of the rounds where
    the truth is what was seen. None where that never comes: a doubt of a half or more is rather the truth.
    """
    if doubt >= HALF:
        return None
    z = -float(special.ndtri(max(doubt, 1 / DRAWS)))
    return max(rounds, math.ceil(rounds * (float(special.ndtri(allowed)) / z) ** 2))


def _claims(now: Fit, plan: SearchPlan) -> Claims:
    """Better, worse and equivalent over all pairs, each kind by Holm's rule with t quantiles."""
    estimates, errors = now.differences(*plan.pairs)
    remaining = np.arange(len(estimates), 0, -1)
    differ = special.stdtrit(float(now.degrees), 1 - plan.alpha / 2 / remaining)
    equal = special.stdtrit(float(now.degrees), 1 - plan.alpha / remaining)
    return claim(np.zeros(len(estimates), np.int8), estimates, errors, differ, equal, np.log1p(plan.margin))


def _posterior(effects: Floats, covariance: Floats, degrees: float, generator: np.random.Generator) -> Floats:
    """Draws of the effects, shape (DRAWS, settings): multivariate t with the fit's degrees of freedom."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = generator.standard_normal((DRAWS, len(effects))) @ root.T
    scale = np.sqrt(degrees / generator.chisquare(degrees, DRAWS))
    return np.asarray(effects + normal * scale[:, None])
