"""Pictures of load patterns: what was answered and how fast, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt

from headwind import words
from headwind.report.charts.figure import Drawing, Figure, Panel, colour, data, duration_axis, log_ticks

_PAINTS = ("measured", "corrected", "memory", "better", "failed", "unknown")
_PERCENTILES = {"p50": [1, 0], "p95": [5, 4]}


def stages_figure(stages: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Answers per second, p50 and p95 of every stage; None where there is but one, or too many servers for colours.

    A stage holds `name`, `test`, `server`, `endpoint` ("all": the whole stage), `requests`, `fails`, `length_s` and
    `p50_s`, `p95_s` (None: nothing was answered). Stages stand in the order in which they ran; servers, which ran the
    same stages one after the other, are told apart by colour.
    """
    rows = [_row(stage) for stage in stages if stage.get("endpoint") == "all"]
    servers = list(dict.fromkeys(row["server"] for row in rows))
    if len(rows) < 2 or len(servers) > len(_PAINTS):
        return None
    times = [
        {"stage": row["stage"], "server": row["server"], "percentile": name, "seconds": row[name]}
        for row in rows
        for name in _PERCENTILES
        if row[name]
    ]
    several = len(servers) > 1
    return Figure(
        "stages",
        "Stage by stage",
        f"Good answers per second, p50 and p95 of {len(rows)} stages"
        + (f" on {', '.join(servers)}." if several else "."),
        tuple(_panels(rows, times, servers)),
        "A stage has the requests that became due in it, whenever they were answered.",
        ("Stage", "Server", "Good answers/s", "p50", "p95"),
        tuple(
            (
                row["stage"],
                row["server"],
                words.number(row["rate"]),
                words.seconds(row["p50"]),
                words.seconds(row["p95"]),
            )
            for row in rows
        ),
        whole=True,
    )


def _panels(
    rows: Sequence[dict[str, Any]], times: Sequence[dict[str, Any]], servers: Sequence[str]
) -> Iterator[Panel]:
    several = len(servers) > 1
    yield Panel(
        lambda width: _rates(rows, servers, width),
        "Good answers per second",
        f"Good answers per second: {_told(rows, several, lambda row: words.number(row['rate']))}.",
    )
    if times:
        yield Panel(
            lambda width: _times(times, servers, width),
            "p50 (solid) and p95 (dashed)",
            f"p95: {_told(rows, several, lambda row: words.seconds(row['p95']))}.",
        )


def _row(stage: Mapping[str, Any]) -> dict[str, Any]:
    length_s = float(stage["length_s"])
    good = int(stage["requests"]) - int(stage["fails"])
    test, name = str(stage["test"]), str(stage["name"])
    return {
        "stage": name if test == name else f"{test}: {name}",
        "server": str(stage["server"]),
        "rate": good / length_s if length_s else 0.0,
        "p50": stage["p50_s"],
        "p95": stage["p95_s"],
    }


def _told(rows: Sequence[Mapping[str, Any]], several: bool, figure: Any) -> str:
    return ", ".join(
        f"{row['stage']}{' on ' + row['server'] if several else ''} {figure(row)}" for row in rows
    )


def _stage_axis(width: int) -> alt.X:
    return alt.X(
        "stage:N",
        sort=None,
        scale=alt.Scale(type="point", padding=0.4),
        axis=alt.Axis(title=None, labelAngle=0, labelLimit=max(60, width // 5), labelOverlap=True),
    )


def _server_colour(servers: Sequence[str], width: int) -> alt.Color:
    paints = [colour(paint) for paint in _PAINTS[: len(servers)]]
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", labelLimit=width - 90)
    return alt.Color(
        "server:N",
        scale=alt.Scale(domain=list(servers), range=paints),
        legend=legend if len(servers) > 1 else None,
    )


def _rates(rows: Sequence[dict[str, Any]], servers: Sequence[str], width: int) -> Drawing:
    y = alt.Y(
        "rate:Q",
        axis=alt.Axis(title=None, tickCount=4, format=",~r", minExtent=52),
        scale=alt.Scale(zero=True),
    )
    base = alt.Chart(data(rows)).encode(x=_stage_axis(width), y=y, color=_server_colour(servers, width))
    return alt.layer(base.mark_line(), base.mark_point(filled=True, size=50, opacity=1)).properties(
        width=width, height=180
    )


def _times(rows: Sequence[dict[str, Any]], servers: Sequence[str], width: int) -> Drawing:
    low, high = min(row["seconds"] for row in rows) * 0.8, max(row["seconds"] for row in rows) * 1.25
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(title=None, labelExpr=duration_axis(), values=log_ticks(low, high), minExtent=52),
    )
    paint = _server_colour(servers, width)
    layers = []
    for name, dash in _PERCENTILES.items():
        own = [row for row in rows if row["percentile"] == name]
        base = alt.Chart(data(own)).encode(x=_stage_axis(width), y=y, color=paint)
        layers += [base.mark_line(strokeDash=dash), base.mark_point(filled=True, size=50, opacity=1)]
    return alt.layer(*layers).properties(width=width, height=220)
