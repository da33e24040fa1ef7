"""One whole run: server up, warm-up, load under watch, everything stopped, the folder's files written."""

from __future__ import annotations

import contextlib
import datetime
import os
import resource
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwind import formats
from headwind.errors import MissingError, UsageError
from headwind.run import Run
from headwind.samples import Sample
from headwind.stress import environment, folder, generator, privacy, results, schedule, target
from headwind.stress.around import Around
from headwind.stress.generator import Generator, Load, Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.monitor import Monitor
from headwind.stress.plan import Plan, Traffic, shares
from headwind.stress.progress import Progress

_ANSWER_PATIENCE_S = 10.0
# wrk corrects and prints a long histogram in seconds; a wrk that needs longer than this does not end at all.
_REPORT_PATIENCE_S = 30.0
_HURRIED_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What one run left. `interruption` is a clause that says why it ended early; None where it went to its end."""

    folder: Path
    runs: tuple[Run, ...]
    samples: tuple[Sample, ...]
    environment: Mapping[str, Any]
    interruption: str | None
    stopped_by_user: bool = False


@dataclass(slots=True)
class _Context:
    """What the steps of one trial share."""

    plan: Plan
    wrk: Wrk
    folder: Path
    interrupt: Interrupt
    progress: Progress
    url: str
    record: dict[str, Any]
    server: target.Server | None = None
    watched: target.Server | target.Found | None = None
    secrets: frozenset[str] = frozenset()
    died: Callable[[], str | None] | None = None  # how the server ended, None while it runs

    def save(self) -> None:
        folder.write_json(self.folder / "environment.json", self.record)


def run(
    plan: Plan,
    wrk: Wrk,
    into: Path,
    *,
    interrupt: Interrupt,
    progress: Progress,
    again: str | None = None,
    died: Callable[[], str | None] | None = None,
) -> Trial:
    """Carry the plan out; all files but the reports are in the folder `into` afterwards.

    `died` tells of a server that the caller started how it ended (a clause), and None while it runs.
    Whatever ends the run early, wrk is stopped by SIGINT, what it measured is kept and marked interrupted, and no
    process stays. Raises MissingError where the server never becomes ready or wrk cannot run, UsageError where the
    port is taken or a header names an unset variable.
    """
    port, url = _place(plan)
    shown = privacy.split_url(url).shown
    record = _first_record(plan, wrk, shown, again)
    context = _Context(plan, wrk, into, interrupt, progress, url, record, died=died)
    urls = [url, *(traffic.path or "" for traffic in plan.traffic)]
    context.secrets = frozenset().union(*(privacy.secrets_of(one, plan.headers, os.environ) for one in urls))
    context.save()
    _raise_open_files(plan.connections)
    try:
        with _server(context, port):
            context.record["cached"] = not interrupt.requested and target.says_cached(context.url, plan.ready)
            if interrupt.requested or not _warm_up(context):
                return _nothing(context, "interrupted before the load began")
            return _measure(context)
    finally:
        # The server and a script may print what they were sent.
        mask_logs(into, context.secrets)


def mask_logs(into: Path, secrets: Iterable[str]) -> None:
    """Mask secrets in what the server and wrk of one trial wrote."""
    for name in ("server.log", "wrk.txt", "wrk-stderr.txt", "warmup.txt"):
        privacy.mask_file(into / name, secrets)


def _place(plan: Plan) -> tuple[int | None, str]:
    """The port of the server to start, and the URL with it."""
    if "{port}" in plan.url or (plan.command and "{port}" in plan.command):
        named = None if "{port}" in plan.url else urllib.parse.urlsplit(plan.url).port
        port = plan.port or named or target.free_port()
        return port, plan.url.replace("{port}", str(port))
    return urllib.parse.urlsplit(plan.url).port, plan.url


def _first_record(plan: Plan, wrk: Wrk, shown_url: str, again: str | None) -> dict[str, Any]:
    return {
        "schema": environment.SCHEMA,
        "label": plan.label,
        "started_at": None,
        "ended_at": None,
        "interrupted": None,
        "again": again,
        "url": shown_url,
        "machine": environment.machine(),
        "software": environment.software() | {"wrk": wrk.version},
        "load": {
            "threads": plan.threads,
            "connections": plan.connections,
            "duration_s": plan.duration_s,
            "timeout_s": plan.timeout_s,
            "late_threshold_s": plan.late_s,
            "schedule": plan.schedule.to_json() if plan.schedule else None,
            "headers": [privacy.shown_header(*header) for header in plan.headers.items()],
        },
        "generator": {"kind": wrk.kind, "program": wrk.program, "commands": [], "sent": []},
        "server": None,
        "cached": None,  # whether the server said before the load that it may answer from memory
        "warmup": None,
        "monitor": None,
        "clock_step_s": None,
        "connections_opened": None,  # by every process of this machine: wrk's, and what else there was
    }


def _raise_open_files(connections: int) -> None:
    """Lift this process's soft limit, which wrk and the server inherit, where the connections need it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextlib.contextmanager
