"""How many requests are in service at once, and what holds the places: a lock, threads, or a pool of connections."""

from __future__ import annotations

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


def common(facts: Facts) -> tuple[Evidence, ...]:
    return (
        evidence("throughput", facts.rate_per_s, "1/s", "wrk, full load"),
        evidence("throughput, full against half the connections", facts.halving, "1", "wrk"),
        evidence("unloaded service time", facts.service_s, "s", "probe 1"),
        evidence("requests in service at once", facts.slots, "1", "throughput x unloaded service time"),
        evidence("server CPU", facts.server_cores, "cores", "/proc"),
        evidence("404 under load", facts.missing_loaded_s, "s", "independent stream"),
    )


def outbound_cap(facts: Facts) -> int | None:
    """The number of connections to other servers, where it was the same at every look at both loads and far below
    the clients' connections: more are wanted and not opened."""
    half = facts.seen.half
    if half is None:
        return None
    fewer = sum(row.outbound_sockets or 0.0 for row in half.counters.processes if row.role == "worker")
    cap = round(facts.outbound_sockets)
    steady = max(abs(facts.outbound_sockets - cap), abs(fewer - cap)) < 0.01 * cap
    return cap if cap >= 2 and steady and cap <= 0.4 * half.connections else None


def waits_at_a_capped_pool(facts: Facts) -> bool:
    """Whether requests wait at a pool of connections although the CPU is full: managing many waiters costs some pools
    (httpx's) more than the requests themselves. A request alone mostly waits, costs far less than under load, and the
    number of outbound connections is capped and explains the throughput."""
    cap, alone, loaded = outbound_cap(facts), facts.unloaded_cpu_s, facts.cpu_per_request_s
    if not facts.cpu_limited or cap is None or not alone or not loaded or not facts.service_s:
        return False
    mostly_waits = alone <= 0.3 * facts.service_s
    return mostly_waits and loaded >= 1.5 * alone and 0.5 * cap <= (facts.slots or 0.0) <= 1.3 * cap


def pool_that_computes(facts: Facts) -> Cause | None:
    """A pool of connections whose waiters use up the CPU."""
    if not waits_at_a_capped_pool(facts):
        return None
    alone, loaded = facts.unloaded_cpu_s or 0.0, facts.cpu_per_request_s or 0.0
    return Cause(
        "connection_pool_limit",
        "likely",
        f"A pool is used up: {outbound_cap(facts)} connections to {facts.outbound_peer or 'another server'} at any "
        f"load, and with those that wait for one a request costs {1e3 * loaded:.1f} ms of CPU instead of "
        f"{1e3 * alone:.1f} ms.",
        (
            *common(facts),
            evidence("outbound connections at both loads", outbound_cap(facts), "1", "/proc/<pid>/fd"),
            evidence("CPU per request", loaded, "s", "/proc, full load"),
            evidence("CPU per request alone", alone, "s", "/proc, probe 1"),
        ),
        "Raise the pool's size (httpx: `limits=httpx.Limits(max_connections=...)`), as far as the server behind it can "
        "bear, or turn requests away before they queue.",
        "throughput in proportion to the pool, and the CPU per request as alone",
    )


