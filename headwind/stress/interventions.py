"""Change one thing about the server, in slices paired with the unchanged one, and undo it whatever happens.

Each intervention alternates unchanged and changed slices (A B B A), so that a slow drift of the machine falls on both
alike. The numbers of two neighbouring slices form a pair.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from headwind.analysis.diagnosis.observations import Intervention
from headwind.errors import HeadwindError
from headwind.stress import proc, target
from headwind.stress.interrupt import Interrupt
from headwind.stress.launch import Launched
from headwind.stress.probes import Generated, WrkRun, probe
from headwind.stress.requests import Request
from headwind.stress.server import Server

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
WORKER_TIMEOUT_S = 20.0


@dataclass(slots=True)
class Bench:
    """What slices need: the request, the connections, how long one is, and when to stop."""

    request: Request
    connections: int
    slice_s: float
    interrupt: Interrupt
    settle: Callable[[], object]  # waits until the server has drained

    def slice(self, *ports: int) -> float:
        """Good answers per second of one slice over copies at `ports`, connections shared between them."""
        ports = ports or (self.request.port,)
        each = max(1, self.connections // len(ports))
        runs: list[WrkRun] = []
        try:
            runs += [WrkRun(self.request.at_port(port), each, self.slice_s) for port in ports]
            return sum(_good(run.finish(self.interrupt)) for run in runs)
        finally:
            for run in runs:
                run.stop()
            self.settle()


def _good(generated: Generated) -> float:
    bad = sum(count for code, count in generated.statuses.items() if int(code) >= 400)
    seconds = generated.duration_s
    return (generated.requests - bad) / seconds if seconds else 0.0


def _paired(
    kind: str, description: str, base: Callable[[], float], changed: Callable[[], float], rounds: int
) -> Intervention:
    """A B, then B A, ...: `rounds` pairs."""
    unchanged, other = [], []
    for number in range(rounds):
        if number % 2 == 0:
            unchanged.append(base())
            other.append(changed())
        else:
            other.append(changed())
            unchanged.append(base())
    return Intervention(kind, description, tuple(unchanged), tuple(other))


def second_copy(bench: Bench, command: str, rounds: int = 2) -> Intervention | None:
    """A second copy of the server at another port takes half of the connections; None where it does not start."""
    port = target.free_port()
    try:
        with Launched(command, port, bench.interrupt):
            probe(
                bench.request.at_port(port), bench.interrupt, "burst", count=1, duration_s=0.0, timeout_s=10.0
            )
            return _paired(
                "copy",
                "a second copy of the server beside it",
                bench.slice,
                lambda: bench.slice(bench.request.port, port),
                rounds,
            )
    except HeadwindError:
        return None


def one_thread(bench: Bench, command: str, server: Server, rounds: int = 2) -> Intervention | None:
    """A copy whose numeric libraries may use one thread takes all connections in turn with the server.

    A setting in the command itself is replaced too; where the copy has as many threads all the same (the code sets
    them), nothing was changed and nothing is said.
    """
    port = target.free_port()
    held = re.sub(rf"\b({'|'.join(THREAD_SETTINGS)})=\S+", r"\1=1", command)
    try:
        with Launched(held, port, bench.interrupt, dict.fromkeys(THREAD_SETTINGS, "1")) as copy:
            probe(
                bench.request.at_port(port), bench.interrupt, "burst", count=1, duration_s=0.0, timeout_s=10.0
            )
            done = _paired(
                "threads",
                "OMP_NUM_THREADS=1 and its kin",
                bench.slice,
                lambda: bench.slice(port),
                rounds,
            )
            return done if _threads(copy.server) < _threads(server) else None
    except HeadwindError:
        return None


def _threads(server: Server) -> int:
    return sum(len(proc.threads(pid)) for pid in server.refresh())


@contextmanager
def one_core_fewer(server: Server) -> Iterator[None]:
    """All of the server's threads on one CPU fewer; each gets its own mask back."""
    before: dict[int, set[int]] = {}
    try:
        for pid in server.refresh():
            for tid in proc.threads(pid):
                with suppress(OSError):
                    mask = os.sched_getaffinity(tid)
                    if len(mask) > 1:
                        before[tid] = mask
                        os.sched_setaffinity(tid, mask - {max(mask)})
        yield
    finally:
        # Threads made meanwhile inherited the smaller mask.
        widest = max(before.values(), key=len, default=set())
        for pid in server.refresh():
            for tid in proc.threads(pid):
                with suppress(OSError):
                    if mask := before.get(tid, widest):
                        os.sched_setaffinity(tid, mask)


def fewer_cores(bench: Bench, server: Server, rounds: int = 2) -> Intervention:
    """Throughput with one core fewer for the server, by affinity."""

    def changed() -> float:
        with one_core_fewer(server):
            return bench.slice()

    return _paired("core", "one core fewer, by affinity", bench.slice, changed, rounds)


def gunicorn_master(server: Server) -> int | None:
    """The pid of a gunicorn master among the server's processes."""
    for pid in sorted(server.refresh()):
        line = (proc.read_text(f"/proc/{pid}/cmdline") or "").replace("\0", " ")
        title = (proc.read_text(f"/proc/{pid}/comm") or "").strip()
        children = {child for child, parent in server.up.items() if parent == pid}
        if ("gunicorn" in line or "gunicorn" in title) and children & server.workers():
            return pid
    return None


@contextmanager
def one_worker_more(server: Server, master: int, interrupt: Interrupt) -> Iterator[None]:
    """SIGTTIN to gunicorn's master, SIGTTOU at the end; waits until the number of workers is as wanted."""
    workers = len(server.workers())
    os.kill(master, signal.SIGTTIN)
    try:
        _wait_for_workers(server, workers + 1, interrupt)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(master, signal.SIGTTOU)
        _wait_for_workers(server, workers, None)


def _wait_for_workers(server: Server, wanted: int, interrupt: Interrupt | None) -> None:
    patience = interrupt or Interrupt()
    for _ in range(int(WORKER_TIMEOUT_S / 0.1)):
        server.refresh()
        if len(server.workers()) == wanted:
            break
        if patience.wait(0.1):
            raise KeyboardInterrupt
    # A new worker imports the application first.
    previous = -1.0
    for _ in range(50):
        used = sum(values.cpu_s for pid in server.refresh() if (values := proc.stat(f"/proc/{pid}")))
        if used - previous < 0.02:
            return
        previous = used
        if patience.wait(0.2):
            raise KeyboardInterrupt


def more_workers(bench: Bench, server: Server, master: int, rounds: int = 2) -> Intervention:
    """Throughput with one gunicorn worker more."""

    def changed() -> float:
        with one_worker_more(server, master, bench.interrupt):
            return bench.slice()

    return _paired("worker", "one gunicorn worker more, by SIGTTIN", bench.slice, changed, rounds)
