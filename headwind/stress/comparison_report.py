"""The document `headwind.experiment/1` of a comparison: its answer in words, its figures, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headwind import words
from headwind.statistics.verdicts import FIRST_LOOK
from headwind.stress.comparison import MOST_BLOCKS, Judgement, Pair, summary
from headwind.stress.journal import TrialRow

SCHEMA = "headwind.experiment/1"
ENDINGS = {
    "answered": "every question about the leader is answered",
    "blocks": "the blocks that were planned are spent",
    "budget": "the time budget is spent",
    "interrupted": "interrupted",
}


def document(
    declared: Mapping[str, Any],
    trials: Sequence[TrialRow],
    judgement: Judgement,
    *,
    ended: str,
    latency: Sequence[Mapping[str, Any]] = (),
    environment: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that is known; `ended` is a key of ENDINGS, `latency` the finalists at equal offered rate."""
    configurations = declared["configurations"]
    names = [row["name"] for row in configurations]
    kept = {(row.block, row.configuration): row for row in trials if row.discarded is None}
    figures = summary(kept, len(names))
    told = recommendation(declared, judgement, figures, ended)
    return {
        "schema": SCHEMA,
        "kind": "compare",
        "title": f"{declared['axis']}: {', '.join(names)}",
        "source": declared["url"],
        "answer": told,
        "ended": ended,
        "declared": dict(declared),
        "environment": environment,
        "baseline": names[judgement.leader],
        "margin": declared["design"]["margin"],
        "comparisons": comparisons(judgement, names),
        "pairs": [_pair(pair, names) for pair in judgement.pairs],
        "search_doubt": judgement.doubt,
        "blocks": judgement.blocks,
        "summary": [{"name": name, **row} for name, row in zip(names, figures, strict=True)],
        "latency_at_equal_rate": list(latency),
        "trust": _trust(declared, trials, judgement, ended),
        "assumptions": [{"message": message} for message in _notes(declared, trials, judgement, names)],
        "tables": _tables(declared, judgement, figures, names, latency, trials),
        "again": declared["again"],
        "trials": [_trial(row, names) for row in trials],
    }


def _trial(row: TrialRow, names: Sequence[str]) -> dict[str, Any]:
    return {
        "name": names[row.configuration],
        **{field: getattr(row, field) for field in TrialRow.__slots__},
        "worker_shares": list(row.worker_shares),
    }


