"""Pictures of latency: the percentile curve, as measured and as wrk corrected it, and the histogram."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np

from headwind import words
from headwind.histogram import Histogram, percentile_key
from headwind.report.charts.figure import (
    TAIL_LABEL,
    Drawing,
    Figure,
    Panel,
    colour,
    data,
    duration_axis,
    log_ticks,
    tail_ticks,
)
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Run

CURVE_POINTS = 220
HISTOGRAM_BINS = 48
CHART_HEIGHT = 250
LEAST_BAR = 3  # pixels: a bin that holds anything is seen
TABLE_SHARES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Answers whose latency is only known to exceed `above_s`: the last `share` (0..1) of all of them."""

    share: float
    above_s: float


@dataclass(frozen=True, slots=True)
class Curve:
    """(share, seconds) pairs, ascending: `points` to draw, `table` at the shares that people quote."""

    name: str
    points: tuple[tuple[float, float], ...]
    table: dict[float, float]


def unknown_of(run: Run) -> Unknown | None:
    """What the source cut off the latency's tail; None where every answer has a latency."""
    histogram = run.histogram
    if histogram is not None:
        if not histogram.late:
            return None
        limit_s = histogram.limit_us / 1e6 if histogram.limit_us else run.timeout_s
        known = max(histogram.ranked(), default=0)
        return Unknown((histogram.total - known) / histogram.total, limit_s or WRK_DEFAULT_TIMEOUT_S)
    if run.tool != "wrk" or not run.errors.timeout or not run.requests:
        return None
    return Unknown(min(1.0, run.errors.timeout / run.requests), run.timeout_s or WRK_DEFAULT_TIMEOUT_S)


