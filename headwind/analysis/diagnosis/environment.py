"""Rules that are judged first: no answers, errors, the generator, the host, quotas, limits of the "
"operating system."""

from __future__ import annotations

from headwind.analysis.diagnosis.facts import Facts, latencies_s, median
from headwind.analysis.diagnosis.host import starved
from headwind.analysis.diagnosis.model import Cause
from headwind.analysis.finding import Certainty, Evidence


def evidence(name: str, value: float | int | str | None, unit: str, source: str) -> Evidence:
    """A number rounded to what it is worth."""
    return Evidence(name, float(f"{value:.4g}") if isinstance(value, float) else value, unit, source)


def no_answers(facts: Facts) -> Cause | None:
    """Not one whole answer: alone, or under load."""
    seen = facts.seen
    first = seen.unloaded.first
    alone = first is not None and first.done_s is not None
    if alone and (seen.full is None or seen.full.requests > 0):
        return None
    other = any(row.done_s is not None for row in seen.unloaded.missing)
    ended = seen.full is not None and seen.full.counters.server_ended
    if ended:
        title = "The server's process ended under load, and nothing answers any more."
        advice = "Read what the server wrote last; run it under a supervisor that starts it again."
    elif alone:
        title = "It answers one request, and none under load."
        advice = "Look for a deadlock or a pool that is never given back, with one request at a time that still works."
    elif other:
        title = "The endpoint never answers, while another path does: the handler hangs, not the server."
        advice = "Look at what this handler waits for without a time limit."
    else:
        title = "No request got an answer."
        advice = "Check that the URL is right and the server runs: `curl -v` shows how far a request comes."
    return Cause(
        "no_answers",
        "proved",
        title,
        (
            evidence("answers alone", int(alone), "1", "probe 1, time limit 15 s"),
            evidence("answers under load", seen.full.requests if seen.full else None, "1", "wrk"),
        ),
        advice,
        "answers; diagnose again then",
    )


def stopped(facts: Facts) -> Cause | None:
    """It answered at first, and then no more: not at the end of the full load, not in the half load, not alone."""
    half, after = facts.seen.half, facts.seen.after
    line = facts.full.timeline
    if half is None or half.requests or len(line) < 30 or any(line[-15:]):
        return None
    if after is not None and any(row.done_s is not None for row in after.endpoint):
        return None
    last = max(index for index, count in enumerate(line) if count) if any(line) else 0
    return Cause(
        "no_answers",
        "proved",
        f"It stops answering under load: {facts.full.requests} answers in the first {(last + 1) / 10:.1f} s, "
        "then none, not even with one connection.",
        (
            evidence("answers under full load", facts.full.requests, "1", "wrk"),
            evidence("last of them after", (last + 1) / 10, "s", "time line of answers, full load"),
            evidence("answers under half of it", half.requests, "1", "wrk"),
        ),
        "Look for a deadlock, or for connections, permits or threads that are taken and never given back.",
        "answers as long as the load lasts; diagnose again then",
    )


def some_unanswered(facts: Facts) -> Cause | None:
    """A part of the requests is never answered while the others are answered at once."""
    base = facts.seen.unloaded
    # Without load: under it, a request that is only late would look the same.
    rows = [row for row in (*base.paced, *base.endpoint) if row.kind == "endpoint"]
    lost = [row for row in rows if row.done_s is None and not row.closed]
    usual = median(latencies_s(rows))
    if len(lost) < 2 or usual is None or usual > 1.0:
        return None
    return Cause(
        "no_answers",
        "likely",
        f"{len(lost)} of {len(rows)} requests got no answer within the time limit, while the others took "
        f"{1e3 * usual:.1f} ms.",
        (
            evidence("requests without an answer", len(lost), "1", "probe 1, time limits 10 and 15 s"),
            evidence("requests", len(rows), "1", "probe 1"),
            evidence("median of the answered", usual, "s", "probe 1"),
        ),
        "Look for a path in the handler that waits without a time limit.",
        "every request is answered",
    )


