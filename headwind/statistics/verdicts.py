"""Better, worse, equivalent or undecided: what the blocks so far prove, and whether to run another.

The family is every pair of configurations, or each with the first where that is what is asked. A difference is
claimed by Holm's step-down rule (1979) over the family, and equivalence (both one-sided tests against the declared
margin, Schuirmann 1987) by the same rule as a family of its own. Each look may spend only what `spending` allows;
Holm within group sequential designs is valid as shown by Maurer & Bretz (2013), "Multiple testing in group sequential
trials using graphical approaches". A claim once made stands. The experiment stops as soon as every pair with the
present leader (or with the first) is answered.

`replay` is a pure function of the trials: the same blocks give the same claims, in the bench and after `--resume`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from headwind.statistics.blocks import SET_ASIDE_LEVEL, Fit, Floats, checked, fit
from headwind.statistics.spending import PATHS, Boundary, boundary, null_paths

UNDECIDED, FIRST_HIGHER, SECOND_HIGHER, EQUIVALENT = 0, 1, -1, 2
Claims = NDArray[np.int8]
Indices = NDArray[np.intp]

# Familywise. One point below the 5 % that is promised, for what the simulated normal noise does not know.
ALPHA = 0.04
INTERVAL_ALPHA = 0.05  # each interval by itself, at every look
MARGIN = 0.03
FIRST_LOOK = 3  # blocks; fewer know too little of their own noise


@dataclass(frozen=True, slots=True)
class Plan:
    """What is declared before the first trial. `margin` 0.03: two rates within 3 % of each other are equivalent.

    The family is every pair of configurations, or, with `against_first`, the first one against each of the others.
    """

    configurations: int
    blocks: int  # at most this many; the error rate is spent over them
    first_look: int = FIRST_LOOK
    alpha: float = ALPHA
    margin: float = MARGIN
    set_aside_level: float = SET_ASIDE_LEVEL
    paths: int = PATHS  # simulated for the critical values
    against_first: bool = False

    def __post_init__(self) -> None:
        if self.configurations < 2:
            raise ValueError(f"a comparison needs two or more configurations, not {self.configurations}")
        if self.blocks < 1 or self.first_look < 1:
            raise ValueError("a comparison needs at least one block before it is judged")
        if not 0 < self.alpha < 1 or not self.margin > 0:
            raise ValueError("alpha lies between 0 and 1, and the margin above 0")

    @property
    def pairs(self) -> tuple[Indices, Indices]:
        """Indices of the first and second configuration of every pair of the family."""
        if self.against_first:
            others = np.arange(1, self.configurations)
            return np.zeros_like(others), others
        return np.triu_indices(self.configurations, 1)

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many blocks the claims are judged."""
        return tuple(range(min(self.first_look, self.blocks), self.blocks + 1))

    @property
    def log_margin(self) -> float:
        return float(np.log1p(self.margin))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        return cls(**data)


@dataclass(frozen=True, slots=True)
class CriticalValues:
    """Critical values of |t|: `differ[r]` and `equal[r]` once r pairs of the family are claimed; `interval` at 95 %."""

    differ: tuple[Boundary, ...]
    equal: tuple[Boundary, ...]
    interval: Boundary


