"""Rules for a server whose CPU is used up: too few workers, too many threads, needless work, or simply work."""

from __future__ import annotations

import re

from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.facts import TRIVIAL_CPU_S, Facts
from headwind.analysis.diagnosis.gains import gain, words_of_gain
from headwind.analysis.diagnosis.model import Cause
from headwind.analysis.diagnosis.observations import Counters
from headwind.analysis.finding import Certainty, Evidence

REPEATED_READ_BYTES = 4_000
REPEATED_WORDS = (
    "load(",
    "loads(",
    "compile(",
    "read_csv(",
    "open(",
    "connect(",
    "create_engine(",
    "Client(",
    "Session(",
    ".fit(",
    "read(",
    "import_module(",
    "deepcopy(",
    "Booster(",
    "TypeAdapter(",
    "Template(",
    "Environment(",
    "load_model(",
    "from_pretrained(",
    "create_model(",
)
# Functions of the application that prepare something, and constructors.
REPEATED_FUNCTIONS = re.compile(
    r"_*(load|reload|train|fit|compile|init|initiali[sz]e|setup|warm|connect)(_|$)"
)


def _common(facts: Facts) -> tuple[Evidence, ...]:
    return (
        evidence("server CPU", facts.server_cores, "cores", "/proc"),
        evidence("full workers", len(facts.full_workers), "1", "/proc, schedstat and thread states"),
        evidence("CPU per request", facts.cpu_per_request_s, "s", "/proc, full load"),
        evidence("CPU per request alone", facts.unloaded_cpu_s, "s", "/proc, probe 1"),
        evidence("CPU per 404 alone", facts.missing_cpu_s, "s", "/proc, probe 1"),
        evidence("throughput", facts.rate_per_s, "1/s", "wrk, full load"),
    )


def thread_oversubscription(facts: Facts) -> Cause | None:
    """More runnable threads than cores inside the workers, or proof by holding the libraries to one thread."""
    tried = facts.intervention("threads")
    bought = gain(tried) if tried is not None else None
    if bought is not None and bought >= 1.12:
        certainty: Certainty = "proved"
    elif bought is not None and bought < 1.05 and _computing_threads(facts) < 3 * facts.counters.server_cpus:
        return None
    elif computes_in_parallel(facts) and facts.cpu_limited and _crowded(facts):
        certainty = "likely"
    else:
        return None
    switches = sum(process.involuntary_switches or 0 for process in facts.workers)
    return Cause(
        "thread_oversubscription",
        certainty,
        f"{_computing_threads(facts):.1f} threads want to compute on {facts.counters.server_cpus} cores"
        + (f"; held to one thread each, throughput is {bought:.2f} times as high." if bought else "."),
        (
            *_common(facts),
            evidence(
                "threads running or waiting for a core", _computing_threads(facts), "1", "/proc, sampled"
            ),
            evidence(
                "gain with one thread each", bought, "1", "intervention: OMP_NUM_THREADS=1 and the like"
            ),
            evidence("forced switches of main threads", switches, "1", "/proc/<pid>/status"),
        ),
        "Set OMP_NUM_THREADS=1 (OPENBLAS_NUM_THREADS, MKL_NUM_THREADS; XGBoost: nthread=1) for each worker.",
        f"{bought:.2f} times the throughput" if bought else "less CPU per request and steadier latency",
        "headwind diagnose with OMP_NUM_THREADS=1 in the server's environment",
    )


def _crowded(facts: Facts) -> bool:
    """Half as many more threads than cores; or fewer, if a request also costs far more CPU than it does alone."""
    runnable = _computing_threads(facts) / facts.counters.server_cpus
    alone, loaded = facts.unloaded_cpu_s, facts.cpu_per_request_s
    dearer = loaded / alone if alone and loaded else 1.0
    return runnable >= 1.5 or (runnable >= 1.2 and dearer >= 1.7)


def computes_in_parallel(facts: Facts) -> bool:
    """Whether one request alone uses more than one core: only threads outside Python's interpreter lock can."""
    counters = facts.seen.unloaded.endpoint_counters
    if counters is None:
        return False
    return sum(process.cpu_s for process in counters.processes) > 1.15 * counters.wall_s


def _computing_threads(facts: Facts) -> float:
    """Mean number of runnable threads beyond one per worker process that could be its interpreter."""
    return sum(facts.runnable(process) for process in facts.workers)


def work_repeated(facts: Facts) -> Cause | None:
    """A file read, a process started, a connection opened, or the same object built, in every request."""
    for rule in (_reads, _opens, _spawns, _builds):
        found = rule(facts)
        if found is not None:
            return found
    return None


def _repeated(title: str, rows: tuple[Evidence, ...], certainty: Certainty, saved_s: float | None) -> Cause:
    expect = f"up to {1e3 * saved_s:.1f} ms less CPU per request" if saved_s else "less CPU per request"
    return Cause(
        "work_repeated_per_request",
        certainty,
        title,
        rows,
        "Do it once, when the worker starts, and keep the result.",
        expect,
    )


