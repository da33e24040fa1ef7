"""Which pictures a run's report shows, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from headwind.report.charts.comparison import runs_figure
from headwind.report.charts.figure import Figure
from headwind.report.charts.latency import histogram_figure, percentile_figure
from headwind.report.charts.timeline import over_time_figure
from headwind.run import Run
from headwind.samples import Sample


def run_figures(runs: Sequence[Run], samples: Sequence[Sample] = ()) -> tuple[Figure, ...]:
    """Of one run: percentiles, histogram, what went on over time; of several: how they compare."""
    if len(runs) == 1:
        run = runs[0]
        possible = (percentile_figure(run), histogram_figure(run), over_time_figure(run, samples))
    else:
        possible = (runs_figure(runs), None, None)
    return tuple(figure for figure in possible if figure is not None)
