"""Watch a server, its load generator and the machine over one phase, and give the sums as `Counters`.

A light look (CPU of the server's processes) every 100 ms, the state of every worker thread about as often, and a
thorough one (sockets, descriptors, memory, threads) every half second. Both of the latter slow down where there are
many threads and sockets, so that the watch stays near 10 % of a core; what it used is part of `own_cpu_s`.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TypeVar

from headwind.analysis.diagnosis.observations import Counters
from headwind.stress import proc
from headwind.stress.gathered import Gathered, ThreadTimes, switches, thread_times, use_of
from headwind.stress.server import Server
from headwind.stress.threads import ProcessContext, state_of

SLOT_S = 0.1
THOROUGH_S = 0.5
LOOK_SHARE = 0.04  # of the time may go into looking at threads
THOROUGH_SHARE = 0.06  # likewise for sockets and descriptors
MAX_THREADS = 400  # per process and look; the rest is extrapolated


@dataclass(frozen=True, slots=True)
class _Machine:
    """Counters of the machine, the server's cgroup and its network namespace at one moment."""

    host: tuple[float, float, float, float]
    tcp: dict[str, int]
    created: int | None
    pressure_s: float | None
    throttled: tuple[int, float] | None
    oom_kills: int | None
    drops: int  # connections that the server's listening sockets had no room for


Amount = TypeVar("Amount", int, float)


def _less(last: Amount | None, first: Amount | None) -> Amount | None:
    return None if last is None or first is None else last - first


def _throttled(last: _Machine, first: _Machine) -> tuple[int | None, float | None]:
    """In how many periods the cgroup was held back between the two, and for how long in all."""
    if last.throttled is None or first.throttled is None:
        return None, None
    return last.throttled[0] - first.throttled[0], last.throttled[1] - first.throttled[1]


