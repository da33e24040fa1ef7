"""From the trials of a comparison to its verdicts, in numbers: pure, so that a report can be made again from disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from headwind.statistics.adjustment import without_optimism
from headwind.statistics.blocks import Fit, fit
from headwind.statistics.search import FIRST_ROUNDS, SearchPlan, SearchState, judge_search, unjudged
from headwind.statistics.verdicts import (
    EQUIVALENT,
    UNDECIDED,
    Outcome,
    Plan,
    blocks_needed,
    replay,
    smallest_found,
)
from headwind.stress.journal import TrialRow

FULL_FAMILY_UP_TO = (
    5  # with more settings the question is which is (nearly) best, not how every pair compares
)

MOST_BLOCKS = 24  # planned without being asked; beyond, what is missing is a quieter machine, not patience
MOST_FINALISTS = 3
_VERDICTS = {UNDECIDED: "undecided", EQUIVALENT: "equivalent", 1: "better", -1: "worse"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of the family: throughput of `first` over `second` with its 95 % interval, and the verdict for `first`.

    `ratio` is free of the optimism of stopping early. `blocks_needed`: in all, to decide it; None: too many.
    """

    first: int
    second: int
    verdict: str
    ratio: float
    low: float | None
    high: float | None
    blocks_needed: int | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the blocks so far say. `relative[k]` is log throughput of k over the mean; `order` from best to worst."""

    blocks: int
    over: bool
    pairs: tuple[Pair, ...]
    order: tuple[int, ...]
    relative: tuple[float, ...]
    set_aside: tuple[tuple[int, int], ...]
    next_round: tuple[int, ...]
    doubt: float | None = (
        None  # of a search: the probability that the leader is not within the margin of the best
    )
    noise: float | None = None  # standard deviation of one trial's log within its block
    smallest: float | None = None  # the log ratio that so many blocks would probably tell from 0
    search: SearchState | None = None  # of a search: who is named, with what doubt

    @property
    def answered(self) -> bool:
        """Whether every question about the leader is: each pair with it decided; in a search, its doubt dispelled."""
        if self.search is not None:
            return self.search.sure
        pairs = [pair for pair in self.pairs if self.leader in (pair.first, pair.second)]
        return all(pair.verdict != "undecided" for pair in pairs)

    @property
    def leader(self) -> int:
        return self.order[0]

    def pair(self, first: int, second: int) -> Pair | None:
        """The pair as seen from `first`."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.second, pair.first) == (first, second):
                return turned(pair)
        return None


def turned(pair: Pair) -> Pair:
    """The same pair seen from its second configuration."""
    verdict = {"better": "worse", "worse": "better"}.get(pair.verdict, pair.verdict)
    low = None if pair.high is None else 1 / pair.high
    high = None if pair.low is None else 1 / pair.low
    return Pair(pair.second, pair.first, verdict, 1 / pair.ratio, low, high, pair.blocks_needed)


def logs_of(kept: Mapping[tuple[int, int], TrialRow], settings: int, field: str) -> NDArray[np.float64]:
    """Natural logs (blocks, settings) of a trial's figure; NaN where a block has no trial of a setting.

    A trial in which nothing was answered well is a result, the worst there is: it counts as half an answer.
    """
    blocks = max((block for block, _ in kept), default=-1) + 1
    logs = np.full((blocks, settings), np.nan)
    for (block, setting), row in kept.items():
        value = getattr(row, field)
        if value == 0 and row.duration_s > 0:
            value = 0.5 / row.duration_s
        if value is not None and value > 0:
            logs[block, setting] = math.log(value)
    return logs


def judge(
    kept: Mapping[tuple[int, int], TrialRow], design: Plan | SearchPlan, *, seed: int, ended: bool = False
) -> Judgement:
    """Judge the whole blocks by the design that was declared; a block under way does not count yet."""
    if isinstance(design, SearchPlan):
        return _judge_search(kept, design, seed, ended)
    logs = logs_of(kept, design.configurations, "good_per_s")
    whole = _whole_blocks(kept, range(design.configurations))
    logs = logs[:whole]
    everyone = tuple(range(design.configurations))
    if whole == 0:
        return Judgement(0, False, (), everyone, (0.0,) * len(everyone), (), everyone)
    outcome = replay(logs, design, ended=ended)
    stopped = int(outcome.blocks)
    corrected = _corrected(outcome, design, seed)
    over = bool(outcome.answered) or stopped >= design.blocks or ended
    aside = fit(logs[:stopped], set_aside_level=design.set_aside_level).set_aside
    return Judgement(
        blocks=stopped,
        over=over,
        pairs=tuple(_pairs(outcome, corrected, design)),
        order=tuple(int(i) for i in np.argsort(-corrected)),
        relative=tuple(float(value) for value in corrected),
        set_aside=tuple((int(block), int(setting)) for block, setting in np.argwhere(aside)),
        next_round=() if over else everyone,
        noise=float(outcome.noise) if np.isfinite(outcome.noise) else None,
        smallest=smallest_found(float(outcome.noise), stopped, design),
    )


def _whole_blocks(kept: Mapping[tuple[int, int], TrialRow], settings: Sequence[int]) -> int:
    block = 0
    while all((block, setting) in kept for setting in settings):
        block += 1
    return block


def _corrected(outcome: Outcome, design: Plan, seed: int) -> NDArray[np.float64]:
    stopped_early = int(outcome.blocks) < design.blocks and bool(outcome.answered)
    if not stopped_early or not np.isfinite(outcome.noise):
        return np.asarray(outcome.effects)
    generator = np.random.default_rng(seed)
    return without_optimism(outcome.effects, outcome.noise, design, generator)


