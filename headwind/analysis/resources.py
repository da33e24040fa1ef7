"""What the monitor saw of the server and the machine: CPU, workers, memory, restarts, stolen time."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from headwind.analysis import usage
from headwind.analysis.context import Context, again, quoted
from headwind.analysis.finding import Evidence, Finding
from headwind.analysis.usage import ProcessUsage, Usage
from headwind.words import number, share, size

SOURCE = "monitor's samples"
# A thread at this share of a core has no time left.
FULL_CORE = 0.95
# Of all cores: above it the CPU is the limit; below the other one there is room for another busy process.
CPU_FULL = 0.95
CPU_ROOM = 0.75
# A worker that uses at least this much takes part in the work.
WORKING_CORES = 0.05
UNEVEN_FACTOR = 2.0
VERY_UNEVEN_FACTOR = 4.0
CONNECTIONS_PER_WORKER = 8
STEAL_SHARE = 0.05
# Other processes matter from this share of the machine, and this many cores.
OTHERS_SHARE = 0.10
OTHERS_CORES = 0.25
# Memory that still grows in the second half of the run, by this much and this share, is no cache that fills.
GROWTH_BYTES = 20 * 2**20
GROWTH_SHARE = 0.10


def resources(context: Context) -> Iterable[Finding]:
    """All rules that rest on the monitor's samples; silent without them."""
    if len(context.samples) < 3:
        return
    seen = usage.of(context.samples, context.run.duration_s)
    if seen is None:
        return
    yield from _restarts(context, seen)
    yield from _one_busy_worker(context, seen)
    yield from _cpu_full(context, seen)
    yield from _workers_above_cores(context, seen)
    yield from _uneven(context, seen)
    yield from _oversubscribed(context, seen)
    yield from _memory(context, seen)


def noise(context: Context) -> Iterable[Finding]:
    """Whether others used the machine, which is judged before anything is said of the server."""
    if len(context.samples) >= 3 and (seen := usage.of(context.samples, context.run.duration_s)):
        yield from _noisy(context, seen)


def _diagnose(context: Context) -> str:
    return f"headwind diagnose --url {quoted(context.run.url)}"


def _noisy(context: Context, seen: Usage) -> Iterable[Finding]:
    """Others took part of the machine: the hypervisor's other guests, or processes beside server and generator."""
    others = seen.others_cores or 0.0
    busy_others = others >= max(OTHERS_CORES, OTHERS_SHARE * seen.cpus)
    if seen.steal_share < STEAL_SHARE and not busy_others:
        return
    who = []
    if busy_others:
        who.append(
            f"processes that are neither server nor generator used {number(others)} of {seen.cpus} cores"
        )
    if seen.steal_share >= STEAL_SHARE:
        who.append(f"the hypervisor gave {share(seen.steal_share)} of the CPU time to others")
    yield Finding(
        "noisy_host",
        "warning",
        "proved",
        f"Others took part of this machine during the run ({'; '.join(who)}): throughput is a lower bound",
        (
            Evidence("CPU of other processes", seen.others_cores, "cores", SOURCE),
            Evidence("stolen CPU time", seen.steal_share, "share", SOURCE),
            Evidence("busy cores of the machine", seen.busy_cores, "cores", SOURCE),
            Evidence("cores of the machine", seen.cpus, "cores", SOURCE),
        ),
        "Measure again on a quiet or dedicated machine; compare configurations only in alternation on this one. "
        "A proxy or "
        "a database of the server's own counts as another process here.",
        "On a quiet machine throughput is higher and varies less between runs.",
        again(context),
        (context.index,),
    )


