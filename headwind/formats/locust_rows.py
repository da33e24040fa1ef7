"""The rows that all of Locust's outputs have, and the Run that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headwind.formats.text import safe_name
from headwind.run import Endpoint, Errors, Latency, Run
from headwind.samples import Timeline

TOTALS = ("Aggregated", "Total")  # the name of the last row, now and before 1.0


@dataclass(slots=True)
class Row:
    """One endpoint, or the total. Times in seconds."""

    name: str
    method: str = ""
    requests: int | None = None
    failures: int | None = None
    requests_per_s: float | None = None
    mean_s: float | None = None
    min_s: float | None = None
    max_s: float | None = None
    bytes_each: float | None = None
    percentiles_s: dict[str, float] = field(default_factory=dict)

    @property
    def is_total(self) -> bool:
        return self.name in TOTALS and not self.method

    def latency(self) -> Latency | None:
        """None where nothing was requested or printed: Locust writes 0 for "no data"."""
        if not self.requests or (self.mean_s is None and not self.percentiles_s):
            return None
        return Latency(
            mean_s=self.mean_s, max_s=self.max_s, min_s=self.min_s, percentiles_s=dict(self.percentiles_s)
        )

    def endpoint(self) -> Endpoint:
        return Endpoint(
            name=safe_name(self.name),
            method=safe_name(self.method) or None,
            requests=self.requests,
            failures=self.failures,
            requests_per_s=self.requests_per_s,
            latency=self.latency(),
        )


def run_of(
    rows: Sequence[Row],
    total: Row | None,
    lines: tuple[int, int],
    *,
    duration_s: float | None = None,
    started_at: str | None = None,
    timeline: Timeline | None = None,
) -> Run:
    """The Run of a table; without a total row, totals are unknown."""
    total = total or Row("")
    size = None
    if total.bytes_each is not None and total.requests is not None:
        size = round(total.bytes_each * total.requests, 3)
    failures = total.failures
    run = Run(
        tool="locust",
        lines=lines,
        complete=total.requests is not None and total.requests_per_s is not None,
        started_at=started_at,
        requests=total.requests,
        duration_s=duration_s,
        bytes_read=size,
        requests_per_s=total.requests_per_s,
        latency=total.latency(),
        errors=Errors(0, 0, 0, 0, 0) if failures == 0 else Errors(status=failures),
        endpoints=tuple(row.endpoint() for row in rows),
        timeline=timeline,
    )
    if total.requests is None:
        run = run.warn("cut", "Locust's Aggregated row is missing here: the totals are not said.")
    if failures:
        run = run.warn(
            "errors_not_split",
            f"Locust counts its {failures} failures of all kinds (status codes, connections, time-outs, checks of the "
            "test) together, here under status.",
        )
    if any(row.percentiles_s for row in (total, *rows)):
        run = run.warn(
            "percentiles_two_digits",
            "Locust rounds response times to two digits before it takes percentiles: they are up to 5 % off.",
        )
    return run


def percentile_s(counts_by_ms: Mapping[float, int], requests: int, share: float) -> float:
    """The percentile as Locust takes it from its rounded response times (calculate_response_time_percentile)."""
    below = int(requests * share)
    seen = 0
    for milliseconds in sorted(counts_by_ms, reverse=True):
        seen += counts_by_ms[milliseconds]
        if requests - seen <= below:
            return milliseconds / 1e3
    return 0.0
