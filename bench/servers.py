"""Starting what is measured, and loading it with wrk."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from headwind.stress import proc

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "bench" / "post.lua"
PREDICT = "/v1/prediction"


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to measure: `command` is started with `{port}` filled in, `environment` added to ours."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    path: str = PREDICT
    ready: str = "/ready"
    folder: Path = ROOT
    script: Path = SCRIPT
    bodies: Path | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured; latencies in seconds, as wrk corrects them."""

    requests_per_s: float
    requests: int
    failed: int
    late: int
    mean_s: float
    p50_s: float
    p99_s: float
    p999_s: float
    max_s: float
    server_cpu_s: float | None = None

    @property
    def server_cpu_us_per_request(self) -> float:
        """CPU time of all the server's processes: steadier than throughput where others use the machine too. NaN where
        it was not measured."""
        if self.server_cpu_s is None:
            return float("nan")
        return self.server_cpu_s / max(self.requests, 1) * 1e6


def gunicorn(name: str, app: str, workers: int = 2, **environment: str) -> Contender:
    """`app` under the service's own gunicorn configuration."""
    command = (sys.executable, "-m", "gunicorn", "-c", "service/gunicorn.conf.py", app)
    return Contender(name, command, {"WORKERS": str(workers), "PORT": "{port}", **environment})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_holding = False


@contextlib.contextmanager
def quiet_machine() -> Iterator[None]:
    """Hold the lock that `BENCH_LOCK` names, where several measurements share a machine; within itself it is free."""
    global _holding
    path = os.environ.get("BENCH_LOCK")
    if not path or _holding:
        yield
        return
    with Path(path).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _holding = True
        try:
            yield
        finally:
            _holding = False


@contextlib.contextmanager
def running(contender: Contender, wait_s: float = 60) -> Iterator[int]:
    """The port that `contender` answers on; everything it started ends with it."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {name: value.replace("{port}", str(port)) for name, value in contender.environment.items()}
    command = [part.replace("{port}", str(port)) for part in contender.command]
    handle, name = tempfile.mkstemp(prefix="headwind-bench-", suffix=".log")
    log = Path(name)
    with os.fdopen(handle, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=contender.folder,
            env=environment,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        _wait(process, port, contender, log, wait_s)
        yield port
    finally:
        end(process)
        log.unlink(missing_ok=True)


def _wait(
    process: subprocess.Popen[bytes], port: int, contender: Contender, log: Path, wait_s: float
) -> None:
    limit = time.monotonic() + wait_s
    url = f"http://127.0.0.1:{port}{contender.ready}"
    while time.monotonic() < limit:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status < 400:
                    return
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{contender.name} does not answer on {url}; its log ends with:\n{tail}")


def end(process: subprocess.Popen[bytes]) -> None:
    """The whole process group that was started: some servers leave children behind."""
    for sign, wait_s in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        if process.poll() is None:
            process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def wrk(
    port: int,
    connections: int,
    seconds: float,
    path: str = PREDICT,
    script: Path = SCRIPT,
    extra: Sequence[str] = (),
    timeout_s: float = 30,
    bodies: Path | None = None,
) -> Load:
    """One run of wrk -t4 (fewer threads only where there are fewer connections)."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is not on PATH: apt install wrk, or brew install wrk.")
    command = [
        program,
        f"-t{min(4, connections)}",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--timeout",
        f"{timeout_s:g}s",
    ]
    command += ["-s", str(script), f"http://127.0.0.1:{port}{path}", *extra]
    environment = {**os.environ, **({"BENCH_BODIES": str(bodies)} if bodies else {})}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    line = next(line for line in printed.splitlines() if line.startswith("BENCH "))
    return read(json.loads(line.removeprefix("BENCH ")))


def read(told: Mapping[str, float]) -> Load:
    """What done() in post.lua told, in seconds."""
    seconds = {f"{name}_s": told[f"{name}_us"] / 1e6 for name in ("mean", "p50", "p99", "p999", "max")}
    return Load(
        requests_per_s=told["requests"] / (told["duration_us"] / 1e6),
        requests=int(told["requests"]),
        failed=int(told["connect"] + told["read"] + told["write"] + told["status"]),
        late=int(told["timeout"]),
        **seconds,
    )


def processes(port: int) -> list[psutil.Process]:
    """The child of ours that listens on `port`, or a descendant of which does, and all its descendants: servers
    divide their work among processes that do not listen, too. Raises `RuntimeError` if there is none."""
    every = psutil.net_connections("tcp")
    listening = {c.pid for c in every if c.laddr and c.laddr.port == port and c.status == psutil.CONN_LISTEN}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            tree = [child, *child.children(recursive=True)]
            if listening & {process.pid for process in tree}:
                return tree
    raise RuntimeError(f"nothing that was started here listens on port {port}")


def cpu_s(port: int) -> dict[int, float]:
    """CPU time so far of each process of the server on `port`, by process id."""
    times = {}
    for process in processes(port):
        with contextlib.suppress(psutil.Error):
            used = process.cpu_times()
            times[process.pid] = max(used.user + used.system, _scheduled_s(process.pid))
    return times


def spent_s(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """CPU time between two looks. What began in between counts whole; what ended in between is not known and does
    not count."""
    return sum(used_s - before.get(pid, 0.0) for pid, used_s in after.items())


def _scheduled_s(pid: int) -> float:
    """CPU time of the process' living threads by the scheduler's clock, 0 where it is not told. Where the kernel counts
    CPU times by ticks, a process that works in short bursts is seldom caught at it."""
    told = [proc.schedstat(str(task)) for task in Path(f"/proc/{pid}/task").glob("*")]
    return sum(times[0] for times in told if times is not None)


def measured(contender: Contender, port: int, connections: int, seconds: float) -> Load:
    """One run of wrk with the CPU time that it cost the server."""
    before = cpu_s(port)
    load = wrk(port, connections, seconds, contender.path, contender.script, bodies=contender.bodies)
    return replace(load, server_cpu_s=spent_s(before, cpu_s(port)))


def as_row(load: Load) -> dict[str, float | None]:
    return asdict(load)
