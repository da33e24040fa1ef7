"""Lines that repeat a part of a report to explain it: no test of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from headwind.run import Run

_NOT_FIGURES = frozenset({"tool", "lines", "complete", "interrupted", "warnings", "errors", "endpoints"})
_MEASURED = ("requests", "duration_s", "requests_per_s", "bytes_read", "bytes_per_s")
# So many equal measurements are no coincidence; a count and a rate alone may be those of every test at one rate.
_LEAST_EQUAL = 3
_MOST_COMPARED = 20


def without_repeats(runs: Iterable[Run]) -> list[Run]:
    """The runs of one tool without those that say a part of what a run before them says, and nothing else.

    One that says all of it is kept: a report that was pasted twice may be two. So is a history: it is nobody's excerpt.
    """
    kept: list[Run] = []
    known: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        own = _figures(run)
        measured = [own[name] for name in (*_MEASURED, "latency.mean_s", "latency.max_s") if own.get(name)]
        certain = len(measured) >= _LEAST_EQUAL and ("duration_s" in own or "latency.mean_s" in own)
        among = known[measured[0]][-_MOST_COMPARED:] if certain and run.timeline is None else []
        if any(own.items() < other.items() for other in among):
            continue
        kept.append(run)
        for value in measured:
            known[value].append(own)
    return kept


def _figures(run: Run) -> dict[str, Any]:
    return {name: value for name, value in _flat(run.to_json(), "") if value is not None}


def _flat(value: Mapping[str, Any], before: str) -> Iterable[tuple[str, Any]]:
    for name, inner in value.items():
        if not before and name in _NOT_FIGURES:
            continue
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{before}{name}.")
        elif not isinstance(inner, list):
            yield f"{before}{name}", inner
