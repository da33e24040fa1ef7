"""What the probes of a diagnosis saw, as frozen values: the input of the judgement.

Times are seconds, CPU is CPU seconds, sizes are bytes; `None` means "could not be read here", never 0.
Thread states are named by what the thread was doing when it was looked at:

run (on a CPU or waiting for one), loop (an event loop's idle wait), idle (waiting for a connection or several
sockets), lock (an untimed wait on a lock, queue or semaphore), timed_lock (a wait with a time limit; Python's own
interpreter lock is one), sleep, client (a client's socket), outbound (a socket to some other server), log (writing
to a pipe or terminal, or flushing a file), file (reading or writing a file, or a disk), file_lock, child (waiting
for a process), stopped (suspended from outside), other.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One request of the prober. `kind`: endpoint or missing (a path that no route has)."""

    kind: str
    due_s: float
    sent_s: float
    connect_s: float | None = None
    done_s: float | None = None  # None: failed or timed out
    status: int | None = None
    closed: bool = False
    retry_after: bool = False
    size: int = 0
    group: int = 0

    @property
    def latency_s(self) -> float | None:
        """From sending (the connection's opening included) to the last byte."""
        return None if self.done_s is None else self.done_s - self.sent_s


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One server process over one phase. `role`: worker (it serves clients) or helper."""

    pid: int
    name: str
    role: str
    cpu_s: float
    wait_s: float | None = None  # runnable, but waiting for a CPU (schedstat), all threads
    busiest_thread_cpu_s: float = 0.0
    busiest_thread_wait_s: float | None = None
    threads: float = 1.0  # mean number
    involuntary_switches: int | None = None
    voluntary_switches: int | None = None
    rss_bytes: tuple[int, ...] = ()  # at even steps over the phase
    vm_bytes: int | None = None  # address space, at the end
    fds_max: int | None = None
    fds_limit: int | None = None
    client_sockets: float | None = None  # mean number of established ones
    outbound_sockets: float | None = None
    outbound_peer: str | None = None  # the commonest
    read_bytes: int | None = None  # through read(): files, not Python's sockets
    written_bytes: int | None = None
    files: Mapping[str, float] = field(default_factory=dict)  # regular files seen open: share of the looks
    loop_states: Mapping[str, float] | None = None  # share of the looks in each state, of the loop's thread
    thread_states: Mapping[str, float] = field(default_factory=dict)  # mean number of other threads in each
    parked_threads: int = 0  # that waited for a lock or queue before the load and all through it


@dataclass(frozen=True, slots=True)
class Counters:
    """The machine and the server over one phase of `wall_s`."""

    wall_s: float
    cpus: int
    server_cpus: int  # on which the server may run
    host_busy_s: float
    host_nice_s: float  # of it, by niced processes other than the server: they give way to the rest
    host_idle_s: float
    steal_s: float
    generator_cpu_s: float
    generator_thread_cpu_s: float  # its busiest thread
    own_cpu_s: float  # the prober's and the sampler's
    generator_thread_wait_s: float = 0.0  # that this thread was runnable, but waited for a CPU
    processes: tuple[ProcessUse, ...] = ()
    dependency_cpu_s: float | None = None  # of processes at the other end of the server's outbound sockets
    dependency_name: str | None = None
    throttled_s: float | None = None
    throttled_periods: int | None = None
    cpu_quota: float | None = None  # in cores
    oom_kills: int | None = None
    memory_limit_bytes: int | None = None  # of the cgroup
    address_limit_bytes: int | None = None  # of the address space, by ulimit
    accept_overflows: int | None = None
    accept_overflows_late: int | None = None  # of them, after the first second
    accept_queue_mean: float | None = None
    retransmits: int | None = None
    passive_opens: int | None = None
    active_opens: int | None = None
    pids_gone: tuple[int, ...] = ()  # workers that vanished
    pids_come: tuple[int, ...] = ()
    processes_created: int | None = None  # on the whole machine
    pressure_cpu: float | None = None  # PSI some, share of the wall time
    server_ended: bool = False
    states_readable: bool = True
    cpu_over_time: tuple[float, ...] = ()  # the server's CPU use, in cores, per slot of `slot_s`
    slot_s: float = 0.1
    began_s: float = 0.0  # monotonic clock


@dataclass(frozen=True, slots=True)
class Load:
    """One closed-loop slice by the load generator, with the independent stream beside it."""

    name: str
    connections: int
    duration_s: float
    requests: int
    statuses: Mapping[str, int]
    socket_errors: int
    counters: Counters
    timeline: tuple[int, ...] = ()  # answers per 100 ms
    answers: tuple[Answer, ...] = ()
    lag_p99_s: float | None = None  # of the prober
    latencies: tuple[
        tuple[float, int], ...
    ] = ()  # wrk's own, uncorrected: (seconds, answers) in steps of 5 %

    @property
    def rate_per_s(self) -> float:
        return self.requests / self.duration_s if self.duration_s else 0.0

    @property
    def good_per_s(self) -> float:
        """Answers with a status below 400, per second."""
        bad = sum(count for status, count in self.statuses.items() if int(status) >= 400)
        return max(0, self.requests - bad) / self.duration_s if self.duration_s else 0.0


@dataclass(frozen=True, slots=True)
class Unloaded:
    """One connection at a time, no load beside it."""

    first: Answer | None = None  # the first request this server ever got from us, where we started it
    endpoint: tuple[Answer, ...] = ()  # one after the other
    missing: tuple[Answer, ...] = ()
    paced: tuple[Answer, ...] = ()  # on a random schedule, well below any limit
    burst: tuple[Answer, ...] = ()  # many at once
    pairs: tuple[Answer, ...] = ()  # two, half a service time apart; `group` joins them
    pair_offset_s: float | None = None
    endpoint_requests: int = 0  # how many there were: recorded observations may hold fewer
    missing_requests: int = 0
    endpoint_counters: Counters | None = None
    missing_counters: Counters | None = None


@dataclass(frozen=True, slots=True)
class Intervention:
    """One thing changed, in slices paired with the unchanged server. `kind`: copy (a second copy of the server
    beside it), worker, core (one fewer), threads (numeric libraries held to one thread), keepalive (a new connection
    for every request, or a request to keep it where the server ends each).

    `base_per_s` and `changed_per_s` hold good answers per second of each slice, `..._blocks_per_s` those of all its
    half seconds, the first left out."""

    kind: str
    description: str
    base_per_s: tuple[float, ...]
    changed_per_s: tuple[float, ...]
    base_blocks_per_s: tuple[float, ...] = ()
    changed_blocks_per_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentView:
    """What the agent inside Python processes saw in its own pass, all workers together."""

    wall_s: float
    requests: int
    gc_pause_s: float = 0.0
    gc_longest_s: float = 0.0
    gc_collections: int = 0
    looks: int = 0  # at all threads
    busy_threads: float | None = None  # mean number that were not idle, of all processes together
    lines: tuple[
        tuple[str, str, float], ...
    ] = ()  # (file:line function, source text, share of the busy looks)
    packages: Mapping[str, float] = field(default_factory=dict)  # share of busy looks with such a frame
    functions: Mapping[str, float] = field(
        default_factory=dict
    )  # share inside functions that the handler called
    loop_lag_median_s: float | None = None  # from handing the event loop a callback to its running
    loop_lag_max_s: float | None = None
    limiter_total: float | None = None
    limiter_borrowed: float | None = None
    limiter_waiting: float | None = None


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that one diagnosis saw."""

    url: str
    started: bool  # Headwind started the server
    python: bool
    unloaded: Unloaded
    full: Load | None = None
    half: Load | None = None
    after: Unloaded | None = None  # one connection again, after the loads
    interventions: tuple[Intervention, ...] = ()
    agent: AgentView | None = None
    generator_scripted: bool = False
    request_bytes: float = 0.0  # mean size of a request
    load_s: float = 0.0  # seconds of load spent in all
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Observations:
        """What `to_json` wrote; keys that this version does not know are ignored."""
        built: Observations = _build(cls, data)
        return built


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(kind: Any, value: Any) -> Any:
    """`value`, as JSON gave it, as the annotated type `kind`: dataclasses and tuples are rebuilt."""
    if value is None:
        return None
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _build(next(part for part in typing.get_args(kind) if part is not type(None)), value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        if isinstance(
            value, list
        ):  # the short form of recordings: the fields in order, defaults at the end left out
            value = dict(zip((item.name for item in fields(kind)), value, strict=False))
        known = {item.name for item in fields(kind)}
        return kind(**{name: _build(hints[name], value[name]) for name in value if name in known})
    if origin is tuple:
        parts = typing.get_args(kind)
        if len(parts) == 2 and parts[1] is Ellipsis:
            return tuple(_build(parts[0], item) for item in value)
        return tuple(value)
    return value
