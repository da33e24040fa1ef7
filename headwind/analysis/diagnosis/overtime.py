"""Rules about connections, and about what changes from request to request or over time."""

from __future__ import annotations

from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.facts import Facts, latencies_s
from headwind.analysis.diagnosis.model import Cause
from headwind.analysis.diagnosis.observations import Load

GROWN_BYTES = 3e6  # in the last 60 % of a load; less is nothing
GROWN_PER_REQUEST = 150.0


def growth(load: Load | None) -> tuple[float, float] | None:
    """(bytes grown over the last 60 % of the load, bytes per request there), all workers together.

    Memory that goes up and down, as a cache that is emptied does, counts by its lesser half.
    """
    if load is None:
        return None
    total, whole = 0.0, False
    for process in load.counters.processes:
        # The last look comes when the load is over.
        steps = process.rss_bytes[:-1] if len(process.rss_bytes) > 4 else process.rss_bytes
        if len(steps) >= 4:
            start, middle = int(0.4 * len(steps)), int(0.7 * len(steps))
            total += 2 * min(steps[middle] - steps[start], steps[-1] - steps[middle])
            whole = True
    requests = 0.6 * load.requests
    return (total, total / requests) if whole and requests else None


def memory_growth(facts: Facts) -> Cause | None:
    """Resident memory climbs with the requests, in the second load as in the first."""
    first, second = growth(facts.seen.full), growth(facts.seen.half)
    if first is None or first[0] < GROWN_BYTES or first[1] < GROWN_PER_REQUEST:
        return None
    if second is None or second[0] < 1e6 or second[1] < 0.25 * first[1]:
        return None
    # Other runtimes (Java, JavaScript, Go) take memory up to a limit before they collect: that is no leak yet.
    resident = sum(process.rss_bytes[-1] for process in facts.counters.processes if process.rss_bytes)
    if not facts.seen.python and (first[0] < max(3e7, 0.1 * resident) or second[1] < 0.5 * first[1]):
        return None
    each = (first[1] + second[1]) / 2
    return Cause(
        "memory_growth",
        "proved" if facts.seen.python else "likely",
        f"Memory grows by {each / 1e3:.1f} kB per request: {first[0] / 1e6:.0f} MB in the last 60 % "
        "of the full load, "
        f"{second[0] / 1e6:.0f} MB in that of the second, and it does not level off.",
        (
            evidence("growth, full load", first[0], "bytes", "/proc/<pid>/stat, last 60 %"),
            evidence("growth, half the connections", second[0], "bytes", "/proc/<pid>/stat, last 60 %"),
            evidence("per request", each, "bytes", "growth / requests"),
        ),
        "Look for a list, a cache or a metric with a label per request that only grows (tracemalloc, memray).",
        f"flat memory; now {each * facts.rate_per_s * 3600 / 1e9:.1f} GB per hour at this rate",
    )


def quarters(load: Load | None) -> list[float] | None:
    """Answers per second in the quarters of a load, the first second left out."""
    if load is None or len(load.timeline) < 30:
        return None
    line = load.timeline[10 : -1 or None]
    size = len(line) // 4
    return [sum(line[i * size : (i + 1) * size]) / (0.1 * size) for i in range(4)] if size else None


def drift(facts: Facts) -> Cause | None:
    """One request alone takes longer after the loads than before, and throughput fell during them."""
    before, after = facts.closed_service_s, facts.after_service_s
    cpu_before, cpu_after = facts.unloaded_cpu_s, facts.after_cpu_s
    if not before or not after:
        return None
    slower = after / before
    dearer = cpu_after / cpu_before if cpu_before and cpu_after else None
    computing = cpu_before is not None and cpu_before > 0.5 * before
    # CPU time does not depend on who else uses the machine; for requests that wait there is only the clock.
    grown = dearer if computing else slower
    parts = quarters(facts.seen.full)
    falling = parts is None or not parts[0] or parts[3] < 0.97 * parts[0]
    if grown is None or grown < 1.3 or after - before < 0.0002 or slower < 1.2 or not falling:
        return None
    rates = f"{parts[0]:,.0f}/s at the start of the load, {parts[3]:,.0f}/s at its end; " if parts else ""
    return Cause(
        "drift",
        "proved" if grown >= 1.5 else "likely",
        f"It gets slower as it runs: {rates}one request alone takes {1e3 * after:.1f} ms after the load, "
        f"{1e3 * before:.1f} ms before.",
        (
            evidence("one request alone, before", before, "s", "probe 1"),
            evidence("one request alone, after", after, "s", "probe 1 repeated after the loads"),
            evidence("CPU per request, after against before", dearer, "1", "/proc"),
            evidence("first quarter", parts[0] if parts else None, "1/s", "time line of answers, full load"),
            evidence("last quarter", parts[3] if parts else None, "1/s", "time line of answers, full load"),
        ),
        "Look for something that is searched or copied in every request and grows: a list, a log in memory, a "
        "table without an index.",
        "throughput as at the start of the load",
    )


def cold_start(facts: Facts) -> Cause | None:
    """The first request to a server that Headwind started took far longer than those after it."""
    first = facts.seen.unloaded.first
    if not facts.seen.started or first is None or first.latency_s is None or facts.service_s is None:
        return None
    if first.latency_s < max(0.2, 8 * facts.service_s):
        return None
    return Cause(
        "cold_start",
        "proved",
        f"The first request took {first.latency_s:.2f} s, later ones {1e3 * facts.service_s:.1f} ms: "
        "something is loaded on demand.",
        (
            evidence("first request", first.latency_s, "s", "probe 1"),
            evidence("median afterwards", facts.service_s, "s", "probe 1"),
        ),
        "Load and warm the model before the server says that it is ready.",
        "the first user, and the first after each restart, waits no longer than the others",
    )


