"""What a run rules out, and by which figure: causes that a reader would otherwise suspect."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from headwind.analysis import overtime, usage
from headwind.analysis.context import Context
from headwind.analysis.latency import GAP_FACTOR
from headwind.analysis.target import seconds_range
from headwind.words import number, seconds, share, size


@dataclass(frozen=True, slots=True)
class Excluded:
    """A finding's code that this run speaks against, and the sentence with the figure that does."""

    code: str
    evidence: str

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "evidence": self.evidence}


def excluded(context: Context, told: Collection[str]) -> list[Excluded]:
    """What the run rules out; `told` are the codes that were found, which are never ruled out as well."""
    if not context.requests or not context.run.complete:
        return []
    rows = [*_by_counters(context), *_by_little(context), *_by_course(context), *_by_monitor(context)]
    return [row for row in rows if row.code not in told]


def _by_counters(context: Context) -> Iterable[Excluded]:
    errors = context.run.errors
    if context.run.late == 0 and errors.timeout == 0 and context.run.late_threshold_s is not None:
        assumed = " (wrk's default timeout, assumed)" if context.limit_assumed else ""
        yield Excluded(
            "late_answers", f"no answer came later than {seconds(context.run.late_threshold_s)}{assumed}"
        )
    if errors.status == 0:
        yield Excluded("error_answers", f"none of {number(context.requests)} answers was an error")
    if context.wrk and errors.read == 0 and errors.connect == 0:
        yield Excluded("read_errors", "every connection could be opened, and none broke")
    if context.wrk and context.connections and context.connections == context.run.connections:
        yield Excluded("connections_rounded", f"all {number(context.connections)} connections were opened")


def _by_little(context: Context) -> Iterable[Excluded]:
    latency = context.run.latency
    if context.little_s is None or context.cut or latency is None or latency.mean_s is None:
        return
    low, high = context.little_s
    measured = context.run.histogram.mean_s() if context.run.histogram else latency.mean_s
    if measured is not None and context.as_measured and low / GAP_FACTOR <= measured <= high * GAP_FACTOR:
        yield Excluded(
            "mean_understated",
            f"the mean of {seconds(measured)} agrees with Little's law ({seconds_range(low, high)})",
        )


def _by_course(context: Context) -> Iterable[Excluded]:
    timeline = context.run.timeline
    if timeline is None:
        return
    usual_s = context.little_s[1] if context.little_s else 0.0
    if not overtime.find_stalls(timeline, shortest_s=2 * usual_s):
        yield Excluded("stalls", f"no stretch of {seconds(max(0.2, 2 * usual_s))} went without an answer")
    per_second = overtime.whole_seconds(timeline)
    third = len(per_second) // 3
    first, last = sum(per_second[:third]), sum(per_second[-third:])
    if len(per_second) >= overtime.ENOUGH_SECONDS and first:
        change = last / first - 1
        if abs(change) < overtime.DRIFT_SHARE:
            yield Excluded("drift", f"the last third of the run had {change:+.1%} answers beside the first")


def _by_monitor(context: Context) -> Iterable[Excluded]:
    seen = usage.of(context.samples, context.run.duration_s)
    if seen is None:
        return
    generators = seen.role("generator")
    if generators:
        busiest = max(one.busiest_thread_cores or one.cores for one in generators)
        yield Excluded("generator_limited", f"the generator's busiest thread used {share(busiest)} of a core")
    if seen.others_cores is not None:
        stolen = share(seen.steal_share)
        yield Excluded(
            "noisy_host",
            f"other processes used {number(seen.others_cores)} cores, and {stolen} of the time was stolen",
        )
    servers = seen.role("server")
    if servers:
        number_of = f"all {len(servers)} server processes" if len(servers) > 1 else "the server process"
        yield Excluded("worker_restarts", f"{number_of} lived through the load")
        change = sum(one.rss_bytes[-1] - one.rss_bytes[len(one.rss_bytes) // 2] for one in servers)
        direction = "grew" if change > 0 else "shrank"
        yield Excluded(
            "memory_growth", f"the server's memory {direction} by {size(abs(change))} in the second half"
        )
