"""Which pictures a report shows, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from headwind.report.charts.comparison import percentiles_figure, runs_figure
from headwind.report.charts.experiments import capacity_figure, ladder_figure, ratio_figure
from headwind.report.charts.figure import Figure
from headwind.report.charts.latency import histogram_figure, percentile_figure
from headwind.report.charts.stages import stages_figure
from headwind.report.charts.timeline import over_time_figure
from headwind.report.experiments import DIFFERENCE, comparison_rows, proved_percentiles
from headwind.report.reading import Reading
from headwind.report.tables import run_names
from headwind.run import Run
from headwind.samples import Sample


def figures_of(reading: Reading) -> tuple[Figure, ...]:
    """The pictures of a document: of its runs, or of what an experiment or a diagnosis measured."""
    if reading.runs:
        possible = run_figures(reading.runs, reading.samples, reading.document.get("sources"))
    elif reading.document["schema"] == DIFFERENCE:
        possible = _compared(reading.document["runs"])
    else:
        possible = _measured(reading.document)
    found = [figure for figure in possible if figure is not None]
    halves = [place for place, figure in enumerate(found) if not figure.whole]
    if len(halves) % 2:  # one that has no neighbour would stand beside an empty half
        found[halves[-1]] = replace(found[halves[-1]], whole=True)
    return tuple(found)


def run_figures(
    runs: Sequence[Run], samples: Sequence[Sample] = (), sources: Sequence[str] | None = None
) -> Iterator[Figure | None]:
    """Of one run: percentiles, histogram, what went on over time; of several: how they compare."""
    if len(runs) > 1:
        yield runs_figure(run_names(runs, sources), [run.requests_per_s for run in runs])
        return
    yield percentile_figure(runs[0])
    yield histogram_figure(runs[0])
    yield over_time_figure(runs[0], samples)


def _compared(runs: Sequence[Mapping[str, Any]]) -> Iterator[Figure | None]:
    yield runs_figure([str(run["label"]) for run in runs], [run["requests_per_s"] for run in runs])
    yield percentiles_figure({str(run["label"]): proved_percentiles(run) for run in runs})


def _measured(document: Mapping[str, Any]) -> Iterator[Figure | None]:
    margin = float(document.get("margin") or 0.03)
    yield stages_figure(document.get("stages") or ())
    yield ratio_figure(comparison_rows(document), str(document.get("baseline") or "the first"), margin)
    low, high = document.get("capacity_low_per_s"), document.get("capacity_high_per_s")
    yield capacity_figure(
        document.get("steps") or (),
        objective=str(document.get("objective") or "the objective"),
        objective_s=document.get("objective_s"),
        capacity_per_s=document.get("capacity_per_s"),
        ceiling_per_s=document.get("ceiling_per_s"),
        interval_per_s=(low, high) if low and high else None,
    )
    ladder = document.get("ladder") or {}
    yield ladder_figure(
        ladder.get("points") or (),
        service_s=ladder.get("service_s"),
        ceiling_per_s=ladder.get("ceiling_per_s"),
        think_s=float(ladder.get("think_s") or 0.0),
    )
