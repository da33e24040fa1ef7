"""Pictures that compare: runs side by side, and ratios to a baseline with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from headwind import words
from headwind.histogram import percentile_key
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

# More rows than this cannot carry a name each; the table under the picture has them all.
NAMED_ROWS = 40
_ROW_HEIGHT = 24
_LINE_PAINTS = ("measured", "corrected", "memory", "better", "failed", "unknown")


def runs_figure(names: Sequence[str], rates_per_s: Sequence[float | None]) -> Figure | None:
    """Requests per second of every run, as bars while there is room for names, else as a row of dots."""
    rows = [
        {"place": place, "name": name, "rate": rate}
        for place, (name, rate) in enumerate(zip(names, rates_per_s, strict=True), start=1)
        if rate is not None
    ]
    if not rows:
        return None
    best, least = max(rows, key=_rate), min(rows, key=_rate)
    draw = _bars if len(rows) <= NAMED_ROWS else _dots
    return Figure(
        "runs",
        "Requests per second",
        f"Requests per second of {len(rows)} runs, from {words.rate(_rate(least))} (run {least['name']}) "
        f"to {words.rate(_rate(best))} (run {best['name']}).",
        (Panel(lambda width: draw(rows, width)),),
        "Single runs: they show what was measured, not whether a difference would come again.",
        whole=True,
    )


def percentiles_figure(curves: Mapping[str, Mapping[float, float]]) -> Figure | None:
    """Latency of several runs at the percentiles (0..100) that each of them proves, by run's name; None where no run
    proves any, or where there are more runs than lines that can be told apart."""
    drawn = {name: curve for name, curve in curves.items() if curve}
    if not drawn or len(curves) > len(_LINE_PAINTS):
        return None
    rows = [
        {"tail": 100 / (100 - percent), "seconds": value, "run": name}
        for name, curve in drawn.items()
        for percent, value in sorted(curve.items())
        if percent < 100 and value > 0
    ]
    told = [
        f"{name} p50 {words.seconds(c.get(50))}, p99 {words.seconds(c.get(99))}" for name, c in drawn.items()
    ]
    shown = sorted({percent for curve in drawn.values() for percent in curve})
    missing = [name for name in curves if name not in drawn]
    note = f"Of {', '.join(missing)} no percentile is known." if missing else ""
    return Figure(
        "run-percentiles",
        "Latency by percentile",
        f"Latency by percentile: {'; '.join(told)}.",
        (Panel(lambda width: _lines(rows, list(drawn), width)),),
        f"Each dot is a percentile that its run proves; what a run leaves unknown is not drawn. {note}".strip(),
        ("Percentile", *drawn),
        tuple(
            (f"p{percentile_key(percent)}", *(words.seconds(curve.get(percent)) for curve in drawn.values()))
            for percent in shown
        ),
        whole=True,
    )


def _lines(rows: list[dict[str, Any]], names: list[str], width: int) -> Drawing:
    right = max(2.0, *(row["tail"] for row in rows))
    low, high = min(row["seconds"] for row in rows) * 0.8, max(row["seconds"] for row in rows) * 1.25
    x = alt.X(
        "tail:Q",
        scale=alt.Scale(type="log", domain=[1, right], nice=False),
        axis=alt.Axis(values=tail_ticks(right), labelExpr=TAIL_LABEL, title=None, grid=True),
    )
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(title=None, labelExpr=duration_axis(), values=log_ticks(low, high), minExtent=52),
    )
    paints = [colour(paint) for paint in _LINE_PAINTS[: len(names)]]
    # Names may be long: one under the other fits a phone.
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", columns=1, labelLimit=width - 90)
    paint = alt.Color("run:N", scale=alt.Scale(domain=names, range=paints), legend=legend)
    base = alt.Chart(data(rows)).encode(x=x, y=y, color=paint)
    return alt.layer(base.mark_line(), base.mark_point(filled=True, size=46, opacity=1)).properties(
        width=width, height=260
    )


def _rate(row: dict[str, Any]) -> float:
    return float(row["rate"])


def _bars(rows: list[dict[str, Any]], width: int) -> Drawing:
    y = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelLimit=width // 3, grid=False))
    x = alt.X("rate:Q", axis=alt.Axis(title=None, tickCount=4, format=",~r", grid=True))
    base = alt.Chart(data(rows)).encode(y=y)
    return alt.layer(
        base.mark_bar(fill=colour("measured"), height={"band": 0.6}).encode(x=x),
    ).properties(width=width, height=_ROW_HEIGHT * len(rows) + 6)


def _dots(rows: list[dict[str, Any]], width: int) -> Drawing:
    return (
        alt.Chart(data(rows))
        .mark_point(filled=True, fill=colour("measured"), size=22, opacity=1)
        .encode(
            x=alt.X(
                "place:Q",
                axis=alt.Axis(title="run", tickMinStep=1, format="~r", tickCount=6),
                scale=alt.Scale(nice=False),
            ),
            y=alt.Y(
                "rate:Q",
                axis=alt.Axis(title=None, tickCount=4, format=",~r", minExtent=52),
                scale=alt.Scale(zero=True),
            ),
        )
        .properties(width=width, height=260)
    )
