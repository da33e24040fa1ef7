"""One diagnosis from start to end: which probes run, in which order, and when enough is known."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headwind.analysis.diagnosis import Diagnosis, judge
from headwind.analysis.diagnosis.connections import closed_share
from headwind.analysis.diagnosis.facts import Facts
from headwind.analysis.diagnosis.host import others_cores, starved
from headwind.analysis.diagnosis.observations import (
    Answer,
    Counters,
    Intervention,
    Load,
    Observations,
    Unloaded,
)
from headwind.analysis.diagnosis.planning import wanted
from headwind.stress import proc, proxy, target
from headwind.stress import spy as spying
from headwind.stress.agent_pass import agent_pass
from headwind.stress.counters import Watch
from headwind.stress.interrupt import Interrupt
from headwind.stress.interventions import (
    LATER_SLICE_S,
    SLICE_S,
    Bench,
    connections,
    fewer_cores,
    gunicorn_master,
    more_workers,
    one_thread,
    second_copy,
)
from headwind.stress.launch import Launched
from headwind.stress.probes import load, probe
from headwind.stress.requests import Request
from headwind.stress.server import Server, given, locate
from headwind.stress.spy import spy

Tell = Callable[[str], None]
NOTHING = proc.Stat("", "X", 0, 0.0, 0, 0, 0, 0)
MINIMUM_S = 6.0  # of load: less decides nothing


@dataclass(slots=True)
class Budget:
    """Seconds of load that may still be spent."""

    total_s: float
    spent_s: float = 0.0

    @property
    def left_s(self) -> float:
        return self.total_s - self.spent_s

    def take(self, seconds: float) -> float:
        self.spent_s += seconds
        return seconds


@dataclass(slots=True)
class Session:
    """What a diagnosis works with: the request, the server as the kernel shows it, and what may be spent."""

    request: Request
    server: Server
    budget: Budget
    connections: int
    tell: Tell
    interrupt: Interrupt
    started: bool = False
    notes: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)  # interventions that could not be made here
    done: set[str] = field(default_factory=set)
    restless: bool = False  # it did not come to rest after a load
    behind: set[int] = field(default_factory=set)  # ports at which others worked for 404s
    upstream: dict[int, set[int]] = field(default_factory=dict)  # as Watch.upstream

    def watched(
        self, mode: str, kind: str, duration_s: float, **settings: float
    ) -> tuple[tuple[Answer, ...], Counters]:
        """One plan of the prober with the counters beside it."""
        watch = Watch(self.server).start()
        self.budget.take(duration_s)
        try:
            answers = probe(self.request, self.interrupt, mode, (kind,), duration_s=duration_s, **settings)
        finally:
            counters = watch.stop()
        for port, owners in watch.upstream.items():
            self.upstream.setdefault(port, set()).update(owners)
        return answers, counters


def median_s(answers: tuple[Answer, ...]) -> float | None:
    """The median latency of the answers that came, in seconds; None without any."""
    latencies = [row.latency_s for row in answers if row.latency_s is not None]
    return statistics.median(latencies) if latencies else None


def unloaded(session: Session) -> Unloaded:
    """Probe 1: what one request costs when nobody else asks."""
    first = probe(session.request, session.interrupt, "burst", count=1, duration_s=0.0, timeout_s=15.0)
    started = first[0] if first else None
    if started is None or started.done_s is None:
        missing = probe(
            session.request, session.interrupt, "burst", ("missing",), count=1, duration_s=0.0, timeout_s=4.0
        )
        return Unloaded(first=started, missing=missing)
    service_s = started.latency_s or 0.0
    paced = probe(
        session.request,
        session.interrupt,
        "jitter",
        ("endpoint", "missing"),
        duration_s=2.5,
        rate_per_s=20.0,
        timeout_s=10.0,
    )
    session.budget.take(2.5)
    endpoint, endpoint_counters, missing, missing_counters = _one_by_one(session, service_s)
    if _follow_proxy(session):
        # What the first look counted was the proxy's alone.
        endpoint, endpoint_counters, missing, missing_counters = _one_by_one(session, service_s)
    service_s = median_s(endpoint) or service_s
    pairs = _pairs(session, service_s) if service_s >= 0.002 else ()
    return Unloaded(
        first=started,
        endpoint=endpoint,
        missing=missing,
        paced=paced,
        pairs=pairs,
        pair_offset_s=0.4 * service_s if pairs else None,
        endpoint_requests=len(endpoint),
        missing_requests=len(missing),
        endpoint_counters=endpoint_counters,
        missing_counters=missing_counters,
    )


def _one_by_one(
    session: Session, service_s: float
) -> tuple[tuple[Answer, ...], Counters, tuple[Answer, ...], Counters]:
    """The endpoint, then the 404, one request after the other on one connection."""
    seconds = min(6.0, max(2.0, 4 * service_s))
    endpoint, endpoint_counters = session.watched("closed", "endpoint", seconds, timeout_s=15.0)
    before = proxy.cpu_of(session.upstream)
    missing, missing_counters = session.watched("closed", "missing", 1.0, timeout_s=10.0)
    session.behind = proxy.passed_on(before, proxy.cpu_of(session.upstream), 1.0)
    return endpoint, endpoint_counters, missing, missing_counters


def _follow_proxy(session: Session) -> bool:
    """Whether what listens is only a proxy; then what is behind it belongs to the server from now on."""
    if not session.behind:
        return False
    proxy.follow(session.server, session.upstream, session.behind)
    session.notes.append(
        f"what listens at port {session.server.port} is a proxy: what it passes 404s on to, at port "
        f"{', '.join(map(str, sorted(session.behind)))}, is diagnosed with it"
    )
    return True


def _pairs(session: Session, service_s: float) -> tuple[Answer, ...]:
    """Two requests at a time, the second while the first is worked on: do they wait for each other?"""
    count = max(3, min(12, int(2.0 / (2.5 * service_s))))
    seconds = session.budget.take(count * 2.5 * service_s)
    return probe(
        session.request,
        session.interrupt,
        "pairs",
        count=count,
        duration_s=seconds,
        offset_s=0.4 * service_s,
        timeout_s=10.0,
    )


def loaded(session: Session, name: str, connections: int, seconds: float) -> Load:
    """Probes 2 and 3: the closed loop with the independent stream beside it."""
    session.budget.take(seconds)
    session.tell(f"load: {connections} connections for {seconds:.0f} s")
    found = load(session.request, session.server, session.interrupt, name, connections, seconds)
    if starved(found.counters) and session.budget.left_s > 40:
        # Others had the CPU: this says little about the server, whatever it is, so it is measured once more.
        session.notes.append(f"the load {name!r} was repeated: other processes had the CPU")
        drain(session)
        session.budget.take(seconds)
        again = load(session.request, session.server, session.interrupt, name, connections, seconds)
        return again if others_cores(again.counters) < others_cores(found.counters) else found
    return found


def _mean_size(payloads: list[bytes]) -> float:
    return sum(map(len, payloads)) / len(payloads) if payloads else 0.0


def drain(session: Session) -> bool:
    """Wait until what the last load left in the server is done: no queue, no client connection, no CPU used.

    For 15 s at most, and for 3 s once a server was found that never comes to rest.
    """
    deadline = time.monotonic() + (3.0 if session.restless else 15.0)
    while time.monotonic() < deadline:
        watch = Watch(session.server, look_at_threads=False).start()
        if session.interrupt.wait(0.25):
            watch.stop()
            raise KeyboardInterrupt
        counters = watch.stop()
        used = sum(process.cpu_s for process in counters.processes)
        # A proxy keeps its connections to what is behind it.
        kept = bool(session.server.behind)
        busy = 0.0 if kept else sum(process.client_sockets or 0.0 for process in counters.processes)
        if used <= 0.03 and not counters.accept_queue_mean and busy <= 1:
            return True
    session.restless = True
    return False


def observe(session: Session) -> Observations:
    """Probes 1 to 3."""
    session.tell("one connection")
    base = unloaded(session)
    seen = Observations(
        url=session.request.url,
        started=session.started,
        python=session.server.is_python(),
        unloaded=base,
        generator_scripted=session.request.script is not None,
        request_bytes=_mean_size(session.request.payloads()),
    )
    if base.first is None or base.first.done_s is None:
        return replace(seen, load_s=session.budget.spent_s, notes=tuple(session.notes))
    full = loaded(session, "full", session.connections, 8)
    drain(session)
    half = loaded(session, "half", max(1, session.connections // 2), 5)
    drain(session)
    seconds = min(3.0, max(1.0, 6 * (median_s(base.endpoint) or 0.0)))
    answers, counters = session.watched("closed", "endpoint", seconds, timeout_s=15.0)
    after = Unloaded(endpoint=answers, endpoint_requests=len(answers), endpoint_counters=counters)
    return replace(seen, full=full, half=half, after=after)


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asks for; `request.url` has the port at which the server listens or will listen."""

    request: Request
    command: str | None = None
    workers: int | None = None
    pid: int | None = None
    connections: int = 200
    budget_s: float = 60.0
    intervene: bool = False
    quick: bool = False


