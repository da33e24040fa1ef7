"""What can be ruled out, and by which number. A code is ruled out only by a value that was read, "
"never by silence."""

from __future__ import annotations

from collections.abc import Callable

from headwind.analysis.diagnosis import computing, connections, overtime, pauses
from headwind.analysis.diagnosis.facts import SATURATED_BELOW, Facts, latencies_s
from headwind.analysis.diagnosis.gains import gain, gain_interval, words_of_gain
from headwind.analysis.diagnosis.model import RuledOut
from headwind.analysis.diagnosis.slots import all_wait, waits_at_a_capped_pool
from headwind.analysis.diagnosis.waiting import in_flight

Check = Callable[[Facts], str | None]


def _cpu(facts: Facts) -> str | None:
    nearly_full = facts.idle_share < 0.15 and facts.server_cores >= 0.3 * facts.counters.server_cpus
    nearly_full = nearly_full or facts.idle_share < 0.05  # it may have wanted more than it got
    lost = any(load.counters.pids_gone for load in facts.loads)  # what these used is not known
    if facts.cpu_limited or nearly_full or lost:
        return None
    return (
        f"the server used {facts.server_cores:.2f} of {facts.counters.server_cpus} cores, and no worker "
        "was full"
    )


def _workers(facts: Facts) -> str | None:
    tried = facts.intervention("worker") or facts.intervention("copy")
    bought = gain(tried) if tried is not None else None
    interval = gain_interval(tried) if tried is not None else None
    if tried is not None and bought is not None and max(bought, interval[1] if interval else bought) < 1.1:
        return f"{tried.description} changed throughput by {words_of_gain(tried)}"
    if len(facts.workers) >= facts.counters.server_cpus:
        return f"{len(facts.workers)} workers on {facts.counters.server_cpus} cores"
    return _cpu(facts)


def _threadpool(facts: Facts) -> str | None:
    if not facts.counters.states_readable:
        return None
    total = sum(process.threads for process in facts.workers)
    if not facts.saturated:
        return (
            f"half the connections gave 1/{facts.halving:.2f} of the throughput: no pool is full"
            if facts.halving
            else None
        )
    if facts.loops and total <= 1.6 * len(facts.workers):
        return "the workers have no threads but the event loop's"
    if not facts.cpu_limited and all_wait(facts) is not None:
        return None  # those that wait may be the threads in service
    taken = facts.working_threads + facts.lock_waiters
    if facts.working_threads >= 0.4 * (total - len(facts.loops)):
        return None
    if not facts.cpu_limited and facts.working_threads >= 2 and taken >= 0.8 * (total - len(facts.loops)):
        return None  # behind whatever these wait for, the threads are the next limit
    return f"{facts.working_threads:.1f} of {total:.0f} threads hold a request and wait for something outside"


def _pool(facts: Facts) -> str | None:
    if waits_at_a_capped_pool(facts):
        return None
    if facts.cpu_limited:
        return f"the CPU is used up first ({facts.server_cores:.2f} cores)"
    if not facts.saturated and facts.halving:
        return f"twice the connections gave {facts.halving:.2f} times the throughput: no pool is full"
    if facts.loop_blocked is not None and facts.loop_blocked > 0.5:
        return "the event loop itself is blocked; requests do not get as far as a pool"
    if facts.slots is not None and facts.slots < 1.3 * len(facts.workers) and facts.working_threads < 2:
        return f"only {facts.slots:.1f} requests are in service at once"
    if facts.working_threads > 2 and facts.lock_waiters < 0.5 * facts.working_threads:
        return (
            f"{facts.working_threads:.0f} threads hold a request, and {facts.lock_waiters:.1f} wait for "
            "anything else"
        )
    return None


def _blocking(facts: Facts) -> str | None:
    if facts.loop_blocked is not None and facts.loop_blocked < 0.15:
        return f"the event loop was idle or computing in {100 * (1 - facts.loop_blocked):.0f} % of the looks"
    if facts.counters.states_readable and facts.workers and not facts.loops:
        return "the workers have no event loop"
    return None