def _restarts(context: Context, seen: Usage) -> Iterable[Finding]:
    """Workers that worked and vanished before the load's end."""
    servers = seen.role("server")
    if not servers:
        return
    end = max(one.times_s[-1] for one in seen.processes)
    gone = [one for one in servers if one.times_s[-1] < end - 1.5 and one.cpu_s >= 0.1]
    if not gone:
        return
    begin = min(one.times_s[0] for one in seen.processes)
    fresh = [one for one in servers if one.times_s[0] > begin + 1.5]
    yield Finding(
        "worker_restarts" if fresh else "worker_died",
        "critical",
        "proved",
        f"{number(len(gone))} server process{'es' if len(gone) > 1 else ''} ended during the load"
        + (f" and {number(len(fresh))} began" if fresh else ""),
        (
            Evidence("processes that ended", len(gone), "1", SOURCE),
            Evidence("processes that began", len(fresh), "1", SOURCE),
            Evidence("first one ended at", min(one.times_s[-1] for one in gone), "s", SOURCE),
            *(
                Evidence(f"memory of process {one.pid} at its end", one.rss_bytes[-1], "bytes", SOURCE)
                for one in gone[:3]
            ),
        ),
        "Read the server's log at that time: a crash, a worker timeout (gunicorn's --timeout), a limit on "
        "requests per "
        "worker (--max-requests) or the kernel's out-of-memory killer.",
        "Without restarts no request is lost in the middle, and the stalls at these times go away.",
        _diagnose(context),
        (context.index,),
    )


def _one_busy_worker(context: Context, seen: Usage) -> Iterable[Finding]:
    """One thread of the server is full while the machine has cores to spare: one Python process uses one core."""
    workers = seen.workers
    if not workers or seen.cpus < 2 or seen.busy_cores > CPU_ROOM * seen.cpus:
        return
    busiest = workers[0]
    full = max(busiest.busiest_thread_cores or 0.0, min(1.0, busiest.cores) if busiest.cores <= 1.05 else 0.0)
    others = sum(one.cores for one in workers[1:])
    if full < FULL_CORE or others > 0.5 * busiest.cores:
        return
    yield Finding(
        "one_busy_worker",
        "warning",
        "likely",
        f"One server process is full ({share(min(1.0, full))} of a core) while "
        f"{number(seen.cpus - seen.busy_cores)} of "
        f"{seen.cpus} cores were idle",
        (
            Evidence("CPU of the busiest server process", busiest.cores, "cores", SOURCE),
            Evidence("its busiest thread", busiest.busiest_thread_cores, "cores", SOURCE),
            Evidence("busy cores of the machine", seen.busy_cores, "cores", SOURCE),
            Evidence("cores of the machine", seen.cpus, "cores", SOURCE),
        ),
        "Start more worker processes, up to one for each core that the generator leaves.",
        "A second worker raises the throughput until the cores are busy; if it does not, something else limits.",
        f"headwind compare --workers {max(1, len(workers))} {len(workers) + 1}",
        (context.index,),
    )


def _cpu_full(context: Context, seen: Usage) -> Iterable[Finding]:
    if seen.busy_cores < CPU_FULL * seen.cpus:
        return
    server, generator = (sum(one.cores for one in seen.role(role)) for role in ("server", "generator"))
    yield Finding(
        "cpu_full",
        "info",
        "proved",
        f"All {seen.cpus} cores were busy: the server used {number(server)}, the generator {number(generator)}",
        (
            Evidence("busy cores of the machine", seen.busy_cores, "cores", SOURCE),
            Evidence("CPU of the server", server, "cores", SOURCE),
            Evidence("CPU of the generator", generator, "cores", SOURCE),
        ),
        "Save CPU per request, or add cores. More workers or connections cannot help: there is no core for them.",
        "Throughput changes as the CPU time per request does.",
        _diagnose(context),
        (context.index,),
    )


def _workers_above_cores(context: Context, seen: Usage) -> Iterable[Finding]:
    working = [one for one in seen.workers if one.cores >= WORKING_CORES]
    if len(working) <= seen.cpus:
        return
    yield Finding(
        "workers_above_cores",
        "info",
        "likely",
        f"{len(working)} server processes share {seen.cpus} cores: more workers than cores buy memory use, not "
        "throughput, "
        "unless they wait for something else than CPU",
        (
            Evidence("server processes at work", len(working), "1", SOURCE),
            Evidence("cores of the machine", seen.cpus, "cores", SOURCE),
            Evidence("memory of the server", sum(one.rss_bytes[-1] for one in working), "bytes", SOURCE),
        ),
        f"Compare with {seen.cpus} workers, and keep the smaller number if they are equal.",
        "Throughput stays within a few per cent, and the memory of the workers left out is saved.",
        f"headwind compare --workers {seen.cpus} {len(working)}",
        (context.index,),
    )