def _pairs(outcome: Outcome, corrected: NDArray[np.float64], design: Plan) -> list[Pair]:
    pairs = []
    for index, (first, second) in enumerate(zip(*design.pairs, strict=True)):
        estimate, half = float(outcome.estimates[index]), float(outcome.half_widths[index])
        known = math.isfinite(half) and math.isfinite(estimate)
        claim = int(outcome.claims[index])
        needed = None
        if claim == UNDECIDED:
            needed = blocks_needed(estimate, float(outcome.errors[index]), int(outcome.blocks), design)
        pairs.append(
            Pair(
                int(first),
                int(second),
                _VERDICTS[claim],
                math.exp(corrected[first] - corrected[second]),
                math.exp(estimate - half) if known else None,
                math.exp(estimate + half) if known else None,
                needed,
            )
        )
    return pairs


def _judge_search(
    kept: Mapping[tuple[int, int], TrialRow], design: SearchPlan, seed: int, ended: bool
) -> Judgement:
    """Replay the rounds: who was in a round follows from the rounds before it."""
    logs = logs_of(kept, design.settings, "good_per_s")
    racing: tuple[int, ...] = tuple(range(design.settings))
    rounds = 0
    state = unjudged(design)
    while racing and rounds < len(logs) and all((rounds, setting) in kept for setting in racing):
        rounds += 1
        state = judge_search(logs[:rounds], design, np.random.default_rng([seed, rounds]))
        racing = state.next_round
    logs = logs[:rounds]
    judged = rounds >= FIRST_ROUNDS
    now = fit(logs) if judged else None
    order = sorted(range(design.settings), key=lambda k: (k != state.leader, -state.effects[k]))
    return Judgement(
        blocks=rounds,
        over=not racing or ended,
        pairs=_search_pairs(logs, now, state, design) if now else (),
        order=tuple(order),
        relative=tuple(float(value) for value in state.effects),
        set_aside=tuple((int(r), int(k)) for r, k in np.argwhere(now.set_aside)) if now else (),
        next_round=() if ended else racing,
        doubt=state.doubt,
        noise=math.sqrt(float(now.variance)) if now and float(now.degrees) > 0 else None,
        search=state,
    )


def _search_pairs(
    logs: NDArray[np.float64], now: Fit, state: SearchState, design: SearchPlan
) -> tuple[Pair, ...]:
    """Every pair with the search's verdict, and a plain 95 % interval."""
    first, second = design.pairs
    estimates, errors = now.differences(first, second)
    reach = float(special.stdtrit(max(1.0, float(now.degrees)), 0.975))
    both = (np.isfinite(logs[:, first]) & np.isfinite(logs[:, second])).sum(0)
    pairs = []
    for i, (estimate, error) in enumerate(zip(estimates.tolist(), errors.tolist(), strict=True)):
        verdict = _VERDICTS[int(state.claims[i])]
        rounds = int(both[i])
        family = Plan(design.settings, rounds, alpha=design.alpha, margin=design.margin)
        known = math.isfinite(error)
        pairs.append(
            Pair(
                int(first[i]),
                int(second[i]),
                verdict,
                math.exp(estimate),
                math.exp(estimate - reach * error) if known else None,
                math.exp(estimate + reach * error) if known else None,
                blocks_needed(estimate, error, rounds, family) if verdict == "undecided" else None,
            )
        )
    return tuple(pairs)


def order_of(seed: int, block: int, settings: Sequence[int]) -> list[int]:
    """The shuffled order of a block; the same after `--resume`."""
    generator = np.random.default_rng([seed, block])
    return [int(setting) for setting in generator.permutation(list(settings))]


def design_of(settings: int, blocks: int, *, margin: float, costs: Sequence[float] = ()) -> Plan | SearchPlan:
    """The whole family for a few settings; the search for many, with as many trials as the blocks would have."""
    if settings <= FULL_FAMILY_UP_TO:
        return Plan(settings, blocks, margin=margin)
    return SearchPlan(settings, blocks * settings, margin=margin, costs=tuple(costs))


def median(values: Sequence[float | None]) -> float | None:
    """The median of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def summary(kept: Mapping[tuple[int, int], TrialRow], settings: int) -> list[dict[str, Any]]:
    """Per configuration: medians over its trials of the figures that are no family of claims."""
    rows = []
    for setting in range(settings):
        own = [row for (_, k), row in sorted(kept.items()) if k == setting]
        rows.append(
            {
                "trials": len(own),
                "good_per_s": median([row.good_per_s for row in own]),
                "cpu_s_per_request": median([row.cpu_s_per_request for row in own]),
                "rss_bytes": median([row.rss_bytes for row in own]),
                "failed": sum(row.failed for row in own),
                "cut": sum(row.cut is not None for row in own),
                "cut_why": next((row.cut for row in reversed(own) if row.cut), None),
                "requests": sum(row.requests for row in own),
                "worker_shares": list(own[-1].worker_shares) if own else [],
                "shares_of": own[-1].shares_of if own else None,
            }
        )
    return rows


def finalists_of(judgement: Judgement) -> list[int]:
    """The leader and what is not proved worse than it, at least two, the best first; what a search names is in."""
    open_ones = [
        k
        for k in judgement.order[1:]
        if (pair := judgement.pair(k, judgement.leader)) is not None and pair.verdict != "worse"
    ]
    others = open_ones or list(judgement.order[1:2])
    if judgement.search is not None and judgement.search.named != judgement.leader:
        named = judgement.search.named
        others = [named, *(k for k in others if k != named)]
    return [judgement.leader, *others][:MOST_FINALISTS]
