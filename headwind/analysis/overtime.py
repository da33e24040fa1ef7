"""What the course of a run shows: stalls and their period, drift, a warm-up inside the measurement, idle windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

from headwind.analysis import closed_loop
from headwind.analysis.context import Context, again, quoted
from headwind.analysis.finding import Evidence, Finding
from headwind.samples import Timeline
from headwind.words import number, rate, seconds, share

# A stall is at least two slots long and twice the mean time per request: connections in step leave shorter gaps.
STALL_SLOTS = 2
# Fewer answers than this in an ordinary slot, and chance alone leaves slots empty (exp(-5) = 0.7 %).
USUAL_ANSWERS = 5
LONG_STALL_S = 0.5
# Stalls are periodic when the gaps between their beginnings vary by less than this (stdev / mean).
PERIODIC_SPREAD = 0.15
PERIODIC_STALLS = 4
# Throughput of a steady run changes less than this between its first and last third.
DRIFT_SHARE = 0.15
ENOUGH_SECONDS = 12
WARM_UP_SHARE = 0.8
# Empty 100-ms windows beyond what chance leaves, from Req/Sec beside Requests/sec.
IDLE_BEYOND_CHANCE = 0.15


@dataclass(frozen=True, slots=True)
class Stall:
    """A stretch of the time line without answers, in seconds from the start."""

    begin_s: float
    length_s: float


def find_stalls(timeline: Timeline, *, shortest_s: float = 0.0) -> list[Stall]:
    """Stretches without answers between the first and the last answer, of at least two slots and `shortest_s`."""
    counts = timeline.responses
    answered = [index for index, count in enumerate(counts) if count]
    if len(answered) < 2 or median(counts[answered[0] : answered[-1] + 1]) < USUAL_ANSWERS:
        return []
    slots = max(STALL_SLOTS, math.ceil(shortest_s / timeline.slot_s))
    return [
        Stall((before + 1) * timeline.slot_s, (after - before - 1) * timeline.slot_s)
        for before, after in pairwise(answered)
        if after - before - 1 >= slots
    ]


def period_s(stalls: Sequence[Stall]) -> float | None:
    """The period of stalls that come regularly; None for fewer than four, or irregular ones."""
    if len(stalls) < PERIODIC_STALLS:
        return None
    gaps = [after.begin_s - before.begin_s for before, after in pairwise(stalls)]
    mean = fmean(gaps)
    return mean if stdev(gaps) <= PERIODIC_SPREAD * mean else None


def stalls(context: Context) -> Iterable[Finding]:
    """Speaks when the time line has stretches in which no connection at all got an answer."""
    timeline = context.run.timeline
    if timeline is None:
        return
    usual_s = context.little_s[1] if context.little_s else 0.0
    found = find_stalls(timeline, shortest_s=2 * usual_s)
    if not found:
        return
    longest = max(stall.length_s for stall in found)
    together = sum(stall.length_s for stall in found)
    every = period_s(found)
    when = f", one every {seconds(every)}" if every else ""
    count = "One stall" if len(found) == 1 else f"{number(len(found))} stalls"
    yield Finding(
        "periodic_stalls" if every else "stalls",
        "warning" if longest >= LONG_STALL_S or every else "info",
        "proved",
        f"{count} of up to {seconds(longest)} in which no answer came at all{when}{_rests_on(context, len(found))}",
        (
            Evidence("stalls", len(found), "1", "time line, slots without answers"),
            Evidence("longest stall", longest, "s", "time line"),
            Evidence("all stalls together", together, "s", "time line"),
            Evidence("first stall at", found[0].begin_s, "s", "time line"),
            *([Evidence("period", every, "s", "mean gap between the beginnings of stalls")] if every else []),
        ),
        "Find what stops the whole server at these times: garbage collection, a job that runs at intervals, a "
        "worker that "
        "is restarted, a full disk queue, CPU throttling. Look at the server's log and counters at the stalls' times.",
        f"Without them throughput rises by about {share(together / max(together, _length_s(timeline)))}, and the "
        "highest "
        "percentiles come down to the rest.",
        f"headwind diagnose --url {quoted(context.run.url)}",
        (context.index,),
    )


def _rests_on(context: Context, count: int) -> str:
    """Whether p99 is made by the stalls: each one delays up to one answer per connection."""
    delayed = count * (context.connections or 0)
    if delayed < context.requests / 100 or not context.requests:
        return ""
    return f"; p99 rests on {'this one event' if count == 1 else f'these {number(count)} events'}, not on many answers"


def _length_s(timeline: Timeline) -> float:
    return len(timeline.responses) * timeline.slot_s


def course(context: Context) -> Iterable[Finding]:
    """Speaks when throughput changed during the run: a warm-up at its beginning, or a drift."""
    timeline = context.run.timeline
    if timeline is None:
        return
    per_second = whole_seconds(timeline)
    if len(per_second) < ENOUGH_SECONDS or median(per_second) < 20:
        return
    settled = warm_up_s(per_second)
    if settled:
        yield _warm_up(context, per_second, settled)
    steady = per_second[settled:]
    third = len(steady) // 3
    parts = [fmean(steady[at * third : (at + 1) * third]) for at in range(3)]
    change = parts[2] / parts[0] - 1 if parts[0] else 0.0
    noise = 3 * stdev(steady[:third]) / math.sqrt(third) / parts[0] if parts[0] and third > 1 else 0.0
    monotone = min(parts[0], parts[2]) <= parts[1] <= max(parts[0], parts[2])
    if abs(change) < max(DRIFT_SHARE, noise) or not monotone:
        return
    yield Finding(
        "drift",
        "warning" if change < 0 else "info",
        "proved",
        f"Throughput {'fell' if change < 0 else 'rose'} by {share(abs(change))} during the run, from "
        f"{rate(parts[0])} to "
        f"{rate(parts[2])}: the run's mean describes neither its beginning nor its end",
        (
            Evidence("throughput in the first third", parts[0], "1/s", "time line"),
            Evidence("throughput in the last third", parts[2], "1/s", "time line"),
        ),
        "Look for what grows or wears out with time: memory, a table, a log, a cache, a CPU that gets throttled; "
        "measure "
        "for several minutes to see where it ends."
        if change < 0
        else "Warm the server up for longer before the measurement.",
        "A steady server gives the same throughput in every third of the run.",
        again(context, duration_s=4 * (context.run.duration_s or 30)),
        (context.index,),
    )


def whole_seconds(timeline: Timeline) -> list[int]:
    """Answers in every whole second of the time line."""
    slots = max(1, round(1 / timeline.slot_s))
    counts = timeline.responses
    return [sum(counts[at : at + slots]) for at in range(0, len(counts) - slots + 1, slots)]


def warm_up_s(per_second: Sequence[int]) -> int:
    """Seconds at the beginning below 80 % of the later median; 0 where it is steady at once or never settles."""
    usual = median(per_second[len(per_second) // 3 :])
    slow = 0
    for answers in per_second[: len(per_second) // 3]:
        if answers >= WARM_UP_SHARE * usual:
            break
        slow += 1
    return slow if slow < len(per_second) // 3 else 0


def _warm_up(context: Context, per_second: Sequence[int], settled: int) -> Finding:
    begin, later = fmean(per_second[:settled]), median(per_second[settled:])
    # wrk asks with all its connections from the start; other tools may begin with a few users and add more.
    what = "a warm-up" if context.wrk else "a warm-up, or a load that was still growing,"
    return Finding(
        "warm_up_inside",
        "info",
        "likely",
        f"The first {seconds(float(settled))} gave {rate(begin)} instead of {rate(later)}: {what} is in the "
        "measurement",
        (
            Evidence("throughput at the beginning", begin, "1/s", "time line"),
            Evidence("median throughput afterwards", later, "1/s", "time line"),
        ),
        "Load the server for some seconds before the measurement begins (`headwind run` does), or measure longer.",
        "Rate and percentiles are then those of the warm server.",
        again(context),
        (context.index,),
    )


def idle_windows(context: Context) -> Iterable[Finding]:
    """Speaks when Req/Sec times threads exceeds Requests/sec by more than chance leaves: windows without answers."""
    per_thread, threads, pace = context.run.thread_requests_per_s, context.run.threads, context.rate_per_s
    if per_thread is None or not per_thread.mean or not threads or not pace or not context.wrk:
        return
    idle = closed_loop.idle_share(per_thread.mean, threads, pace)
    if idle <= IDLE_BEYOND_CHANCE:
        return
    chance = closed_loop.idle_share_by_chance(threads, pace)
    # Connections in step answer together once per mean time: longer than a window, and windows are empty by rhythm.
    in_step = context.little_s is not None and context.little_s[1] > 0.1
    if idle <= chance + IDLE_BEYOND_CHANCE or (in_step and idle <= chance + 2 * IDLE_BEYOND_CHANCE):
        return
    yield Finding(
        "idle_windows",
        "info",
        "likely",
        f"In {share(idle)} of the 100-ms windows a wrk thread got no answer at all (chance leaves "
        f"{share(chance)}): answers "
        "come in bursts, or the server stalls",
        (
            context.read("Req/Sec of one thread", per_thread.mean, "1/s", "'Req/Sec' line"),
            context.read("throughput", pace, "1/s", "'Requests/sec' line"),
            Evidence(
                "share of windows without an answer", idle, "share", "1 - Requests/sec / (Req/Sec x threads)"
            ),
            Evidence("share expected by chance", chance, "share", "exp(-0.1 s x Requests/sec / threads)"),
        ),
        "Record the time line to see when the answers stop, and look for pauses of the whole server at those times.",
        "Without stalls Req/Sec times threads agrees with Requests/sec.",
        f"headwind run --url {quoted(context.run.url)} --connections {context.connections or 200}",
        (context.index,),
    )
