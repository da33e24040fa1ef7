"""A k6 summary as values, whichever way it was written, and the Run that it makes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headwind.formats.text import safe_name
from headwind.histogram import percentile_key
from headwind.run import Endpoint, Errors, Latency, Run

REQUESTS, FAILED, DURATION, RECEIVED = "http_reqs", "http_req_failed", "http_req_duration", "data_received"
TOTAL = ""  # the name of the part that is the whole test


@dataclass(slots=True)
class Part:
    """The metrics of the whole test, or of one scenario, group or tag. Times in seconds."""

    requests: int | None = None
    requests_per_s: float | None = None
    failed: int | None = None
    failed_of: int | None = None
    times_s: dict[str, float] = field(default_factory=dict)  # "avg", "min", "med", "max", "p(95)"

    @property
    def empty(self) -> bool:
        return self.requests is None and self.failed is None and not self.times_s

    def latency(self) -> Latency | None:
        """None where there are no times."""
        if not self.times_s:
            return None
        percentiles = {
            percentile_key(float(name[2:-1])): value
            for name, value in self.times_s.items()
            if name.startswith("p(") and _is_percent(name[2:-1])
        }
        if "med" in self.times_s:
            percentiles.setdefault("50", self.times_s["med"])
        return Latency(
            mean_s=self.times_s.get("avg"),
            max_s=self.times_s.get("max"),
            min_s=self.times_s.get("min"),
            percentiles_s=dict(sorted(percentiles.items(), key=lambda item: float(item[0]))),
        )


def _is_percent(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,9})?", text) is not None and float(text) <= 100


@dataclass(slots=True)
class Summary:
    """What one summary says."""

    parts: dict[str, Part] = field(default_factory=lambda: {TOTAL: Part()})
    bytes_read: float | None = None
    duration_s: float | None = None
    iterations: int | None = None
    checks: tuple[int, int] | None = None  # passed, failed
    crossed: list[str] = field(default_factory=list)  # thresholds that were not held
    contradictions: list[str] = field(default_factory=list)
    interrupted: bool = False

    def part(self, name: str) -> Part:
        """The part of that name, made where it is missing."""
        return self.parts.setdefault(name, Part())


def run_of(summary: Summary, lines: tuple[int, int], *, complete: bool = True) -> Run:
    """The Run of a summary."""
    total = summary.parts[TOTAL]
    endpoints = tuple(
        Endpoint(
            name=safe_name(name),
            requests=part.requests,
            failures=part.failed,
            requests_per_s=part.requests_per_s,
            latency=part.latency(),
        )
        for name, part in summary.parts.items()
        if name != TOTAL and not part.empty
    )
    run = Run(
        tool="k6",
        lines=lines,
        complete=complete and total.requests is not None and total.requests_per_s is not None,
        interrupted=summary.interrupted,
        requests=total.requests,
        duration_s=summary.duration_s,
        bytes_read=summary.bytes_read,
        requests_per_s=total.requests_per_s,
        latency=total.latency(),
        # No failed request is none of any kind: a request without an answer always counts as failed.
        errors=Errors(0, 0, 0, 0, 0) if total.failed == 0 else Errors(status=total.failed),
        endpoints=endpoints,
    )
    return _warned(run, summary)


def _warned(run: Run, summary: Summary) -> Run:
    if run.requests is None and run.latency is None and summary.iterations is not None:
        run = run.warn(
            "no_http_requests", "This k6 test made no HTTP requests: only its iterations are counted."
        )
    elif run.requests is None:
        run = run.warn("cut", "k6's http_reqs is not here: how many requests there were is not said.")
    if run.errors.status:
        run = run.warn(
            "errors_not_split",
            "k6 counts failed requests of all kinds (status codes, connections, time-outs) together, here under "
            "status.",
        )
    for text in summary.contradictions:
        run = run.warn("contradiction", text)
    if summary.crossed:
        names = ", ".join(safe_name(name) for name in summary.crossed[:20])
        run = run.warn("thresholds_crossed", f"k6's own thresholds were not held: {names}.")
    if summary.checks and summary.checks[1]:
        passed, failed = summary.checks
        run = run.warn("checks_failed", f"{failed} of {passed + failed} checks of the k6 script failed.")
    if run.latency is not None:
        run = run.warn(
            "excludes_connecting", "k6's http_req_duration leaves out the time for DNS, connecting and TLS."
        )
    return run


def failed_of(counts: Sequence[int], share: float | None, total: int | None) -> tuple[int | None, str | None]:
    """Failed requests from the two numbers of http_req_failed, failed first; and what contradicts it.

    Documents often have the two in the wrong order: the printed share, cut to 0.01 %, and the number of requests
    decide. None where they fit neither way.
    """
    first_count, second_count = counts
    whole = first_count + second_count
    if share is None or not whole:
        return first_count, None
    if abs(first_count / whole - share) <= 0.00011:
        return first_count, None
    return None, (
        f"http_req_failed says {share:.2%} and {first_count} failed against {second_count}: these contradict each "
        "other, so the failures are left out."
    )


def passes(values: Mapping[str, object]) -> bool:
    """Whether a JSON metric counts passes and fails."""
    return "passes" in values and "fails" in values
