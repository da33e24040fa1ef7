"""What the monitor's samples say about CPU and memory while the load ran; everything as rates over the load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headwind.samples import ProcessSample, Sample

# The first and last moments of a load are starting and stopping.
EDGE_S = 1.0
# A process below this share of the busiest one's CPU idles.
IDLE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """One process over the load: CPU and its busiest thread in cores, memory at the samples, and when it lived."""

    pid: int
    role: str
    name: str
    cores: float
    busiest_thread_cores: float | None
    cpu_s: float
    rss_bytes: tuple[int, ...]
    times_s: tuple[float, ...]
    threads: int
    parent_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The machine over the load: cores, those busy on average, steal as a share of all, and every process."""

    cpus: int
    busy_cores: float
    steal_share: float
    seconds: float
    processes: tuple[ProcessUsage, ...]

    def role(self, role: str) -> list[ProcessUsage]:
        """The processes of one role ("server", "proxy" or "generator"), the busiest first."""
        return sorted((one for one in self.processes if one.role == role), key=lambda one: -one.cores)

    @property
    def others_cores(self) -> float | None:
        """Cores used by processes that are neither the server's nor the generator's; None where these are unknown."""
        if not self.role("server") or not self.role("generator"):
            return None
        return max(0.0, self.busy_cores - sum(one.cores for one in self.processes))

    @property
    def workers(self) -> list[ProcessUsage]:
        """The server's processes that serve, the busiest first.

        A master or a shell idles while its children serve, and is left out: an idle process that another one names as
        its parent or, where parents are not known, the idle ones with the lowest pids. So are idle ones with little
        memory, such as the resource tracker that Python's multiprocessing starts beside the workers.
        """
        servers = sorted(self.role("server"), key=lambda one: one.pid)
        if not servers:
            return []
        most = max(servers, key=lambda one: one.cores)
        idle = IDLE_SHARE * most.cores
        parents = {one.parent_pid for one in servers}
        if parents != {None}:
            servers = [one for one in servers if one.cores >= idle or one.pid not in parents]
        else:
            while servers[0].cores < idle:
                servers.pop(0)
        servers = [one for one in servers if one.cores >= idle or 2 * one.rss_bytes[-1] >= most.rss_bytes[-1]]
        return sorted(servers, key=lambda one: -one.cores)


def of(samples: Sequence[Sample], duration_s: float | None) -> Usage | None:
    """Usage between one second after the load's start and one before its end; None with fewer than three samples."""
    if not samples:
        return None
    end = duration_s if duration_s is not None else max((sample.t_s for sample in samples), default=0.0)
    edge = EDGE_S if end > 4 * EDGE_S else 0.0
    during = [sample for sample in samples if edge <= sample.t_s <= end - edge]
    if len(during) < 3:
        return None
    first, last = during[0], during[-1]
    seconds = last.t_s - first.t_s
    if seconds <= 0:
        return None
    steal = (last.host_steal_s - first.host_steal_s) / seconds / first.cpus
    busy = (last.host_busy_s - first.host_busy_s) / seconds
    return Usage(first.cpus, max(0.0, busy), max(0.0, steal), seconds, tuple(_processes(during)))


def _processes(during: Sequence[Sample]) -> Iterable[ProcessUsage]:
    rows: dict[int, list[tuple[float, ProcessSample]]] = {}
    for sample in during:
        for process in sample.processes:
            rows.setdefault(process.pid, []).append((sample.t_s, process))
    for pid, seen in rows.items():
        (begin_s, first), (end_s, last) = seen[0], seen[-1]
        lived = end_s - begin_s
        if lived <= 0:
            continue
        thread = None
        if first.busiest_thread_cpu_s is not None and last.busiest_thread_cpu_s is not None:
            thread = max(0.0, last.busiest_thread_cpu_s - first.busiest_thread_cpu_s) / lived
        yield ProcessUsage(
            pid,
            last.role,
            last.name,
            max(0.0, last.cpu_s - first.cpu_s) / lived,
            thread,
            max(0.0, last.cpu_s - first.cpu_s),
            tuple(process.rss_bytes for _, process in seen),
            tuple(t_s for t_s, _ in seen),
            last.threads,
            last.parent_pid,
        )
