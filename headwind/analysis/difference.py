"""Runs already measured, side by side: figures, ratios to the first, regressions, and what single runs can show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from headwind.analysis import context, gates, percentiles
from headwind.analysis.context import Context
from headwind.histogram import percentile_key
from headwind.run import Endpoint, Run, endpoint_kind
from headwind.words import number, seconds, share

PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0)
# So many answers should lie above a percentile before its figure means anything.
ANSWERS_ABOVE = 10
# An error rate may rise by so many percentage points beside the allowed share: a single failure is no regression.
ERROR_SLACK = 0.001


@dataclass(frozen=True, slots=True)
class Side:
    """One run of a comparison: its label and its figures, None where its source does not say."""

    label: str
    context: Context
    failed: int | None
    failed_share: float | None
    mean_s: float | None
    percentiles: Mapping[str, percentiles.Bounds]

    @property
    def run(self) -> Run:
        return self.context.run

    def figure(self, metric: str) -> float | None:
        """A figure by the name that gates use: "rps", "errors", "mean", "p99"; None where it is not known."""
        if metric == "rps":
            return self.context.rate_per_s
        if metric == "errors":
            return self.failed_share
        if metric == "mean":
            return self.mean_s
        bounds = self.percentiles.get(metric.removeprefix("p"))
        return bounds.low_s if bounds is not None and bounds.known else None

    def bounds(self, metric: str) -> tuple[float, float]:
        """What the run proves about a figure: at least, at most; (0, infinity) where it says nothing."""
        if metric in ("rps", "errors", "mean"):
            value = self.figure(metric)
            return (0.0, math.inf) if value is None else (value, value)
        found = self.percentiles[metric.removeprefix("p")]
        return found.low_s, found.high_s

    def to_json(self) -> dict[str, Any]:
        latency = self.run.latency
        return {
            "label": self.label,
            "source": self.context.where,
            "tool": self.run.tool,
            "url": self.run.url,
            "connections": self.context.connections or self.run.connections,
            "duration_s": self.run.duration_s,
            "requests": self.run.requests,
            "failed": self.failed,
            "failed_share": self.failed_share,
            "late": self.run.late,
            "requests_per_s": self.context.rate_per_s,
            "mean_s": self.mean_s,
            "mean_by_littles_law_s": list(self.context.little_s) if self.context.little_s else None,
            "percentiles_s": {
                key: {
                    "low": bounds.low_s if bounds.low_s > 0 else None,
                    "high": bounds.high_s if math.isfinite(bounds.high_s) else None,
                    "printed": latency.percentiles_s.get(key) if latency else None,
                }
                for key, bounds in self.percentiles.items()
            },
        }


def side(run: Run, source: str, label: str, index: int) -> Side:
    """The figures of one run; its mean only where nothing is cut out of it or made up in it."""
    one = context.of(run, source, index=index)
    low, high, _ = gates.bounds(one, gates.parse("errors<100%"))
    mean_low, mean_high, _ = gates.bounds(one, gates.parse("mean<1s"))
    keys = {percentile_key(percent) for percent in PERCENTILES}
    if run.latency is not None:
        keys |= set(run.latency.percentiles_s)
    return Side(
        label,
        one,
        _failed(one),
        low if low == high else None,
        mean_low if mean_low == mean_high and mean_low > 0 else None,
        {key: percentiles.of(one, float(key)) for key in sorted(keys, key=float)},
    )


def compare(sides: Sequence[Side], *, max_regression: float | None = None) -> dict[str, Any]:
    """The document `headwind.diff/1` of two or more runs, the first of which is the baseline.

    `max_regression` is the share by which throughput may fall and mean, p50, p99 and error rate may rise.
    """
    return {
        "schema": "headwind.diff/1",
        "baseline": sides[0].label,
        "answer": _answer(sides),
        "runs": [one.to_json() for one in sides],
        "differences": [_differences(sides[0], other) for other in sides[1:]],
        "endpoints": list(_endpoints(sides)),
        "notes": list(dict.fromkeys(_notes(sides))),
        "gates": [] if max_regression is None else list(_gates(sides, max_regression)),
    }


def _failed(one: Context) -> int | None:
    """Failures as counted for the error rate: wrk's four kinds, or whatever another tool counts."""
    errors = one.run.errors
    kinds = [errors.status, errors.read, errors.connect]
    kinds.append(one.run.late if one.wrk else None if one.run.tool == "wrk2" else errors.timeout)
    known = [count for count in kinds if count is not None]
    return sum(known) if known else None


def _differences(base: Side, other: Side) -> dict[str, Any]:
    """Ratios of the other run's figures to the baseline's; None where one of them is not known."""
    names = ["rps", "mean", *(f"p{key}" for key in base.percentiles if key in other.percentiles)]
    points = None
    if base.failed_share is not None and other.failed_share is not None:
        points = other.failed_share - base.failed_share
    return {
        "label": other.label,
        "ratios": {name: _ratio(base.figure(name), other.figure(name)) for name in names},
        "failed_share_change": points,
    }