def _uneven(context: Context, seen: Usage) -> Iterable[Finding]:
    workers = seen.workers
    if len(workers) < 2 or workers[0].cores < 0.2:
        return
    busiest, idlest = workers[0], workers[-1]
    factor = busiest.cores / max(idlest.cores, 0.001)
    lived = min(one.times_s[-1] - one.times_s[0] for one in (busiest, idlest))
    # A handful of connections cannot be shared evenly, whatever the server does.
    enough = context.connections is None or context.connections >= CONNECTIONS_PER_WORKER * len(workers)
    if factor < UNEVEN_FACTOR or lived < 0.8 * seen.seconds:
        return
    yield Finding(
        "load_uneven",
        "warning" if factor >= VERY_UNEVEN_FACTOR and enough else "info",
        "likely",
        f"The load is not shared evenly: of {len(workers)} server processes the busiest used "
        f"{number(busiest.cores)} cores, "
        f"the idlest {number(idlest.cores)}",
        tuple(Evidence(f"CPU of process {one.pid}", one.cores, "cores", SOURCE) for one in workers),
        "Connections that stay open remain with the worker that accepted them: use more connections than workers "
        "by far, "
        "SO_REUSEPORT, or a proxy that shares out requests instead of connections.",
        "Shared evenly, the workers reach their limit together, and throughput rises until then.",
        _diagnose(context),
        (context.index,),
    )


def _oversubscribed(context: Context, seen: Usage) -> Iterable[Finding]:
    """Several processes each keep more threads busy than their share of the cores."""
    working = [one for one in seen.workers if one.cores >= 0.3]
    if len(working) < 2 or seen.busy_cores < 0.9 * seen.cpus:
        return
    # Above 1.1 cores a Python process runs native threads beside the one that holds its interpreter lock.
    several = [
        one
        for one in working
        if one.cores > 1.1 and one.threads > seen.cpus and one.cores > 1.3 * (one.busiest_thread_cores or 0)
    ]
    if len(several) < 2:
        return
    yield Finding(
        "thread_oversubscription",
        "warning",
        "possible",
        f"{len(several)} server processes each keep several threads busy on {seen.cpus} cores: a numeric library "
        "likely "
        "starts one per core in every worker, and they hinder each other",
        tuple(
            Evidence(f"CPU of process {one.pid} ({one.threads} threads)", one.cores, "cores", SOURCE)
            for one in several
        ),
        "Hold the library to one thread per worker (OMP_NUM_THREADS=1, or its own setting such as XGBoost's nthread).",
        "CPU time per request falls, and throughput rises, often by a multiple.",
        "OMP_NUM_THREADS=1 headwind run --command 'the command that starts the server'",
        (context.index,),
    )


def _memory(context: Context, seen: Usage) -> Iterable[Finding]:
    growing = [(one, grown) for one in seen.role("server") if (grown := _growth(one))]
    if not growing or seen.seconds < 8:
        return
    one, grown = max(growing, key=lambda pair: pair[1])
    together = sum(amount for _, amount in growing)
    each = together / max(1.0, context.requests / 2)
    yield Finding(
        "memory_growth",
        "warning",
        "likely",
        f"The server's memory still grew in the second half of the run, by {size(together)}, about {size(each)} "
        "per request",
        (
            Evidence("growth in the second half, all server processes", together, "bytes", SOURCE),
            Evidence(f"memory of process {one.pid} at the end", one.rss_bytes[-1], "bytes", SOURCE),
            Evidence(f"growth of process {one.pid} in the second half", grown, "bytes", SOURCE),
        ),
        "Look for what is kept per request: a cache or a list without a bound, handlers that are added again and "
        "again. "
        "Measure for several minutes to see whether it levels off.",
        "A server without a leak stays within a few per cent after its first minute.",
        again(context, duration_s=max(300.0, 4 * seen.seconds)),
        (context.index,),
    )


def _growth(one: ProcessUsage) -> int | None:
    """Bytes by which a process grew from the middle to the end, if steadily; None where it did not."""
    count = len(one.rss_bytes)
    if count < 8:
        return None
    quarter = count // 8 or 1
    points = [fmean(one.rss_bytes[at : at + quarter]) for at in (count // 2, 3 * count // 4, count - quarter)]
    grown = points[2] - points[0]
    steady = points[0] < points[1] < points[2] and points[1] - points[0] > 0.2 * grown
    if not steady or grown < GROWTH_BYTES or grown < GROWTH_SHARE * points[0]:
        return None
    return int(grown)
