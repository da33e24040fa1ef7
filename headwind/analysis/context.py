"""What all rules share about one run: the run, what was asked of it, and the quantities computed once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from headwind.analysis import closed_loop
from headwind.analysis.finding import Evidence
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Run
from headwind.samples import Sample

# A clock step makes wrk print durations of thousands of years; nothing can be computed from them.
LONGEST_BELIEVABLE_S = 1e7
# wrk prints seconds with two decimals: 2.004 prints as 2.00, so only above this a Max exceeds the default timeout.
PRINTED_SLACK_S = 0.005
# wrk prints three digits (`0.85ms` stands for up to 0.855 ms): a printed maximum may be 0.6 % too small.
MAX_SLACK = 1.006
# One wrk thread gets through some 100,000 answers a second at most when each waits for its own request (9 us of CPU
# each, measured); several times that leaves only pipelining, whose batches Little's law does not describe.
PIPELINED_PER_THREAD = 250_000
_NO_ENVIRONMENT: Mapping[str, Any] = {}


@dataclass(slots=True)
class Context:
    """One run and the shared quantities; a rule reads it and changes nothing.

    `source` names the text, `where` the place in it. `cut` answers have no latency because they came after
    `limit_s` (wrk's timeout; `limit_assumed` where the text does not say it). `little_s` bounds the mean time per
    request. `as_measured` says whether the printed latency figures hold no synthetic samples (None: the text cannot
    tell). `failed` of the `requests` were an error status, or no answer where the tool counts requests without one.
    Times in seconds.
    """

    run: Run
    index: int
    source: str
    where: str
    target: int | None
    samples: Sequence[Sample]
    environment: Mapping[str, Any]
    wrk: bool = False
    requests: int = 0
    runtime_s: float | None = None
    rate_per_s: float | None = None
    connections: int | None = None
    cut: int = 0
    limit_s: float | None = None
    limit_assumed: bool = False
    timeouts_count_answers: bool = False
    status_errors: int = 0
    failed: int = 0
    good: tuple[int, int] | None = None
    little_s: tuple[float, float] | None = None
    interval_s: float | None = None
    as_measured: bool | None = None

    def read(self, name: str, value: float | int | str | None, unit: str, line: str) -> Evidence:
        """Evidence read from the source; `line` names the line of wrk's report (other tools have other lines)."""
        return Evidence(name, value, unit, f"{self.where}, {line}" if self.wrk else self.where)

    @property
    def failures(self) -> str:
        """What `failed` counts: error answers, or failed requests where some got no answer or no kinds are told."""
        unsplit = any(warning.code == "errors_not_split" for warning in self.run.warnings)
        return "failed requests" if unsplit or self.failed > self.status_errors else "error answers"

    @property
    def generator_late(self) -> bool:
        """Whether the generator itself sent behind its schedule with connections free: its lag is in the latency."""
        warnings = self.run.warnings
        return bool(warnings) and any(warning.code == "generator_late" for warning in warnings)

    @property
    def pipelined(self) -> bool:
        """Whether one request at a time on each connection cannot give this rate."""
        threads = self.run.threads
        return bool(
            self.wrk and threads and self.rate_per_s and self.rate_per_s > PIPELINED_PER_THREAD * threads
        )

    @property
    def late_share(self) -> float:
        """Share of the answers without a latency because they came after the limit."""
        return self.cut / self.requests if self.requests else 0.0


def of(
    run: Run,
    source: str,
    *,
    index: int = 0,
    target: int | None = None,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
) -> Context:
    """The context of one run; `source` is the name of the text it was read from."""
    lines = run.lines
    where = f"{source}:{lines[0]}-{lines[1]}" if lines else source
    context = Context(run, index, source, where, target, samples, environment or _NO_ENVIRONMENT)
    context.wrk = run.tool == "wrk"
    context.requests = run.requests or 0
    context.status_errors = run.errors.status or 0
    context.failed = min(context.requests, context.status_errors + run.unanswered())
    _fill_rate(context)
    if context.wrk:
        _fill_late(context)
        _fill_closed_loop(context)
    if context.requests:
        context.good = closed_loop.good_range(context.requests, context.failed, context.cut)
    return context


def _fill_rate(context: Context) -> None:
    run = context.run
    rate = run.requests_per_s
    if rate and context.requests:
        # Requests/sec has more digits than the printed duration, so N / rate is the more exact runtime.
        context.runtime_s = context.requests / rate
        context.rate_per_s = rate
    elif run.duration_s and run.duration_s < LONGEST_BELIEVABLE_S:
        context.runtime_s = run.duration_s
        context.rate_per_s = context.requests / run.duration_s if run.requests is not None else None
    if context.runtime_s is not None and context.runtime_s >= LONGEST_BELIEVABLE_S:
        context.runtime_s = context.rate_per_s = None


def _fill_late(context: Context) -> None:
    """What wrk's `timeout` counter means here.

    Since 4.0 it counts answers that came after --timeout (2 s unless given), and Max stays below that. A Max above
    the assumed limit, or more timeouts than answers, says that --timeout was longer or that wrk is older than 4.0,
    where a timeout is a check of a connection and no answer.
    """
    run = context.run
    timeouts = run.errors.timeout or 0
    top = run.latency.max_s if run.latency else None
    limit = run.timeout_s if run.timeout_s is not None else WRK_DEFAULT_TIMEOUT_S
    if timeouts > context.requests or (top is not None and top > limit + PRINTED_SLACK_S and timeouts):
        return
    context.timeouts_count_answers = True
    if run.timeout_s is None and (top is None or top <= limit + PRINTED_SLACK_S):
        context.limit_assumed = True
    context.limit_s = limit if run.timeout_s is not None or context.limit_assumed else None
    context.cut = timeouts


def _fill_closed_loop(context: Context) -> None:
    run = context.run
    context.connections = closed_loop.live_connections(run.threads, run.connections)
    if run.rate_target_per_s is not None or (run.pipeline or 1) > 1 or context.pipelined:
        return
    if not context.connections or not context.requests or not context.runtime_s or not run.connections:
        return
    context.little_s = closed_loop.little_range_s(context.connections, context.runtime_s, context.requests)
    interval = closed_loop.expected_interval_s(run.connections, context.runtime_s, context.requests)
    context.interval_s = interval
    if run.histogram is not None:
        context.as_measured = True
    elif run.latency is not None and run.latency.max_s is not None:
        context.as_measured = interval is None or run.latency.max_s * MAX_SLACK < 2 * interval


@lru_cache(maxsize=1024)
def quoted(url: str | None) -> str:
    """A URL as a shell takes it; the word URL where the source names none."""
    return shlex.quote(url) if url else "URL"


def again(
    context: Context,
    *,
    connections: int | None = None,
    threads: int | None = None,
    duration_s: float | None = None,
) -> str:
    """The command line that repeats this run with some of its settings changed; latencies up to 30 s are kept.

    A Headwind run is repeated by its own command, whose later options win. A wrk script is not in wrk's text: who
    types the command adds its `-s`.
    """
    recorded = context.environment.get("again")
    if isinstance(recorded, str) and recorded:
        changed = {
            "connections": connections,
            "threads": threads,
            "duration": duration_s and f"{duration_s:.0f}s",
        }
        return " ".join((recorded, *(f"--{name} {value}" for name, value in changed.items() if value)))
    run = context.run
    threads = threads or run.threads or 4
    connections = connections or run.connections or 200
    seconds = duration_s or run.planned_duration_s or run.duration_s or 30
    url = quoted(run.url)
    if not context.wrk or seconds >= LONGEST_BELIEVABLE_S:
        return f"headwind run --url {url} --connections {connections}"
    return _wrk_command(threads, connections, seconds, url)


@lru_cache(maxsize=256)
def _wrk_command(threads: int, connections: int, seconds: float, url: str) -> str:
    return f"wrk -t{min(threads, connections)} -c{connections} -d{seconds:.0f}s --timeout 30s --latency {url}"