class Watch:
    """`start()`, then `stop()` for the Counters. `generators` and `own` may grow while it runs."""

    def __init__(self, server: Server, *, look_at_threads: bool = True) -> None:
        self.server = server
        self.generators: list[int] = []
        self.own: list[int] = [os.getpid()]
        self._look_at_threads = look_at_threads
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")
        self._processes: dict[int, Gathered] = {}
        self._cpu_of: dict[int, float] = {}
        self._generator_threads: ThreadTimes = {}
        self._slots: list[float] = []
        self._gone: set[int] = set()
        self._come: set[int] = set()
        self._pids_first: set[int] = set()
        self._dependency: dict[int, tuple[float, float]] = {}
        self._dependency_name: str | None = None
        self._known_peers: set[str] = set()
        self.upstream: dict[int, set[int]] = {}  # port that the server connects to -> who listens there
        self._queue: list[int] = []
        self._late_overflows: int | None = None
        self._reaped_s = self._reaped_thread_s = 0.0
        self._failure: BaseException | None = None

    def start(self) -> Watch:
        self._began = time.monotonic()
        self._machine_first = self._machine()
        self._thorough(first=True)
        self._pids_first = set(self._processes)
        for pid in [*self.generators, *self.own]:
            self._add_cpu(pid)
        self._own_first = {pid: self._cpu_of.get(pid, 0.0) for pid in self.own}
        self._thread.start()
        return self

    def stop(self) -> Counters:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._thorough()
        for pid in [*self.generators, *self.own]:
            self._add_cpu(pid)
        return self._counters(time.monotonic() - self._began, self._machine())

    def look_at_generators(self) -> None:
        """Read the generators' CPU once more, before they are reaped."""
        for pid in list(self.generators):
            self._add_cpu(pid)
            self._generator_threads.update(thread_times(pid))

    def add_reaped(self, cpu_s: float, threads: int) -> None:
        """What the generator used by the kernel's account of it after its end; its threads share the work evenly."""
        self._reaped_s = cpu_s
        self._reaped_thread_s = cpu_s / threads

    def _add_cpu(self, pid: int) -> None:
        values = proc.stat(f"/proc/{pid}")
        if values is not None:
            self._cpu_of[pid] = max(values.cpu_s, self._cpu_of.get(pid, 0.0))

    def _run(self) -> None:
        try:
            self._watch()
        except BaseException as error:  # handed to stop(), in the caller's thread
            self._failure = error

    def _watch(self) -> None:
        next_slot = self._began + SLOT_S
        next_thorough = self._began + THOROUGH_S
        next_look = self._began
        previous = self._server_cpu()
        while not self._stop.wait(max(0.0, min(next_slot, next_look) - time.monotonic())):
            now = time.monotonic()
            if now >= next_look and self._look_at_threads:
                self._look()
                spent = time.monotonic() - now
                next_look = now + max(SLOT_S * 0.83, spent / LOOK_SHARE)
            elif not self._look_at_threads:
                next_look = now + SLOT_S
            if now >= next_slot:
                used = self._server_cpu()
                self._slots.append(max(0.0, used - previous) / (now - next_slot + SLOT_S))
                previous = used
                next_slot = now + SLOT_S
                self.look_at_generators()
            if now >= next_thorough:
                self._thorough()
                spent = time.monotonic() - now
                next_thorough = time.monotonic() + max(THOROUGH_S, spent / THOROUGH_SHARE)

    def _server_cpu(self) -> float:
        total = 0.0
        for pid, row in self._processes.items():
            times = proc.schedstat(f"/proc/{pid}") if len(row.threads_last) == 1 else None
            if times is None:
                values = proc.stat(f"/proc/{pid}")
                total += values.cpu_s if values is not None else row.last.cpu_s
            else:
                total += times[0]
        return total

    def _machine(self) -> _Machine:
        some = min(self.server.workers() or self.server.pids, default=0)
        throttled = proc.throttling(some) if some else None
        return _Machine(
            host=proc.host_cpu(),
            tcp=proc.tcp_counters(self.server.netns),
            created=proc.processes_created(),
            pressure_s=proc.pressure_cpu_s(),
            throttled=throttled,
            oom_kills=proc.oom_kills(some) if some else None,
            drops=self.server.accept_drops(),
        )

    def _thorough(self, first: bool = False) -> None:
        pids = self.server.refresh()
        rows = proc.sockets(self.server.netns)
        ports = self.server.ports
        queued = [
            row.receive_queue for row in rows.values() if row.state == proc.LISTEN and row.local_port in ports
        ]
        self._queue.append(sum(queued))
        for pid in pids:
            self._update(pid, rows)
        clients = {pid: row.clients[-1] if row.clients else 0 for pid, row in self._processes.items()}
        workers = self.server.workers(clients) & self._processes.keys()
        for pid in (pids & self._processes.keys()) - workers:
            # Taken for a worker before there were connections: it only hands them on.
            if any(clients.values()) and not any(self._processes[pid].clients):
                self._processes[pid].worker = False
        for pid in workers:
            if not self._processes[pid].worker:
                self._processes[pid].worker = True
                if not first and pid not in self._pids_first:
                    self._come.add(pid)
        self._gone |= {pid for pid, row in self._processes.items() if row.worker and pid not in pids}
        if self._late_overflows is None and time.monotonic() - self._began > 1.0:
            self._late_overflows = self.server.accept_drops()
        for pid in self._dependency:
            values = proc.stat(f"/proc/{pid}")
            if values is not None:
                self._dependency[pid] = (self._dependency[pid][0], values.cpu_s)

    def _update(self, pid: int, rows: dict[int, proc.Socket]) -> None:
        values = proc.stat(f"/proc/{pid}")
        if values is None:
            return
        row = self._processes.get(pid)
        times = thread_times(pid)
        if row is None:
            row = self._processes[pid] = Gathered(pid, values.name, values, values, times)
            row.switches_first, row.io_first = switches(pid), proc.io_bytes(pid)
        row.last, row.threads_last = values, times
        row.switches_last, row.io_last = switches(pid), proc.io_bytes(pid)
        row.rss.append(values.rss_bytes)
        row.thread_counts.append(values.threads)
        context = row.context = ProcessContext(pid, self.server.ports, rows)
        row.event_loop = row.event_loop or context.has_event_loop
        row.fds_max = max(row.fds_max or 0, len(context.fds)) or None
        self._count_sockets(row, context)

    def _count_sockets(self, row: Gathered, context: ProcessContext) -> None:
        clients = outbound = 0
        for target in context.fds.values():
            if not target.startswith("socket:["):
                if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/memfd")):
                    row.files[target] += 1
                continue
            found = context.sockets.get(int(target[8:-1]))
            if found is None or found.state == proc.LISTEN:
                continue
            if found.local_port in self.server.ports:
                clients += found.state == proc.ESTABLISHED
            else:
                outbound += 1
                row.peers[f"{found.remote}:{found.remote_port}"] += 1
                self._learn_peer(f"{found.remote}:{found.remote_port}", found.remote_port)
        row.file_looks += 1
        row.clients.append(clients)
        row.outbound.append(outbound)

    def _learn_peer(self, name: str, port: int) -> None:
        """Find the process at the other end of an outbound connection, where it is on this machine; once a peer."""
        if name in self._known_peers or len(self._known_peers) > 20 or port in self.server.ports:
            return
        self._known_peers.add(name)
        owners = set(proc.inode_owners(proc.listeners(port, self.server.netns)))
        if owners:
            self.upstream.setdefault(port, set()).update(owners)
        # Also one that the same command started: what is asked over TCP is another server.
        for pid in owners - self.server.holders():
            values = proc.stat(f"/proc/{pid}")
            if values is not None:
                self._dependency[pid] = (values.cpu_s, values.cpu_s)
                self._dependency_name = self._dependency_name or values.name

    def _look(self) -> None:
        for row in self._processes.values():
            if not row.worker or row.context is None:
                continue
            tids = proc.threads(row.pid)[:MAX_THREADS]
            if not tids:
                continue
            row.looks += 1
            for tid in tids:
                state = state_of(row.context, tid)
                if state:
                    row.states[tid][state] += 1

    def _counters(self, wall_s: float, last: _Machine) -> Counters:
        first = self._machine_first
        busy, nice, idle, steal = (b - a for a, b in zip(first.host, last.host, strict=True))
        niced = sum(row.last.cpu_s - row.first.cpu_s for row in self._processes.values() if row.last.nice > 0)
        late = None if self._late_overflows is None else last.drops - self._late_overflows
        some = min(self.server.workers() or self.server.pids, default=0)
        generator = max(self._generator_threads.values(), default=(0.0, 0.0, 0))
        throttled_periods, throttled_s = _throttled(last, first)
        pressure_s = _less(last.pressure_s, first.pressure_s)
        return Counters(
            wall_s=wall_s,
            cpus=os.cpu_count() or 1,
            server_cpus=self.server.cpus(),
            host_busy_s=busy,
            # With autogroups each session has the same share, and niceness counts only inside one.
            host_nice_s=0.0 if proc.has_autogroups() else max(0.0, nice - niced),
            host_idle_s=idle,
            steal_s=steal,
            generator_cpu_s=max(sum(self._cpu_of.get(pid, 0.0) for pid in self.generators), self._reaped_s),
            generator_thread_cpu_s=max(generator[0], self._reaped_thread_s),
            generator_thread_wait_s=generator[1],
            own_cpu_s=sum(self._cpu_of.get(pid, 0.0) - self._own_first.get(pid, 0.0) for pid in self.own),
            processes=tuple(
                use_of(row) for pid, row in self._processes.items() if pid not in self._dependency
            ),
            dependency_cpu_s=sum(b - a for a, b in self._dependency.values()) if self._dependency else None,
            dependency_name=self._dependency_name,
            throttled_s=throttled_s,
            throttled_periods=throttled_periods,
            cpu_quota=proc.cpu_quota(some) if some else None,
            oom_kills=_less(last.oom_kills, first.oom_kills),
            memory_limit_bytes=proc.memory_limit(some) if some else None,
            address_limit_bytes=proc.address_limit(some) if some else None,
            accept_overflows=last.drops - first.drops,
            accept_overflows_late=late,
            accept_queue_mean=sum(self._queue) / len(self._queue) if self._queue else None,
            retransmits=_less(last.tcp.get("RetransSegs"), first.tcp.get("RetransSegs")),
            passive_opens=_less(last.tcp.get("PassiveOpens"), first.tcp.get("PassiveOpens")),
            active_opens=_less(last.tcp.get("ActiveOpens"), first.tcp.get("ActiveOpens")),
            pids_gone=tuple(sorted(self._gone)),
            pids_come=tuple(sorted(self._come)),
            processes_created=_less(last.created, first.created),
            pressure_cpu=None if pressure_s is None else pressure_s / wall_s,
            server_ended=not self.server.pids,
            states_readable=any(row.looks and row.states for row in self._processes.values()),
            cpu_over_time=tuple(round(slot, 3) for slot in self._slots),
            slot_s=SLOT_S,
            began_s=self._began,
        )