def _ratio(before: float | None, after: float | None) -> float | None:
    return after / before if before and after is not None else None


def _answer(sides: Sequence[Side]) -> str:
    base = sides[0]
    told: list[str] = []
    for other in sides[1:]:
        parts: list[str] = []
        for name, words in (("rps", "throughput"), ("p99", "p99"), ("mean", "mean")):
            ratio = _ratio(base.figure(name), other.figure(name))
            if ratio is not None and len(parts) < 2:
                parts.append(f"{words} {_change(ratio)}")
        if base.failed_share is not None and other.failed_share is not None:
            parts.append(f"failures {share(base.failed_share)} -> {share(other.failed_share)}")
        told.append(f"{other.label} beside {base.label}: {', '.join(parts) or 'no figure that both have'}")
    if len(told) > 3:
        told = [*told[:3], f"and {len(told) - 3} more below"]
    return f"{'; '.join(told)}. One run each shows no significance."


def _change(ratio: float) -> str:
    """A ratio in words: 1.0 -> "the same", 1.25 -> "+25.0 %", 4.2 -> "x 4.20"."""
    if ratio >= 2 or ratio <= 0.5:
        return f"x {number(ratio)}"
    percent = (ratio - 1) * 100
    return "the same" if abs(percent) < 0.05 else f"{percent:+.1f} %"


def _endpoints(sides: Sequence[Side]) -> Iterator[dict[str, Any]]:
    """One row per endpoint, scenario or other part of the runs, with requests, failures, rate and share of failures of
    every run that has it; last the whole runs."""
    keys = dict.fromkeys(
        _key(one, row) for one in sides for row in one.run.endpoints if row.requests is not None
    )
    for key in keys:
        rows = [next((row for row in one.run.endpoints if _key(one, row) == key), None) for one in sides]
        kind, method, name = key
        yield {
            "kind": kind,
            "method": method or None,
            "name": name,
            "runs": [_endpoint(row) for row in rows],
        }
    if keys:
        yield {"kind": "all", "method": None, "name": "all", "runs": [_total(one) for one in sides]}


def _key(one: Side, row: Endpoint) -> tuple[str, str, str]:
    return endpoint_kind(one.run.tool, row.name), row.method or "", row.name


def _endpoint(row: Endpoint | None) -> dict[str, Any] | None:
    if row is None:
        return None
    wrong = row.failures / row.requests if row.failures is not None and row.requests else None
    return {
        "requests": row.requests,
        "failed": row.failures,
        "requests_per_s": row.requests_per_s,
        "failed_share": wrong,
        "mean_s": row.latency.mean_s if row.latency else None,
    }


def _total(one: Side) -> dict[str, Any]:
    return {
        "requests": one.run.requests,
        "failed": one.failed,
        "requests_per_s": one.context.rate_per_s,
        "failed_share": one.failed_share,
        "mean_s": one.mean_s,
    }


def _notes(sides: Sequence[Side]) -> Iterator[str]:
    """What these runs can and cannot show, most important first."""
    yield (
        "One run of each shows how they differed, not that they differ: equal runs vary too, and nothing here "
        "tells by how "
        "much. `headwind compare` repeats both in alternation and gives intervals."
    )
    yield from _unlike(sides)
    for one in sides:
        yield from _unsound(one)
    yield from _readings(sides)
    if any(one.context.wrk for one in sides):
        yield (
            "In a closed loop the mean latency is connections / throughput whatever is tuned: a shorter mean "
            "here repeats "
            "the higher throughput and is no second proof. What users feel shows at an equal offered rate (`--rate`)."
        )


def _unlike(sides: Sequence[Side]) -> Iterator[str]:
    """Differences of the loads themselves."""
    tools = {one.run.tool for one in sides}
    if len(tools) > 1:
        yield (
            f"The tools differ ({', '.join(sorted(tools))}): they count failures, late answers and the beginning of a "
            "latency differently, so only large differences mean the server."
        )
    loads = {one.context.connections or one.run.connections for one in sides} - {None}
    if len(loads) > 1:
        told = ", ".join(number(load) for load in sorted(load for load in loads if load is not None))
        yield f"The load differs ({told} connections or users): throughput and latency change with it alone."
    if len({one.run.url for one in sides if one.run.url}) > 1:
        yield "The URLs differ: another endpoint or another host answered."
    lengths = [one.run.duration_s for one in sides if one.run.duration_s]
    if lengths and max(lengths) > 1.5 * min(lengths):
        told = f"{seconds(min(lengths))} to {seconds(max(lengths))}"
        yield f"The durations differ ({told}): totals cannot be compared, rates can."