def _serial(facts: Facts) -> str | None:
    if not facts.saturated and facts.halving:
        return f"twice the connections gave {facts.halving:.2f} times the throughput"
    waiters = facts.lock_waiters + facts.threads_in("file_lock")
    if facts.counters.states_readable and facts.cpu_limited and waiters < 3:
        return "no thread waits for a lock while the CPU is used up"
    held = facts.loop_blocked or 0.0
    by_lock = sum((row.loop_states or {}).get("lock", 0.0) for row in facts.loops)
    if held > 0.5 and by_lock < 0.1 and waiters < 1:
        return f"no thread waits for a lock; the event loop itself is held {100 * held:.0f} % of the time"
    if facts.slots is not None and facts.slots > 2.5 * max(1, len(facts.workers)):
        return f"{facts.slots:.1f} requests are in service at once"
    return None


def _dependency(facts: Facts) -> str | None:
    flying = in_flight(facts)
    if flying < 0.5 and facts.outbound_sockets < 0.5:
        return "the server has no connection to another server"
    if facts.cpu_limited:
        return f"the server's own CPU is used up; {flying:.1f} calls to others are under way"
    return None


def _repeated(facts: Facts) -> str | None:
    read = computing.read_per_request(facts)
    if not facts.cpu_limited:
        return _cpu(facts)
    if facts.trivial and read is not None and read < 2000:
        return (
            f"a request reads {read:.0f} bytes of files and costs "
            f"{1e3 * (facts.unloaded_cpu_s or 0):.2f} ms of CPU, little more than a 404"
        )
    if facts.seen.agent is not None and read is not None and read < 2000:
        return f"a request reads {read:.0f} bytes of files, and no line that loads or builds holds the CPU"
    return None


def _oversubscription(facts: Facts) -> str | None:
    tried = facts.intervention("threads")
    bought = gain(tried) if tried is not None else None
    if bought is not None and bought < 1.08:
        return f"held to one thread, throughput is {bought:.2f} times as high"
    runnable = sum(facts.runnable(process) for process in facts.workers)
    if runnable <= 1.3 * max(facts.counters.server_cpus, len(facts.workers)):
        return f"{runnable:.1f} threads want to compute on {facts.counters.server_cpus} cores"
    return None


def _throttled(facts: Facts) -> str | None:
    if facts.counters.throttled_s is None:
        return None
    if facts.counters.throttled_s == 0:
        return f"the quota held nothing back in {facts.counters.wall_s:.1f} s"
    return f"throttled for {facts.counters.throttled_s:.2f} s of {facts.counters.wall_s:.1f} s"


def _batch(facts: Facts) -> str | None:
    if facts.service_s is not None and facts.service_s < 0.002:
        return f"a lone request takes {1e3 * facts.service_s:.1f} ms"
    together, pairs = overtime.answered_together(facts)
    if pairs >= 4 and together == 0:
        return f"two requests sent apart were answered apart, {pairs} times"
    return None


def _gc(facts: Facts) -> str | None:
    agent = facts.seen.agent
    if agent is not None and agent.wall_s:
        return f"the collector took {100 * agent.gc_pause_s / agent.wall_s:.1f} % of the time, " + (
            f"{1e3 * agent.gc_longest_s:.0f} ms at most" if agent.gc_longest_s else "less than 10 ms each"
        )
    # A collector at work all the time makes no stall, only CPU time.
    return None if facts.cpu_limited and facts.seen.python and not facts.trivial else _no_stall(facts)


def _no_stall(facts: Facts) -> str | None:
    found = pauses.find(facts)
    if found.full or found.half:
        return None
    seconds = sum(load.duration_s for load in facts.loads)
    least = pauses.least_s(facts)
    if least < 0.15:
        return f"no stall of 0.1 s in {seconds:.0f} s of load"
    return (
        f"no stall of {least:.1f} s in {seconds:.0f} s of load, and none of 0.2 s in which 404s waited, too"
    )


