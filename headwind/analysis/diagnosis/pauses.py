"""Stalls: stretches of time in which the whole server answers nothing, and what they keep step with."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.facts import Facts, median
from headwind.analysis.diagnosis.model import Cause
from headwind.analysis.diagnosis.observations import Answer, Load

SLOT_S = 0.1
SHORTEST_S = 0.1


@dataclass(frozen=True, slots=True)
class Stall:
    """`at_s` on the monotonic clock; `busy_cores` is what the server computed meanwhile, where it was seen."""

    at_s: float
    length_s: float
    busy_cores: float | None = None


def stalls_of(load: Load, least_s: float) -> list[Stall]:
    """From the time line of answers, where these are dense enough, else from the independent stream.

    Shorter ones than `least_s`, which a crowd that waits in step leaves as well, only where 404s waited with it.
    """
    line = load.timeline[10:]
    usual = statistics.median(line) if line else 0
    if usual < 8:
        found = _by_answers([row for row in load.answers if row.kind == "missing"], 0.0)
        return [stall for stall in found if stall.length_s >= least_s]
    return [
        stall
        for stall in _by_timeline(load, usual)
        if (stall.length_s >= least_s and not _contradicted(stall, load.answers))
        or (stall.length_s >= SHORTEST_S - 0.001 and _held(stall, load.answers))
    ]


def _held(stall: Stall, answers: Sequence[Answer]) -> bool:
    """Whether the 404s that were sent into the stall came back at its end and not before, none excepted."""
    end = stall.at_s + stall.length_s
    inside = [
        row
        for row in answers
        if row.kind == "missing" and stall.at_s <= row.sent_s <= end - max(0.08, 0.3 * stall.length_s)
    ]
    return bool(inside) and all(
        row.latency_s is None or (row.latency_s >= 0.06 and row.sent_s + row.latency_s >= end - SLOT_S)
        for row in inside
    )


def _by_timeline(load: Load, usual: float) -> list[Stall]:
    found: list[Stall] = []
    start: int | None = None
    began = load.counters.began_s
    # wrk's time line ends with the last answer: a run that ends in a stall is longer.
    missing = int(load.duration_s / SLOT_S) - 1 - len(load.timeline)
    line = [*load.timeline, *([0] * missing if missing >= 3 else [])]
    for slot, count in enumerate([*line, int(usual)]):
        quiet = slot >= 10 and count < 0.1 * usual
        if quiet and start is None:
            start = slot
        elif not quiet and start is not None:
            length = (slot - start) * SLOT_S
            if slot < len(line) or missing >= 3:  # a slot or two at the end of the run are no stall
                busy = load.counters.cpu_over_time[start:slot]
                found.append(Stall(began + start * SLOT_S, length, statistics.mean(busy) if busy else None))
            start = None
    return found


def _contradicted(stall: Stall, answers: Sequence[Answer]) -> bool:
    """Whether requests of the independent stream were sent into the stall and answered in it: the server went on.

    404s say it best: they need neither threads nor pools.
    """
    end = stall.at_s + stall.length_s
    inside = [row for row in answers if stall.at_s <= row.sent_s <= end - 0.3 * stall.length_s]
    light = [row for row in inside if row.kind == "missing"] or inside
    quick = sum(row.latency_s is not None and row.sent_s + row.latency_s < end - SLOT_S / 2 for row in light)
    return 2 * quick > len(light)


def _by_answers(answers: list[Answer], least_s: float) -> list[Stall]:
    """Answers that took far longer than usual, those that overlap joined: they waited for the same stall."""
    usual = median(row.latency_s for row in answers if row.latency_s is not None)
    if usual is None:
        return []
    limit = max(least_s, 6 * usual, usual + 0.08)
    found: list[Stall] = []
    end = -1.0
    for row in sorted(answers, key=lambda row: row.sent_s):
        if row.latency_s is None or row.latency_s < limit:
            continue
        done = row.sent_s + row.latency_s
        if row.sent_s > end:
            found.append(Stall(row.sent_s, row.latency_s))
        else:
            found[-1] = Stall(found[-1].at_s, done - found[-1].at_s)
        end = max(end, done)
    return found


def regular_period_s(stalls: list[Stall]) -> float | None:
    """The period of at least three stalls, if their distances agree; gaps of two periods count.

    Of five stalls and more half of the distances must agree within a fifth; of fewer, which luck could space evenly,
    all of them within an eighth.
    """
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(stalls)]
    if len(gaps) < 2:
        return None
    period = statistics.median(gaps)
    rest = [abs(gap / period - round(gap / period)) for gap in gaps if round(gap / period) >= 1]
    if len(gaps) < 4:
        return period if len(rest) == len(gaps) and max(rest) < 0.125 else None
    return period if len(rest) >= 0.7 * len(gaps) and statistics.median(rest) < 0.2 else None


@dataclass(frozen=True, slots=True)
class Pauses:
    """All stalls under load and alone."""

    full: list[Stall]
    half: list[Stall]
    alone: list[Stall]
    alone_s: float  # how long was looked at without load
    share: float  # of the loads' time

    @property
    def all(self) -> list[Stall]:
        return sorted([*self.alone, *self.full, *self.half], key=lambda stall: stall.at_s)


def least_s(facts: Facts) -> float:
    """How long nothing must be answered to be a stall whatever 404s do: requests that wait in step for the same
    service time leave gaps of that length."""
    return SHORTEST_S + 1.5 * (facts.closed_service_s or 0.0)


def find(facts: Facts) -> Pauses:
    least = least_s(facts)
    full = stalls_of(facts.full, least)
    half = stalls_of(facts.seen.half, least) if facts.seen.half else []
    base = facts.seen.unloaded
    rows = sorted([*base.paced, *base.endpoint, *base.missing], key=lambda row: row.sent_s)
    alone = [
        stall
        for kind in ("endpoint", "missing")
        for part in (base.paced, base.endpoint if kind == "endpoint" else base.missing)
        for stall in _by_answers([row for row in part if row.kind == kind], 0.05)
    ]
    looked = sum(
        part[-1].sent_s - part[0].sent_s
        for part in (base.paced, base.endpoint, base.missing)
        if len(part) > 1
    )
    time_s = max(0.1, sum(load.duration_s - 1.0 for load in facts.loads))
    return Pauses(
        full,
        half,
        _merge(alone) if rows else [],
        looked,
        sum(stall.length_s for stall in full + half) / time_s,
    )


def _merge(stalls: list[Stall]) -> list[Stall]:
    merged: list[Stall] = []
    for stall in sorted(stalls, key=lambda stall: stall.at_s):
        if merged and stall.at_s < merged[-1].at_s + merged[-1].length_s:
            continue
        merged.append(stall)
    return merged


def pauses(facts: Facts) -> list[Cause]:
    """Garbage collection, or something that comes by the clock."""
    collected = gc_pauses(facts)
    if collected is not None:
        return [collected]
    found = find(facts)
    if not _counts(found):
        single = _of_single_workers(facts)
        return [] if single is None else [single]
    if _by_requests(facts, found):
        return [_suspected_gc(facts, found)]
    period = regular_period_s(found.full) or regular_period_s(found.full + found.half)
    period = period or regular_period_s(found.all)
    if period is None and not _again_and_again(found):
        return []
    return [_periodic(facts, found, period)]


def _counts(found: Pauses) -> bool:
    """Whether there are stalls enough to speak of a rhythm: what comes every 5 s may come once in each load."""
    return (
        len(found.full) >= 1
        and len(found.full) + len(found.half) >= 2
        and found.share >= 0.03
        and len(found.all) >= 3
    )


def _again_and_again(found: Pauses) -> bool:
    """Without a rhythm: stalls alone as under load, several of each, or each too long to be luck."""
    if len(found.alone) >= 2 and len(found.full) >= 2:
        return True
    return bool(found.alone) and min(stall.length_s for stall in found.all) >= 0.5


def rhythm_of_workers(stalls: list[Stall], workers: int) -> float | None:
    """The period of stalls of `workers` processes that each keep the same one, out of step with one another.

    Then every n-th stall keeps it: each of the n rows must have at least three stalls, and all the same period.
    """
    for n in range(1, workers + 1):
        rows = [stalls[start::n] for start in range(n)]
        periods = [_even_period_s(row) for row in rows if len(row) >= 3]
        known = [period for period in periods if period is not None]
        if len(known) == n and max(known) <= 1.15 * min(known):
            return statistics.mean(known)
    return None


def _even_period_s(stalls: list[Stall]) -> float | None:
    """The period of stalls of which every distance is within an eighth of one or more periods."""
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(stalls)]
    period = statistics.median(gaps)
    even = all(round(gap / period) >= 1 and abs(gap / period - round(gap / period)) < 0.125 for gap in gaps)
    return period if even else None


def _of_single_workers(facts: Facts) -> Cause | None:
    """One worker of several pauses while the others go on: seen by the independent stream alone."""
    if len(facts.workers) < 2:
        return None
    light = [row for load in facts.loads[:1] for row in load.answers if row.kind == "missing"]
    stalls = [stall for stall in _by_answers(light, 0.0) if stall.length_s >= least_s(facts)]
    period = rhythm_of_workers(stalls, len(facts.workers))
    if period is None or len(stalls) < 4:
        return None
    length_s = max(stall.length_s for stall in stalls)
    return Cause(
        "periodic_pause",
        "likely",
        f"A worker answers nothing for up to {1e3 * length_s:.0f} ms every {period:.2f} s, while the others go on.",
        (
            evidence("late 404s", len(stalls), "1", "independent stream, full load"),
            evidence("period", period, "s", "independent stream, full load"),
            evidence("longest", length_s, "s", "independent stream, full load"),
            evidence("workers", len(facts.workers), "1", "/proc"),
        ),
        "Look for a timer, a refresh, a metrics or a checkpoint job in the serving processes, and move it to "
        "another process.",
        "no answer later than usual",
    )


def gc_pauses(facts: Facts) -> Cause | None:
    """From the agent: the collector's own times."""
    agent = facts.seen.agent
    if agent is None or not agent.wall_s:
        return None
    share = agent.gc_pause_s / agent.wall_s
    # Stalls far longer than any collection have another cause, which may make garbage as well.
    other = max((stall.length_s for stall in find(facts).full), default=0.0) > 3 * agent.gc_longest_s
    if share < 0.15 and not (agent.gc_longest_s >= 0.08 and share >= 0.04 and not other):
        return None
    each = agent.gc_pause_s / agent.requests if agent.requests else None
    return Cause(
        "gc_pauses",
        "proved",
        f"Garbage collection takes {100 * share:.0f} % of the time, up to "
        f"{1e3 * agent.gc_longest_s:.0f} ms at once.",
        (
            evidence("time in the collector", agent.gc_pause_s, "s", f"agent, {agent.wall_s:.1f} s"),
            evidence("longest collection", agent.gc_longest_s, "s", "agent"),
            evidence("collections", agent.gc_collections, "1", "agent"),
            evidence("per request", each, "s", "agent"),
        ),
        "Call gc.freeze() after loading what stays, raise gc.set_threshold(), avoid cycles, and "
        "never gc.collect() in a request.",
        f"pauses of up to {1e3 * agent.gc_longest_s:.0f} ms vanish, and up to {100 * share:.0f} % "
        "more throughput",
    )