def two_kinds(facts: Facts) -> Cause | None:
    """The same request is sometimes far more expensive, with nothing in between, even without load."""
    found = facts.kinds
    if found is None:
        return None
    time_share = found.share_slow * found.slow_s
    time_share /= time_share + (1 - found.share_slow) * found.fast_s
    # Thousands of answers show a rare kind surely; of the few alone only a frequent one counts.
    if time_share < (0.1 if found.under_load else 0.25) or found.share_slow > 0.9:
        return None
    source = "wrk's histogram, both loads" if found.under_load else "probe 1"
    return Cause(
        "two_kinds_of_request",
        "proved",
        f"{100 * found.share_slow:.0f} % of the requests take {1e3 * found.slow_s:.0f} ms, the "
        f"others {1e3 * found.fast_s:.1f} ms, with "
        f"nothing between, "
        f"{'at both loads alike' if found.under_load else 'and without load'}: the slow kind has "
        f"{100 * time_share:.0f} % of the time.",
        (
            evidence("slow kind", found.share_slow, "1", source),
            evidence("its median", found.slow_s, "s", source),
            evidence("median of the others", found.fast_s, "s", source),
        ),
        "Find what the slow ones have in common (a cache miss, other input, every n-th), and give "
        "them a path or a pool of their own.",
        "averages and percentiles of the whole say little: measure the kinds apart",
    )


def pure_delay(facts: Facts) -> Cause | None:
    """Twice the connections give twice the throughput, and each request takes as long as alone:
    nothing is used up."""
    if facts.cpu_limited or facts.saturated or facts.service_s is None or facts.service_s < 0.002:
        return None
    if facts.unloaded_cpu_s is not None and facts.unloaded_cpu_s > 0.5 * facts.service_s:
        return None
    peer = facts.outbound_peer
    where = f", waiting for {peer}" if peer and facts.outbound_sockets >= 0.5 * (facts.slots or 0.0) else ""
    return Cause(
        "pure_delay",
        "proved" if facts.halving is not None and facts.halving > 1.6 else "likely",
        f"Each request takes {1e3 * facts.service_s:.0f} ms whatever the load{where}; nothing is "
        f"used up at {facts.full.connections} connections.",
        (
            evidence("throughput, full against half the connections", facts.halving, "1", "wrk"),
            evidence("unloaded service time", facts.service_s, "s", "probe 1"),
            evidence(
                "time in the server against alone",
                facts.queueing,
                "1",
                "connections / throughput / unloaded time",
            ),
            evidence("server CPU", facts.server_cores, "cores", "/proc"),
        ),
        "To be faster, shorten the wait itself; to see the server's limit, load with more connections.",
        f"more connections give more throughput: {facts.rate_per_s:,.0f}/s is not the ceiling",
        "headwind diagnose --connections " + str(2 * facts.full.connections),
    )


def answered_together(facts: Facts) -> tuple[int, int]:
    """(pairs of requests that were sent apart and answered together, all pairs), without load."""
    pairs: dict[int, list[tuple[float, float]]] = {}
    for row in facts.seen.unloaded.pairs:
        if row.done_s is not None:
            pairs.setdefault(row.group, []).append((row.sent_s, row.done_s))
    whole = [sorted(rows) for rows in pairs.values() if len(rows) == 2]
    offset = facts.seen.unloaded.pair_offset_s or 0.0
    together = sum(
        1
        for first, second in whole
        if abs(second[1] - first[1]) < max(0.25 * offset, 0.0004) and second[0] - first[0] > 0.5 * offset
    )
    return together, len(whole)


def _waits_for_a_clock(facts: Facts, together: int, pairs: int) -> bool:
    """Whether a window opens by the clock, whoever asks: two requests may then fall into different ones, and one
    that comes at a random moment waits anything from nothing to the whole window."""
    paced = latencies_s(facts.seen.unloaded.paced, "endpoint")
    early = paced[len(paced) // 10] if len(paced) >= 10 else None
    closed = facts.closed_service_s
    return together >= max(2, 0.25 * pairs) and bool(early and closed and early < 0.4 * closed)


def batch_window(facts: Facts) -> Cause | None:
    """Two requests sent apart are answered together: they waited for one batch."""
    together, pairs = answered_together(facts)
    offset = facts.seen.unloaded.pair_offset_s or 0.0
    service = facts.closed_service_s or facts.service_s
    if pairs < 3 or offset < 0.0008 or not service:
        return None
    cpu = facts.unloaded_cpu_s
    wanted = 0.45 if len(facts.workers) <= 1 else 0.3  # a pair may meet two workers
    if cpu is not None and cpu > 0.4 * service:
        return None
    if together < wanted * pairs and not _waits_for_a_clock(facts, together, pairs):
        return None
    return Cause(
        "batch_window",
        "proved",
        f"Requests wait for a batch: two sent {1e3 * offset:.1f} ms apart are answered together in "
        f"{together} of {pairs} pairs, "
        f"and a lone request takes {1e3 * service:.1f} ms.",
        (
            evidence("pairs answered together", together / pairs, "1", "probe 1, pairs of requests"),
            evidence("unloaded service time", service, "s", "probe 1"),
            evidence("server CPU per request", cpu, "s", "/proc, probe 1"),
        ),
        "Shorten the batching window, or let a batch go as soon as the model is free.",
        f"the unloaded time falls by up to {1e3 * (service - (cpu or 0.0)):.0f} ms; throughput at "
        "full load stays",
    )
