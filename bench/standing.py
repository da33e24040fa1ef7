"""What the service does under too much of everything: overload, connections, signals, and latency at a fixed rate."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from bench.client import Outcome, offer, press
from bench.common import record, table
from bench.servers import ROOT, end, free_port, gunicorn, quiet_machine, running, wrk
from bench.waiting import LATE_S, at_the_end

SLOW_APP = "tests.service.fakes:slow_app()"
CAPACITY_PER_S = 1000
LONGEST_REFUSAL_S = 0.25
PACED = ROOT / "bench" / "paced.lua"


def bodies() -> list[bytes]:
    return (ROOT / "wrk" / "flights.jsonl").read_bytes().splitlines()


def _rss_bytes(port: int) -> int:
    listening = {c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid}
    return sum(psutil.Process(pid).memory_info().rss for pid in listening)


def _told(
    name: str, outcomes: Sequence[Outcome], seconds: float, rss_growth: float | None = None
) -> dict[str, object]:
    """Rates count what was answered while the load was offered; what came later is in the percentiles only."""
    end_s = min(outcome.due_s for outcome in outcomes) + seconds
    in_time = Counter(outcome.status for outcome in outcomes if outcome.done_s <= end_s)
    good = [outcome.latency_s for outcome in outcomes if outcome.status == 200]
    refused = [outcome.latency_s for outcome in outcomes if outcome.status == 503]
    return {
        "load": name,
        "offered/s": round(len(outcomes) / seconds),
        "answered 200/s": round(in_time[200] / seconds, 1),
        "answered 503/s": round(in_time[503] / seconds, 1),
        "other": len(outcomes) - len(good) - len(refused),
        "slowest 503 ms": round(max(refused, default=0) * 1000, 1),
        "503 p99.9 ms": round(sorted(refused)[int(len(refused) * 0.999)] * 1000, 1) if refused else 0,
        "200 p99 ms": round(sorted(good)[int(len(good) * 0.99)] * 1000, 1) if good else 0,
        "RSS growth": rss_growth,
    }


def overload(seconds: float, others: float = 4) -> tuple[list[dict[str, object]], dict[str, bool]]:
    """A model of about 1,000 flights per second, offered its capacity for `others` seconds, five times that for
    `seconds`, and half of it again for `others`."""
    rows = []
    with running(gunicorn("slow model", SLOW_APP)) as port, quiet_machine():
        rows.append(
            _told("capacity", asyncio.run(offer(port, bodies(), CAPACITY_PER_S, others, 100)), others)
        )
        # Whatever the first overload allocates is there before the memory is watched.
        asyncio.run(offer(port, bodies(), 5 * CAPACITY_PER_S, others / 2, 600))
        before = _rss_bytes(port)
        outcomes = asyncio.run(offer(port, bodies(), 5 * CAPACITY_PER_S, seconds, 600))
        growth = round(_rss_bytes(port) / before - 1, 4)
        rows.append(_told("5 x capacity", outcomes, seconds, growth))
        half = asyncio.run(offer(port, bodies(), CAPACITY_PER_S / 2, others, 100))
        rows.append(_told("half, afterwards", half, others))
    bars = {
        # The peak is what the model can do: no measured one can be higher.
        "goodput at 5 x capacity at least 90 % of its peak, 1,000/s": float(str(rows[1]["answered 200/s"]))
        >= 0.9 * CAPACITY_PER_S,
        "every other request answered 503 within 250 ms": rows[1]["other"] == 0
        and float(str(rows[1]["slowest 503 ms"])) <= LONGEST_REFUSAL_S * 1000,
        "memory flat (under 2 %)": growth < 0.02,
        "then serves as before": rows[2]["answered 503/s"] == 0 and rows[2]["other"] == 0,
    }
    return rows, bars


def connections(
    seconds: float, loops: Sequence[str] = ("asyncio", "uvloop")
) -> tuple[list[dict[str, object]], bool]:
    """200, 1,000 and 5,000 connections: nothing late (over wrk's 2 s), nothing failed, and, what wrk counts nowhere,
    no connection that still waited for its answer when the load ended."""
    rows: list[dict[str, object]] = []
    for loop in loops:
        with running(gunicorn(loop, "service.app:app", SERVER_LOOP=loop)) as port:
            for count in (200, 1000, 5000):
                with quiet_machine():
                    load_it = functools.partial(wrk, port, count, seconds, timeout_s=LATE_S)
                    load, waiting = at_the_end(load_it, port, count, seconds)
                rows.append(
                    {
                        "loop": loop,
                        "connections": count,
                        "requests/s": round(load.requests_per_s),
                        "p99 ms": round(load.p99_s * 1000, 1),
                        "max ms": round(load.max_s * 1000, 1),
                        "late": load.late,
                        "waiting over 2 s at the end": waiting.silent,
                        "never answered": waiting.never_answered,
                        "failed": load.failed,
                    }
                )
    wrong = ("late", "waiting over 2 s at the end", "never answered", "failed")
    return rows, all(row[name] == 0 for row in rows if row["loop"] == loops[0] for name in wrong)


def at_half_of_empty(seconds: float, rounds: int) -> tuple[list[dict[str, object]], bool]:
    """p99 at the same offered rate, half of what FastAPI's empty endpoint can take, by turns."""
    lanes = {"fast lane": "service.app:app", "empty FastAPI": "bench.apps:empty"}
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(running(gunicorn(name, app))) for name, app in lanes.items()}
        with quiet_machine():
            rate = wrk(ports["empty FastAPI"], 200, seconds).requests_per_s / 2
        p99: dict[str, list[float]] = {name: [] for name in lanes}
        achieved: dict[str, list[float]] = {name: [] for name in lanes}
        for _ in range(rounds):
            with quiet_machine():
                for name, port in ports.items():
                    load = wrk(port, 200, seconds, script=PACED, extra=("--", f"{rate:.0f}", "4"))
                    p99[name].append(load.p99_s)
                    achieved[name].append(load.requests_per_s)
    rows: list[dict[str, object]] = [
        {
            "server": name,
            "offered/s": round(rate),
            "answered/s (median)": round(statistics.median(achieved[name])),
            "p99 ms (median)": round(statistics.median(p99[name]) * 1000, 2),
            "p99 ms (all)": ", ".join(f"{value * 1000:.1f}" for value in p99[name]),
        }
        for name in lanes
    ]
    return rows, statistics.median(p99["fast lane"]) < statistics.median(p99["empty FastAPI"])