def _by_requests(facts: Facts, found: Pauses) -> bool:
    """Whether stalls count requests and not seconds: the server computes meanwhile, and alone they are absent."""
    busy = [stall.busy_cores for stall in found.full if stall.busy_cores is not None]
    if not busy or statistics.mean(busy) < 0.7 or facts.seen.agent is not None:
        return False
    alone_requests = facts.alone
    each = facts.full.requests / len(found.full)
    expected_by_clock = found.alone_s * len(found.full) / facts.full.duration_s
    expected_by_count = alone_requests / each
    return len(found.alone) < 0.5 * expected_by_clock and expected_by_clock >= 1.5 * max(
        0.3, expected_by_count
    )


def _suspected_gc(facts: Facts, found: Pauses) -> Cause:
    each = facts.full.requests / len(found.full)
    longest = max(stall.length_s for stall in found.full)
    return Cause(
        "gc_pauses",
        "likely",
        f"The server computes for up to {1e3 * longest:.0f} ms without answering, once in {each:.0f} "
        "requests: it keeps step with "
        "requests, not with the clock, as garbage collection does.",
        (
            evidence("stalls", len(found.full), "1", "time line of answers, full load"),
            evidence("share of the time", found.share, "1", "time line of answers, full load"),
            evidence("requests per stall", each, "1", "time line of answers, full load"),
            evidence("stalls without load", len(found.alone), "1", f"prober, {found.alone_s:.1f} s"),
        ),
        "Let Headwind start the server (--command): its agent times the collector. Then gc.freeze() "
        "after loading, or higher thresholds."
        if facts.seen.python
        else "Let the runtime tell its collections (node --trace-gc, java -Xlog:gc, GODEBUG=gctrace=1); keep less "
        "alive, make less garbage, or give it more heap.",
        "the stalls vanish",
    )