def _server(context: _Context, port: int | None) -> Iterator[None]:
    """The server of the plan, started and ready, or the one that runs already; stopped at the end if we started it."""
    plan = context.plan
    if plan.command is None:
        target.wait_ready(context.url, context.interrupt, patience_s=_ANSWER_PATIENCE_S, ready=plan.ready)
        context.watched = _running(context.url)
        yield
        return
    if port is None:
        raise UsageError("--command needs a port to wait for; put {port} in it, or name the port in --url.")
    target.refuse_taken(port)
    command = plan.command.replace("{port}", str(port)).replace("{workers}", str(plan.workers))
    context.progress.show("starting the server")
    server = target.Server(
        command, context.folder / "server.log", workers=plan.workers, environment=plan.environment
    )
    context.server = context.watched = server
    context.died = server.died
    try:
        ready_s = target.wait_ready(
            context.url, context.interrupt, patience_s=plan.ready_timeout_s, ready=plan.ready, server=server
        )
        context.record["server"] = {
            "command": privacy.scrub(command),
            "pid": server.pid,
            "workers": plan.workers,
            "ready_after_s": round(ready_s, 3) if ready_s is not None else None,
        }
        yield
    finally:
        context.progress.show("stopping the server")
        server.stop()
        context.progress.clear()


def _loads(context: _Context, duration_s: int, exact: bool) -> list[Load]:
    """One load per kind of traffic, with threads and connections split by weight."""
    plan = context.plan
    weights = tuple(traffic.weight for traffic in plan.traffic)
    connections = shares(plan.connections, weights)
    threads = shares(max(plan.threads, len(weights)), weights)
    loads = []
    for index, traffic in enumerate(plan.traffic):
        url, private = _addressed(context, traffic)
        used = min(threads[index], connections[index])
        lasts_s = duration_s
        rate = None
        if context.wrk.is_wrk2:
            rate = schedule.wrk2_rate(plan.schedule) * traffic.weight / sum(weights)
        elif plan.schedule:
            part = plan.schedule.part(index, weights)
            if part.is_exact:
                used, lasts_s = connections[index], duration_s + part.patience_s
            private |= part.variables(duration_s, used, connections[index])
        loads.append(
            Load(
                url=url,
                threads=used,
                connections=connections[index],
                duration_s=lasts_s,
                timeout_s=plan.timeout_s,
                traffic=traffic,
                exact=context.folder / f"exact-{index + 1}.jsonl" if exact else None,
                script_arguments=plan.script_arguments,
                private=private,
                rate_per_s=rate,
            )
        )
    return loads


def _addressed(context: _Context, traffic: Traffic) -> tuple[str, dict[str, str]]:
    """The URL that may be seen, and the environment that carries the rest of it."""
    url = context.url
    if traffic.path is not None:
        parts = urllib.parse.urlsplit(url)
        path, _, query = traffic.path.partition("?")
        url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, query, ""))
    address = privacy.split_url(url)
    headers = {name: privacy.expand(value, os.environ) for name, value in context.plan.headers.items()}
    if address.authorization is not None:
        headers.setdefault("Authorization", address.authorization)
    private = {}
    if headers:
        private["HEADWIND_HEADERS"] = "\n".join(f"{name}: {value}" for name, value in headers.items())
    if address.path is not None:
        private["HEADWIND_PATH"] = address.path
    return address.shown, private


def _generators(context: _Context, loads: list[Load], stem: str) -> list[Generator]:
    return [
        Generator(
            context.wrk, load, context.folder / f"{stem}-{i}.txt", context.folder / f"{stem}-{i}-stderr.txt"
        )
        for i, load in enumerate(loads, 1)
    ]


