"""What an intervention did to throughput."""

from __future__ import annotations

import math
import statistics

from headwind.analysis.diagnosis.observations import Intervention


def gain(intervention: Intervention) -> float | None:
    """Median of the paired ratios changed / unchanged."""
    ratios = [
        changed / base
        for base, changed in zip(intervention.base_per_s, intervention.changed_per_s, strict=False)
        if base > 0
    ]
    return statistics.median(ratios) if ratios else None


def gain_interval(intervention: Intervention) -> tuple[float, float] | None:
    """95 % interval of the ratio of mean rates, from the half seconds of the slices; None with fewer than 4 each.

    By the delta method on the logarithm. Half seconds of one slice are not wholly independent, and a slice's own luck
    is in all of them: it says how steady the slices were, not what another day would give.
    """
    rows = (intervention.changed_blocks_per_s, intervention.base_blocks_per_s)
    if min(map(len, rows)) < 4 or min(statistics.mean(row) for row in rows) <= 0:
        return None
    parts = [(statistics.mean(row), statistics.variance(row), len(row)) for row in rows]
    error = math.sqrt(sum(variance / (count * mean * mean) for mean, variance, count in parts))
    ratio = parts[0][0] / parts[1][0]
    return ratio * math.exp(-1.96 * error), ratio * math.exp(1.96 * error)


def words_of_gain(intervention: Intervention) -> str:
    """The change of throughput as people say it: `86 % [80, 92]`; empty where nothing was measured."""
    found, interval = gain(intervention), gain_interval(intervention)
    if found is None:
        return ""
    shown = f"{100 * (found - 1):+.0f} %"
    return shown + (
        f" [{100 * (interval[0] - 1):.0f}, {100 * (interval[1] - 1):.0f}]" if interval is not None else ""
    )
