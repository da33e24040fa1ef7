"""What the watch gathers about one server process, and the sums of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from headwind.analysis.diagnosis.observations import ProcessUse
from headwind.stress import proc
from headwind.stress.threads import ProcessContext

PARKED_LOOKS = 8  # a thread seen fewer times is not said to have waited all the time
PARKED_RUNS = 3  # one that worked in between ran more often

ThreadTimes = dict[int, tuple[float, float, int]]  # tid -> as `proc.schedstat` gives it


@dataclass(slots=True)
class Gathered:
    """What is gathered about one server process."""

    pid: int
    name: str
    first: proc.Stat
    last: proc.Stat
    threads_first: ThreadTimes = field(default_factory=dict)
    threads_last: ThreadTimes = field(default_factory=dict)
    switches_first: tuple[int, int] | None = None
    switches_last: tuple[int, int] | None = None
    io_first: tuple[int, int] | None = None
    io_last: tuple[int, int] | None = None
    rss: list[int] = field(default_factory=list)
    thread_counts: list[int] = field(default_factory=list)
    fds_max: int | None = None
    clients: list[int] = field(default_factory=list)
    outbound: list[int] = field(default_factory=list)
    peers: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    file_looks: int = 0
    looks: int = 0
    states: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    event_loop: bool = False
    context: ProcessContext | None = None
    worker: bool = False


def thread_times(pid: int) -> ThreadTimes:
    """Of all threads of a process."""
    found = {}
    for tid in proc.threads(pid):
        values = proc.schedstat(f"/proc/{pid}/task/{tid}")
        if values is not None:
            found[tid] = values
    return found


def switches(pid: int) -> tuple[int, int] | None:
    """(voluntary, involuntary) context switches of a process's main thread since it began; None when it is gone."""
    own = proc.status_field(pid, "voluntary_ctxt_switches")
    forced = proc.status_field(pid, "nonvoluntary_ctxt_switches")
    return None if own is None or forced is None else (own, forced)


def use_of(row: Gathered) -> ProcessUse:
    """The sums of what was gathered."""
    nothing = (0.0, 0.0, 0)
    used = {
        tid: (cpu - row.threads_first.get(tid, nothing)[0], wait - row.threads_first.get(tid, nothing)[1])
        for tid, (cpu, wait, _) in row.threads_last.items()
    }
    busiest = max(used, key=lambda tid: used[tid][0], default=None)
    loop_tid = _loop_thread(row) if row.event_loop else None
    others: Counter[str] = Counter()
    for tid, states in row.states.items():
        if tid != loop_tid:
            others += states
    loop = row.states.get(loop_tid) if loop_tid is not None else None
    peer = row.peers.most_common(1)[0][0] if row.peers else None
    return ProcessUse(
        pid=row.pid,
        name=row.name,
        role="worker" if row.worker else "helper",
        cpu_s=row.last.cpu_s - row.first.cpu_s,
        wait_s=sum(wait for _, wait in used.values()) if used else None,
        busiest_thread_cpu_s=used[busiest][0] if busiest is not None else 0.0,
        busiest_thread_wait_s=used[busiest][1] if busiest is not None else None,
        threads=sum(row.thread_counts) / len(row.thread_counts) if row.thread_counts else 1.0,
        involuntary_switches=_difference(row.switches_first, row.switches_last, 1),
        voluntary_switches=_difference(row.switches_first, row.switches_last, 0),
        rss_bytes=tuple(row.rss),
        vm_bytes=row.last.vm_bytes,
        fds_max=row.fds_max,
        fds_limit=proc.fd_limit(row.pid),
        client_sockets=_mean(row.clients),
        outbound_sockets=_mean(row.outbound),
        outbound_peer=_readable_peer(peer) if peer else None,
        read_bytes=_difference(row.io_first, row.io_last, 0),
        written_bytes=_difference(row.io_first, row.io_last, 1),
        files={name: count / row.file_looks for name, count in row.files.most_common(8)},
        parked_threads=_parked(row, loop_tid),
        loop_states=_shares(loop) if loop else None,
        thread_states={state: count / row.looks for state, count in others.items()} if row.looks else {},
    )


def _parked(row: Gathered, loop_tid: int | None) -> int:
    """How many threads waited for a lock or a queue before the phase and all through it, doing next to nothing.

    A thread that serves requests is put on a CPU for each of them: those that ran less than a seventh as often as the
    busiest waiting one keep house (a runtime's timers, compilers, idle pools).
    """
    runs = {
        tid: row.threads_last[tid][2] - row.threads_first[tid][2]
        for tid, states in row.states.items()
        if tid != loop_tid and tid in row.threads_first and tid in row.threads_last and _only_waits(states)
    }
    limit = max(PARKED_RUNS, max(runs.values(), default=0) / 7)
    return sum(count <= limit for count in runs.values())


def _only_waits(states: Counter[str]) -> bool:
    return states["lock"] + states["timed_lock"] == sum(states.values()) >= PARKED_LOOKS


def _loop_thread(row: Gathered) -> int:
    """The event loop's thread: the main one, unless that only waits for another thread that runs the loop."""
    main = row.states.get(row.pid, Counter())
    seen = {tid: states["loop"] for tid, states in row.states.items() if states["loop"]}
    waits = main["lock"] + main["timed_lock"] + main["child"]
    if main["loop"] or not seen or waits < 0.5 * sum(main.values()):
        return row.pid
    return max(seen, key=lambda tid: seen[tid])


def _readable_peer(peer: str) -> str:
    host, _, port = peer.rpartition(":")
    return f"{proc.address(host)}:{port}"


def _difference(a: tuple[int, int] | None, b: tuple[int, int] | None, index: int) -> int | None:
    return None if a is None or b is None else b[index] - a[index]


def _mean(values: list[int]) -> float | None:
    # The first look came before the load.
    loaded = values[1:] or values
    return sum(loaded) / len(loaded) if loaded else None


def _shares(states: Counter[str]) -> dict[str, float]:
    total = sum(states.values())
    return {state: count / total for state, count in states.items()}