def run(options: Options, interrupt: Interrupt, tell: Tell) -> tuple[Observations, Diagnosis]:
    """Start or find the server, probe it, judge; whatever happens, the server is left as it was found."""
    port = options.request.port
    if options.command is not None:
        target.refuse_taken(port)
        tell("starting the server")
        if options.workers is not None:
            command = f"export WEB_CONCURRENCY={options.workers}; {options.command}"
            options = replace(options, command=command.replace("{workers}", str(options.workers)))
        assert options.command is not None
        with Launched(options.command, port, interrupt) as launched:
            return _diagnose(options, launched.server, interrupt, tell)
    server = given(port, options.pid) if options.pid is not None else locate(port)
    return _diagnose(options, server, interrupt, tell)


def _diagnose(
    options: Options, server: Server, interrupt: Interrupt, tell: Tell
) -> tuple[Observations, Diagnosis]:
    server.refresh()
    session = Session(
        options.request,
        server,
        Budget(options.budget_s),
        options.connections,
        tell,
        interrupt,
        started=options.command is not None,
    )
    if not server.pids:
        session.notes.append(
            "the server's processes are not on this machine or belong to another user: nothing about "
            "them was read"
        )
    seen = observe(session)
    if not options.quick:
        seen = intervene(session, seen, options)
    seen = replace(seen, load_s=session.budget.spent_s, notes=tuple(session.notes))
    return seen, judge(seen)


