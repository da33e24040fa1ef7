"""Monitor's samples made by hand: processes with a steady use of CPU and memory over a load of some seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwind.samples import ProcessSample, Sample

MIB = 2**20


@dataclass(frozen=True)
class Process:
    """A process that uses `cores` of CPU from `begin_s` to `end_s`; `rss` gives its memory at a time."""

    pid: int
    role: str
    cores: float
    busiest_thread_cores: float | None = None
    begin_s: float = -5.0
    end_s: float = 1e9
    threads: int = 4
    rss: Callable[[float], float] = lambda t_s: 100.0 * MIB
    parent_pid: int | None = None

    def sample(self, t_s: float) -> ProcessSample:
        lived = t_s - self.begin_s
        thread = self.cores if self.busiest_thread_cores is None else self.busiest_thread_cores
        return ProcessSample(
            pid=self.pid,
            role=self.role,
            name=self.role,
            cpu_s=self.cores * lived,
            rss_bytes=int(self.rss(t_s)),
            threads=self.threads,
            busiest_thread_cpu_s=thread * lived,
            parent_pid=self.parent_pid,
        )


def watched(
    processes: Sequence[Process],
    *,
    cpus: int = 4,
    busy_cores: float = 2.0,
    steal: float = 0.0,
    seconds: float = 45.0,
) -> tuple[Sample, ...]:
    """Samples every half second from 2 s before the load to its end."""
    times = [at / 2 for at in range(-4, int(seconds * 2) + 1)]
    return tuple(
        Sample(
            t_s,
            cpus,
            1000.0 + busy_cores * t_s,
            50.0 + steal * cpus * t_s,
            tuple(one.sample(t_s) for one in processes if one.begin_s <= t_s <= one.end_s),
        )
        for t_s in times
    )


MASTER = Process(100, "server", 0.001)
WRK = Process(200, "generator", 0.5, 0.15)
HEALTHY_PROCESSES = (MASTER, Process(101, "server", 0.70), Process(102, "server", 0.68), WRK)