def comparisons(judgement: Judgement, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each other configuration's throughput over the leader's, from best to worst."""
    rows = []
    for other in judgement.order[1:]:
        pair = judgement.pair(other, judgement.leader)
        if pair:
            rows.append(
                {
                    "name": names[other],
                    "ratio": pair.ratio,
                    "low": pair.low,
                    "high": pair.high,
                    "verdict": pair.verdict,
                }
            )
    return rows


def _pair(pair: Pair, names: Sequence[str]) -> dict[str, Any]:
    return {
        "first": names[pair.first],
        "second": names[pair.second],
        "verdict": pair.verdict,
        "ratio": pair.ratio,
        "low": pair.low,
        "high": pair.high,
        "blocks_needed": pair.blocks_needed,
    }


def recommendation(
    declared: Mapping[str, Any], judgement: Judgement, figures: Sequence[Mapping[str, Any]], ended: str
) -> str:
    """One recommendation with its cost, or what is still open and what would close it."""
    names = [row["name"] for row in declared["configurations"]]
    if judgement.blocks == 0 or (not judgement.pairs and judgement.doubt is None):
        return f"Nothing can be said yet: {ENDINGS[ended]} before the first block was whole."
    if judgement.doubt is not None:
        return _searched(declared, judgement, names, figures, ended)
    leader = judgement.leader
    if not any(row["good_per_s"] for row in figures):
        return (
            "No configuration answered anything well: look into the folders of the trials before comparing."
        )
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
    names: Sequence[str],
    figures: Sequence[Mapping[str, Any]],
    ended: str,
) -> str:
    margin = words.share(declared["design"]["margin"])
    name = names[judgement.leader]
    doubt = judgement.doubt if judgement.doubt is not None else 1.0
    rate = words.rate(figures[judgement.leader]["good_per_s"])
    if doubt <= declared["design"]["doubt"]:
        return f"Take {name} ({rate}): with {words.share(1 - doubt)} probability it is within {margin} of the best."
    return (
        f"{name} leads ({rate}), but {ENDINGS[ended]}: with {words.share(doubt)} probability another is more than "
        f"{margin} better; a larger --budget would tell."
    )


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
    minutes = most * declared["block_s"] / 60
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
) -> tuple[float, float]:
    """What a configuration costs: its workers or replicas as given, else its memory, where that is known of all."""
    memory = float(figures[k]["rss_bytes"]) if by_memory else 0.0
    return float(declared["configurations"][k]["cost"]), memory


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


def _trust(
    declared: Mapping[str, Any], trials: Sequence[TrialRow], judgement: Judgement, ended: str
) -> list[dict[str, Any]]:
    discarded = sum(row.discarded is not None for row in trials)
    noisy = sum(row.noisy for row in trials)
    return [
        {
            "name": "blocks",
            "value": f"{judgement.blocks} of {declared['blocks']}",
            "good": ended == "answered",
            "why": ENDINGS[ended],
        },
        {
            "name": "trials",
            "value": f"{len(trials) - discarded} kept, {discarded} discarded",
            "good": discarded == 0,
            "why": "each a whole run on a freshly started server, shuffled within its block",
        },
        {
            "name": "quiet machine",
            "value": "no" if noisy else "yes",
            "good": not noisy,
            "why": f"{noisy} kept trials ran beside other load"
            if noisy
            else "no trial ran beside other load",
        },
    ]


def _notes(
    declared: Mapping[str, Any], trials: Sequence[TrialRow], judgement: Judgement, names: Sequence[str]
) -> list[str]:
    count = len(names) * (len(names) - 1) // 2
    family = "the one pair" if count == 1 else f"all {count} pairs"
    margin = words.share(declared["design"]["margin"])
    if judgement.doubt is not None:
        notes = [
            f"A search over {len(names)} settings for one within {margin} of the best; it claims nothing about pairs.",
        ]
    else:
        notes = [
            f"The family is {family}: the chance of any false claim of a difference is at most 5 %, looks "
            f"after every block included; likewise for claims of equality within {margin}, declared beforehand.",
            "Ratios are paired within blocks and corrected for having stopped early; each interval covers the truth "
            "in 95 % of experiments by itself.",
        ]
    if judgement.noise is not None and judgement.smallest is not None:
        notes.append(
            f"Trials scattered by {words.share(judgement.noise)} within their blocks (one standard deviation): after "
            f"{judgement.blocks} blocks a difference is probably found from some "
            f"{words.share(math.expm1(judgement.smallest))} on. Four times the blocks find half of that."
        )
    for block, setting in judgement.set_aside:
        notes.append(
            f"Block {block + 1}, {names[setting]}: set aside as a stray outlier by its residual; the trial stays on "
            "record below."
        )
    notes.append(
        "Memory is the sum over the server's processes, pages that they share counted in each of them."
    )
    several = {row.shares_of for row in trials if len(row.worker_shares) > 1}
    if "CPU" in several:
        notes.append(
            "The share by worker is of the CPU time that the workers used where the server does not count requests by "
            "worker: workers that serve the same kinds of request use CPU as they share them."
        )
    counts = [
        sum(row.discarded is not None for row in trials if row.configuration == k) for k in range(len(names))
    ]
    if any(counts):
        told = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        notes.append(f"Discarded for reasons that do not depend on the configuration: {told}.")
    return notes


def _tables(
    declared: Mapping[str, Any],
    judgement: Judgement,
    figures: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    latency: Sequence[Mapping[str, Any]],
    trials: Sequence[TrialRow],
) -> list[dict[str, Any]]:
    tables = [_ranking(declared, judgement, figures, names)]
    if judgement.doubt is None and len(names) > 2:
        others = [pair for pair in judgement.pairs if judgement.leader not in (pair.first, pair.second)]
        rows = [[f"{names[p.first]} over {names[p.second]}", _interval(p), p.verdict] for p in others]
        columns = ["pair", "ratio", "verdict of the first"]
        tables.append({"caption": "The other pairs", "columns": columns, "rows": rows})
    if latency:
        tables.append(_latency_table(declared, latency))
    tables.append(_trials_table(declared, names, trials))
    return tables


def _ranking(
    declared: Mapping[str, Any],
    judgement: Judgement,
    figures: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> dict[str, Any]:
    rows = []
    for place, k in enumerate(judgement.order, 1):
        pair = judgement.pair(k, judgement.leader)
        figure = figures[k]
        leads = k == judgement.leader
        rows.append(
            [
                str(place),
                names[k],
                words.rate(figure["good_per_s"]),
                "1" if leads else "not yet" if pair is None else _interval(pair),
                "leads" if leads else pair.verdict if pair else "not yet",
                words.seconds(figure["cpu_s_per_request"]),
                words.size(figure["rss_bytes"]),
                _shares(figure),
                words.number(figure["failed"]),
            ]
        )
    columns = ["", declared["axis"], "good answers", "beside the leader", "verdict", "server CPU a request"]
    columns += ["memory", "share by worker", "failed"]
    return {"caption": "Ranking", "columns": columns, "rows": rows}


def _shares(figure: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{share:.0%}" for share in figure["worker_shares"])
    return f"{shares} of {figure['shares_of']}" if shares else "not known"


def _latency_table(declared: Mapping[str, Any], latency: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rows = [
        [
            row["name"],
            *(words.seconds(row[f"p{percent}_s"]) for percent in (50, 90, 99)),
            words.number(row["answers"]),
            row["counted_from"],
        ]
        for row in latency
    ]
    return {
        "caption": f"Latency at {words.rate(latency[0]['rate_per_s'])} offered to each, below capacity",
        "columns": [declared["axis"], "p50", "p90", "p99", "answers", "counted from"],
        "rows": rows,
    }


def _trials_table(
    declared: Mapping[str, Any], names: Sequence[str], trials: Sequence[TrialRow]
) -> dict[str, Any]:
    rows = [
        [
            str(row.block + 1),
            names[row.configuration],
            words.rate(row.good_per_s),
            words.cores(row.others_cores),
            row.discarded or ("yes, beside other load" if row.noisy else "yes"),
        ]
        for row in trials
    ]
    columns = ["block", declared["axis"], "good answers", "others' load", "counts"]
    return {"caption": "Trials in the order in which they ran", "columns": columns, "rows": rows}


def _interval(pair: Pair) -> str:
    text = words.number(pair.ratio)
    if pair.low is None or pair.high is None:
        return text
    return f"{text} [{words.number(pair.low)}, {words.number(pair.high)}]"
