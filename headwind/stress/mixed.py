"""One Run out of several wrks that ran side by side, with a row per endpoint."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TypeVar

from headwind.histogram import REPORTED_PERCENTILES, Histogram, percentile_key
from headwind.run import Endpoint, Errors, Latency, Run
from headwind.samples import Timeline

Number = TypeVar("Number", int, float)
_ERROR_KINDS = ("connect", "read", "write", "timeout", "status")


def combine(names: Sequence[str], runs: Sequence[Run], url: str) -> Run:
    """The sum of runs that went on at the same time; `names` are their endpoints.

    Counts add up, histograms and time lines merge without loss; a count that one run does not know is not known
    of the sum. Latency is as measured, from the merged histogram, without wrk's correction.
    """
    histogram = _merged([run.histogram for run in runs])
    return Run(
        tool=runs[0].tool,
        url=url,
        complete=all(run.complete for run in runs),
        interrupted=any(run.interrupted for run in runs),
        started_at=min((run.started_at for run in runs if run.started_at), default=None),
        planned_duration_s=runs[0].planned_duration_s,
        threads=_sum([run.threads for run in runs]),
        connections=_sum([run.connections for run in runs]),
        rate_target_per_s=_sum([run.rate_target_per_s for run in runs]),
        timeout_s=runs[0].timeout_s,
        late_threshold_s=runs[0].late_threshold_s,
        late=_sum([run.late for run in runs]),
        requests=_sum([run.requests for run in runs]),
        duration_s=max((run.duration_s for run in runs if run.duration_s is not None), default=None),
        bytes_read=_sum([run.bytes_read for run in runs]),
        requests_per_s=_sum([run.requests_per_s for run in runs]),
        bytes_per_s=_sum([run.bytes_per_s for run in runs]),
        latency=latency_of(histogram) if histogram else None,
        errors=Errors(**{kind: _sum([getattr(run.errors, kind) for run in runs]) for kind in _ERROR_KINDS}),
        status_codes=_statuses(runs),
        endpoints=tuple(_row(name, run) for name, run in zip(names, runs, strict=True)),
        histogram=histogram,
        timeline=_timeline([run.timeline for run in runs]),
        warnings=tuple(dict.fromkeys(warning for run in runs for warning in run.warnings)),
    )


def latency_of(histogram: Histogram) -> Latency | None:
    """Mean, standard deviation (n - 1), extremes and percentiles, as measured; None where nothing was recorded."""
    mean_s = histogram.mean_s()
    if mean_s is None:
        return None
    pairs = list(zip(histogram.values_us, histogram.counts, strict=True))
    squares = sum(count * (value / 1e6 - mean_s) ** 2 for value, count in pairs)
    found = {percentile_key(p): histogram.percentile_s(p) for p in REPORTED_PERCENTILES}
    return Latency(
        mean_s=mean_s,
        stdev_s=math.sqrt(squares / (histogram.recorded - 1)) if histogram.recorded > 1 else 0.0,
        max_s=histogram.values_us[-1] / 1e6,
        min_s=histogram.values_us[0] / 1e6,
        percentiles_s={key: value for key, value in found.items() if value is not None},
    )


def _row(name: str, run: Run) -> Endpoint:
    return Endpoint(
        name=name,
        method=name.split(" ")[0],
        requests=run.requests,
        failures=run.errors.status,
        requests_per_s=run.requests_per_s,
        latency=(latency_of(run.histogram) if run.histogram else None) or run.latency,
    )


def _sum(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    total: Number = known[0] if known else 0
    for value in known[1:]:
        total = total + value
    return total if known and len(known) == len(values) else None


def _merged(histograms: Sequence[Histogram | None]) -> Histogram | None:
    known = [replace(histogram, expected_interval_us=0) for histogram in histograms if histogram]
    return known[0].merge(*known[1:]) if known and len(known) == len(histograms) else None


def _statuses(runs: Sequence[Run]) -> dict[str, int] | None:
    if any(run.status_codes is None for run in runs):
        return None
    total: Counter[str] = Counter()
    for run in runs:
        total.update(run.status_codes or {})
    return dict(sorted(total.items()))


def _timeline(timelines: Sequence[Timeline | None]) -> Timeline | None:
    known = [timeline for timeline in timelines if timeline]
    if not known or len(known) != len(timelines):
        return None
    responses = zip_longest(*(timeline.responses for timeline in known), fillvalue=0)
    errors = zip_longest(*(timeline.errors for timeline in known), fillvalue=0)
    return Timeline(known[0].slot_s, tuple(map(sum, responses)), tuple(map(sum, errors)))