def errors_served(facts: Facts) -> Cause | None:
    """Answers with a status of 400 and more, those of a rate limiter apart."""
    limited = facts.count_status(lambda code: code == 429)
    if refuses_by_rate(facts):
        limited += facts.count_status(lambda code: code == 503)
    if (facts.loop_blocked or 0.0) > 0.3:
        limited += facts.count_status(
            lambda code: code == 503
        )  # a blocked server that sheds load: a consequence
    bad = facts.count_status(lambda code: code >= 400) - limited
    total = sum(facts.full.statuses.values())
    if not total or bad / total < 0.005:
        return None
    codes = ", ".join(
        f"{count} x {code}" for code, count in sorted(facts.full.statuses.items()) if int(code) >= 400
    )
    alone = [row for row in facts.seen.unloaded.endpoint if (row.status or 0) >= 400]
    if len(alone) > 0.9 * len(facts.seen.unloaded.endpoint):
        advice = (
            "Every request is answered with an error, even alone: check method, path and body of the request."
        )
    elif alone:
        advice = "Errors come without load too: read the server's log before measuring its speed."
    else:
        advice = "Errors come only under load: read the server's log for what runs out there."
    return Cause(
        "errors_served",
        "proved",
        f"{100 * bad / total:.1f} % of the answers are errors ({codes}).",
        (
            evidence("error answers", bad, "1", "wrk, status codes of all answers"),
            evidence("share of errors", bad / total, "1", "wrk, status codes of all answers"),
            evidence("errors alone", len(alone), "1", "probe 1"),
        ),
        advice,
        "good answers instead of fast errors; only then is the throughput worth reading",
    )