@lru_cache(maxsize=16)
def critical_values(plan: Plan) -> CriticalValues:
    """Simulate the critical values of a plan: a second or two, the same numbers every time."""
    shares = [look / plan.blocks for look in plan.looks]
    paths = null_paths(plan.configurations, plan.looks, plan.set_aside_level, plan.paths)
    family = len(plan.pairs[0])
    remaining = range(family, 0, -1)
    return CriticalValues(
        tuple(boundary(paths, plan.alpha / pairs, shares) for pairs in remaining),
        # A one-sided test at alpha is the two-sided one at twice that.
        tuple(boundary(paths, 2 * plan.alpha / pairs, shares) for pairs in remaining),
        boundary(paths, INTERVAL_ALPHA, shares),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of experiments with leading axes (...): where each stopped, its claims (..., pairs), and the estimates there.

    `estimates` are log ratios first / second with standard `errors`; `half_widths` are of 95 % intervals that hold
    at every look at once (repeated confidence intervals, Jennison & Turnbull 1989), infinite before the first look.
    `answered`: every pair with the leader is claimed. `noise` is the standard deviation of one trial's log.
    """

    blocks: NDArray[np.intp]
    claims: Claims
    estimates: Floats
    errors: Floats
    half_widths: Floats
    effects: Floats
    noise: Floats
    answered: NDArray[np.bool_]


def replay(logs: ArrayLike, plan: Plan, *, ended: bool = False) -> Outcome:
    """Judge (..., blocks, K) natural logs look by look, stopping where the rule says stop.

    NaN is a trial that is missing, as in the shorter of unequal columns. `ended`: no further block will come, for a
    reason that does not know the results (the clock, the user). Raises ValueError for another shape, and for
    infinities: a rate of 0 has no logarithm.
    """
    observed = checked(logs, plan.configurations)
    available = min(observed.shape[-2], plan.blocks)
    first = plan.pairs[0]
    lead = observed.shape[:-2]
    claims = np.zeros((*lead, len(first)), np.int8)
    running = np.ones(lead, bool)
    stop = np.full(lead, available)
    state = _state(fit(observed[..., :available, :], set_aside_level=plan.set_aside_level), plan)
    state["half_widths"] = np.full(state["estimates"].shape, np.inf)
    looks = [look for look in plan.looks if look <= available]
    critical = critical_values(plan) if looks else None
    for index, look in enumerate(looks):
        assert critical is not None
        kind = "ending" if look == plan.blocks or (ended and look == available) else "going_on"
        now = fit(observed[..., :look, :], set_aside_level=plan.set_aside_level)
        fresh = _state(now, plan)
        fresh["half_widths"] = fresh["errors"] * getattr(critical.interval, kind)[index]
        differ = np.array([getattr(values, kind)[index] for values in critical.differ])
        equal = np.array([getattr(values, kind)[index] for values in critical.equal])
        added = claim(claims, fresh["estimates"], fresh["errors"], differ, equal, plan.log_margin)
        claims = np.where(running[..., None], added, claims)
        for name, value in fresh.items():
            chosen = running[..., None] if value.ndim > len(lead) else running
            state[name] = np.where(chosen, value, state[name])
        stop = np.where(running, look, stop)
        running = running & ~_answered(now, claims, plan)
    return Outcome(stop, claims.astype(np.int8), answered=~running, **state)


def _state(now: Fit, plan: Plan) -> dict[str, Floats]:
    estimates, errors = now.differences(*plan.pairs)
    return {"estimates": estimates, "errors": errors, "effects": now.effects, "noise": np.sqrt(now.variance)}


def _answered(now: Fit, claims: Claims, plan: Plan) -> NDArray[np.bool_]:
    if plan.against_first:
        return np.asarray((claims != UNDECIDED).all(-1))
    first, second = plan.pairs
    leader = np.nan_to_num(now.effects, nan=-np.inf).argmax(-1)[..., None]
    concerns = (first == leader) | (second == leader)
    return np.asarray(((claims != UNDECIDED) | ~concerns).all(-1))


def claim(
    claims: Claims, estimate: Floats, error: Floats, differ: Floats, equal: Floats, log_margin: float
) -> Claims:
    """Add to claims (..., pairs) what one look proves: differences first, then equivalence.

    `estimate` are log ratios with standard `error`; `differ[r]`, `equal[r]` as in CriticalValues, r from 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.nan_to_num(np.abs(estimate) / error, nan=0.0)
        inside = np.nan_to_num((log_margin - np.abs(estimate)) / error, nan=-np.inf)
    sign = np.where(estimate > 0, FIRST_HIGHER, SECOND_HIGHER)
    claims = _holm(claims, apart, differ, sign, np.abs(claims) == 1)
    return _holm(claims, inside, equal, np.full_like(sign, EQUIVALENT), claims == EQUIVALENT)


def _holm(
    claims: Claims, statistic: Floats, critical: Floats, marks: NDArray[Any], claimed: NDArray[np.bool_]
) -> Claims:
    """Step down: the critical value falls with every pair of the same kind that is already claimed."""
    steps = np.append(critical, np.inf)
    for _ in range(statistic.shape[-1]):
        new = (claims == UNDECIDED) & (statistic > steps[claimed.sum(-1)][..., None])
        if not new.any():
            break
        claims = np.where(new, marks, claims)
        claimed = claimed | new
    return claims


def blocks_needed(
    estimate: float, error: float, blocks: int, plan: Plan, *, power: float = 0.8, limit: int = 200
) -> int | None:
    """Blocks in all that would probably (`power`) decide a pair whose truth is `estimate`; None beyond `limit`.

    t approximation with the spread seen so far, at the family's first Holm level; looking in between costs the last
    look of a plan about a tenth of its critical value.
    """
    if blocks < 1 or not np.isfinite(error) or error <= 0:
        return None
    family = len(plan.pairs[0])
    count = np.arange(max(blocks + 1, plan.first_look), limit + 1)
    degrees = (count - 1) * (plan.configurations - 1)
    errors = error * np.sqrt(blocks / count)
    reach = special.ndtri(power)
    differ = 1.1 * special.stdtrit(degrees, 1 - plan.alpha / family / 2) + reach
    equal = 1.1 * special.stdtrit(degrees, 1 - plan.alpha / family) + reach
    decides = (abs(estimate) / errors >= differ) | ((plan.log_margin - abs(estimate)) / errors >= equal)
    return int(count[decides.argmax()]) if decides.any() else None


def smallest_found(noise: float, blocks: int, plan: Plan, *, power: float = 0.8) -> float | None:
    """The log ratio that `blocks` blocks would probably (`power`) tell from 0, where one trial scatters by `noise`.

    The approximation of `blocks_needed`; None where nothing can be said yet.
    """
    degrees = (blocks - 1) * (plan.configurations - 1)
    if blocks < plan.first_look or degrees < 1 or not np.isfinite(noise):
        return None
    critical = 1.1 * special.stdtrit(degrees, 1 - plan.alpha / len(plan.pairs[0]) / 2)
    return float((critical + special.ndtri(power)) * noise * np.sqrt(2 / blocks))
