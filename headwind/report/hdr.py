"""Exact histograms in HdrHistogram's own formats, for its plotter, its log analyser and whatever else reads them.

The log (format 1.2, compressed histograms V2) keeps five significant digits: exact to the microsecond below 0.26 s,
to 0.001 % above. The percentile distribution (`.hgrm`) is computed from the exact counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from headwind.histogram import Histogram
from headwind.run import Run

SIGNIFICANT_DIGITS = 5
TICKS_PER_HALF_DISTANCE = 5  # HdrHistogram's own default: so many rows until half of the rest is reached


def merged(runs: Sequence[Run]) -> Histogram | None:
    """All answers of all runs that have a histogram, as measured; None where none has."""
    parts = [run.histogram for run in runs if run.histogram is not None]
    return parts[0].merge(*parts[1:]) if parts else None


def log(runs: Sequence[Run]) -> str:
    """A histogram log with one interval for each run that has a histogram; values in microseconds, times in seconds.

    Late answers have no latency that could be recorded: a comment says how many there were.
    """
    told = [run for run in runs if run.histogram is not None]
    lines = [
        "#[Histogram log format version 1.2]\n",
        "#[Values are latencies in microseconds, as measured]\n",
    ]
    started = [_epoch_s(run.started_at) for run in told]
    lines.append(f"#[StartTime: {min(started, default=0.0):.3f} (seconds since epoch)]\n")
    lines.append('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
    for run, start_s in zip(told, started, strict=True):
        histogram = run.histogram
        if histogram is None:
            continue
        if histogram.late:
            limit = f"{histogram.limit_us / 1e6:g} s" if histogram.limit_us else "wrk's timeout"
            lines.append(f"#[{histogram.late} more answers came after {limit} and have no latency]\n")
        top_s = histogram.values_us[-1] / 1e6 if histogram.values_us else 0.0
        lines.append(f"{start_s:.3f},{run.duration_s or 0.0:.3f},{top_s:.6f},{_compressed(histogram)}\n")
    return "".join(lines)


def percentiles(histogram: Histogram) -> str:
    """The percentile distribution that HdrHistogram's plotter takes: values in milliseconds.

    Percentiles count late answers too, which have no value: the rows end where the first of them may be.
    """
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}\n\n"]
    for value_us, percentile, count in _rows(histogram):
        inverse = f" {1 / (1 - percentile):14.2f}" if percentile < 1 else ""
        lines.append(f"{value_us / 1e3:12.3f} {percentile:14.12f} {count:10d}{inverse}\n")
    mean_ms, stdev_ms = _moments_ms(histogram)
    top_ms = histogram.values_us[-1] / 1e3 if histogram.values_us else 0.0
    lines.append(f"#[Mean    = {mean_ms:12.3f}, StdDeviation   = {stdev_ms:12.3f}]\n")
    lines.append(f"#[Max     = {top_ms:12.3f}, Total count    = {histogram.total:12d}]\n")
    lines.append(f"#[Buckets = {len(histogram.values_us):12d}, SubBuckets     = {1:12d}]\n")
    return "".join(lines)


def _rows(histogram: Histogram) -> Iterator[tuple[int, float, int]]:
    """(microseconds, percentile as a share, answers up to it), five for each halving of what is left to 1."""
    total, running = histogram.total, histogram.ranked()
    share, at = 0.0, 0
    while at < len(running):
        rank = max(1, math.ceil(round(share * total, 6)))
        while at < len(running) and running[at] < rank:
            at += 1
        if at == len(running):
            return
        yield histogram.values_us[at], share, running[at]
        if running[at] == total and share < 1:
            yield histogram.values_us[at], 1.0, total
            return
        half_distance = 2 ** (math.floor(math.log2(1 / (1 - share))) + 1)
        share += 1 / (TICKS_PER_HALF_DISTANCE * half_distance)


def _moments_ms(histogram: Histogram) -> tuple[float, float]:
    recorded = histogram.recorded
    if not recorded:
        return 0.0, 0.0
    pairs = list(zip(histogram.values_us, histogram.counts, strict=True))
    mean = sum(value * count for value, count in pairs) / recorded
    variance = sum(count * (value - mean) ** 2 for value, count in pairs) / recorded
    return mean / 1e3, math.sqrt(variance) / 1e3


def _compressed(histogram: Histogram) -> str:
    from hdrh.histogram import HdrHistogram

    highest = max(2, histogram.values_us[-1] if histogram.values_us else 2)
    recorder = HdrHistogram(1, highest, SIGNIFICANT_DIGITS)
    for value, count in zip(histogram.values_us, histogram.counts, strict=True):
        recorder.record_value(value, count)
    return str(recorder.encode().decode("ascii"))


def _epoch_s(started_at: str | None) -> float:
    try:
        return datetime.fromisoformat(started_at).timestamp() if started_at else 0.0
    except ValueError:
        return 0.0