def _periodic(facts: Facts, found: Pauses, period: float | None) -> Cause:
    lengths = [stall.length_s for stall in found.full]
    busy = [stall.busy_cores for stall in found.full if stall.busy_cores is not None]
    doing = "computing" if busy and statistics.mean(busy) > 0.6 else "waiting"
    every = f"every {period:.2f} s" if period is not None else "again and again, without load too"
    return Cause(
        "periodic_pause",
        "proved" if period is not None and (found.alone or len(found.full) >= 4) else "likely",
        f"Nothing is answered for {1e3 * statistics.median(lengths):.0f} ms {every}; the server is "
        f"{doing} meanwhile.",
        (
            evidence("stalls", len(found.full), "1", "time line of answers, full load"),
            evidence("period", period, "s", "time line of answers"),
            evidence("share of the time", found.share, "1", "time line of answers, full load"),
            evidence("stalls without load", len(found.alone), "1", f"prober, {found.alone_s:.1f} s"),
            evidence("server CPU meanwhile", statistics.mean(busy) if busy else None, "cores", "/proc"),
        ),
        "Look for a timer, a refresh, a metrics or a checkpoint job in the serving process, and move "
        "it to another process.",
        f"up to {100 * found.share:.0f} % more throughput, and no answer later than usual",
    )
