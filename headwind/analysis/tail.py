"""The shape of the latency distribution: a long tail, two kinds of answers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from headwind.analysis import percentiles
from headwind.analysis.context import Context, again, quoted
from headwind.analysis.finding import Evidence, Finding
from headwind.analysis.percentiles import Bounds
from headwind.histogram import Histogram
from headwind.words import number, seconds, share

# p99 so many times the median is a tail that users notice as "sometimes slow"; below LONG_S nobody does. Conventions.
TAIL_FACTOR = 10.0
LONG_S = 0.1
# Two modes: each holds at least this share, their peaks are this far apart, and between them it is nearly empty.
MODE_SHARE = 0.02
MODE_FACTOR = 2.5
VALLEY = 0.2
_BINS_PER_DOUBLING = 4
_ENOUGH = 1000


def tail(context: Context) -> Iterable[Finding]:
    """Speaks when p99 is certainly ten times the median or more."""
    printed = context.run.latency.percentiles_s if context.run.latency is not None else {}
    if not context.requests or (context.run.histogram is None and not printed):
        return
    median, high = percentiles.of(context, 50.0), percentiles.of(context, 99.0)
    if math.isinf(median.high_s) or not median.high_s or high.low_s < TAIL_FACTOR * median.high_s:
        return
    if context.requests < _ENOUGH:
        return
    factor = high.low_s / median.high_s
    yield Finding(
        "long_tail",
        "warning" if high.low_s >= LONG_S else "info",
        "proved",
        f"One answer in a hundred takes {seconds(high.low_s)} or longer: {number(factor)} times the median "
        f"({_at_most(median)}) or more",
        (
            Evidence("p99, at least", high.low_s, "s", f"{context.where}, {high.source}"),
            Evidence("median, at most", median.high_s, "s", f"{context.where}, {median.source}"),
            Evidence("ratio, at least", factor, "1", "division of the two"),
        ),
        "Look for what delays a few answers and spares the rest: pauses of the whole server (garbage collection, a "
        "periodic job), a lock, a cold path, or one slow worker. The time line tells pauses from slow single answers.",
        "Without it p99 comes down towards the median; the throughput of a closed loop rises only a little.",
        f"headwind diagnose --url {quoted(context.run.url)}",
        (context.index,),
    )


def two_modes(context: Context) -> Iterable[Finding]:
    """Speaks when the exact histogram has two clearly separate groups of latencies."""
    histogram = context.run.histogram
    if histogram is None or histogram.recorded < _ENOUGH:
        return
    found = split_in_two(histogram)
    if found is None:
        return
    quick, slow, slow_share = found
    yield Finding(
        "two_modes",
        "info",
        "likely",
        f"There are two kinds of answers: {share(1 - slow_share)} around {seconds(quick)} and {share(slow_share)} "
        "around "
        f"{seconds(slow)}",
        (
            Evidence("peak of the quick ones", quick, "s", f"{context.where}, exact histogram"),
            Evidence("peak of the slow ones", slow, "s", f"{context.where}, exact histogram"),
            Evidence("share of the slow ones", slow_share, "share", f"{context.where}, exact histogram"),
        ),
        "Find what tells them apart (a cache that misses, another branch of the code, another worker, error "
        "pages), and "
        "measure each kind alone: a mean over both describes neither.",
        "A load of one kind gives one mode.",
        again(context),
        (context.index,),
    )


def split_in_two(histogram: Histogram) -> tuple[float, float, float] | None:
    """(quick peak in s, slow peak in s, share of the slow group), or None where there is one group.

    The latencies are put in bins of a quarter of a doubling, smoothed over three. A valley splits them where it lies
    under VALLEY of the lower of the two peaks, and each side holds MODE_SHARE of all.
    """
    bins: dict[int, int] = {}
    for value, count in zip(histogram.values_us, histogram.counts, strict=True):
        index = int(math.log2(max(1, value)) * _BINS_PER_DOUBLING)
        bins[index] = bins.get(index, 0) + count
    first, last = min(bins), max(bins)
    heights = [bins.get(index, 0) for index in range(first - 1, last + 2)]
    smooth = [sum(heights[max(0, at - 1) : at + 2]) / 3 for at in range(len(heights))]
    total = histogram.recorded
    best: tuple[float, int, int, int] | None = None
    below = 0
    for at in range(1, len(smooth) - 1):
        below += heights[at]
        if not MODE_SHARE * total <= below <= (1 - MODE_SHARE) * total:
            continue
        left = max(range(at), key=smooth.__getitem__)
        right = max(range(at + 1, len(smooth)), key=smooth.__getitem__)
        depth = smooth[at] / min(smooth[left], smooth[right])
        if depth <= VALLEY and (best is None or depth < best[0]):
            best = (depth, at, left, right)
    if best is None:
        return None
    _, valley, left, right = best
    quick, slow = _middle(first - 1 + left), _middle(first - 1 + right)
    slow_share = sum(heights[valley + 1 :]) / total
    if slow < MODE_FACTOR * quick or not MODE_SHARE <= slow_share <= 1 - MODE_SHARE:
        return None
    return quick, slow, slow_share


def _middle(index: int) -> float:
    return float(2 ** ((index + 0.5) / _BINS_PER_DOUBLING)) / 1e6


def _at_most(bounds: Bounds) -> str:
    return seconds(bounds.high_s) if bounds.known else f"at most {seconds(bounds.high_s)}"