def _memory(facts: Facts) -> str | None:
    if any(load.counters.oom_kills or load.counters.pids_gone for load in facts.loads):
        return None  # whoever grew may be gone
    grown = overtime.growth(facts.seen.full)
    if grown is None or (grown[0] >= overtime.GROWN_BYTES and grown[1] >= overtime.GROWN_PER_REQUEST):
        return None
    return f"{max(0.0, grown[0]) / 1e6:.1f} MB grown over the last 60 % of the full load"


def _oom(facts: Facts) -> str | None:
    kills = [load.counters.oom_kills for load in facts.loads]
    if any(count is None or count for count in kills):
        return None
    return "no OOM kill was counted"


def _restarts(facts: Facts) -> str | None:
    gone = sum(len(load.counters.pids_gone) for load in facts.loads)
    return None if gone or not facts.workers else f"the same {len(facts.workers)} workers from start to end"


def _log(facts: Facts) -> str | None:
    agent = facts.seen.agent
    logging = agent.packages.get("logging", 0.0) if agent is not None else None
    # A lock that threads wait for may be the log's own: only their stacks tell.
    hidden = facts.lock_waiters > 2 and not facts.cpu_limited and logging is None
    if not facts.counters.states_readable or hidden or (logging or 0.0) > 0.1:
        return None
    threads = facts.threads_in("log") + sum((row.loop_states or {}).get("log", 0.0) for row in facts.loops)
    return f"{threads:.2f} threads were writing to a pipe or flushing a file" if threads < 0.1 else None


def _rate(facts: Facts) -> str | None:
    if facts.count_status(lambda code: code in (429, 503)):
        return None
    if facts.cpu_limited or not facts.saturated or (facts.slots or 0.0) >= 0.8:
        return "no answer was 429 or 503, and throughput is no lower than the service time explains"
    return None


def _errors(facts: Facts) -> str | None:
    total = sum(facts.full.statuses.values())
    return f"0 of {total:,} answers were errors" if total and facts.bad_share == 0 else None


def _answers(facts: Facts) -> str | None:
    half = facts.seen.half
    if not facts.full.requests or (half is not None and not half.requests):
        return None
    return f"{facts.full.requests:,} answers"


def _keepalive(facts: Facts) -> str | None:
    share = connections.closed_share(facts)
    return None if share is None or share > 0.05 else "the server keeps connections open"


def _proxy(facts: Facts) -> str | None:
    opened = computing.opens_per_request(facts)
    if opened is None or min(opened) > 0.2:
        return None
    return f"the server opened {min(opened):.2f} connections per request"


def _accept(facts: Facts) -> str | None:
    counts = [load.counters.accept_overflows for load in facts.loads]
    if any(count is None or count for count in counts):
        return None
    return "the listening socket dropped no connection"


def _fds(facts: Facts) -> str | None:
    shares = [
        (process.fds_max, process.fds_limit)
        for load in facts.loads
        for process in load.counters.processes
        if process.fds_max and process.fds_limit
    ]
    if not shares:
        return None
    used, limit = max(shares, key=lambda row: row[0] / row[1])
    return f"at most {used} of {limit} descriptors" if used < 0.8 * limit else None


def _imbalance(facts: Facts) -> str | None:
    if len(facts.workers) == 1:
        return "there is one worker"
    used = sorted(process.cpu_s for process in facts.workers)
    if not used or not facts.cpu_limited:
        return None
    return f"workers used {used[0]:.2f} to {used[-1]:.2f} s of CPU" if used[0] > 0.7 * used[-1] else None


def _kinds(facts: Facts) -> str | None:
    found = latencies_s(facts.seen.unloaded.endpoint, "endpoint")
    if len(found) < 20 or facts.kinds is not None:
        return None
    return (
        "alone, 95 % of the requests take less than "
        f"{found[int(0.95 * len(found))] / found[len(found) // 2]:.1f} times the median"
    )


