"""Two kinds of request among the answers of one endpoint: latencies in two groups with nothing between."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from headwind.analysis.diagnosis.observations import Answer


@dataclass(frozen=True, slots=True)
class Kinds:
    """Two groups of latencies."""

    fast_s: float
    slow_s: float
    share_slow: float
    under_load: bool = False  # found in wrk's answers: too rare for the requests alone

    @property
    def mean_s(self) -> float:
        return self.share_slow * self.slow_s + (1 - self.share_slow) * self.fast_s


def split(answers: Sequence[Answer]) -> Kinds | None:
    """The widest gap between neighbouring latencies, where both sides have 3 % and at least 4 answers."""
    rows = [row for row in answers if row.kind == "endpoint" and row.latency_s is not None]
    found = sorted(row.latency_s or 0.0 for row in rows)
    edge = max(4, int(0.03 * len(found)))
    if len(found) < 24 or len(found) <= 2 * edge:
        return None
    at = max(range(edge, len(found) - edge + 1), key=lambda i: found[i] / max(found[i - 1], 1e-5))
    if found[at] < 2.5 * found[at - 1] or found[at] - found[at - 1] < 0.004:
        return None
    # A group that comes all at once belongs to a stall, a limiter or a warm-up, not to a kind of request.
    slow = [index for index, row in enumerate(rows) if (row.latency_s or 0.0) >= found[at]]
    fewer = (
        slow
        if 2 * len(slow) <= len(rows)
        else [index for index in range(len(rows)) if index not in set(slow)]
    )
    thirds = [sum(i * len(rows) <= 3 * index < (i + 1) * len(rows) for index in fewer) for i in range(3)]
    if min(thirds) < 0.3 * len(fewer) / 3:
        return None
    return Kinds(statistics.median(found[:at]), statistics.median(found[at:]), len(slow) / len(rows))


def split_counts(latencies: Sequence[tuple[float, int]]) -> Kinds | None:
    """The same of thousands of answers, given as (seconds, answers) in order: both sides have 0.5 % and 20 answers.

    Steps with fewer than one answer in ten thousand do not close the gap: among so many there are always strays.
    """
    total = sum(count for _, count in latencies)
    rows = [(value, count) for value, count in latencies if count >= max(2, total / 10_000)]
    edge = max(20, 0.005 * total)
    best, at, below = 2.5, 0, 0
    for index in range(1, len(rows)):
        below += rows[index - 1][1]
        ratio = rows[index][0] / rows[index - 1][0]
        wide = rows[index][0] - rows[index - 1][0] >= 0.004
        if ratio > best and wide and below >= edge and sum(count for _, count in rows[index:]) >= edge:
            best, at = ratio, index
    if not at:
        return None
    slow = sum(count for _, count in rows[at:])
    return Kinds(
        _middle(rows[:at]), _middle(rows[at:]), slow / sum(count for _, count in rows), under_load=True
    )


def _middle(rows: Sequence[tuple[float, int]]) -> float:
    half = sum(count for _, count in rows) / 2
    for value, count in rows:
        half -= count
        if half <= 0:
            return value
    return rows[-1][0]
