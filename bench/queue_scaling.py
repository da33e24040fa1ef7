"""Queue mode in containers: 1 against 3 model workers, with the real model and with one of 2 ms a flight."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from bench.common import record, table
from bench.servers import ROOT, free_port, quiet_machine

MODELS = {"real model": (), "2 ms a flight": ("-f", "bench/slow-model.compose.yml")}
LOADS = (1, 8, 200)
LEAST_GAIN = 1.1
"""A median gain below this, or a round without any, is not called one."""


class Stack:
    """The compose file's queue profile under a project name of its own."""

    def __init__(self, override: Sequence[str], seconds: float) -> None:
        project = f"headwind-bench-{uuid.uuid4().hex[:6]}"
        self._command = [
            "docker",
            "compose",
            "--ansi",
            "never",
            "-p",
            project,
            "-f",
            "docker-compose.wrk.yml",
            *override,
        ]
        self._environment = {
            **os.environ,
            "SERVING": "queue",
            "NGINX_PORT": str(free_port()),
            "DURATION": f"{seconds:g}s",
            "IMAGE": "flight-delay-bench",
        }

    def run(self, *arguments: str, **settings: str) -> str:
        """stdout of one `docker compose` command; raises `RuntimeError` with what it printed."""
        command = [*self._command, "--profile", "queue", *arguments]
        environment = self._environment | settings
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"docker compose {' '.join(arguments)} failed: {done.stderr[-800:]}")
        return done.stdout

    def load(self, connections: int) -> tuple[float, float, int]:
        """Requests answered 200 per second, p99 in ms of all answers, and how many were refused."""
        asked = {"CONNECTIONS": str(connections), "THREADS": str(min(4, connections))}
        printed = self.run("run", "--rm", "--no-deps", "-T", "wrk", **asked)
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])  # type: ignore[index]
        requests = int(re.search(r"(\d+) requests in", printed)[1])  # type: ignore[index]
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
        p99 = re.search(r'"99": (\d+)', printed)
        bad = int(refused[1]) if refused else 0
        return rate * (requests - bad) / requests, int(p99[1]) / 1000 if p99 else float("nan"), bad


def measure(
    override: Sequence[str], rounds: int, seconds: float
) -> dict[tuple[int, int], list[tuple[float, float, int]]]:
    """By (model workers, connections); in each round both counts of workers by turns."""
    stack = Stack(override, seconds)
    found: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    try:
        stack.run("up", "-d", "--wait", "--build")
        for number in range(rounds):
            with quiet_machine():
                for workers in (1, 3) if number % 2 == 0 else (3, 1):
                    stack.run("up", "-d", "--wait", "--scale", f"model={workers}")
                    for connections in LOADS:
                        found.setdefault((workers, connections), []).append(stack.load(connections))
    finally:
        stack.run("--profile", "wrk", "down", "-v", "-t", "2")
    return found


def row(
    name: str,
    connections: int,
    one: Sequence[tuple[float, float, int]],
    three: Sequence[tuple[float, float, int]],
) -> dict[str, object]:
    """Medians over the rounds; `one` and `three` hold what `Stack.load` told with so many workers, by round."""
    gains = [b[0] / a[0] for a, b in zip(one, three, strict=True)]
    return {
        "model": name,
        "connections": connections,
        "1 worker, 200/s": round(statistics.median(load[0] for load in one)),
        "3 workers, 200/s": round(statistics.median(load[0] for load in three)),
        "3 against 1": round(statistics.median(gains), 2),
        "lowest": round(min(gains), 2),
        "highest": round(max(gains), 2),
        "1 worker, p99 ms": round(statistics.median(load[1] for load in one), 1),
        "3 workers, p99 ms": round(statistics.median(load[1] for load in three), 1),
        "1 worker, refused": sum(load[2] for load in one),
        "3 workers, refused": sum(load[2] for load in three),
    }


def sentence(row: Mapping[str, Any]) -> str:
    """What scaling bought at this load, in words."""
    load = f"{row['model']}, {row['connections']} connection{'s' if row['connections'] > 1 else ''}"
    ratio = f"{row['3 against 1']} times ({row['lowest']} to {row['highest']} over the rounds)"
    if row["3 against 1"] >= LEAST_GAIN and row["lowest"] > 1:
        return f"{load}: 3 model workers answered {ratio} what 1 did."
    return f"{load}: 3 model workers bought nothing, {ratio} what 1 answered."


def main(argv: Sequence[str] | None = None) -> int:
    """Always 0: the report says what scaling bought."""
    parser = argparse.ArgumentParser(prog="python -m bench.queue_scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args(argv)
    rows = []
    for name, override in MODELS.items():
        found = measure(override, options.rounds, options.seconds)
        rows += [row(name, count, found[1, count], found[3, count]) for count in LOADS]
    said = [sentence(one) for one in rows]
    path = record("queue_scaling", rows, said=said, seconds=options.seconds, rounds=options.rounds)
    print(table(rows) + "\n".join(said) + f"\nwritten to {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
