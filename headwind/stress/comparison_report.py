"""The document `headwind.experiment/1` of a comparison: its answer in words, its figures, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headwind import words
from headwind.stress.comparison import Judgement, Pair, summary
from headwind.stress.journal import TrialRow
from headwind.stress.recommendation import ENDINGS, cut_short, recommendation

SCHEMA = "headwind.experiment/1"


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
    told = recommendation({**declared, "block_s": _block_s(declared, trials)}, judgement, figures, ended)
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
        "trust": [*_trust(declared, trials, judgement, ended), *_lasted(declared, figures)],
        "assumptions": [{"message": message} for message in _notes(declared, trials, judgement, names)],
        "tables": _tables(declared, judgement, figures, names, latency, trials),
        "again": declared["again"],
        "trials": [_trial(row, names) for row in trials],
    }


def _block_s(declared: Mapping[str, Any], trials: Sequence[TrialRow]) -> float:
    """Seconds of a block of all configurations, by the trials that were run; as declared before there were any."""
    if not trials:
        return float(declared["block_s"])
    return sum(row.took_s for row in trials) / len(trials) * len(declared["configurations"])


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


def _trust(
    declared: Mapping[str, Any], trials: Sequence[TrialRow], judgement: Judgement, ended: str
) -> list[dict[str, Any]]:
    discarded = sum(row.discarded is not None for row in trials)
    noisy = sum(row.noisy and row.discarded is None for row in trials)
    # A search's rounds grow shorter as settings leave: what was planned is how many trials there may be.
    kept = len(trials) - discarded
    searched = f"{kept} of at most {declared['design']['trials']}" if declared["is_search"] else None
    return [
        {
            "name": "trials of the search" if searched else "blocks",
            "value": searched or f"{judgement.blocks} of {declared['blocks']}",
            "good": ended == "answered",
            "why": ENDINGS[ended],
        },
        {
            "name": "trials",
            "value": f"{kept} kept, {discarded} discarded",
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


def _lasted(declared: Mapping[str, Any], figures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Whether every load lasted its time; nothing where all did."""
    cut, trials = (sum(figure[name] for figure in figures) for name in ("cut", "trials"))
    return [
        {
            "name": "loads that lasted",
            "value": f"{trials - cut} of {trials}",
            "good": False,
            "why": sentence,
        }
        for sentence in cut_short(declared, figures)
    ]


def _notes(
    declared: Mapping[str, Any], trials: Sequence[TrialRow], judgement: Judgement, names: Sequence[str]
) -> list[str]:
    count = len(names) * (len(names) - 1) // 2
    family = "the one pair" if count == 1 else f"all {count} pairs"
    margin = words.share(declared["design"]["margin"])
    if judgement.doubt is not None:
        notes = [
            f"A search over {len(names)} settings for the cheapest within {margin} of the best: {judgement.blocks} "
            "rounds, from each of which those stay that may still be it.",
            f"The family of the verdicts is all {count} pairs: the chance of any false claim of a difference at the "
            f"end of a search is at most 5 %, likewise of equality within {margin}, declared beforehand. "
            "Intervals are plain ones of 95 % each, and ratios are not corrected for having stopped early.",
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
                words.number(figure["cut"]),
            ]
        )
    columns = ["", declared["axis"], "good answers", "beside the leader", "verdict", "server CPU a request"]
    columns += ["memory", "share by worker", "failed", "broke off"]
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
            _counts(row),
        ]
        for row in trials
    ]
    columns = ["block", declared["axis"], "good answers", "others' load", "counts"]
    return {"caption": "Trials in the order in which they ran", "columns": columns, "rows": rows}


def _counts(row: TrialRow) -> str:
    """Whether a trial counts, and what is to be known of it."""
    if row.discarded:
        return row.discarded
    return ", ".join(["yes", *(["beside other load"] if row.noisy else []), *([row.cut] if row.cut else [])])


def _interval(pair: Pair) -> str:
    text = words.number(pair.ratio)
    if pair.low is None or pair.high is None:
        return text
    return f"{text} [{words.number(pair.low)}, {words.number(pair.high)}]"