def intervene(session: Session, seen: Observations, options: Options) -> Observations:
    """Probes 4 to 6: what is still open, most worthwhile first, while the budget lasts."""
    for _ in range(4):
        kinds = wanted(
            seen,
            may_start=options.command is not None,
            may_change=session.started or options.intervene,
        )
        tried = {row.kind for row in seen.interventions} | session.failed
        kinds = [kind for kind in kinds if kind not in tried]
        if not kinds or session.budget.left_s < MINIMUM_S:
            return seen
        seen = _try(session, seen, options, kinds[0])
    return seen


def _look_inside(session: Session, seen: Observations, options: Options) -> Observations:
    """Where Python's time goes: by the agent in a copy of a server that we started, by py-spy in one that runs."""
    session.failed.add("agent")  # once is enough, whatever comes of it
    if options.command is None and not spying.available():
        session.notes.append(spying.MISSING)
        return seen
    session.tell("looking inside")
    # Some hundred requests show where the time goes; few of them take longer to come.
    rate = seen.full.rate_per_s if seen.full is not None else 0.0
    seconds = session.budget.take(min(5.0, max(3.0, 600 / max(rate, 1.0))))
    if options.command is not None:
        port = target.free_port()
        found = agent_pass(
            options.command, session.request, session.connections, seconds, session.interrupt, port
        )
        return replace(seen, agent=found)
    busiest = max(session.server.workers(), key=lambda pid: (proc.stat(f"/proc/{pid}") or NOTHING).cpu_s)
    looked = spy(busiest, session.request, session.connections, seconds, session.interrupt)
    if isinstance(looked, str):
        session.notes.append(looked)
        return seen
    return replace(seen, agent=looked)


def _try(session: Session, seen: Observations, options: Options, kind: str) -> Observations:
    if kind == "agent":
        return _look_inside(session, seen, options)
    bench = Bench(session.request, session.connections, SLICE_S, session.interrupt, lambda: drain(session))
    session.tell(f"trying: {kind}")
    done = _intervention(session, options, bench, kind, (closed_share(Facts(seen)) or 0.0) >= 0.5)
    session.budget.take(bench.loaded_s)
    if done is None:
        session.failed.add(kind)
        return seen
    return replace(seen, interventions=(*seen.interventions, done))


def _intervention(
    session: Session, options: Options, bench: Bench, kind: str, closes: bool
) -> Intervention | None:
    rounds = 2 if session.budget.left_s >= 2 * (SLICE_S + LATER_SLICE_S) else 1
    if kind == "copy" and options.command is not None:
        # Where one more gunicorn worker was tried, a copy would tell the same.
        return None if "worker" in session.done else second_copy(bench, options.command, rounds)
    if kind == "threads" and options.command is not None:
        return one_thread(bench, options.command, session.server, rounds)
    if kind == "keepalive":
        return connections(bench, closes, rounds)
    if kind == "core":
        return fewer_cores(bench, session.server, rounds)
    master = gunicorn_master(session.server)
    if kind == "worker" and master is not None:
        session.done.add(kind)
        return more_workers(bench, session.server, master, rounds)
    return None