def read_per_request(facts: Facts) -> float | None:
    """Bytes through read() for each request alone, what a 404 reads taken off."""
    base = facts.seen.unloaded

    def each(counters: Counters | None, requests: int) -> float | None:
        if counters is None or not requests:
            return None
        # Helpers read pipes, too: what reads the log has read all of it.
        rows = [
            process.read_bytes
            for process in counters.processes
            if process.read_bytes is not None and process.role == "worker"
        ]
        return sum(rows) / requests if rows else None

    own = each(base.endpoint_counters, facts.alone)
    other = each(base.missing_counters, facts.missing_alone) or 0.0
    # uvloop and servers in other languages read the request itself so.
    return (
        None
        if own is None
        else max(0.0, own - max(other if facts.missing_is_404 else 0.0, facts.seen.request_bytes))
    )


def _reads(facts: Facts) -> Cause | None:
    read = read_per_request(facts)
    if read is None or read < REPEATED_READ_BYTES:
        return None
    counters = facts.seen.unloaded.endpoint_counters
    ignored = (".so", ".py", ".pyc", ".log", "(deleted)")
    files: dict[str, float] = {}
    for source in (counters, facts.counters):
        for process in source.processes if source is not None else ():
            for name, share in process.files.items():
                if not name.endswith(ignored):
                    files[name] = max(files.get(name, 0.0), share)
    name = max(files, key=lambda key: files[key], default="")
    return _repeated(
        f"Every request reads {read / 1e3:.0f} kB from files"
        + (f", {name.rsplit('/', 1)[-1]} among them." if name else "."),
        (*_common(facts), evidence("bytes read per request", read, "bytes", "/proc/<pid>/io, probe 1")),
        "proved",
        facts.unloaded_cpu_s,
    )


def _opens(facts: Facts) -> Cause | None:
    opened = opens_per_request(facts)
    if opened is None or not facts.cpu_limited:
        return None
    endpoint, missing = opened
    if endpoint < 0.8 or missing > 0.3:
        return None
    return _repeated(
        f"Every request opens {endpoint:.1f} connections to {facts.outbound_peer or 'another server'}.",
        (*_common(facts), evidence("connections opened per request", endpoint, "1", "ActiveOpens, probe 1")),
        "proved",
        None,
    )


def opens_per_request(facts: Facts) -> tuple[float, float] | None:
    """Connections that the server itself opened for each request alone: (endpoint, 404)."""
    base = facts.seen.unloaded
    found = []
    for counters, rows, requests in (
        (base.endpoint_counters, base.endpoint, facts.alone),
        (base.missing_counters, base.missing, facts.missing_alone),
    ):
        if counters is None or counters.active_opens is None or len(rows) < 5:
            return None
        ours = sum(row.connect_s is not None for row in rows) / len(rows)
        found.append(max(0.0, counters.active_opens / requests - ours))
    # The counter is the whole network namespace's: it is the server's where a connection of its own was seen (short
    # ones seldom are), or where it keeps step with the requests at all rates.
    seen = [
        process.outbound_sockets or 0.0
        for counters in (base.endpoint_counters, base.missing_counters, facts.counters)
        for process in (counters.processes if counters is not None else ())
    ]
    loaded = (facts.counters.active_opens or 0) / facts.full.requests if facts.full.requests else 0.0
    in_step = loaded >= 0.8 and found[0] >= 0.8
    return (found[0], found[1]) if in_step or max(seen, default=0.0) >= 0.05 else (0.0, 0.0)


def _spawns(facts: Facts) -> Cause | None:
    waiting = facts.threads_in("child") + sum(
        (row.loop_states or {}).get("child", 0.0) for row in facts.loops
    )
    base = facts.seen.unloaded
    created = base.endpoint_counters.processes_created if base.endpoint_counters is not None else None
    each = created / facts.alone if created is not None and facts.alone else 0.0
    if waiting < 0.4 or each < 0.8:
        return None
    return _repeated(
        f"Every request starts a process ({each:.1f} of them).",
        (
            *_common(facts),
            evidence("processes created per request", each, "1", "/proc/stat, probe 1"),
            evidence("threads waiting for a process", waiting, "1", "/proc/<pid>/task/*/syscall, sampled"),
        ),
        "proved",
        None,
    )


def _builds(facts: Facts) -> Cause | None:
    """From the agent: the lines that hold the CPU are calls that load, compile or connect."""
    agent = facts.seen.agent
    if agent is None or facts.trivial or not facts.cpu_limited:
        return None
    share, what = 0.0, ""
    for place, source, part in agent.lines:
        if part > share and any(word in source for word in REPEATED_WORDS):
            share, what = part, f"`{source[:60]}` ({place})"
    for name, part in agent.functions.items():
        # Of a few lines the share is spread; the function that the handler calls for them holds all of it.
        if part > max(share, 0.5) and REPEATED_FUNCTIONS.match(name):
            share, what = part, f"`{name}()`"
    if share < 0.3:
        return None
    return _repeated(
        f"{100 * share:.0f} % of the busy time is spent in {what}, which could run once.",
        (*_common(facts), evidence("share of busy looks", share, "1", "agent, stacks sampled")),
        "likely",
        share * (facts.unloaded_cpu_s or 0.0) or None,
    )


