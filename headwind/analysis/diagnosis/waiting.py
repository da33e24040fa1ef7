"""Rules for a server that waits: its CPU has room, yet more load gives no more throughput."""

from __future__ import annotations

from headwind.analysis.diagnosis import connections
from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.facts import IDLE_STATES, LOCK_STATES, Facts
from headwind.analysis.diagnosis.gains import gain
from headwind.analysis.diagnosis.model import Cause
from headwind.analysis.finding import Certainty, Evidence

KNOWN_SLOTS = {
    1: "1 is a lock",
    5: "5 is SQLAlchemy's pool without overflow",
    10: "10 is a common pool size",
    15: "15 is SQLAlchemy's pool",
    40: "40 are AnyIO's threads",
    100: "100 are httpx's connections",
}


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
        (*_common(facts), evidence("looks with a frame of logging", share, "1", "agent, stacks sampled")),
        "Log less in a request, or hand the lines to a queue and another thread.",
        f"up to {1 / max(0.05, 1 - share):.1f} times the throughput",
    )


def waiting(facts: Facts) -> list[Cause]:
    """The one limit that requests wait for; empty where the CPU is used up or nothing is saturated."""
    if facts.cpu_limited or not facts.saturated or facts.slots is None or not facts.workers:
        return []
    if _waits_outside(facts):
        return []
    for rule in (_log, _file_lock, _blocked_loop, _dependency, _single_threads, _lock_or_pool):
        found = rule(facts)
        if found is not None:
            return [found]
    return []


def _waits_outside(facts: Facts) -> bool:
    """Whether requests wait to be let in, and those that were are served at once: the queue of new connections
    overflows, few connections were accepted, nearly all of these are in service, and threads come with connections.
    """
    half = facts.seen.half
    found = connections.accept_queue_overflow(facts)
    if found is None or found.certainty != "proved" or half is None or facts.loops:
        return False
    accepted = sum(process.client_sockets or 0.0 for process in facts.workers)
    fewer = sum(process.threads for process in half.counters.processes if process.role == "worker")
    grows = sum(process.threads for process in facts.workers) >= 1.2 * fewer
    return grows and accepted <= 0.5 * facts.full.connections and (facts.slots or 0.0) >= 0.7 * accepted


def _common(facts: Facts) -> tuple[Evidence, ...]:
    return (
        evidence("throughput", facts.rate_per_s, "1/s", "wrk, full load"),
        evidence("throughput, full against half the connections", facts.halving, "1", "wrk"),
        evidence("unloaded service time", facts.service_s, "s", "probe 1"),
        evidence("requests in service at once", facts.slots, "1", "throughput x unloaded service time"),
        evidence("server CPU", facts.server_cores, "cores", "/proc"),
        evidence("404 under load", facts.missing_loaded_s, "s", "independent stream"),
    )


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
            *_common(facts),
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
            *_common(facts),
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
            *_common(facts),
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
        f"throughput above {facts.rate_per_s:.0f}/s: other requests go on while one waits; the 404 "
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
            *_common(facts),
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


def _single_threads(facts: Facts) -> Cause | None:
    """Workers with one thread each (no event loop) that all hold a request."""
    if facts.loops or not facts.workers:
        return None
    # The main thread counts: here it serves.
    if any(process.threads > 1.6 for process in facts.workers):
        return None
    count = len(facts.workers)
    if facts.working_threads < 0.6 * count and abs((facts.slots or 0.0) - count) > 0.35 * count:
        return None
    states = _working_states(facts)
    if count == 1 and (facts.counters.passive_opens or 0) == 0:
        return None
    copy = facts.intervention("copy") or facts.intervention("worker")
    certainty: Certainty = "proved" if facts.working_threads >= 0.6 * count or copy is not None else "likely"
    return Cause(
        "threadpool_limit",
        certainty,
        f"Every request thread is taken: {count} workers with one thread each, waiting ({states}) "
        "and not computing.",
        (
            *_common(facts),
            evidence("workers", count, "1", "/proc"),
            evidence(
                "threads holding a request", facts.working_threads, "1", "/proc/<pid>/task/*/syscall, sampled"
            ),
            *((evidence("gain of one more", gain(copy), "1", "intervention"),) if copy else ()),
        ),
        "Give each worker threads (gunicorn: --threads 16 with the gthread class), or use an "
        "asynchronous server.",
        "throughput in proportion to the threads, until the CPU is used up",
    )


def _working_states(facts: Facts) -> str:
    names = {
        "sleep": "asleep",
        "outbound": "for another server",
        "file": "for a file",
        "child": "for a process",
    }
    found = {
        state: facts.threads_in(state)
        for process in facts.workers
        for state in process.thread_states
        if state not in (*IDLE_STATES, *LOCK_STATES, "run", "other")
    }
    worst = max(found, key=lambda state: found[state], default="other")
    return names.get(worst, worst)


