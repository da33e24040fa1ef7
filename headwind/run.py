"""The Run: what one load test's source says, in SI units, and nothing that it does not say.

`None` means "the source does not say" and never becomes 0; a 0 was printed or is certain.
All values are frozen. `to_json` gives the contract of `report/schemas/run.schema.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headwind.histogram import Histogram
from headwind.quick import quick
from headwind.samples import Timeline

SCHEMA = "headwind.run/1"
WRK_DEFAULT_TIMEOUT_S = 2.0
# Their `requests` count those without an answer too; everyone else's are the answered ones.
_COUNT_ALL_REQUESTS = frozenset({"fortio", "k6", "locust", "vegeta"})
_LATE_TIMEOUTS = frozenset({"wrk", "wrk2"})  # their time-outs are answers that came late; elsewhere none came
_TIMEOUTS_UNTIMED = frozenset(
    {"autocannon", "h2load", "hey", "oha"}
)  # no latency figure holds what was given up


@quick
@dataclass(frozen=True)
class Latency:
    """A latency row as printed, in seconds; `percentiles_s` holds only what the source has, keys "50", "99.9"."""

    mean_s: float | None = None
    stdev_s: float | None = None
    max_s: float | None = None
    min_s: float | None = None
    within_stdev: float | None = None  # share (0..1) of the samples within one stdev of the mean
    percentiles_s: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "mean_s": self.mean_s,
            "stdev_s": self.stdev_s,
            "max_s": self.max_s,
            "min_s": self.min_s,
            "within_stdev": self.within_stdev,
            "percentiles_s": dict(self.percentiles_s),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Latency:
        return cls(**{name: data[name] for name in cls.__annotations__ if name in data})


@quick
@dataclass(frozen=True)
class ThreadRate:
    """wrk's Req/Sec row: requests per second of one thread, over 100-ms windows that had a response."""

    mean: float | None = None
    stdev: float | None = None
    max: float | None = None
    within_stdev: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {
            "mean": self.mean,
            "stdev": self.stdev,
            "max": self.max,
            "within_stdev": self.within_stdev,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ThreadRate:
        return cls(**{name: data[name] for name in cls.__annotations__ if name in data})


@quick
@dataclass(frozen=True)
class Errors:
    """Counts by kind. `timeout` answers came, but late; `status` answers had a code above 399."""

    connect: int | None = None
    read: int | None = None
    write: int | None = None
    timeout: int | None = None
    status: int | None = None

    def to_json(self) -> dict[str, int | None]:
        return {
            "connect": self.connect,
            "read": self.read,
            "write": self.write,
            "timeout": self.timeout,
            "status": self.status,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Errors:
        return cls(**{name: data[name] for name in cls.__annotations__ if name in data})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of a tool that tells endpoints apart."""

    name: str
    method: str | None = None
    requests: int | None = None
    failures: int | None = None
    requests_per_s: float | None = None
    latency: Latency | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "method": self.method,
            "requests": self.requests,
            "failures": self.failures,
            "requests_per_s": self.requests_per_s,
            "latency": self.latency.to_json() if self.latency else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Endpoint:
        values = {name: data[name] for name in cls.__slots__ if name in data}
        if values.get("latency"):
            values["latency"] = Latency.from_json(values["latency"])
        return cls(**values)


def endpoint_kind(tool: str, name: str) -> str:
    """What a row of `endpoints` stands for: "endpoint", or for k6, whose summaries tell apart whatever a script tags,
    "scenario", "group" or "tag" (k6's own tags `name` and `url` are endpoints)."""
    key, colon, _ = name.partition(":")
    if tool != "k6" or not colon or key in ("name", "url"):
        return "endpoint"
    return key if key in ("scenario", "group") else "tag"


@quick
@dataclass(frozen=True)
class ReadWarning:
    """An oddity of the source that a reader of the numbers should know; codes are listed in docs/formats.md."""

    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}


@quick
@dataclass(frozen=True)
class Run:
    """One load test as its source tells it."""

    tool: str
    url: str | None = None
    lines: tuple[int, int] | None = None  # first and last line in the source, 1-based
    complete: bool = False  # totals and Requests/sec are there
    interrupted: bool = False
    started_at: str | None = None  # ISO 8601, where the source has it
    planned_duration_s: float | None = None
    threads: int | None = None
    connections: int | None = None
    rate_target_per_s: float | None = None
    pipeline: int | None = None
    timeout_s: float | None = None  # None where it is only assumed
    late_threshold_s: float | None = None  # a response is late above this
    late: int | None = None
    requests: int | None = None
    duration_s: float | None = None
    bytes_read: float | None = None
    requests_per_s: float | None = None
    bytes_per_s: float | None = None
    latency: Latency | None = None
    latency_from_send: Latency | None = None  # where `latency` counts from a schedule's due time
    thread_requests_per_s: ThreadRate | None = None
    errors: Errors = field(default_factory=Errors)
    status_codes: Mapping[str, int] | None = None
    endpoints: tuple[Endpoint, ...] = ()
    histogram: Histogram | None = None
    timeline: Timeline | None = None
    warnings: tuple[ReadWarning, ...] = ()

    def tried(self) -> int | None:
        """Requests made, with or without an answer, as far as they are known; None where the source has no count.

        For wrk that is requests + read + connect: write errors count attempts, and a timeout is an answer.
        """
        if self.requests is None or self.tool in _COUNT_ALL_REQUESTS:
            return self.requests
        missing = (self.errors.read or 0) + (self.errors.connect or 0)
        if self.tool not in _LATE_TIMEOUTS:
            missing += self.errors.timeout or 0
        return self.requests + missing

    def unanswered(self) -> int:
        """How many of `requests` are known to have got no answer: 0 for the tools that count answers only."""
        if self.tool not in _COUNT_ALL_REQUESTS:
            return 0
        missing = (self.errors.connect, self.errors.read, self.errors.write, self.errors.timeout)
        return min(self.requests or 0, sum(count or 0 for count in missing))

    def late_of(self) -> int:
        """What `late` is a part of: the answered requests and, by a schedule, those that were due and got no answer,
        which are late as well."""
        return max(self.requests or 0, self.histogram.total if self.histogram else 0)

    def given_up(self) -> int:
        """Requests that waited for the whole time-out and are in no latency figure (wrk's late answers apart)."""
        return self.errors.timeout or 0 if self.tool in _TIMEOUTS_UNTIMED else 0

    def warn(self, code: str, message: str) -> Run:
        """A copy with one more warning."""
        return replace(self, warnings=(*self.warnings, ReadWarning(code, message)))

    def to_json(self) -> dict[str, Any]:
        return {
            "tool": self.tool,
            "url": self.url,
            "lines": list(self.lines) if self.lines else None,
            "complete": self.complete,
            "interrupted": self.interrupted,
            "started_at": self.started_at,
            "planned_duration_s": self.planned_duration_s,
            "threads": self.threads,
            "connections": self.connections,
            "rate_target_per_s": self.rate_target_per_s,
            "pipeline": self.pipeline,
            "timeout_s": self.timeout_s,
            "late_threshold_s": self.late_threshold_s,
            "late": self.late,
            "requests": self.requests,
            "duration_s": self.duration_s,
            "bytes_read": self.bytes_read,
            "requests_per_s": self.requests_per_s,
            "bytes_per_s": self.bytes_per_s,
            "latency": self.latency.to_json() if self.latency else None,
            "latency_from_send": self.latency_from_send.to_json() if self.latency_from_send else None,
            "thread_requests_per_s": self.thread_requests_per_s.to_json()
            if self.thread_requests_per_s
            else None,
            "errors": self.errors.to_json(),
            "status_codes": dict(self.status_codes) if self.status_codes is not None else None,
            "endpoints": [endpoint.to_json() for endpoint in self.endpoints],
            "histogram": self.histogram.to_json() if self.histogram else None,
            "timeline": self.timeline.to_json() if self.timeline else None,
            "warnings": [warning.to_json() for warning in self.warnings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Run:
        """The Run that `to_json` wrote; unknown keys are ignored so that newer files can be read."""
        values: dict[str, Any] = {name: data[name] for name in cls.__annotations__ if name in data}
        if values.get("lines"):
            first, last = values["lines"]
            values["lines"] = (first, last)
        for name in ("latency", "latency_from_send"):
            if values.get(name):
                values[name] = Latency.from_json(values[name])
        if values.get("thread_requests_per_s"):
            values["thread_requests_per_s"] = ThreadRate.from_json(values["thread_requests_per_s"])
        values["errors"] = Errors.from_json(values.get("errors") or {})
        values["endpoints"] = tuple(Endpoint.from_json(row) for row in values.get("endpoints") or ())
        if values.get("histogram"):
            values["histogram"] = Histogram.from_json(values["histogram"])
        if values.get("timeline"):
            values["timeline"] = Timeline.from_json(values["timeline"])
        values["warnings"] = tuple(
            ReadWarning(row["code"], row["message"]) for row in values.get("warnings") or ()
        )
        return cls(**values)


def answered_in_time(run: Run) -> int | None:
    """How many answers came while a schedule lasted (`duration_s`), to which `requests_per_s` belongs; `requests` then
    counts the later ones too. None where the run had no schedule of which every request is known."""
    if (
        run.tool != "wrk"
        or run.latency_from_send is None
        or run.requests_per_s is None
        or run.duration_s is None
    ):
        return None
    return round(run.requests_per_s * run.duration_s)
