"""The answer of a comparison in words: what to take and what it costs, or what is open and what would close it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headwind import words
from headwind.statistics.search import FIRST_ROUNDS, HALF, SearchState, rounds_needed
from headwind.statistics.verdicts import FIRST_LOOK
from headwind.stress.comparison import MOST_BLOCKS, Judgement, Pair

ENDINGS = {
    "answered": "every question about the leader is answered",
    "blocks": "the blocks that were planned are spent",
    "budget": "the time budget is spent",
    "interrupted": "interrupted",
}


def recommendation(
    declared: Mapping[str, Any], judgement: Judgement, figures: Sequence[Mapping[str, Any]], ended: str
) -> str:
    """One recommendation with its cost, or what is still open and what would close it; then what did not last."""
    return " ".join([_advised(declared, judgement, figures, ended), *cut_short(declared, figures)])


def cut_short(declared: Mapping[str, Any], figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on the settings whose load broke off, as where the server died; none where none did."""
    told = [
        f"{row['name']} in {figure['cut']} of {words.counted(figure['trials'], 'trial')} ({figure['cut_why']})"
        for row, figure in zip(declared["configurations"], figures, strict=True)
        if figure["cut"]
    ]
    if not told:
        return []
    return [
        f"The load broke off before its time: {_join(told)}; what was left unanswered counts against it, and the "
        "folder of such a trial has the server's last words."
    ]


def _advised(
    declared: Mapping[str, Any], judgement: Judgement, figures: Sequence[Mapping[str, Any]], ended: str
) -> str:
    names = [row["name"] for row in declared["configurations"]]
    if judgement.blocks == 0:
        return f"Nothing can be said yet: {ENDINGS[ended]} before the first block was whole."
    if not any(row["good_per_s"] for row in figures):
        return (
            "No configuration answered anything well: look into the folders of the trials before comparing."
        )
    if judgement.search is not None:
        return _searched(declared, judgement, judgement.search, figures, ended)
    leader = judgement.leader
    against = [pair for other in judgement.order[1:] if (pair := judgement.pair(leader, other))]
    silent = [pair for pair in against if not figures[pair.second]["good_per_s"]]
    against = [pair for pair in against if pair not in silent]
    equal = [pair.second for pair in against if pair.verdict == "equivalent"]
    open_pairs = [pair for pair in against if pair.verdict == "undecided"]
    worse = [pair for pair in against if pair.verdict == "better"]
    # Only what is proved equal may be preferred for its cost; what is open is said to be open.
    by_memory = all(figures[k]["rss_bytes"] for k in (leader, *equal))
    take = min([leader, *equal], key=lambda k: _cost(declared, figures, k, by_memory=by_memory))
    parts = []
    if equal:
        alike = _join([names[k] for k in sorted([leader, *equal])])
        margin = words.share(declared["design"]["margin"])
        parts.append(
            f"{alike} are equal within {margin}: take {names[take]}{_saves(take, [leader, *equal], figures)}."
        )
    elif not open_pairs:
        parts.append(f"Take {names[leader]}.")
    if silent:
        parts.append(f"{_join([names[pair.second] for pair in silent])} answered nothing well.")
    if worse:
        gains = _join([f"{_change(pair)} than {names[pair.second]}" for pair in worse])
        parts.append(f"{names[leader]} answers {gains}{_costs(leader, worse[0].second, figures)}.")
    if open_pairs:
        parts.append(_open(open_pairs, names, declared, judgement))
    return " ".join(parts)


def _searched(
    declared: Mapping[str, Any],
    judgement: Judgement,
    search: SearchState,
    figures: Sequence[Mapping[str, Any]],
    ended: str,
) -> str:
    """What a search found: the cheapest setting that is within the margin of the best beyond doubt, and its cost."""
    names = [row["name"] for row in declared["configurations"]]
    margin = words.share(declared["design"]["margin"])
    leader = judgement.leader
    if judgement.blocks < FIRST_ROUNDS:
        rounds = words.counted(judgement.blocks, "round")
        return f"Nothing can be said yet: {ENDINGS[ended]} after {rounds}, and nothing is judged before {FIRST_ROUNDS}."
    if not search.sure:
        return (
            f"{names[leader]} leads ({words.rate(figures[leader]['good_per_s'])}), but {ENDINGS[ended]}: with "
            f"{words.share(search.doubt)} probability another is more than {margin} better. "
            f"{_more(declared, judgement, search.doubt)}"
        )
    allowed = declared["design"]["doubt"]
    fit_ones = [leader, *(k for k, doubt in enumerate(search.doubts) if doubt <= allowed and k != leader)]
    by_memory = all(figures[k]["rss_bytes"] for k in fit_ones)
    take = min(fit_ones, key=lambda k: _cost(declared, figures, k, by_memory=by_memory))
    parts = [_named(take, judgement, search, figures, names, margin)]
    known = figures[take]["rss_bytes"]
    own = _cost(declared, figures, take, by_memory=bool(known))
    cheaper = [
        k
        for k in range(len(names))
        if _cost(declared, figures, k, by_memory=bool(known and figures[k]["rss_bytes"])) < own
    ]
    beaten = [(k, pair) for k in cheaper if (pair := judgement.pair(take, k)) and pair.verdict == "better"]
    if beaten:
        # The dearest of those: what the last step up in cost buys.
        k, pair = max(beaten, key=lambda one: _cost(declared, figures, one[0], by_memory=True))
        parts.append(f"It answers {_change(pair)} than {names[k]}{_costs(take, k, figures)}.")
    perhaps = [k for k in cheaper if allowed < search.doubts[k] < HALF]
    if perhaps:
        told = [f"{names[k]} (with {words.share(1 - search.doubts[k])} probability)" for k in perhaps]
        most = max(search.doubts[k] for k in perhaps)
        parts.append(f"Cheaper, and perhaps within it too: {_join(told)}. {_more(declared, judgement, most)}")
    return " ".join(parts)