def _warm_up(context: _Context) -> bool:
    """The same load for a while before the measurement, which counts nowhere; False if interrupted."""
    duration_s = context.plan.warmup_s
    if duration_s == 0:
        return True
    generators = _generators(context, _loads(context, duration_s, exact=False), "warmup")
    context.progress.show(f"warming up for {duration_s} s")
    reason = _drive(context, generators, duration_s, None)
    texts = [results.text_of(one.stdout) for one in generators]
    runs = [run for text in texts for run in formats.read_text(text, "warmup", tool="wrk")]
    context.record["warmup"] = {
        "duration_s": duration_s,
        "requests": sum(run.requests or 0 for run in runs) if len(runs) == len(generators) else None,
    }
    folder.write_text(context.folder / "warmup.txt", "\n".join(texts))
    complaints = " ".join(results.text_of(one.stderr).strip() for one in generators).strip()
    unmeasured = next(filter(None, (one.unmeasured() for one in generators)), None)
    for one in generators:
        one.stdout.unlink()
        one.stderr.unlink()
    if reason and not context.interrupt.requested:
        raise MissingError(f"{reason} during the warm-up; see {context.folder}.")
    if unmeasured:
        raise MissingError(f"wrk cannot load what Headwind measures with: {results.sentence(unmeasured)}")
    if not reason and any(one.exit_code for one in generators):
        raise results.failure(context.record["url"], complaints)
    return reason is None


def _measure(context: _Context) -> Trial:
    plan = context.plan
    loads = _loads(context, plan.duration_s, exact=True)
    generators = _generators(context, loads, "wrk")
    record = context.record
    record["generator"]["commands"] = [privacy.shown_command(one.command) for one in generators]
    record["generator"]["sent"] = [environment.digest(file) for load in loads for file in load.traffic.files]
    monitor = Monitor(context.folder / "samples.jsonl", lambda: _watched(context, generators))
    monitor.start()
    around = Around(context.url, asks=context.watched is not None)
    record["started_at"] = _now()
    context.save()
    try:
        reason = _drive(context, generators, plan.duration_s, monitor)
    finally:
        monitor.stop()
    record["ended_at"] = _now()
    record["interrupted"] = reason
    record |= around.ended(len(monitor.samples))
    context.save()
    runs = results.collect(context.folder, plan, generators, loads, record)
    return Trial(
        context.folder,
        tuple(runs),
        tuple(monitor.samples),
        record,
        reason,
        stopped_by_user=context.interrupt.requested,
    )


def _watched(context: _Context, generators: list[Generator]) -> list[tuple[str, int]]:
    pairs = [("server", pid) for pid in sorted(context.watched.working())] if context.watched else []
    if context.server:
        pairs += [("proxy", pid) for pid in sorted(context.server.proxies())]
    return pairs + [("generator", one.pid) for one in generators if one.pid is not None]


def _running(url: str) -> target.Found | None:
    """The server's processes where it runs on this machine."""
    parts = urllib.parse.urlsplit(url)
    if not target.is_local(parts.hostname or ""):
        return None
    return target.Found(parts.port or (443 if parts.scheme == "https" else 80))


def _drive(
    context: _Context, generators: list[Generator], duration_s: float, monitor: Monitor | None
) -> str | None:
    """Run the wrks to their end, or stop them; a clause that says why they were stopped."""
    began = time.monotonic()
    try:
        for one in generators:
            one.start()
        if monitor:
            monitor.began = began
        reason = None
        while reason is None and not generator.wait_for(generators, time.monotonic() + 0.1):
            elapsed = time.monotonic() - began
            reason = _why_stop(context, elapsed, duration_s)
            if monitor:
                context.progress.load(elapsed, duration_s, *monitor.last_two())
    finally:
        # Also where an exception of our own ended the loop: wrk must not outlive it.
        for one in generators:
            one.interrupt()
        _end(context, generators)
    return reason


def _why_stop(context: _Context, elapsed_s: float, duration_s: float) -> str | None:
    if context.interrupt.requested:
        return f"interrupted after {elapsed_s:.1f} s"
    if context.died and (death := context.died()):
        return f"{privacy.mask(death, context.secrets)}, after {elapsed_s:.1f} s of load"
    if elapsed_s > duration_s + _REPORT_PATIENCE_S:
        return f"wrk did not end {_REPORT_PATIENCE_S:.0f} s after its time and was stopped"
    return None


def _end(context: _Context, generators: list[Generator]) -> None:
    """Wait for the reports; a second Ctrl-C shortens that to a second."""
    asked = context.interrupt.times
    end = time.monotonic() + _REPORT_PATIENCE_S
    while time.monotonic() < end and not generator.wait_for(generators, time.monotonic() + 0.1):
        if context.interrupt.times > max(asked, 1):
            end = min(end, time.monotonic() + _HURRIED_PATIENCE_S)
    for one in generators:
        one.end(0.1)


def _nothing(context: _Context, reason: str) -> Trial:
    context.record["interrupted"] = reason
    context.save()
    return Trial(context.folder, (), (), context.record, reason, stopped_by_user=True)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
