"""When scaling pays: the same load patterns on several servers, beside one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from headwind import words
from headwind.stress.pattern_run import Part

MARGIN = 0.03
_FEWEST_SLICES = 4


def verdicts(whole: Sequence[Part], servers: Sequence[str], test: str) -> list[dict[str, Any]]:
    """Each server's good answers over the first one's in the same test, from slices of time inside the runs."""
    if len(servers) < 2:
        return []
    rows = []
    for server in servers[1:]:
        first = [part for part in whole if part.test == test and part.server == servers[0]]
        other = [part for part in whole if part.test == test and part.server == server]
        if not first or not other:
            continue
        ratio, low, high = _ratio(_slices(other, first))
        says = _silent(test, server, other, servers[0], first)
        if says is None:
            if ratio is None:  # stages too short for a slice
                ratio = _good_per_s(other) / _good_per_s(first)
            says = _says(test, server, servers[0], ratio, low, high, other[-1].p95_s, first[-1].p95_s)
        rows.append(
            {
                "test": test,
                "server": server,
                "beside": servers[0],
                "ratio": ratio,
                "low": low,
                "high": high,
                "says": says,
            }
        )
    return rows


def _good_per_s(parts: Sequence[Part]) -> float:
    return sum(part.requests - part.fails for part in parts) / max(sum(part.length_s for part in parts), 1e-9)


def _silent(test: str, server: str, ours: Sequence[Part], first: str, theirs: Sequence[Part]) -> str | None:
    """What is to be said where a side answered nothing well; None where both answered."""
    good, first_good = _good_per_s(ours), _good_per_s(theirs)
    if good and first_good:
        return None
    if good:
        return f"{test}: scaling pays, {first} answered nothing well and {server} did."
    if first_good:
        return f"{test}: {server} answered nothing well and {first} did."
    return f"{test}: neither {server} nor {first} answered anything well."


def _slices(ours: Sequence[Part], theirs: Sequence[Part]) -> list[tuple[int, int]]:
    """Good answers in the same slices of the same stages: what a ramp does to both drops out of their ratio."""
    return [
        pair
        for one, other in zip(ours, theirs, strict=False)
        for pair in zip(one.slices, other.slices, strict=False)
    ]


def _ratio(pairs: Sequence[tuple[int, int]]) -> tuple[float | None, float | None, float | None]:
    """Ratio of the sums with a 95 % interval from the residuals of the pairs (Cochran 1977, section 6.4).

    All None where a side has no good answer at all; the interval is None with few slices.
    """
    a, b = np.asarray(pairs, float).reshape(-1, 2).T
    if a.sum() == 0 or b.sum() == 0:
        return None, None, None
    ratio = float(a.sum() / b.sum())
    if len(a) < _FEWEST_SLICES:
        return ratio, None, None
    residual = a - ratio * b
    error = math.sqrt(len(a) / (len(a) - 1) * float((residual**2).sum())) / float(a.sum())
    reach = float(special.stdtrit(len(a) - 1, 0.975)) * error
    return ratio, ratio * math.exp(-reach), ratio * math.exp(reach)


def _says(
    test: str,
    server: str,
    first: str,
    ratio: float,
    low: float | None,
    high: float | None,
    p95_s: float | None,
    first_p95_s: float | None,
) -> str:
    tail = f"p95 {words.seconds(p95_s)} against {words.seconds(first_p95_s)}"
    if low is None or high is None:
        return f"{test}: {server} answers {words.number(ratio)} times as much as {first}, in too short a run to judge."
    interval = f"{words.number(ratio)} times [{words.number(low)}, {words.number(high)}]"
    slower = p95_s is not None and first_p95_s is not None and p95_s < first_p95_s / (1 + MARGIN)
    if low > 1 + MARGIN:
        return f"{test}: scaling pays, {server} answers {interval} as much as {first}; {tail}."
    if high < 1 + MARGIN:
        why = "though its latency is lower" if slower else "and its latency is no lower"
        return f"{test}: scaling buys no throughput, {server} answers {interval} as much as {first}, {why}; {tail}."
    return f"{test}: not clear whether scaling pays, {server} answers {interval} as much as {first}; {tail}."