def _lock_or_pool(facts: Facts) -> Cause | None:
    """How many requests are in service at once, and what the others wait for, tells lock, threads and pool apart."""
    slots = facts.slots or 0.0
    each = slots / len(facts.workers)
    working, waiters = facts.working_threads, facts.lock_waiters
    threaded = working + waiters > 3 * len(facts.workers) or working > 1.5
    if slots < 0.5:
        return None
    computing = facts.unloaded_cpu_s is not None and facts.unloaded_cpu_s > 0.5 * (facts.service_s or 0.0)
    if computing and waiters < 1.5:
        return None  # what is in service at once computes, and nobody is seen to wait
    if slots < 1.6 or (each < 1.35 and (waiters > 2 * working or not threaded)):
        return _serial(facts, slots, waiters, working)
    if threaded and facts.threads_in("client") > 0.5 * working:
        return None  # threads that wait for a client's next request are free
    if _all_wait(facts, slots, working, waiters):
        return _threads(facts, slots, waiters, 0.0)
    if threaded and working >= 0.7 * slots and waiters <= max(0.5 * working, 2.5 * len(facts.workers)):
        return _threads(facts, slots, working, waiters)
    return _pool(facts, slots, working, waiters)


def _all_wait(facts: Facts, slots: float, working: float, waiters: float) -> bool:
    """Whether as many threads wait as requests are in service, and no other thread does anything.

    A wait with a time limit is a sleep in some runtimes (Java, Node's workers) and a wait for a lock in others. If all
    threads that are not idle are in service, though, requests wait for a thread and not for something inside.
    """
    return slots >= 3 and working < 0.3 * slots and abs(waiters - slots) <= 0.3 * slots + 1


def _serial(facts: Facts, slots: float, waiters: float, working: float) -> Cause:
    seen = waiters > 2 and working <= 2 * len(facts.workers) + 0.5
    copy = facts.intervention("copy")
    doubled = copy is not None and (gain(copy) or 0.0) > 1.6
    certainty: Certainty = "proved" if seen or doubled else "likely"
    return Cause(
        "serial_section",
        certainty,
        f"One request at a time: {slots:.1f} in service of {facts.full.connections}, while the CPU is idle"
        + (f" and {waiters:.0f} threads wait for a lock." if seen else "."),
        (
            *_common(facts),
            evidence("threads waiting for a lock", waiters, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("threads holding a request", working, "1", "same"),
        ),
        "Hold the lock for less, or split it; what is done inside is the limit, not threads or CPU.",
        "throughput up to the next limit; half the time inside the lock doubles it",
    )


def _threads(facts: Facts, slots: float, working: float, waiters: float) -> Cause:
    agent = facts.seen.agent
    limiter = agent is not None and (agent.limiter_waiting or 0.0) > 0.5
    seen = facts.working_threads >= 0.7 * working or facts.missing_is_slow
    agrees = abs(working - slots) <= 0.3 * slots and seen
    states = (
        _working_states(facts)
        if facts.working_threads >= 0.3 * working
        else "with a time limit or for a lock"
    )
    certainty: Certainty = "proved" if limiter or agrees else "likely"
    return Cause(
        "threadpool_limit",
        certainty,
        f"Every request thread is taken: {working:.0f} threads hold a request and wait "
        f"({states}), "
        "none is free, and the CPU is idle.",
        (
            *_common(facts),
            evidence("threads holding a request", working, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("threads waiting for a lock or for work", waiters, "1", "same"),
            *(
                (evidence("waiting for AnyIO's limiter", agent.limiter_waiting, "1", "agent"),)
                if agent
                else ()
            ),
            *_known(slots / len(facts.workers)),
        ),
        "Raise the number of threads (AnyIO: "
        "`to_thread.current_default_thread_limiter().total_tokens`; gunicorn: --threads), "
        "or make the handler asynchronous.",
        "throughput in proportion to the threads, until the CPU or what they wait for is used up",
    )


def _pool(facts: Facts, slots: float, working: float, waiters: float) -> Cause | None:
    agrees = working >= 2 and abs(working - slots) <= 0.3 * slots and waiters > 0.5 * working
    sockets = facts.outbound_sockets >= 1.5 and abs(facts.outbound_sockets - slots) <= 0.3 * slots
    busy = max((facts.runnable(process) for process in facts.workers), default=0.0)
    if not agrees and not sockets and busy > 0.6:
        return None  # nothing was seen of the pool, and the CPU may be what is short
    copy = facts.intervention("copy")
    doubled = copy is not None and (gain(copy) or 0.0) > 1.6
    certainty: Certainty = "proved" if agrees or doubled else "likely"
    return Cause(
        "connection_pool_limit",
        certainty,
        f"A pool is used up: {slots:.0f} requests are in service, the others wait for one of its "
        "places, and the CPU is idle.",
        (
            *_common(facts),
            evidence("threads holding a place", working, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("threads waiting", waiters, "1", "same"),
            evidence(
                "outbound connections", facts.outbound_sockets if sockets else None, "1", "/proc/<pid>/fd"
            ),
            *_known(slots / len(facts.workers)),
        ),
        "Raise the pool's size (database, HTTP client, semaphore), as far as the server behind it "
        "can bear, or hold a place for less.",
        "throughput in proportion to the pool, until the next limit",
    )


def _known(each: float) -> tuple[Evidence, ...]:
    near = [number for number in KNOWN_SLOTS if abs(each - number) <= 0.12 * number]
    if not near:
        return ()
    return (evidence("per worker, a hint only", KNOWN_SLOTS[near[0]], "", "common defaults"),)