def redo_correction(histogram: Histogram) -> Histogram:
    """The histogram as wrk prints from it: each value n >= 2E adds samples at n-E, n-2E, ... while above E.

    The inverse of `headwind.histogram.undo_correction`: corrected[v] = raw[v] + corrected[v+E] for v > E.
    """
    step = histogram.expected_interval_us
    if step <= 0 or not histogram.values_us or histogram.values_us[-1] < 2 * step:
        return histogram
    chains = np.zeros((-(-(histogram.values_us[-1] + 1) // step), step), dtype=np.int64)
    dense = chains.reshape(-1)
    dense[list(histogram.values_us)] = histogram.counts
    summed = np.cumsum(chains[::-1], axis=0)[::-1].reshape(-1)
    dense[step + 1 :] = summed[step + 1 :]
    kept = np.flatnonzero(dense)
    return Histogram(
        tuple(kept.tolist()), tuple(dense[kept].tolist()), histogram.late, histogram.limit_us, step
    )


def _nearest_rank(histogram: Histogram, shares: list[float]) -> list[tuple[float, float]]:
    """`Histogram.percentile_s` for many shares (0..1) at once; shares whose answer may have been late are left out."""
    cumulative = np.asarray(histogram.ranked(), dtype=np.int64)
    ranks = np.maximum(1, np.ceil(np.round(np.asarray(shares) * histogram.total, 6)))
    places = np.searchsorted(cumulative, ranks)
    return [
        (share, histogram.values_us[place] / 1e6)
        for share, place in zip(shares, places.tolist(), strict=True)
        if place < len(cumulative)
    ]


def _curve(name: str, histogram: Histogram) -> Curve:
    tails = np.geomspace(1.0, max(2.0, float(histogram.total)), CURVE_POINTS)
    # A quotable percentile needs at least one answer above it.
    quotable = [share for share in TABLE_SHARES if (1 - share) * histogram.total >= 1]
    return Curve(
        name,
        tuple(_nearest_rank(histogram, (1 - 1 / tails).tolist())),
        dict(_nearest_rank(histogram, quotable)),
    )


def curves_of(run: Run) -> tuple[Curve, ...]:
    """As measured and, where wrk's correction changed anything, as wrk prints; else the printed percentiles."""
    if run.histogram is not None and run.histogram.counts:
        corrected = redo_correction(run.histogram)
        measured = _curve("measured", run.histogram)
        if corrected is run.histogram:
            return (measured,)
        # wrk's percentiles are of what it recorded: the late answers are in none of them.
        return (measured, _curve("as wrk prints", replace(corrected, late=0)))
    printed = run.latency.percentiles_s if run.latency else {}
    points = sorted((float(key) / 100, value) for key, value in printed.items() if float(key) < 100)
    return (Curve("as printed", tuple(points), dict(points)),) if points else ()


def percentile_figure(run: Run) -> Figure | None:
    """Latency against percentile, the tail stretched (log of 1 - p); None where the source holds neither."""
    unknown, curves = unknown_of(run), curves_of(run)
    if not curves and unknown is None:
        return None
    return Figure(
        "percentiles",
        "Latency by percentile",
        _summary(curves, unknown),
        (Panel(lambda width: _percentile_chart(curves, unknown, width)),),
        _note(run, curves, unknown),
        ("Percentile", *(curve.name.capitalize() for curve in curves)),
        _rows(curves, unknown),
    )


def _note(run: Run, curves: tuple[Curve, ...], unknown: Unknown | None) -> str:
    parts = []
    if len(curves) > 1:
        parts.append(
            "Measured: every answer once. As wrk prints: with the synthetic samples that it adds for requests "
            "which a slow answer kept from being sent."
        )
    elif curves and run.histogram is None and run.tool == "wrk":
        parts.append("As wrk printed them, synthetic samples included; the exact histogram was not recorded.")
    if unknown and not curves:
        parts.append("No percentile was printed: of the latencies only these two fields are known.")
    if unknown and curves and curves[-1].name != "measured":
        parts.append(f"Printed figures leave out the {words.share(unknown.share)} that came too late.")
    return " ".join(parts)


def _summary(curves: tuple[Curve, ...], unknown: Unknown | None) -> str:
    parts = []
    for curve in curves:
        told = [
            f"p{percentile_key(share * 100)} {words.seconds(curve.table[share])}"
            for share in (0.5, 0.99)
            if share in curve.table
        ]
        parts += [f"{curve.name}: {', '.join(told)}"] if told else []
    if unknown:
        known = words.number((1 - unknown.share) * 100)
        parts.append(
            f"every percentile above {known} is unknown, but more than {words.seconds(unknown.above_s)}"
        )
    return f"Latency by percentile; {'; '.join(parts)}."


def _rows(curves: tuple[Curve, ...], unknown: Unknown | None) -> tuple[tuple[str, ...], ...]:
    shares = {share for curve in curves for share in curve.table}
    if unknown:
        shares |= {share for share in TABLE_SHARES[:5] if share > 1 - unknown.share}
    rows = []
    for share in sorted(shares):
        cells = []
        for curve in curves or (Curve("latency", (), {}),):
            late = unknown is not None and share > 1 - unknown.share
            missing = f"unknown, above {words.seconds(unknown.above_s)}" if unknown and late else "unknown"
            cells.append(words.seconds(curve.table[share]) if share in curve.table else missing)
        rows.append((f"p{percentile_key(share * 100)}", *cells))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the axes span: tails 1 / (1 - share) from 1 to `right`, seconds from `bottom` to `top`."""

    right: float
    bottom: float
    top: float


def _frame(curves: tuple[Curve, ...], unknown: Unknown | None) -> Frame:
    last = max([share for curve in curves for share, _ in curve.points], default=0.5)
    # The fastest hundredth would take half of a logarithmic axis and answer no question.
    seconds = [value for curve in curves for share, value in curve.points if share >= 0.01 and value > 0]
    right = 1 / max(1 - last, 1e-9)
    if unknown:
        # Room to see the field and to read what stands in it.
        right = max(right, 12 / unknown.share)
        seconds += [unknown.above_s, unknown.above_s * (1.5 if curves else 2.5)]
        seconds += [] if curves else [unknown.above_s / 2.5]
    bottom, top = min(seconds, default=1e-3), max(seconds, default=1.0)
    return Frame(max(right, 2.0), bottom * 0.8, max(top * 1.25, bottom * 2))


def _percentile_chart(curves: tuple[Curve, ...], unknown: Unknown | None, width: int) -> Drawing:
    frame = _frame(curves, unknown)
    x = alt.X(
        "tail:Q",
        scale=alt.Scale(type="log", domain=[1, frame.right], nice=False),
        axis=alt.Axis(values=tail_ticks(frame.right), labelExpr=TAIL_LABEL, title=None, grid=True),
    )
    ticks = log_ticks(frame.bottom, frame.top)
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[frame.bottom, frame.top], nice=False),
        axis=alt.Axis(title=None, labelExpr=duration_axis(), values=ticks, minExtent=52),
    )
    names = [curve.name for curve in curves]
    paints = [colour("corrected" if name == "as wrk prints" else "measured") for name in names]
    rows = [
        {"tail": 1 / (1 - share), "seconds": value, "curve": curve.name}
        for curve in curves
        for share, value in curve.points
        if value >= frame.bottom
    ]
    legend = alt.Legend(title=None, orient="top", symbolType="stroke") if len(names) > 1 else None
    paint = alt.Color("curve:N", scale=alt.Scale(domain=names, range=paints), legend=legend)
    base = alt.Chart(data(rows)).encode(x=x, y=y, color=paint)
    layers = _fields(curves, unknown, frame) if unknown else []
    layers.append(base.mark_line())
    if curves and curves[0].name == "as printed":
        layers.append(base.mark_point(filled=True, size=46, opacity=1))
    return alt.layer(*layers).properties(width=width, height=CHART_HEIGHT)


def _fields(curves: tuple[Curve, ...], unknown: Unknown, frame: Frame) -> list[Drawing]:
    """The part of the curve nobody measured: a field from the limit up, not a line. Where nothing else is known of
    the other answers, a second field holds them: they came within the limit."""
    start, limit = min(1 / max(unknown.share, 1e-9), frame.right), words.seconds(unknown.above_s)
    fields = [(start, frame.right, unknown.above_s, frame.top, f"unknown, above {limit}")]
    if not curves:
        fields.append((1.0, start, frame.bottom, unknown.above_s, f"within {limit}"))
    layers: list[Drawing] = []
    for left, right, low, high, label in fields:
        row = {"tail": left, "right": right, "seconds": low, "top": high}
        middle: dict[str, Any] = {
            "tail": (left * right) ** 0.5,
            "seconds": (low * high) ** 0.5,
            "label": label,
        }
        x, y = alt.X("tail:Q"), alt.Y("seconds:Q")
        shade = colour("unknown-soft") if low == unknown.above_s else "transparent"
        layers += [
            alt.Chart(data([row]))
            .mark_rect(fill=shade, stroke=colour("unknown"), strokeDash=[3, 3])
            .encode(x=x, x2="right:Q", y=y, y2="top:Q"),
            alt.Chart(data([middle])).mark_text(color=colour("chart-muted")).encode(x=x, y=y, text="label:N"),
        ]
    return layers


def histogram_figure(run: Run) -> Figure | None:
    """Share of the answers by latency, in bins of equal width on a log scale; None without a histogram."""
    histogram = run.histogram
    if histogram is None or not histogram.counts:
        return None
    bins = _bins(histogram)
    fullest = max(bins, key=lambda row: row["share"])
    late = histogram.late / histogram.total
    summary = (
        f"Histogram of {words.number(histogram.recorded)} latencies from {words.seconds(histogram.values_us[0] / 1e6)} "
        f"to {words.seconds(histogram.values_us[-1] / 1e6)}; the fullest bin, {words.share(fullest['share'])} of the "
        f"answers, lies between {words.seconds(fullest['low'])} and {words.seconds(fullest['high'])}."
    )
    note = (
        f"{words.share(late)} of the answers came too late to be recorded and are in no bar. " if late else ""
    )
    return Figure(
        "histogram",
        "How the latencies are spread",
        summary,
        (Panel(lambda width: _histogram_chart(bins, width)),),
        f"{note}A bin with any answer is drawn at least {LEAST_BAR} pixels high.",
        ("From", "To", "Share of the answers"),
        tuple(
            (words.seconds(row["low"]), words.seconds(row["high"]), words.share(row["share"]))
            for row in bins
            if row["share"]
        ),
    )


def _bins(histogram: Histogram) -> list[dict[str, float]]:
    values = np.asarray(histogram.values_us, dtype=float)
    low, high = max(values[0], 1.0), max(values[-1], values[0] * 1.05, 2.0)
    edges = np.geomspace(low * 0.999, high * 1.001, HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(np.maximum(values, low), bins=edges, weights=np.asarray(histogram.counts))
    return [
        {"low": float(left) / 1e6, "high": float(right) / 1e6, "share": float(count) / histogram.total}
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def _histogram_chart(bins: list[dict[str, float]], width: int) -> Drawing:
    low, high = bins[0]["low"], bins[-1]["high"]
    x = alt.X(
        "low:Q",
        scale=alt.Scale(type="log", nice=False, domain=[low, high]),
        axis=alt.Axis(title=None, labelExpr=duration_axis(), values=log_ticks(low, high), labelOverlap=True),
    )
    y = alt.Y("share:Q", axis=alt.Axis(title=None, format="~%", tickCount=4, minExtent=52))
    bars: dict[str, Any] = {"fill": colour("measured"), "stroke": colour("chart-paper"), "strokeWidth": 0.6}
    full = alt.Chart(data(bins)).mark_rect(**bars).encode(x=x, x2="high:Q", y=y, y2=alt.datum(0))
    # A stall may be one answer in a thousand: too low to see, and what one looks for.
    low_bar = max(row["share"] for row in bins) * LEAST_BAR / CHART_HEIGHT
    some = [row for row in bins if 0 < row["share"] < low_bar]
    least = {"y": alt.value(CHART_HEIGHT - LEAST_BAR), "y2": alt.value(CHART_HEIGHT)}
    seen = alt.Chart(data(some)).mark_rect(**bars).encode(x=x, x2="high:Q", **least)
    return alt.layer(full, seen).properties(width=width, height=CHART_HEIGHT)