def refuses_by_rate(facts: Facts) -> bool:
    """503 answers that are quick refusals of a server with room left."""
    refused = [row for row in facts.full.answers if row.status == 503 and row.latency_s is not None]
    if not refused or (facts.loop_blocked or 0.0) > 0.3:
        return False
    # A server that is busy with refusing has room for more good answers; one that is busy with these sheds load.
    if facts.cpu_limited and facts.full.good_per_s * (facts.unloaded_cpu_s or 1.0) > 0.5 * facts.server_cores:
        return False
    quick = sorted(row.latency_s or 0.0 for row in refused)[len(refused) // 2]
    return any(row.retry_after for row in refused) or quick < 0.5 * (facts.service_s or 0.0)


def rate_limited(facts: Facts) -> Cause | None:
    """429 answers (or quick 503), or requests held back at a rate far below what one at a time would allow."""
    total = sum(facts.full.statuses.values())
    refused = facts.count_status(lambda code: code == 429)
    if refuses_by_rate(facts):
        refused += facts.count_status(lambda code: code == 503)
    if total and refused / total >= 0.005:
        good = [load.good_per_s for load in facts.loads]
        return Cause(
            "rate_limited",
            "proved" if facts.count_status(lambda code: code == 429) else "likely",
            f"A rate limiter turns away {100 * refused / total:.0f} % of the requests and lets "
            f"{good[0]:,.0f}/s pass.",
            (
                evidence("refused", refused, "1", "wrk, status 429 or quick 503"),
                evidence("good answers per second", good[0], "1/s", "wrk, full load"),
                evidence(
                    "good answers at half",
                    good[1] if len(good) > 1 else None,
                    "1/s",
                    "wrk, half the connections",
                ),
            ),
            "Raise the limit, or exempt the load test; nothing else about the server's speed can be "
            "learned above it.",
            f"good answers above {good[0]:,.0f}/s",
        )
    return _held_back(facts)


def _held_back(facts: Facts) -> Cause | None:
    slots = facts.slots
    if slots is None or facts.cpu_limited or not facts.saturated or facts.halving is None:
        return None
    if facts.idle_share < 0.1 and facts.generator_share >= 0.1:
        return None  # the load generator may have got less of the CPU than it wanted
    # One after the other, requests come at the limiter's pace; now and then, faster. Behind a lock both are the same.
    spaced = slots <= 0.8 and (facts.closed_service_s or 0.0) >= 1.2 * (facts.service_s or 1.0)
    if (
        (slots > 0.5 and not spaced)
        or facts.halving > 1.2
        or facts.rate_per_s > 2000
        or facts.server_cores > 0.5
    ):
        return None
    if facts.working_threads > 2 or (facts.loop_blocked or 0.0) > 0.3:
        return None
    if facts.threads_in("log", "file_lock") >= 0.5:
        return None  # what holds requests back was seen
    # A limiter leaves the server idle; one that is busy, or kept from the CPU, is slow for another reason.
    if max((facts.runnable(process) for process in facts.workers), default=0.0) > 0.5:
        return None
    # A limiter spaces requests evenly; a request that is sometimes long (another illness) would lift the median's tail.
    slow = [value for value in latencies_of_paced(facts) if value > 5 * (facts.service_s or 0.0) + 0.02]
    if len(slow) > 0.15 * max(1, len(latencies_of_paced(facts))):
        return None
    return Cause(
        "rate_limited",
        "likely",
        f"Requests are held back to {facts.rate_per_s:,.0f}/s although one needs only "
        f"{1e3 * (facts.service_s or 0):.1f} ms "
        "and the CPU is idle: a limiter that delays.",
        (
            evidence("throughput", facts.rate_per_s, "1/s", "wrk, full load"),
            evidence("unloaded service time", facts.service_s, "s", "probe 1, slow random schedule"),
            evidence("requests in service at once", slots, "1", "throughput x unloaded service time"),
            evidence("server CPU", facts.server_cores, "cores", "/proc"),
        ),
        "Look for a throttle, a token bucket or a sleep between requests.",
        "throughput up to what CPU or threads allow",
    )


def latencies_of_paced(facts: Facts) -> list[float]:
    """Latencies in seconds of the requests sent one now and then, before any load."""
    return [
        row.latency_s
        for row in facts.seen.unloaded.paced
        if row.kind == "endpoint" and row.latency_s is not None
    ]


def generator_limited(facts: Facts) -> Cause | None:
    """wrk's thread has no time left while the server has."""
    share = facts.generator_share
    # On a shared machine it may want a core all the time and get less.
    wants = share + facts.counters.generator_thread_wait_s / facts.counters.wall_s
    busiest = max((process.busiest_thread_cpu_s for process in facts.workers), default=0.0)
    ahead = facts.counters.generator_thread_cpu_s > 1.3 * busiest
    if not (share >= 0.8 or (wants >= 0.9 and share >= 0.3 and ahead)):
        return None
    if (facts.full_workers and not ahead) or facts.server_cores > 0.9 * facts.counters.server_cpus:
        return None
    if len(facts.full_workers) == len(facts.workers) > 0:
        return None
    script = facts.seen.generator_scripted
    return Cause(
        "generator_limited",
        "proved",
        f"The load generator is the limit: its thread used {100 * share:.0f} % of a core, the server "
        f"{facts.server_cores:.2f} cores.",
        (
            evidence("generator's busiest thread", share, "cores", "/proc of wrk"),
            evidence("server CPU", facts.server_cores, "cores", "/proc of the server"),
            evidence("throughput", facts.rate_per_s, "1/s", "wrk"),
        ),
        "Build the requests once in init() of the script instead of in request()."
        if script
        else "Load from more threads or from another machine.",
        "more throughput from the same server; its own limit is above what was measured",
    )


def noisy_host(facts: Facts) -> Cause | None:
    """CPU stolen, or taken by processes that belong neither to the server nor to the test, where
    CPU is what is short."""
    counters = facts.counters
    others = facts.others_cores
    stolen = facts.steal_share >= 0.08
    if not stolen and not facts.noisy:
        return None
    # A server that waits for threads, locks or others is not short of CPU, whoever else uses it.
    if not facts.cpu_limited and not starved(counters):
        return None
    return Cause(
        "noisy_host",
        "proved" if stolen or others >= 0.35 * counters.cpus else "likely",
        f"Something else on this machine uses {others:.2f} of {counters.cpus} cores"
        + (
            f", and {100 * facts.steal_share:.0f} % is stolen by the hypervisor"
            if facts.steal_share > 0.01
            else ""
        )
        + ", while no core is idle: what is measured is what is left.",
        (
            evidence(
                "CPU of other processes", others, "cores", "/proc/stat less server, generator and prober"
            ),
            evidence("idle", facts.idle_share, "1", "/proc/stat"),
            evidence("steal", facts.steal_share, "1", "/proc/stat"),
        ),
        "Measure again on a machine that does nothing else.",
        "more throughput; the server's own limit shows only then",
    )


def cpu_throttled(facts: Facts) -> Cause | None:
    """The cgroup's quota stopped the server (cpu.stat), or something suspends its threads."""
    counters = facts.counters
    share = (counters.throttled_s or 0.0) / counters.wall_s
    stopped = sum(
        process.thread_states.get("stopped", 0.0) + (process.loop_states or {}).get("stopped", 0.0)
        for process in facts.workers
    )
    if share < 0.03 and (counters.throttled_periods or 0) < 0.1 * counters.wall_s / 0.1 and stopped < 0.1:
        return None
    quota = counters.cpu_quota
    limit = f"the quota of {quota:.2f} cores" if quota else "something from outside"
    return Cause(
        "cpu_throttled",
        "proved",
        f"The server is stopped by {limit} for {100 * max(share, stopped):.0f} % of the time (summed "
        "over its CPUs).",
        (
            evidence("throttled", counters.throttled_s, "s", "cpu.stat of the server's cgroup"),
            evidence("periods throttled", counters.throttled_periods, "1", "cpu.stat of the server's cgroup"),
            evidence("quota", quota, "cores", "cpu.max or cpu.cfs_quota_us"),
            evidence("server CPU", facts.server_cores, "cores", "/proc"),
            evidence("threads suspended", stopped, "1", "/proc, state T"),
        ),
        "Raise the CPU quota, or run no more workers than it pays for.",
        "throughput in proportion to the quota, and no more pauses of tens of milliseconds",
    )


def out_of_memory(facts: Facts) -> Cause | None:
    """OOM kills, or workers that vanish, or fail, at their memory limit."""
    kills = sum(load.counters.oom_kills or 0 for load in facts.loads)
    gone = sum(len(load.counters.pids_gone) for load in facts.loads)
    rows = [row for load in facts.loads for row in load.counters.processes]
    resident = max((size for row in rows for size in row.rss_bytes), default=0)
    address = max((row.vm_bytes or 0 for row in rows), default=0)
    counters = facts.counters
    near_address = counters.address_limit_bytes is not None and address >= 0.85 * counters.address_limit_bytes
    limit = counters.address_limit_bytes if near_address else counters.memory_limit_bytes
    peak = address if near_address else resident
    ended = any(load.counters.server_ended for load in facts.loads)
    near = limit is not None and peak >= 0.85 * limit
    failing = facts.bad_share > 0.005 or gone or ended
    if not (kills and (gone or ended or near)) and not (near and failing):
        return None
    certainty: Certainty = "proved" if kills else "likely"
    return Cause(
        "out_of_memory",
        certainty,
        f"Memory ran out: {kills} kills by the kernel, at a limit of "
        + (f"{limit / 1e6:.0f} MB." if limit else "what this machine has."),
        (
            evidence("OOM kills", kills, "1", "memory.events, memory.oom_control or /proc/vmstat"),
            evidence("workers gone", gone, "1", "/proc"),
            evidence("largest process", peak, "bytes", "/proc/<pid>/stat"),
            evidence("limit", limit, "bytes", "cgroup or ulimit"),
        ),
        "Find what grows (`memory_growth`), use fewer workers, or raise the limit.",
        "no more killed workers, and none of the errors that come with them",
    )


def worker_restarts(facts: Facts) -> Cause | None:
    """Workers vanish, and others come, while requests are served."""
    gone = sum(len(load.counters.pids_gone) for load in facts.loads)
    come = sum(len(load.counters.pids_come) for load in facts.loads)
    if gone + come == 0 or gone == 0:
        return None
    return Cause(
        "worker_restarts",
        "proved",
        f"{gone} workers ended and {come} were started while the load ran.",
        (
            evidence("workers gone", gone, "1", "/proc, looked at every 0.5 s"),
            evidence("workers come", come, "1", "/proc, looked at every 0.5 s"),
            evidence("broken connections", sum(load.socket_errors for load in facts.loads), "1", "wrk"),
        ),
        "Read the server's log for why they end: a crash, a time limit, or a setting such as max_requests.",
        "no broken connections, and no time lost to starting workers",
    )