@contextlib.contextmanager
def logged_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A server that logs every accepted request before it works on it."""
    port, log = free_port(), folder / "server.log"
    environment = {
        **os.environ,
        "PORT": str(port),
        "WORKERS": "2",
        "ACCESS_LOG": "all",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "service/gunicorn.conf.py", "service.app:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, process_group=0
        )
    try:
        limit = time.monotonic() + 60
        while b"startup complete" not in log.read_bytes() and time.monotonic() < limit:
            time.sleep(0.1)
        yield process, port, log
    finally:
        end(process)


def _accepted(log: Path) -> dict[str, int]:
    """Worker by request id, of every request that the server says it accepted."""
    lines = (
        line
        for line in log.read_text(errors="replace").splitlines()
        if line.startswith('{"event":"accepted"')
    )
    accepted = (json.loads(line) for line in lines)
    return {line["request_id"]: line["pid"] for line in accepted if line["request_id"]}


async def _during(port: int, act: object, seconds: float) -> list[Outcome]:
    """Load from 100 connections; after a third of the time `act()` is called."""
    stop = asyncio.Event()
    load = asyncio.create_task(press(port, bodies(), stop, 100))
    await asyncio.sleep(seconds / 3)
    act()  # type: ignore[operator]
    await asyncio.sleep(seconds * 2 / 3)
    stop.set()
    return await load


def signals(seconds: float) -> tuple[list[dict[str, object]], dict[str, bool]]:
    """kill -9 of a worker, SIGHUP and SIGTERM under load, judged by request ids."""
    rows: list[dict[str, object]] = []
    lost_elsewhere = {}
    for name in ("kill -9 of a worker", "SIGHUP", "SIGTERM"):
        with tempfile.TemporaryDirectory() as folder, logged_server(Path(folder)) as (process, port, log):
            victim = psutil.Process(process.pid).children()[0].pid
            target, sign = {
                "kill -9 of a worker": (victim, signal.SIGKILL),
                "SIGHUP": (process.pid, signal.SIGHUP),
                "SIGTERM": (process.pid, signal.SIGTERM),
            }[name]
            outcomes = asyncio.run(_during(port, lambda to=target, by=sign: os.kill(to, by), seconds))
            if name == "SIGTERM":
                process.wait(40)
            accepted = _accepted(log)
        answered = {outcome.request_id for outcome in outcomes if outcome.status is not None}
        unanswered = [pid for request_id, pid in accepted.items() if request_id not in answered]
        by_worker = Counter("the killed worker" if pid == victim else "another" for pid in unanswered)
        rows.append(
            {
                "signal": name,
                "requests": len(outcomes),
                "answered": len(answered),
                "accepted, not answered": len(unanswered),
                "of these by the killed worker": by_worker["the killed worker"]
                if sign == signal.SIGKILL
                else "",
                "statuses": dict(Counter(str(outcome.status) for outcome in outcomes)),
            }
        )
        lost_elsewhere[name] = by_worker["another"] if sign == signal.SIGKILL else len(unanswered)
    bars = {f"{name}: no other accepted request lost": lost == 0 for name, lost in lost_elsewhere.items()}
    return rows, bars


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if everything held, else 3."""
    parser = argparse.ArgumentParser(prog="python -m bench standing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="seconds of overload")
    parser.add_argument("--short", type=int, default=4, help="seconds of each of the other loads")
    parser.add_argument("--long", type=int, default=15, help="seconds of each load of many connections")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    with quiet_machine():
        over, bars = overload(options.seconds)
        at_rate, lower = at_half_of_empty(options.short, options.rounds)
        many, upright = connections(options.long)
        told, kept = signals(2 * options.short)
    bars["p99 at half the empty endpoint's capacity below the empty endpoint's"] = lower
    bars["0 late, 0 failed, 0 left waiting at 200, 1,000 and 5,000 connections (default loop)"] = upright
    bars |= kept
    print("\n".join(table(rows) for rows in (over, at_rate, many, told)))
    judged = [{"must hold": name, "held": held} for name, held in bars.items()]
    path = record("standing", [*over, *at_rate, *many, *told], bars=judged)
    print(table(judged) + f"\nwritten to {path.name}")
    return 0 if all(bars.values()) else 3


if __name__ == "__main__":
    sys.exit(main())
