"""Pictures over time: throughput, errors, CPU and memory, one under the other on the same seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from headwind import words
from headwind.report.charts.figure import Drawing, Figure, Panel, colour, data
from headwind.run import Run
from headwind.samples import Sample

MAX_POINTS = 240
TICK_S = 0.5  # of the monitor
_PANEL_HEIGHT = 120
_CPU_PAINTS = {"server": "measured", "generator": "corrected", "whole machine": "unknown"}


def over_time_figure(run: Run, samples: Sequence[Sample]) -> Figure | None:
    """Up to four panels over the run's seconds; None where neither a time line nor samples were recorded."""
    throughput, errors = _throughput(run), _errors(run)
    # The monitor begins before the load and ends after the server was stopped.
    last = math.inf if run.duration_s is None else run.duration_s + TICK_S
    during = [sample for sample in samples if 0 <= sample.t_s <= last]
    cpu, memory = cpu_rows(during), memory_rows(during)
    end = max([row["t"] for rows in (throughput, cpu, memory) for row in rows], default=0.0)
    if end <= 0:
        return None
    panels = tuple(_panels(throughput, errors, cpu, memory, during[-1].cpus if during else None, end))
    return Figure(
        "over-time",
        "Over time",
        " ".join(panel.summary for panel in panels),
        panels,
        "",
        ("Second", "Answers/s", "Errors/s", "Server CPU (cores)", "Server memory (MiB)"),
        _rows(throughput, errors, cpu, memory, end),
        whole=True,
    )


def _panels(
    throughput: list[dict[str, Any]],
    errors: list[dict[str, Any]],
    cpu: list[dict[str, Any]],
    memory: list[dict[str, Any]],
    cpus: int | None,
    end: float,
) -> Iterator[Panel]:
    """The panels of what was recorded; errors have one only where there were any."""
    if throughput:
        values = [row["value"] for row in throughput]
        none = "" if any(row["value"] for row in errors) else ", none of them an error"
        summary = f"Answers per second: from {words.rate(min(values))} to {words.rate(max(values))}{none}."
        yield Panel(_area(throughput, "measured", end), "Answers per second", summary)
    if any(row["value"] for row in errors):
        summary = f"Error answers per second: up to {words.rate(max(row['value'] for row in errors))}."
        yield Panel(_area(errors, "failed", end), "Error answers per second", summary)
    if cpu:
        means = [(who, _mean(cpu, who)) for who in _CPU_PAINTS]
        told = [f"{who} {words.cores(mean)}" for who, mean in means if mean is not None]
        summary = f"CPU used, on average of {cpus} cores: {', '.join(told)}."
        yield Panel(_lines(cpu, _CPU_PAINTS, end), f"CPU in cores (the machine has {cpus})", summary)
    if memory:
        first, last = memory[0]["value"], memory[-1]["value"]
        summary = f"Memory of the server: from {words.number(first)} to {words.number(last)} MiB."
        yield Panel(_lines(memory, {"server": "memory"}, end), "Memory of the server in MiB", summary)


def _slots(run: Run, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Counts per slot as rates; neighbouring slots are added up until at most `MAX_POINTS` are left."""
    if run.timeline is None or not counts:
        return []
    width = -(-len(counts) // MAX_POINTS)
    span = run.timeline.slot_s * width
    # The last group may be cut short by the end of the run; as a rate it would look like a collapse.
    full = range(0, len(counts) - width + 1, width)
    return [{"t": at * run.timeline.slot_s, "value": sum(counts[at : at + width]) / span} for at in full]


def _throughput(run: Run) -> list[dict[str, Any]]:
    return _slots(run, run.timeline.responses) if run.timeline else []


def _errors(run: Run) -> list[dict[str, Any]]:
    return _slots(run, run.timeline.errors) if run.timeline else []


def cpu_rows(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """CPU seconds per second of server, generator and whole machine between neighbouring samples."""
    rows: list[dict[str, Any]] = []
    for before, after in pairwise(samples):
        span = after.t_s - before.t_s
        if span <= 0:
            continue
        earlier = {process.pid: process.cpu_s for process in before.processes}
        used: dict[str, float] = {}
        for process in after.processes:
            grown = process.cpu_s - earlier.get(process.pid, 0.0)
            used[process.role] = used.get(process.role, 0.0) + max(0.0, grown)
        used["whole machine"] = max(0.0, after.host_busy_s - before.host_busy_s)
        drawn = [(who, seconds) for who, seconds in used.items() if who in _CPU_PAINTS]
        rows += [{"t": after.t_s, "value": seconds / span, "who": who} for who, seconds in drawn]
    return rows


def memory_rows(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Resident memory of the server's processes, in MiB, summed."""
    rows = []
    for sample in samples:
        resident = [process.rss_bytes for process in sample.processes if process.role == "server"]
        if resident:
            rows.append({"t": sample.t_s, "value": sum(resident) / 2**20, "who": "server"})
    return rows


def _axes(end: float) -> tuple[alt.X, alt.Y]:
    x = alt.X(
        "t:Q",
        scale=alt.Scale(domain=[0, end], nice=False),
        axis=alt.Axis(title=None, labelExpr="datum.value + ' s'", tickCount=6),
    )
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(zero=True),
        axis=alt.Axis(title=None, tickCount=3, format=",~r", minExtent=52, maxExtent=52),
    )
    return x, y


def _area(rows: list[dict[str, Any]], paint: str, end: float) -> Callable[[int], Drawing]:
    def draw(width: int) -> Drawing:
        x, y = _axes(end)
        return (
            alt.Chart(data(rows))
            .mark_area(
                interpolate="step-after",
                fill=colour("measured-soft") if paint == "measured" else colour(paint),
                line={"stroke": colour(paint), "strokeWidth": 1.4},
            )
            .encode(x=x, y=y)
            .properties(width=width, height=_PANEL_HEIGHT)
        )

    return draw


def _lines(rows: list[dict[str, Any]], paints: Mapping[str, str], end: float) -> Callable[[int], Drawing]:
    present = {str(row["who"]) for row in rows}
    names = [name for name in paints if name in present]

    def draw(width: int) -> Drawing:
        x, y = _axes(end)
        legend = alt.Legend(title=None, orient="top", symbolType="stroke") if len(names) > 1 else None
        scale = alt.Scale(domain=names, range=[colour(paints[name]) for name in names])
        return (
            alt.Chart(data(rows))
            .mark_line()
            .encode(x=x, y=y, color=alt.Color("who:N", scale=scale, legend=legend))
            .properties(width=width, height=_PANEL_HEIGHT)
        )

    return draw


def _mean(rows: Sequence[dict[str, Any]], who: str | None = None) -> float | None:
    values = [row["value"] for row in rows if who is None or row["who"] == who]
    return sum(values) / len(values) if values else None


def _rows(
    throughput: list[dict[str, Any]],
    errors: list[dict[str, Any]],
    cpu: list[dict[str, Any]],
    memory: list[dict[str, Any]],
    end: float,
) -> tuple[tuple[str, ...], ...]:
    """About a dozen rows: the mean of every column within each stretch of the run."""
    step = max(1.0, end / 12)
    server = [row for row in cpu if row["who"] == "server"]
    rows = []
    start = 0.0
    while start < end - step / 4:
        cells = []
        for source in (throughput, errors, server, memory):
            inside = _mean([row for row in source if start <= row["t"] < start + step])
            cells.append("not recorded" if inside is None else words.number(inside))
        rows.append((f"{words.number(start)}-{words.number(min(end, start + step))}", *cells))
        start += step
    return tuple(rows)
