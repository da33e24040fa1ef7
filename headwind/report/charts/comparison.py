"""Pictures that compare: runs side by side, and ratios to a baseline with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from headwind import words
from headwind.report.charts.figure import Drawing, Figure, Panel, colour, data
from headwind.report.tables import run_names
from headwind.run import Run

# More rows than this cannot carry a name each; the table under the picture has them all.
NAMED_ROWS = 40
_ROW_HEIGHT = 24


def runs_figure(runs: Sequence[Run], sources: Sequence[str] | None = None) -> Figure | None:
    """Requests per second of every run, as bars while there is room for names, else as a row of dots."""
    rows = [
        {"place": place, "name": name, "rate": run.requests_per_s}
        for place, (name, run) in enumerate(zip(run_names(runs, sources), runs, strict=True), start=1)
        if run.requests_per_s is not None
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