def _named(
    take: int,
    judgement: Judgement,
    search: SearchState,
    figures: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    margin: str,
) -> str:
    """The setting to take, how sure that is, and what it saves beside the leader."""
    leader, memory = judgement.leader, figures[take]["rss_bytes"]
    what = words.rate(figures[take]["good_per_s"]) + (f", {_megabytes(memory)}" if memory else "")
    saved = _saves(take, [leader, take], figures)
    pair = judgement.pair(take, leader)
    if pair is not None and pair.verdict == "equivalent":
        alike = _join([names[k] for k in sorted([leader, take])])
        return f"{alike} are equal within {margin}: take {names[take]} ({what}){saved}."
    told = (
        f"Take {names[take]} ({what}): with {words.share(1 - search.doubts[take])} probability it is within"
    )
    if take == leader:
        return f"{told} {margin} of the best."
    beside = (
        f"{saved} beside {names[leader]}, which leads"
        if saved
        else f"; {names[leader]} leads, and costs more"
    )
    return f"{told} {margin} of the best{beside}."


def _more(declared: Mapping[str, Any], judgement: Judgement, doubt: float) -> str:
    """What more time would buy, by `search.rounds_needed`."""
    needed = rounds_needed(doubt, judgement.blocks, declared["design"]["doubt"])
    if needed is not None:
        needed = max(needed, declared["blocks"] + 1)
    if needed is None or needed > MOST_BLOCKS:
        return "A quieter machine or a longer --duration serves better here than a larger --budget."
    minutes = math.ceil((needed * declared["block_s"] + declared["reserve_s"]) / 60)
    return f"Some {needed} blocks (--blocks {needed} --budget {minutes}m) would probably tell."


def _open(
    open_pairs: Sequence[Pair], names: Sequence[str], declared: Mapping[str, Any], judgement: Judgement
) -> str:
    pairs = _join([f"{names[pair.first]} and {names[pair.second]}" for pair in open_pairs])
    needed = [pair.blocks_needed for pair in open_pairs]
    if judgement.blocks < FIRST_LOOK:
        blocks = "1 block" if judgement.blocks == 1 else f"{judgement.blocks} blocks"
        return f"Undecided between {pairs} after {blocks}: nothing is judged before {FIRST_LOOK}."
    if None in needed:
        return (
            f"Undecided between {pairs} after {judgement.blocks} blocks, and 200 blocks would not decide it: the "
            "difference lies at the edge of what counts as equal. Choose by memory or by what is simpler to run."
        )
    most = max(count for count in needed if count is not None)
    minutes = (most * declared["block_s"] + declared["reserve_s"]) / 60
    if most > MOST_BLOCKS:
        return (
            f"Undecided between {pairs} after {judgement.blocks} blocks; at this noise some {most} blocks, "
            f"{minutes:.0f} minutes, would probably decide: a quieter machine or a longer --duration serves better."
        )
    return (
        f"Undecided between {pairs} after {judgement.blocks} blocks; some {most} blocks "
        f"(--blocks {most} --budget {max(1, round(minutes * 1.2))}m) would probably decide."
    )


def _change(pair: Pair) -> str:
    gain = words.share(pair.ratio - 1)
    if pair.low is None or pair.high is None:
        return f"{gain} more"
    return f"{gain} [{(pair.low - 1) * 100:.0f}, {(pair.high - 1) * 100:.0f}] more"


def _cost(
    declared: Mapping[str, Any], figures: Sequence[Mapping[str, Any]], k: int, *, by_memory: bool
) -> tuple[bool, float, float]:
    """What a configuration costs: its workers or replicas as given, else its memory, where that is known of all.

    One whose server died under load is dearer than any that lasted.
    """
    memory = float(figures[k]["rss_bytes"]) if by_memory else 0.0
    return bool(figures[k]["cut"]), float(declared["configurations"][k]["cost"]), memory


def _saves(take: int, alike: Sequence[int], figures: Sequence[Mapping[str, Any]]) -> str:
    own = figures[take]["rss_bytes"]
    most = max((figures[k]["rss_bytes"] or 0 for k in alike), default=0)
    return f", it saves {_megabytes(most - own)}" if own and most - own > 1e6 else ""


def _costs(leader: int, other: int, figures: Sequence[Mapping[str, Any]]) -> str:
    own, others = figures[leader]["rss_bytes"], figures[other]["rss_bytes"]
    if not own or not others or abs(own - others) < 1e6:
        return ""
    word = "more" if own > others else "less"
    return f", for {_megabytes(abs(own - others))} {word} memory than the latter" if own else ""


def _megabytes(count: float) -> str:
    return f"{words.number(round(count / 1e6, 1))} MB"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
