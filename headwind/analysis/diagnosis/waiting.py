"""Rules for a server that waits: its CPU has room, yet more load gives no more throughput."""

from __future__ import annotations

from headwind.analysis.diagnosis import connections, environment, overtime, pauses
from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.facts import IDLE_STATES, Facts
from headwind.analysis.diagnosis.gains import gain
from headwind.analysis.diagnosis.model import Cause
from headwind.analysis.diagnosis.slots import common, lock_or_pool, single_threads
from headwind.analysis.finding import Certainty


def logging_computes(facts: Facts) -> Cause | None:
    """The CPU is used up, and most of it by writing the log: from the agent's stacks."""
    agent = facts.seen.agent
    share = agent.packages.get("logging", 0.0) if agent is not None else 0.0
    if not facts.cpu_limited or facts.trivial or share < 0.5:
        return None
    return Cause(
        "log_backpressure",
        "likely",
        f"{100 * share:.0f} % of the busy time is spent in logging.",
        (*common(facts), evidence("looks with a frame of logging", share, "1", "agent, stacks sampled")),
        "Log less in a request, or hand the lines to a queue and another thread.",
        f"up to {1 / max(0.05, 1 - share):.1f} times the throughput",
    )


def waiting(facts: Facts) -> list[Cause]:
    """The one limit that requests wait for; empty where the CPU is used up or nothing is saturated."""
    if not facts.saturated or facts.slots is None or not facts.workers:
        return []
    if facts.cpu_limited:
        # A full helper may be what reads the log; a full worker cannot be seen to wait.
        found = _log(facts) if facts.full_helpers and not facts.full_workers else None
        return [] if found is None else [found]
    if _waits_outside(facts):
        return []
    seen_directly = (_log, _file_lock, _blocked_loop)
    by_count = (_dependency, single_threads, lock_or_pool)
    for rule in seen_directly if _counts_mean_nothing(facts) else (*seen_directly, *by_count):
        found = rule(facts)
        if found is not None:
            return [found]
    return []


def _counts_mean_nothing(facts: Facts) -> bool:
    """Whether requests in service cannot be counted: they are refused, the service time changed as the load ran, or
    requests take longer than alone only because nothing is answered for a part of the time."""
    limited = environment.rate_limited(facts)
    if limited is not None and limited.certainty == "proved":
        return True  # most answers are refusals
    drifting = overtime.drift(facts)
    if drifting is not None and drifting.certainty == "proved":
        return True
    return facts.queueing is not None and facts.queueing * (1 - pauses.find(facts).share) < 1.3


def _waits_outside(facts: Facts) -> bool:
    """Whether requests wait to be let in, and those that were are served at once: the queue of new connections
    overflows, few connections were accepted, nearly all of these are in service, and threads come with connections.
    """
    half = facts.seen.half
    found = connections.accept_queue_overflow(facts)
    if found is None or found.certainty != "proved" or half is None or facts.loops:
        return False
    if connections.waits_to_connect(facts) and len(facts.workers) == 1 and facts.workers[0].threads < 1.6:
        return True  # the one thread is taken too, but nobody waits for it for long
    accepted = sum(process.client_sockets or 0.0 for process in facts.workers)
    fewer = sum(process.threads for process in half.counters.processes if process.role == "worker")
    grows = sum(process.threads for process in facts.workers) >= 1.2 * fewer
    return grows and accepted <= 0.5 * facts.full.connections and (facts.slots or 0.0) >= 0.7 * accepted


def _share_of_loops(facts: Facts, state: str) -> float:
    shares = [(process.loop_states or {}).get(state, 0.0) for process in facts.loops]
    return sum(shares) / len(shares) if shares else 0.0