def _unsound(one: Side) -> Iterator[str]:
    """What makes one run unfit for a comparison."""
    judged, run = one.context, one.run
    if run.interrupted:
        yield f"{one.label} was interrupted."
    if not run.complete and run.requests is None:
        yield f"{one.label} is cut: its totals are not known."
    if 2 * judged.status_errors > judged.requests > 0:
        yield f"{one.label} is mostly error answers: its throughput and latency are those of error pages."
    if judged.cut and judged.limit_s is not None:
        yield (
            f"{one.label}: {share(judged.late_share)} of the answers came later than {seconds(judged.limit_s)} "
            "and are in "
            "no latency figure; figures with a * leave them out."
        )
    elif judged.wrk and judged.as_measured is False and run.histogram is None:
        yield f"{one.label}: figures with a * are as printed, with samples that wrk adds to correct for stalls."


def _readings(sides: Sequence[Side]) -> Iterator[str]:
    """How far up the percentiles carry weight, and what throughput says under think times."""
    for one in sides:
        requests = one.context.requests
        if one.context.cut and not one.run.histogram:
            continue  # its late answers hide the percentiles that this would speak of
        if requests and requests < ANSWERS_ABOVE * 10_000 and "99.99" in one.percentiles:
            top = max(
                (p for p in PERCENTILES[:-1] if requests * (1 - p / 100) >= ANSWERS_ABOVE), default=None
            )
            least = f"p{percentile_key(top)}" if top else "no percentile above the median"
            yield (
                f"{one.label}: of {number(requests)} answers, {least} is the highest that rests on at least "
                f"{ANSWERS_ABOVE} slower ones; those above it are single answers."
            )
    paced = [one for one in sides if one.run.tool in ("locust", "k6") and one.context.rate_per_s]
    for before, after in pairwise(paced):
        ratio = _ratio(before.context.rate_per_s, after.context.rate_per_s) or 0.0
        if 0.95 <= ratio <= 1.05 and (before.failed_share or 0) == (after.failed_share or 0):
            yield (
                f"{before.label} and {after.label} have the same throughput: either their users' own waiting sets "
                "it, or the "
                "same thing limits both. What was changed between them did not pay in throughput at this load; "
                "look at "
                "the latency, or raise the users."
            )


def _gates(sides: Sequence[Side], allowed: float) -> Iterator[dict[str, Any]]:
    """Each figure of every later run against the baseline's. Throughput and errors must be judged; a latency is where
    what both runs prove about it decides."""
    base = sides[0]
    for other in sides[1:]:
        for metric in ("rps", "errors", "mean", "p50", "p95", "p99"):
            before, after = base.bounds(metric), other.bounds(metric)
            if metric == "rps":
                limit, best_limit = before[0] * (1 - allowed), before[1] * (1 - allowed)
                failed, held = after[1] < limit, after[0] >= best_limit
            else:
                slack = ERROR_SLACK if metric == "errors" else 0.0
                limit, best_limit = before[1] * (1 + allowed) + slack, before[0] * (1 + allowed) + slack
                failed, held = after[0] > limit, after[1] <= best_limit
            decided = failed or held
            if not decided and metric not in ("rps", "errors"):
                continue
            words = {"rps": number, "errors": share}.get(metric, seconds)
            told = f"{_told(words, before)} -> {_told(words, after)}"
            if not decided:
                yield _gate(
                    metric,
                    other,
                    None,
                    f"{told}: a figure that this needs is not in the source",
                    "not_judged",
                )
                continue
            way = "down" if metric == "rps" else "up"
            reason = f"{told}, allowed {way} to {words(limit)}" if math.isfinite(limit) else told
            yield _gate(metric, other, limit, reason, "failed" if failed else "held")


def _told(words: Callable[[float | None], str], bounds: tuple[float, float]) -> str:
    low, high = bounds
    if low == high:
        return words(low)
    if math.isinf(high):
        return f"at least {words(low)}" if low else "unknown"
    return f"{words(low)} to {words(high)}"


def _gate(metric: str, other: Side, limit: float | None, reason: str, outcome: str) -> dict[str, Any]:
    if other.run.interrupted:
        outcome, reason = "not_judged", "this run was interrupted; let it run to its end"
    return {
        "gate": f"{other.label}: {metric}",
        "metric": metric,
        "run": other.context.index,
        "threshold": limit,
        "measured": other.figure(metric),
        "outcome": outcome,
        "reason": f"{other.label}, {metric}: {reason}.",
    }


def labels(names: Iterable[tuple[str, Run, bool]]) -> list[str]:
    """Short labels that differ: (name of the input, run, whether the input has several) -> the stem, with the line."""
    found: list[str] = []
    for name, run, several in names:
        label = f"{name}:{run.lines[0]}" if several and run.lines else name
        number_of = sum(1 for other in found if other == label or other.startswith(f"{label}#"))
        found.append(f"{label}#{number_of + 1}" if number_of else label)
    return found
