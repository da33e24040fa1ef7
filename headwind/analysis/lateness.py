"""Late answers, counted again for another threshold than the source's."""

from __future__ import annotations

from dataclasses import replace

from headwind.run import Run


def with_late_threshold(run: Run, threshold_s: float) -> Run:
    """The run with `late` counted above `threshold_s`; None where the source cannot tell.

    An exact histogram counts every answer; with wrk's text alone only its own timeout, or a maximum below the threshold
    and no timeout, gives the number.
    """
    return replace(run, late_threshold_s=threshold_s, late=_late(run, threshold_s))


def _late(run: Run, threshold_s: float) -> int | None:
    histogram = run.histogram
    if histogram is not None and (not histogram.late or (histogram.limit_us or 0) >= threshold_s * 1e6):
        above = zip(histogram.values_us, histogram.counts, strict=True)
        return histogram.late + sum(count for value, count in above if value > threshold_s * 1e6)
    if run.tool != "wrk":
        return run.late if run.late_threshold_s == threshold_s else None
    if run.late_threshold_s == threshold_s:
        return run.late
    highest = run.latency.max_s if run.latency else None
    if run.errors.timeout == 0 and highest is not None and highest < threshold_s:
        return 0
    return None