def _log(facts: Facts) -> Cause | None:
    """Threads that wait in write() on a pipe or terminal, or in fsync()."""
    threads = facts.threads_in("log")
    on_loop = _share_of_loops(facts, "log")
    agent = facts.seen.agent
    inside = agent.packages.get("logging", 0.0) if agent is not None else 0.0
    busy = facts.working_threads
    if on_loop < 0.3 and not (threads >= 0.5 and threads >= 0.3 * max(1.0, busy)) and inside < 0.4:
        return None
    return Cause(
        "log_backpressure",
        "proved",
        "Requests wait for the log: threads stand in a write to a pipe or a flush of a file.",
        (
            *common(facts),
            evidence("threads writing or flushing", threads, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("event loop writing or flushing", on_loop, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("looks with a frame of logging", inside if agent else None, "1", "agent"),
        ),
        "Log from a queue in a thread of its own, log less, or give the log's reader more speed; do "
        "not flush per line.",
        "throughput up to the next limit, with the same CPU per request",
    )


def _file_lock(facts: Facts) -> Cause | None:
    waiting = facts.threads_in("file_lock") + sum(
        (process.loop_states or {}).get("file_lock", 0.0) for process in facts.loops
    )
    if waiting < 0.5 or waiting < 0.5 * facts.lock_waiters:
        return None
    return Cause(
        "serial_section",
        "proved",
        f"One request at a time: {waiting:.1f} threads wait for a file lock.",
        (
            *common(facts),
            evidence("threads waiting for a file lock", waiting, "1", "/proc, syscall flock or fcntl"),
        ),
        "Hold the lock for less, or give each worker its own file; more workers or threads cannot help.",
        "throughput up to the next limit",
    )


def _blocked_loop(facts: Facts) -> Cause | None:
    """The event loop's own thread waits in something other than its idle wait."""
    blocked = facts.loop_blocked
    if blocked is None or blocked < 0.35:
        return None
    states = {
        state: _share_of_loops(facts, state)
        for process in facts.loops
        for state in process.loop_states or {}
        if state not in ("run", *IDLE_STATES)
    }
    worst = max(states, key=lambda state: states[state])
    words = {
        "sleep": "a sleep",
        "lock": "a lock",
        "timed_lock": "a lock or queue",
        "outbound": "a blocking call to another server",
        "file": "reading or writing a file",
        "child": "waiting for a process",
    }
    line = _held_line(facts)
    return Cause(
        "blocking_in_event_loop",
        "proved",
        f"A blocking call holds the event loop {100 * blocked:.0f} % of the time: "
        f"{words.get(worst, worst)}{line}.",
        (
            *common(facts),
            evidence("event loop blocked", blocked, "1", "/proc/<pid>/task/<loop>/syscall, sampled"),
            evidence(f"of it in {words.get(worst, worst)}", states[worst], "1", "same"),
            *(
                (evidence("event loop's lag", facts.seen.agent.loop_lag_median_s, "s", "agent, median"),)
                if facts.seen.agent
                else ()
            ),
        ),
        "Await an asynchronous call instead, or move it to a thread (`def` instead of `async def` "
        "does that in FastAPI).",
        f"throughput above {facts.rate_per_s:,.0f}/s: other requests go on while one waits; the 404 "
        "becomes fast",
    )


def _held_line(facts: Facts) -> str:
    agent = facts.seen.agent
    return f", at {agent.lines[0][0]}" if agent is not None and agent.lines else ""


def in_flight(facts: Facts) -> float:
    """Requests that wait for another server at this moment, by threads, or by sockets where there are no threads."""
    threads = facts.threads_in("outbound")
    return max(threads, facts.outbound_sockets if facts.loops and facts.working_threads < 2 else 0.0)


def _dependency(facts: Facts) -> Cause | None:
    """More requests wait at another server than it has in service: it queues them."""
    flying = in_flight(facts)
    slots = facts.slots or 0.0
    dependency = (facts.counters.dependency_cpu_s or 0.0) / facts.counters.wall_s
    at_dependency = flying / facts.rate_per_s if facts.rate_per_s else 0.0
    slowed = at_dependency / facts.service_s if facts.service_s else 0.0
    full = dependency >= 0.85
    waits = flying >= 2 and flying >= 0.5 * max(1.0, facts.working_threads)
    if not waits or not ((slowed >= 1.5 and flying >= 1.5 * slots + 1) or full):
        return None
    copy = facts.intervention("copy")
    unmoved = copy is not None and (gain(copy) or 1.0) < 1.15
    certainty: Certainty = "proved" if full or unmoved else "likely"
    peer = facts.outbound_peer or "another server"
    return Cause(
        "slow_dependency",
        certainty,
        f"Requests wait for {peer}: {flying:.0f} calls are under way there, each {slowed:.1f} times "
        "as long as alone.",
        (
            *common(facts),
            evidence("calls under way", flying, "1", "outbound sockets and threads that wait for them"),
            evidence(
                "a call under load against alone", slowed, "1", "calls under way / throughput / unloaded time"
            ),
            evidence(
                "CPU of the dependency", facts.counters.dependency_cpu_s and dependency, "cores", "/proc"
            ),
            *(
                (evidence("gain of a second copy", gain(copy), "1", "intervention"),)
                if copy is not None
                else ()
            ),
        ),
        f"Diagnose {peer} itself; cache its answers, or ask it for less.",
        "throughput in proportion to what the dependency takes; threads and workers here change nothing",
    )
