"""What a run proves about a percentile of all its answers, late ones included: exactly, within bounds, or nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headwind.analysis import closed_loop
from headwind.analysis.context import MAX_SLACK, Context
from headwind.histogram import percentile_key
from headwind.quick import quick


@quick
@dataclass(frozen=True, slots=True)
class Bounds:
    """A quantity between `low_s` and `high_s` seconds (infinite where nothing bounds it); equal when it is known."""

    low_s: float
    high_s: float
    source: str

    @property
    def known(self) -> bool:
        return self.low_s == self.high_s


def of(context: Context, percent: float) -> Bounds:
    """Bounds of the percentile as measured.

    From an exact histogram: the value, or above the limit. From wrk's text: the p-th percentile of all answers is the
    p*N/(N-T)-th of the recorded ones, between the nearest printed figures; where wrk may have added synthetic samples
    (Max >= 2E) the printed percentiles bound the measured ones only as `_behind_correction` derives. Other
    tools print percentiles of all their answers: the value where that percentile is printed, the neighbours else; a
    request given up at its time-out stands above all of them where the tool leaves it out.
    """
    run = context.run
    if run.histogram is not None:
        value = run.histogram.percentile_s(percent)
        if value is not None:
            return Bounds(value, value, "exact histogram")
        if run.histogram.total:
            limit = run.histogram.limit_us
            return Bounds(limit / 1e6 if limit is not None else 0.0, math.inf, "later than the timeout")
    if context.wrk:
        return _of_wrk(context, percent)
    if run.latency is None:
        return Bounds(0.0, math.inf, "the source gives no latencies")
    given_up = run.given_up()
    if given_up:
        rank = closed_loop.recorded_percent(percent, context.requests + given_up, given_up)
        if rank is None:
            return Bounds(run.latency.max_s or 0.0, math.inf, "among the requests given up at their time-out")
        return _between(_printed(context), rank, f"printed percentiles, {given_up} time-outs above them")
    printed = run.latency.percentiles_s.get(percentile_key(percent))
    if percent == 100.0 and run.latency.max_s is not None:
        printed = run.latency.max_s
    if printed is not None:
        return Bounds(printed, printed, f"printed percentiles, {percentile_key(percent)}th")
    return _between(_printed(context), percent, "printed percentiles")


def _of_wrk(context: Context, percent: float) -> Bounds:
    if context.run.latency is None:
        return Bounds(0.0, math.inf, "the source gives no latencies")
    rank: float | None = percent
    if not context.timeouts_count_answers and context.run.errors.timeout:
        return Bounds(0.0, math.inf, "the timeouts of this wrk do not count answers")
    if context.run.errors.timeout is None:
        return Bounds(0.0, math.inf, "the text is cut before the count of timeouts")
    if context.cut:
        rank = closed_loop.recorded_percent(percent, context.requests, context.cut)
        if rank is None:
            top = context.run.latency.max_s or 0.0
            return Bounds(
                max(top, context.limit_s or 0.0), math.inf, "among the answers later than the timeout"
            )
    knots = _printed(context)
    source = "'Latency Distribution'"
    if context.as_measured is not True:
        knots = _behind_correction(context, knots)
        source = "'Latency Distribution', with wrk's correction bounded"
    return _between(knots, rank if rank is not None else percent, source)


def _printed(context: Context) -> list[tuple[float, float, float]]:
    """(percent, at least, at most) of the printed figures, ascending; the maximum is the 100th percentile."""
    latency = context.run.latency
    if latency is None:
        return []
    knots = [(float(key), value, value) for key, value in latency.percentiles_s.items()]
    if latency.max_s is not None:
        knots.append((100.0, latency.max_s, latency.max_s))
    if latency.min_s is not None:
        knots.append((0.0, latency.min_s, latency.min_s))
    return sorted(knots)


def _behind_correction(
    context: Context, printed: list[tuple[float, float, float]]
) -> list[tuple[float, float, float]]:
    """What wrk's corrected percentiles say about the measured ones.

    wrk adds to every latency n >= 2E at most n/E - 1 samples below it. All latencies together are at most c * runtime,
    and E >= c * runtime / N, so at most N samples are added to the N - T measured ones: at most
    (100 - q) (1 + N / (N - T)) % of these lie above the printed q-th percentile v. Each measured answer above v brings
    at most k = floor((Max - v) / E) samples above v, so at least (100 - q) / (1 + k) % of them do. Max is measured.
    """
    latency, interval = context.run.latency, context.interval_s
    if latency is None or latency.max_s is None or not interval or context.little_s is None:
        return [knot for knot in printed if knot[0] == 100.0]
    added = context.requests / (context.requests - context.cut)
    knots = []
    for percent, value, _ in printed:
        if percent == 100.0:
            knots.append((percent, value, value))
            continue
        above = 100.0 - percent
        chain = math.floor((latency.max_s * MAX_SLACK - value) / interval) + 1
        knots.append((100.0 - above / chain, value, math.inf))
        knots.append((max(0.0, 100.0 - above * (1 + added)), 0.0, value))
    return sorted(knots)


def _between(knots: list[tuple[float, float, float]], percent: float, source: str) -> Bounds:
    low, high = 0.0, math.inf
    for at, least, most in knots:
        if at <= percent:
            low = max(low, least)
        if at >= percent:
            high = min(high, most)
    if low >= high:
        # A tool that rounds its percentiles can print a maximum below one of them.
        high = low
        return Bounds(low, high, f"{source}, {percentile_key(percent)}th")
    return Bounds(low, high, source)
