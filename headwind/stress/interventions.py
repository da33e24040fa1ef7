"""Change one thing about the server, in slices paired with the unchanged one, and undo it whatever happens.

Each intervention alternates unchanged and changed slices (A B B A), so that a slow drift of the machine falls on both
alike. The numbers of two neighbouring slices form a pair.
"""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

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
BLOCK_SLOTS = 5  # of wrk's time line, 100 ms each
SLICE_S = 3.0  # shows a change that leaves no doubt
LATER_SLICE_S = 5.0  # where it did not


@dataclass(slots=True)
class Bench:
    """What slices need: the request, the connections, how long one is, and when to stop."""

    request: Request
    connections: int
    slice_s: float  # of the first pair; of further ones LATER_SLICE_S, where this is the usual length
    interrupt: Interrupt
    settle: Callable[[], object]  # waits until the server has drained
    loaded_s: float = 0.0  # that all slices took

    def slice(self, *ports: int, headers: Sequence[str] = ()) -> Slice:
        """One slice over copies at `ports`, connections shared between them."""
        ports = ports or (self.request.port,)
        each = max(1, self.connections // len(ports))
        runs: list[WrkRun] = []
        try:
            runs += [
                WrkRun(self.request.at_port(port), each, self.slice_s, headers=headers) for port in ports
            ]
            self.loaded_s += self.slice_s
            return _slice_of([run.finish(self.interrupt) for run in runs])
        finally:
            for run in runs:
                run.stop()
            self.settle()


@dataclass(frozen=True, slots=True)
class Slice:
    """Good answers per second, of the whole slice and of each half second but the first."""

    rate_per_s: float
    blocks_per_s: tuple[float, ...]


def _slice_of(copies: Sequence[Generated]) -> Slice:
    """The sum over copies of the server that were loaded at the same time."""
    shares, rates = [], []
    for one in copies:
        bad = sum(count for code, count in one.statuses.items() if int(code) >= 400)
        shares.append(1 - bad / one.requests if one.requests else 0.0)
        rates.append(shares[-1] * one.requests / one.duration_s if one.duration_s else 0.0)
    whole = min((len(one.timeline) for one in copies), default=0) // BLOCK_SLOTS
    blocks = tuple(
        sum(
            share * sum(one.timeline[number * BLOCK_SLOTS : (number + 1) * BLOCK_SLOTS])
            for share, one in zip(shares, copies, strict=True)
        )
        / (0.1 * BLOCK_SLOTS)
        for number in range(1, whole)
    )
    return Slice(sum(rates), blocks)


def _paired(
    bench: Bench,
    kind: str,
    description: str,
    base: Callable[[], Slice],
    changed: Callable[[], Slice],
    rounds: int,
) -> Intervention:
    """A B, then a longer B A: `rounds` pairs; one is enough where it leaves no doubt."""
    unchanged: list[Slice] = []
    other: list[Slice] = []
    for number in range(rounds):
        if number % 2 == 0:
            unchanged.append(base())
            other.append(changed())
        else:
            other.append(changed())
            unchanged.append(base())
        if _beyond_doubt(unchanged[-1].rate_per_s, other[-1].rate_per_s):
            break
        bench.slice_s = LATER_SLICE_S
    return Intervention(
        kind,
        description,
        tuple(one.rate_per_s for one in unchanged),
        tuple(one.rate_per_s for one in other),
        tuple(block for one in unchanged for block in one.blocks_per_s),
        tuple(block for one in other for block in one.blocks_per_s),
    )


def _beyond_doubt(base: float, changed: float) -> bool:
    """Whether one pair of slices differs by more than drift and luck make of equal servers (some 10 %), thrice over."""
    return base <= 0 or abs(math.log(max(changed, 1e-9) / base)) > math.log(1.35)


def second_copy(bench: Bench, command: str, rounds: int = 2) -> Intervention | None:
    """A second copy of the server at another port takes half of the connections; None where it does not start."""
    port = target.free_port()
    try:
        with Launched(command, port, bench.interrupt):
            probe(
                bench.request.at_port(port), bench.interrupt, "burst", count=1, duration_s=0.0, timeout_s=10.0
            )
            return _paired(
                bench,
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
                bench,
                "threads",
                "OMP_NUM_THREADS=1 and its kin",
                bench.slice,
                lambda: bench.slice(port),
                rounds,
            )
            return done if _threads(copy.server) < _threads(server) else None
    except HeadwindError:
        return None


def connections(bench: Bench, closes: bool, rounds: int = 1) -> Intervention | None:
    """Throughput with keep-alive the other way round, by a header of the requests; the server stays as it is.

    Where the server ends every connection (`closes`) it is asked to keep them; None if it does not even then.
    """
    header = "Connection: keep-alive" if closes else "Connection: close"
    if closes:
        asked = replace(bench.request, headers={**bench.request.headers, "Connection": "keep-alive"})
        answers = probe(asked, bench.interrupt, "closed", duration_s=0.3, timeout_s=10.0)
        if bench.request.script is not None or all(row.closed for row in answers):
            return None
    return _paired(
        bench,
        "keepalive",
        "connections kept, by a header" if closes else "a new connection for every request, by a header",
        bench.slice,
        lambda: bench.slice(headers=(header,)),
        rounds,
    )


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

    def changed() -> Slice:
        with one_core_fewer(server):
            return bench.slice()

    return _paired(bench, "core", "one core fewer, by affinity", bench.slice, changed, rounds)


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

    def changed() -> Slice:
        with one_worker_more(server, master, bench.interrupt):
            return bench.slice()

    return _paired(bench, "worker", "one gunicorn worker more, by SIGTTIN", bench.slice, changed, rounds)
