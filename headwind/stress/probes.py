"""The probes of a diagnosis: the prober's plans, and closed-loop loads by wrk with the prober beside them."""

from __future__ import annotations

import base64
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headwind
from headwind.analysis.diagnosis.observations import Answer, Load
from headwind.errors import HeadwindError
from headwind.histogram import undo_correction
from headwind.stress.counters import Watch
from headwind.stress.generator import lua_folder
from headwind.stress.interrupt import Interrupt
from headwind.stress.requests import Request
from headwind.stress.server import Server

PROBE_RATE_PER_S = 20.0
PROBE_TIMEOUT_S = 4.0
WRK_TIMEOUT_S = 60
LATENCY_STEP = 1.05


def await_end(
    process: subprocess.Popen[str], timeout_s: float, interrupt: Interrupt
) -> tuple[str | None, str | None] | None:
    """What the process wrote, once it has ended; None after `timeout_s`. Raises KeyboardInterrupt when asked to stop.

    Ctrl-C only sets a flag (see `Interrupt`), so that it can never fall between a change and its undoing.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return process.communicate(timeout=0.1)
        except subprocess.TimeoutExpired:
            if interrupt.requested:
                raise KeyboardInterrupt from None
            if time.monotonic() > deadline:
                return None


class ProberRun:
    """A prober's process with its plan; `answers()` waits for the end."""

    def __init__(self, request: Request, mode: str, kinds: Sequence[str], **settings: Any) -> None:
        plan = {
            "host": request.host,
            "port": request.port,
            "tls": request.tls,
            "requests": {
                kind: [
                    base64.b64encode(text).decode()
                    for text in (request.payloads() if kind == "endpoint" else [request.missing()])
                ]
                for kind in kinds
            },
            "mode": mode,
            **settings,
        }
        root = str(Path(headwind.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headwind.stress.prober"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C reaches us, and we end it
        )
        self.plan = json.dumps(plan)

    def start(self) -> ProberRun:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(self.plan)
            self.process.stdin.close()
        return self

    def answers(self, timeout_s: float, interrupt: Interrupt) -> tuple[Answer, ...]:
        """In order of sending. Ends the process after `timeout_s`, with no answers then."""
        self.process.stdin = None
        try:
            said = await_end(self.process, timeout_s, interrupt)
        finally:
            self.stop()
        if said is None:
            return ()
        text = said[0]
        if self.process.returncode != 0 or not text:
            raise HeadwindError(
                "the prober failed: `python -m headwind.stress.prober` must run in this environment"
            )
        rows = [Answer(**row) for row in json.loads(text)["answers"]]
        return tuple(sorted(rows, key=lambda row: row.sent_s))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def probe(
    request: Request, interrupt: Interrupt, mode: str, kinds: Sequence[str] = ("endpoint",), **settings: Any
) -> tuple[Answer, ...]:
    """One plan from start to end; see `headwind.stress.prober.Plan` for modes and settings."""
    seconds = float(settings.get("duration_s", 2.0)) + float(settings.get("timeout_s", 10.0)) + 5.0
    return ProberRun(request, mode, kinds, **settings).start().answers(seconds, interrupt)


@dataclass(frozen=True, slots=True)
class Generated:
    """What one wrk said: the object of its `headwind.wrk/1` report, or {} when it reported nothing."""

    report: Mapping[str, Any]

    @property
    def requests(self) -> int:
        return int(self.report.get("requests", 0))

    @property
    def duration_s(self) -> float:
        return float(self.report.get("duration_us", 0)) / 1e6

    @property
    def statuses(self) -> dict[str, int]:
        return {str(code): int(count) for code, count in (self.report.get("status_codes") or {}).items()}

    @property
    def timeline(self) -> tuple[int, ...]:
        rows = self.report.get("timeline") or {}
        return tuple(int(count) for count in rows.get("responses", ()))

    def latencies(self, connections: int) -> tuple[tuple[float, int], ...]:
        """(seconds, answers) of all answers in steps of 5 %, without wrk's correction; empty where it told none."""
        told = self.report.get("histogram") or {}
        printed = dict(zip(map(int, told.get("values", ())), map(int, told.get("counts", ())), strict=True))
        if not printed or self.requests < connections:
            return ()
        expected_us = int(self.report.get("duration_us", 0)) // (self.requests // connections)
        steps: Counter[int] = Counter()
        try:
            measured = undo_correction(printed, expected_us)
        except ValueError:  # a wrk that corrects otherwise
            return ()
        for value_us, count in measured.items():
            steps[round(math.log(max(value_us, 1)) / math.log(LATENCY_STEP))] += count
        return tuple((LATENCY_STEP**step / 1e6, count) for step, count in sorted(steps.items()) if count > 0)

    @property
    def socket_errors(self) -> int:
        errors = self.report.get("errors") or {}
        return sum(int(errors.get(kind, 0)) for kind in ("connect", "read", "write"))


class WrkRun:
    """One wrk under way; `finish()` waits for it and reads its report."""

    def __init__(
        self,
        request: Request,
        connections: int,
        duration_s: float,
        headers: Sequence[str] = (),
    ) -> None:
        # Half of the cores, so that on a large machine the generator does not become the limit.
        self.threads = max(1, min(connections, len(os.sched_getaffinity(0)) // 2))
        self.duration_s = duration_s
        self._folder = tempfile.TemporaryDirectory(prefix="headwind-")
        folder = Path(self._folder.name)
        self._exact = folder / "exact.jsonl"
        script = request.wrk_script(folder)
        environment = {**os.environ, **request.environment(), "HEADWIND_EXACT": str(self._exact)}
        if script is not None:
            environment["HEADWIND_SCRIPT"] = str(script)
        seconds = max(1, round(duration_s))
        command = [
            "wrk",
            f"-t{self.threads}",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            f"{WRK_TIMEOUT_S}s",
        ]
        command += [part for header in headers for part in ("-H", header)]
        self.process = subprocess.Popen(
            [*command, "-s", str(lua_folder() / "observe.lua"), request.url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def finish(self, interrupt: Interrupt) -> Generated:
        try:
            await_end(self.process, self.duration_s + 30, interrupt)
        finally:
            self.stop()
        text = self._exact.read_text() if self._exact.exists() else ""
        self._folder.cleanup()
        return Generated(json.loads(text.splitlines()[-1]) if text.strip() else {})

    def stop(self) -> None:
        """SIGINT, as wrk wants it; SIGKILL if that does not help."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def load(
    request: Request,
    server: Server,
    interrupt: Interrupt,
    name: str,
    connections: int,
    duration_s: float,
    *,
    stream: bool = True,
    headers: Sequence[str] = (),
    look_at_threads: bool = True,
) -> Load:
    """Load with wrk for `duration_s`; with `stream`, the independent requests go on beside it."""
    watch = Watch(server, look_at_threads=look_at_threads).start()
    prober: ProberRun | None = None
    generator: WrkRun | None = None
    try:
        if stream:
            prober = _stream(request, max(0.5, duration_s - 1.0))
            watch.own.append(prober.process.pid)
        generator = WrkRun(request, connections, duration_s, headers=headers)
        watch.generators.append(generator.process.pid)
        if prober is not None:
            prober.start()
        reaped_s = _reaped_cpu_s()
        generated = generator.finish(interrupt)
        watch.add_reaped(_reaped_cpu_s() - reaped_s, generator.threads)
        counters = watch.stop()
        answers = prober.answers(PROBE_TIMEOUT_S + 3.0, interrupt) if prober is not None else ()
    except BaseException:
        for run in (generator, prober):
            if run is not None:
                run.stop()
        raise
    return Load(
        name=name,
        connections=connections,
        duration_s=generated.duration_s or duration_s,
        requests=generated.requests,
        statuses=generated.statuses,
        socket_errors=generated.socket_errors,
        counters=counters,
        timeline=generated.timeline,
        answers=answers,
        lag_p99_s=_lag(answers),
        latencies=generated.latencies(connections),
    )


def _stream(request: Request, duration_s: float) -> ProberRun:
    """The independent requests beside a load; not started yet."""
    return ProberRun(
        request,
        "jitter",
        ("endpoint", "missing"),
        duration_s=duration_s,
        rate_per_s=PROBE_RATE_PER_S,
        timeout_s=PROBE_TIMEOUT_S,
    )


def _reaped_cpu_s() -> float:
    """CPU seconds of all our processes that ended so far, exact even where the sampler hardly got to run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _lag(answers: Sequence[Answer]) -> float | None:
    lags = sorted(row.sent_s - row.due_s for row in answers)
    return lags[min(len(lags) - 1, int(0.99 * len(lags)))] if lags else None