def load_imbalance(facts: Facts) -> Cause | None:
    """One worker is full, another has time."""
    if len(facts.workers) < 2 or not facts.full_workers:
        return None
    wall = facts.counters.wall_s
    used = sorted((process.cpu_s / wall for process in facts.workers), reverse=True)
    wanted = max(facts.runnable(process) for process in facts.workers)
    least = min(facts.runnable(process) for process in facts.workers)
    if used[0] < 0.4 or used[-1] > 0.5 * used[0] or least > 0.6 * wanted:
        return None
    sockets = [process.client_sockets for process in facts.workers]
    mean = sum(used) / len(used)
    spread = facts.intervention("keepalive")
    return Cause(
        "load_imbalance",
        "proved",
        f"The load is shared unevenly: the busiest of {len(used)} workers uses {used[0]:.2f} cores, "
        f"the idlest {used[-1]:.2f}.",
        (
            *_common(facts),
            evidence("busiest worker", used[0], "cores", "/proc"),
            evidence("idlest worker", used[-1], "cores", "/proc"),
            evidence(
                "client connections per worker",
                ", ".join(f"{value or 0:.0f}" for value in sockets),
                "1",
                "/proc",
            ),
            *(
                (evidence("gain with a new connection per request", gain(spread), "1", "intervention"),)
                if spread
                else ()
            ),
        ),
        "Let the kernel or the proxy spread connections (SO_REUSEPORT, least connections), and let "
        "clients reconnect now and then.",
        f"up to {min(used[0], 1.0) / mean:.2f} times the throughput",
    )


def workers_below_cores(facts: Facts) -> Cause | None:
    """Every worker is full and there are cores that no worker can use."""
    computing, cpus = facts.computing, facts.counters.server_cpus
    workers = len(computing)
    tried = facts.intervention("worker") or facts.intervention("copy")
    bought = gain(tried) if tried is not None else None
    if not facts.cpu_limited or workers >= cpus or not all(map(facts.is_full, computing)):
        return None
    if any(process.cpu_s > 1.1 * facts.counters.wall_s for process in computing):
        return None  # its threads do use several cores: no interpreter lock holds them back
    if bought is not None and bought < 1.12:
        return None
    if bought is None and (facts.trivial or facts.idle_share * facts.counters.cpus < 0.2):
        return None
    if facts.trivial and (bought or 0.0) < 1.25:
        return None
    return Cause(
        "workers_below_cores",
        "proved" if bought else "likely",
        f"{workers} worker{'s' if workers > 1 else ''} on {cpus} cores, each "
        f"{'with its interpreter full' if facts.seen.python else 'full'}: "
        f"{1e3 * (facts.cpu_per_request_s or 0.0):.1f} ms of CPU per request"
        + (f"; one more changed throughput by {words_of_gain(tried)}." if tried and bought else "."),
        (
            *_common(facts),
            evidence("workers", workers, "1", "/proc"),
            evidence("cores", cpus, "1", "affinity"),
            evidence(
                "gain of one more",
                bought,
                "1",
                f"intervention: {tried.description}" if tried else "not tried",
            ),
        ),
        f"Run {cpus} workers (gunicorn -w {cpus}, uvicorn --workers {cpus}).",
        f"{bought:.2f} times the throughput"
        if bought
        else f"up to {cpus / workers:.1f} times the throughput",
        "headwind compare with one worker more",
    )


def cpu_bound(facts: Facts) -> Cause | None:
    """The cores, or the only interpreter there is, are used up by the work of the requests themselves."""
    if not facts.cpu_limited or facts.trivial:
        return None
    core = facts.intervention("core")
    lost = gain(core) if core is not None else None
    direct = facts.server_cores >= 0.85 * facts.counters.server_cpus or len(facts.full_workers) == len(
        facts.workers
    )
    certainty: Certainty = "proved" if (lost is not None and lost < 0.85) or direct else "likely"
    return Cause(
        "cpu_bound",
        certainty,
        f"The CPU is the limit: {1e3 * (facts.cpu_per_request_s or 0.0):.2f} ms per request, "
        f"{facts.server_cores:.2f} of "
        f"{facts.counters.server_cpus} cores used.",
        (
            *_common(facts),
            evidence("throughput with one core fewer", lost, "1", "intervention")
            if core
            else evidence("idle CPU of the machine", facts.idle_share, "1", "/proc/stat"),
        ),
        "Make the handler cheaper (profile it: py-spy, perf), batch it, or add cores.",
        "throughput in inverse proportion to the CPU per request",
    )


__all__ = [
    "TRIVIAL_CPU_S",
    "cpu_bound",
    "load_imbalance",
    "opens_per_request",
    "read_per_request",
    "thread_oversubscription",
    "work_repeated",
    "workers_below_cores",
]