def _drift(facts: Facts) -> str | None:
    before, after = facts.closed_service_s, facts.after_service_s
    if not before or not after or after > 1.25 * before + 0.0003:
        return None
    return f"one request alone takes {after / before:.2f} times as long after the loads as before"


def _cold(facts: Facts) -> str | None:
    first = facts.seen.unloaded.first
    if not facts.seen.started or first is None or first.latency_s is None:
        return None
    return f"the first request took {1e3 * first.latency_s:.0f} ms"


def _generator(facts: Facts) -> str | None:
    share = facts.generator_share
    taken = facts.idle_share < 0.1 and facts.others_cores >= 0.2 * facts.counters.cpus
    if share < 0.01 or taken or (share >= 0.5 and facts.idle_share < 0.15):
        return None  # wrk needs more than nothing: it was not read; or it may have wanted more than it got
    return f"wrk's busiest thread used {100 * share:.0f} % of a core" if share < 0.75 else None


def _noise(facts: Facts) -> str | None:
    if facts.others_cores < 0.1 * facts.counters.cpus and facts.steal_share < 0.04:
        return (
            f"other processes used {facts.others_cores:.2f} cores, {100 * facts.steal_share:.1f} % was stolen"
        )
    if facts.idle_share > 0.3:
        return f"{100 * facts.idle_share:.0f} % of the machine was idle"
    return None


def _delay(facts: Facts) -> str | None:
    if facts.cpu_limited:
        return f"the CPU is used up ({facts.server_cores:.2f} cores)"
    if facts.queueing is not None and facts.queueing >= 1.8:
        return f"a request spends {facts.queueing:.1f} times its unloaded time in the server: it queues"
    if facts.saturated and facts.halving is not None and facts.halving < SATURATED_BELOW:
        return f"twice the connections gave {facts.halving:.2f} times the throughput: saturated"
    return None


CHECKS: dict[str, Check] = {
    "cpu_bound": _cpu,
    "workers_below_cores": _workers,
    "threadpool_limit": _threadpool,
    "connection_pool_limit": _pool,
    "blocking_in_event_loop": _blocking,
    "serial_section": _serial,
    "slow_dependency": _dependency,
    "work_repeated_per_request": _repeated,
    "thread_oversubscription": _oversubscription,
    "cpu_throttled": _throttled,
    "batch_window": _batch,
    "gc_pauses": _gc,
    "periodic_pause": _no_stall,
    "memory_growth": _memory,
    "out_of_memory": _oom,
    "worker_restarts": _restarts,
    "log_backpressure": _log,
    "rate_limited": _rate,
    "errors_served": _errors,
    "no_answers": _answers,
    "no_keepalive": _keepalive,
    "proxy_no_keepalive": _proxy,
    "accept_queue_overflow": _accept,
    "fd_limit": _fds,
    "load_imbalance": _imbalance,
    "two_kinds_of_request": _kinds,
    "drift": _drift,
    "cold_start": _cold,
    "generator_limited": _generator,
    "noisy_host": _noise,
    "pure_delay": _delay,
}


# What rests on looks at threads, sockets or CPU over time: nothing where these were hardly made.
SAMPLED = {
    "threadpool_limit",
    "connection_pool_limit",
    "blocking_in_event_loop",
    "serial_section",
    "slow_dependency",
    "log_backpressure",
    "thread_oversubscription",
    "load_imbalance",
    "worker_restarts",
    "fd_limit",
    "memory_growth",
}


def ruled_out(facts: Facts, named: set[str]) -> tuple[RuledOut, ...]:
    """All codes that a number excludes and that no cause names."""
    found = []
    for code, check in CHECKS.items():
        if facts.hardly_sampled and code in SAMPLED:
            continue
        if code not in named and (reason := check(facts)) is not None:
            found.append(RuledOut(code, reason))
    return tuple(found)