def lock_that_computes(facts: Facts) -> Cause | None:
    """One thread computes at a time while many wait for a lock and a core is idle.

    For its own lock Python waits with a time limit; without one wait other locks, and threads that have nothing to do.
    """
    waiters = facts.threads_in("lock") - facts.parked_threads
    running = sum(facts.runnable(process) for process in facts.workers)
    idle_cores = facts.idle_share * facts.counters.cpus
    if (facts.seen.python and not _wait_inside_requests(facts, waiters)) or not facts.cpu_limited:
        return None
    if idle_cores < 0.3:
        return None
    if facts.server_cores > 1.15 * len(facts.workers) or waiters < max(10.0, 5 * running):
        return None
    return Cause(
        "serial_section",
        "proved",
        f"One request at a time computes: {waiters:.0f} threads wait for a lock while {idle_cores:.1f} cores are idle.",
        (
            *common(facts),
            evidence("threads waiting for a lock", waiters, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("threads that run or could", running, "1", "same"),
            evidence("idle cores", idle_cores, "cores", "/proc/stat"),
        ),
        "Hold the lock for less, or split it; what is computed inside is the limit, not threads or cores.",
        "throughput up to that of all cores",
    )


def _wait_inside_requests(facts: Facts, waiters: float) -> bool:
    """Whether most of the threads that wait for a lock were in the middle of a request, by the agent's stacks: more
    were not idle than are left over when those that wait are taken off."""
    agent = facts.seen.agent
    if agent is None or agent.busy_threads is None:
        return False
    others = sum(process.threads for process in facts.workers) - len(facts.loops) - waiters
    return agent.busy_threads - max(0.0, others) >= 0.6 * waiters


def single_threads(facts: Facts) -> Cause | None:
    """Workers with one thread each (no event loop) that all hold a request."""
    if facts.loops or not facts.workers:
        return None
    # The main thread counts: here it serves.
    if any(process.threads > 1.6 for process in facts.workers):
        return None
    count = len(facts.workers)
    if facts.working_threads < 0.6 * count and abs((facts.slots or 0.0) - count) > 0.35 * count:
        return None
    states = working_states(facts)
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
            *common(facts),
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


def working_states(facts: Facts) -> str:
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


def lock_or_pool(facts: Facts) -> Cause | None:
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
    if (held := all_wait(facts)) is not None:
        return _threads(facts, slots, held, 0.0)
    if threaded and working >= 0.7 * slots and waiters <= max(0.5 * working, 2.5 * len(facts.workers)):
        return _threads(facts, slots, working, waiters)
    return _pool(facts, slots, working, waiters)


def all_wait(facts: Facts) -> float | None:
    """How many threads wait, where these are as many as requests in service and no other thread does anything.

    A wait with a time limit is a sleep in some runtimes (Java, Node's workers) and a wait for a lock in others. If all
    threads that are not idle are in service, though, requests wait for a thread and not for something inside. Those
    that wait so without any load as well (a runtime's own) are none of them.
    """
    slots = facts.slots or 0.0
    if slots < 3 or facts.working_threads >= 0.3 * slots:
        return None
    base = facts.seen.unloaded.missing_counters
    workers = [row for row in base.processes if row.role == "worker"] if base is not None else []
    before = sum(row.thread_states.get("timed_lock", 0.0) for row in workers)
    more = facts.threads_in("timed_lock") - before
    if abs(more - slots) <= 0.25 * slots:
        return more
    return facts.lock_waiters if abs(facts.lock_waiters - slots) <= 0.3 * slots + 1 else None


def _doubled(facts: Facts) -> bool:
    """Whether a second copy of the server answered so much more that the limit is one a server has for itself."""
    copy = facts.intervention("copy")
    return copy is not None and (gain(copy) or 0.0) > 1.6


def _serial(facts: Facts, slots: float, waiters: float, working: float) -> Cause:
    seen = waiters > 2 and working <= 2 * len(facts.workers) + 0.5
    certainty: Certainty = "proved" if seen or _doubled(facts) else "likely"
    return Cause(
        "serial_section",
        certainty,
        f"One request at a time: {slots:.1f} in service of {facts.full.connections}, while the CPU is idle"
        + (f" and {waiters:.0f} threads wait for a lock." if seen else "."),
        (
            *common(facts),
            evidence("threads waiting for a lock", waiters, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("threads holding a request", working, "1", "same"),
            *_copy(facts),
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
        working_states(facts) if facts.working_threads >= 0.3 * working else "with a time limit or for a lock"
    )
    certainty: Certainty = "proved" if limiter or agrees else "likely"
    return Cause(
        "threadpool_limit",
        certainty,
        f"Every request thread is taken: {working:.0f} threads hold a request and wait "
        f"({states}), "
        "none is free, and the CPU is idle.",
        (
            *common(facts),
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
    certainty: Certainty = "proved" if agrees or _doubled(facts) else "likely"
    return Cause(
        "connection_pool_limit",
        certainty,
        f"A pool is used up: {slots:.0f} requests are in service, the others wait for one of its "
        "places, and the CPU is idle.",
        (
            *common(facts),
            evidence("threads holding a place", working, "1", "/proc/<pid>/task/*/syscall, sampled"),
            evidence("threads waiting", waiters, "1", "same"),
            evidence(
                "outbound connections", facts.outbound_sockets if sockets else None, "1", "/proc/<pid>/fd"
            ),
            *_copy(facts),
            *_known(slots / len(facts.workers)),
        ),
        "Raise the pool's size (database, HTTP client, semaphore), as far as the server behind it "
        "can bear, or hold a place for less.",
        "throughput in proportion to the pool, until the next limit",
    )


def _copy(facts: Facts) -> tuple[Evidence, ...]:
    copy = facts.intervention("copy")
    return (evidence("gain of a second copy", gain(copy), "1", "intervention"),) if copy is not None else ()


def _known(each: float) -> tuple[Evidence, ...]:
    near = [number for number in KNOWN_SLOTS if abs(each - number) <= 0.12 * number]
    if not near:
        return ()
    return (evidence("per worker, a hint only", KNOWN_SLOTS[near[0]], "", "common defaults"),)
