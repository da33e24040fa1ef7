"""What other processes on this machine took from the server."""

from __future__ import annotations

from headwind.analysis.diagnosis.observations import Counters


def others_cores(counters: Counters) -> float:
    """Cores used by what is neither server nor generator nor ours nor a dependency; niced work at a tenth."""
    server = sum(process.cpu_s for process in counters.processes)
    ours = server + counters.generator_cpu_s + counters.own_cpu_s
    others = counters.host_busy_s - ours - (counters.dependency_cpu_s or 0.0)
    niced = max(0.0, min(others, counters.host_nice_s))
    return max(0.0, others - 0.9 * niced) / counters.wall_s


def starved(counters: Counters) -> bool:
    """Whether others on this machine kept the server from the CPU for most of the time that it wanted it."""
    workers = [process for process in counters.processes if process.role == "worker"]
    waits = max((process.busiest_thread_wait_s or 0.0 for process in workers), default=0.0)
    used = max((process.busiest_thread_cpu_s for process in workers), default=0.0)
    return others_cores(counters) >= 0.2 * counters.cpus and waits >= max(2 * used, 0.4 * counters.wall_s)
