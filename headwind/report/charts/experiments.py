"""Pictures of experiments: ratios with their intervals, latency against offered rate, and the closed-loop ladder."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from headwind import words
from headwind.report.charts.figure import (
    Drawing,
    Figure,
    Panel,
    colour,
    data,
    duration_axis,
    log_ticks,
)

_ROW_HEIGHT = 34
_VERDICTS = {"better": "better", "worse": "failed", "equivalent": "measured", "undecided": "unknown"}


def ratio_figure(rows: Sequence[Mapping[str, Any]], baseline: str, margin: float) -> Figure | None:
    """Each configuration's throughput over the baseline's, with its interval; None without rows.

    A row holds `name`, `ratio`, `low`, `high` (low and high None while unknown) and `verdict`. `margin` 0.03 shades
    what was declared equivalent beforehand.
    """
    if not rows:
        return None
    told = [
        f"{row['name']}: {_ratio(row)}, {row['verdict']}"
        for row in sorted(rows, key=lambda row: -row["ratio"])
    ]
    return Figure(
        "ratios",
        f"Throughput beside {baseline}",
        f"Throughput as a ratio to {baseline}, with 95 % intervals. {'; '.join(told)}.",
        (Panel(lambda width: _ratio_chart(rows, margin, width)),),
        f"A dot is the ratio, its line the 95 % interval. The shaded band is ±{words.share(margin)}: equivalent, "
        "as declared before the first trial.",
        ("Configuration", "Ratio", "From", "To", "Verdict"),
        tuple(
            (
                str(row["name"]),
                words.number(row["ratio"], 4),
                words.number(row["low"], 4),
                words.number(row["high"], 4),
                str(row["verdict"]),
            )
            for row in rows
        ),
        whole=True,
    )


def _ratio(row: Mapping[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return f"{words.number(row['ratio'])} (interval unknown)"
    return f"{words.number(row['ratio'])} ({words.number(row['low'])} to {words.number(row['high'])})"


def _ratio_chart(rows: Sequence[Mapping[str, Any]], margin: float, width: int) -> Drawing:
    known = [
        {
            "name": str(row["name"]),
            "ratio": row["ratio"],
            "low": row["low"] if row["low"] is not None else row["ratio"],
            "high": row["high"] if row["high"] is not None else row["ratio"],
            "verdict": str(row["verdict"]),
        }
        for row in rows
    ]
    low = min(1 - margin, *(row["low"] for row in known)) * 0.93
    high = max(1 + margin, *(row["high"] for row in known)) * 1.08
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X(
        "ratio:Q",
        scale=scale,
        axis=alt.Axis(title=None, format=".3~g", tickCount=6, grid=True),
    )
    y = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelLimit=width // 3, grid=False))
    verdicts = list(_VERDICTS)
    paint = alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=verdicts, range=[colour(_VERDICTS[one]) for one in verdicts]),
        legend=None,
    )
    band = alt.Chart(data([{"ratio": 1 / (1 + margin), "end": 1 + margin}])).mark_rect(
        fill=colour("unknown-soft")
    )
    base = alt.Chart(data(known)).encode(y=y, color=paint)
    label = base.mark_text(dy=-12).encode(x=x, text="verdict:N")
    return alt.layer(
        band.encode(x=x, x2="end:Q"),
        alt.Chart(data([{"ratio": 1}])).mark_rule(stroke=colour("chart-muted")).encode(x=x),
        base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=x),
        label,
    ).properties(width=width, height=_ROW_HEIGHT * len(known) + 10)


_OUTCOMES = {True: "held", False: "failed", None: "not judged"}


def capacity_figure(
    steps: Sequence[Mapping[str, Any]],
    *,
    objective: str,
    objective_s: float | None,
    capacity_per_s: float | None,
    ceiling_per_s: float | None,
    interval_per_s: tuple[float, float] | None = None,
) -> Figure | None:
    """Latency against offered rate; None without steps.

    A step holds `rate_per_s`, `p50_s`, `p99_s` (None: unknown) and `held` (True, False or None: not judged).
    `objective_s` is the objective's limit where it is a latency; `capacity_per_s` the highest rate that held it, and
    `interval_per_s` what surrounds it; `ceiling_per_s` the most that was ever answered.
    """
    rows = sorted(steps, key=lambda step: float(step["rate_per_s"]))
    points = [
        {"rate": row["rate_per_s"], "seconds": row[f"{name}_s"], "percentile": name}
        for row in rows
        for name in ("p50", "p99")
        if row.get(f"{name}_s")
    ]
    if not points:
        return None
    lines = [
        {"rate": value, "label": label}
        for label, value in (("capacity", capacity_per_s), ("ceiling", ceiling_per_s))
        if value is not None
    ]
    return Figure(
        "capacity",
        "Latency against offered rate",
        _capacity_summary(rows, objective, capacity_per_s, ceiling_per_s),
        (Panel(lambda width: _capacity_chart(points, lines, objective, objective_s, interval_per_s, width)),),
        "Requests came by a schedule, and latency counts from the moment each was due. Each dot is a step; the lines "
        "join the medians of steps at one rate."
        + (" The shaded band is the capacity's interval." if interval_per_s else ""),
        ("Offered", "p50", "p99", objective),
        tuple(
            (
                words.rate(row["rate_per_s"]),
                words.seconds(row.get("p50_s")),
                words.seconds(row.get("p99_s")),
                _OUTCOMES[row.get("held")],
            )
            for row in rows
        ),
        whole=True,
    )


def _capacity_summary(
    rows: Sequence[Mapping[str, Any]],
    objective: str,
    capacity_per_s: float | None,
    ceiling_per_s: float | None,
) -> str:
    found = "not found" if capacity_per_s is None else words.rate(capacity_per_s)
    ceiling = f"; the ceiling is {words.rate(ceiling_per_s)}" if ceiling_per_s else ""
    return (
        f"p50 and p99 at {len(rows)} offered rates up to {words.rate(rows[-1]['rate_per_s'])}; the highest rate that "
        f"holds {objective} is {found}{ceiling}."
    )


def _capacity_chart(
    points: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    objective: str,
    objective_s: float | None,
    interval_per_s: tuple[float, float] | None,
    width: int,
) -> Drawing:
    right = max([row["rate"] for row in (*points, *lines)]) * 1.1
    seconds = [row["seconds"] for row in points] + ([objective_s] if objective_s else [])
    low, high = min(seconds) * 0.7, max(seconds) * 1.5
    x = alt.X(
        "rate:Q",
        scale=alt.Scale(domain=[0, right], nice=False),
        axis=alt.Axis(title="requests offered per second", format=",~r", tickCount=6, grid=True),
    )
    y = alt.Y(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(title=None, labelExpr=duration_axis(), values=log_ticks(low, high), minExtent=52),
    )
    paint = alt.Color(
        "percentile:N",
        scale=alt.Scale(domain=["p50", "p99"], range=[colour("measured"), colour("corrected")]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke"),
    )
    base = alt.Chart(data(points)).encode(x=x, y=y, color=paint)
    layers: list[Drawing] = []
    if interval_per_s is not None:
        band = alt.Chart(data([{"rate": interval_per_s[0], "end": interval_per_s[1]}]))
        layers.append(band.mark_rect(fill=colour("unknown-soft")).encode(x=x, x2="end:Q"))
    if objective_s is not None:
        row = data([{"seconds": objective_s, "rate": 0, "label": objective}])
        layers.append(alt.Chart(row).mark_rule(stroke=colour("failed"), strokeDash=[5, 4]).encode(y=y))
        text = alt.Chart(row).mark_text(align="left", dx=6, dy=-8, color=colour("failed"))
        layers.append(text.encode(x=x, y=y, text="label:N"))
    if lines:
        marks = alt.Chart(data([{**row, "seconds": high} for row in lines]))
        layers.append(marks.mark_rule(stroke=colour("chart-muted"), strokeDash=[2, 3]).encode(x=x))
        for place, line in enumerate(lines):
            # Capacity and ceiling may be close: one label left of its line, the other right of it.
            side: dict[str, Any] = {"align": "left", "dx": 5} if place else {"align": "right", "dx": -5}
            text = alt.Chart(data([{**line, "seconds": high}])).mark_text(
                baseline="top", dy=2, color=colour("chart-muted"), **side
            )
            layers.append(text.encode(x=x, y=y, text="label:N"))
    middle = alt.Chart(data(_medians(points))).encode(x=x, y=y, color=paint)
    layers += [middle.mark_line(), base.mark_point(filled=True, size=44, opacity=1)]
    return alt.layer(*layers).properties(width=width, height=280)


def _medians(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One point a percentile and rate; rates within one per cent are one, for a search comes back to them."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for point in points:
        step = round(math.log(point["rate"]) / math.log(1.01))
        groups.setdefault((point["percentile"], step), []).append(point)
    return [
        {
            "percentile": name,
            "rate": statistics.median(point["rate"] for point in group),
            "seconds": statistics.median(point["seconds"] for point in group),
        }
        for (name, _), group in groups.items()
    ]


def ladder_figure(
    points: Sequence[Mapping[str, Any]],
    *,
    service_s: float | None,
    ceiling_per_s: float | None,
    think_s: float = 0.0,
) -> Figure | None:
    """Throughput against connections in a closed loop, under its asymptotes; None without points.

    A point holds `connections` and `rate_per_s`. With c connections, service time S (`service_s`, unloaded), think time
    Z and a bottleneck that takes at most 1 / Dmax per second (`ceiling_per_s`), throughput cannot exceed
    min(c / (S + Z), 1 / Dmax) (Denning & Buzen, "The operational analysis of queueing network models", 1978).
    """
    rows = sorted(points, key=lambda point: int(point["connections"]))
    if not rows:
        return None
    knee = ceiling_per_s * (service_s + think_s) if ceiling_per_s and service_s else None
    parts = [f"from {words.rate(rows[0]['rate_per_s'])} at {rows[0]['connections']} connections"]
    parts.append(f"to {words.rate(rows[-1]['rate_per_s'])} at {rows[-1]['connections']}")
    knee_text = f"; the asymptotes meet at {words.number(knee)} connections" if knee else ""
    return Figure(
        "ladder",
        "Throughput against connections",
        f"Throughput in a closed loop, {' '.join(parts)}{knee_text}.",
        (Panel(lambda width: _ladder_chart(rows, service_s, ceiling_per_s, think_s, width)),),
        "Answers per second in a closed loop. The dashed lines bound what c connections can get of a server with this "
        "unloaded time S, this ceiling 1 / Dmax and users who think for Z: min(c / (S + Z), 1 / Dmax).",
        ("Connections", "Answers/s", "Mean latency by Little's law"),
        tuple(
            (
                words.number(row["connections"]),
                words.rate(row["rate_per_s"]),
                words.seconds(
                    row["connections"] / row["rate_per_s"] - think_s if row["rate_per_s"] else None
                ),
            )
            for row in rows
        ),
        whole=True,
    )


def _ladder_chart(
    rows: Sequence[Mapping[str, Any]],
    service_s: float | None,
    ceiling_per_s: float | None,
    think_s: float,
    width: int,
) -> Drawing:
    left, right = int(rows[0]["connections"]), int(rows[-1]["connections"])
    rates = [float(row["rate_per_s"]) for row in rows] + ([ceiling_per_s] if ceiling_per_s else [])
    top = max(rates) * 1.15
    x = alt.X(
        "connections:Q",
        scale=alt.Scale(type="log", base=2, domain=[left, max(right, left * 2)], nice=False),
        axis=alt.Axis(
            title="connections", format="d", values=[row["connections"] for row in rows], labelOverlap=True
        ),
    )
    y = alt.Y(
        "rate:Q",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(title=None, format=",~r", tickCount=5, minExtent=52),
    )
    lines: list[dict[str, Any]] = []
    if service_s:
        # Drawn as a curve: on a logarithmic axis a straight line is none.
        steps = [left * (max(right, left * 2) / left) ** (place / 60) for place in range(61)]
        rising = [(c, c / (service_s + think_s)) for c in steps]
        lines += [{"connections": c, "rate": r, "bound": "c / (S + Z)"} for c, r in rising if r <= top]
    if ceiling_per_s:
        lines += [
            {"connections": c, "rate": ceiling_per_s, "bound": "ceiling"}
            for c in (left, max(right, left * 2))
        ]
    points = [{"connections": row["connections"], "rate": row["rate_per_s"]} for row in rows]
    bounds = alt.Chart(data(lines)).mark_line(stroke=colour("unknown"), strokeDash=[5, 4], strokeWidth=1.5)
    base = alt.Chart(data(points)).encode(x=x, y=y)
    return alt.layer(
        bounds.encode(x=x, y=y, detail="bound:N"),
        base.mark_line(stroke=colour("measured")),
        base.mark_point(filled=True, size=56, opacity=1, fill=colour("measured")),
    ).properties(width=width, height=280)
