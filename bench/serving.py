"""The fast lane beside its ceilings: raw ASGI echo, FastAPI's empty endpoint, the textbook version."""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence

from bench.common import record, table
from bench.servers import Contender, Load, as_row, gunicorn, measured, quiet_machine, running

CONTENDERS = (
    gunicorn("echo", "bench.apps:echo"),
    gunicorn("fast lane", "service.app:app"),
    gunicorn("fast lane, no metrics", "bench.apps:without_metrics()"),
    gunicorn("ordinary route", "service.app:app", FAST_LANE="off"),
    gunicorn("empty FastAPI", "bench.apps:empty"),
    gunicorn("textbook", "bench.apps:textbook()"),
)
BARS = (
    ("fast lane", "echo", 0.65),
    ("fast lane", "empty FastAPI", 1.8),
    ("fast lane", "textbook", 25.0),
    ("fast lane", "fast lane, no metrics", 0.97),
)
"""At 200 connections: the first at least so many times the second."""

Rounds = dict[str, list[Load]]


@contextlib.contextmanager
def started(contenders: Sequence[Contender]) -> Iterator[dict[str, int]]:
    """Every contender's port while all of them run."""
    with contextlib.ExitStack() as stack:
        yield {contender.name: stack.enter_context(running(contender, 120)) for contender in contenders}


def interleaved(
    contenders: Sequence[Contender],
    ports: Mapping[str, int],
    connections: int,
    seconds: float,
    rounds: int,
    seed: int,
) -> Rounds:
    """Every contender once in each round, in shuffled order, after a second of warming up; only one is loaded."""
    order = random.Random(seed)
    rounds_of: Rounds = {contender.name: [] for contender in contenders}
    for contender in contenders:
        measured(contender, ports[contender.name], connections, 1)
    for number in range(rounds):
        for contender in order.sample(list(contenders), len(contenders)):
            rounds_of[contender.name].append(measured(contender, ports[contender.name], connections, seconds))
        print(f"  {connections} connections, round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return rounds_of


def ratio(rounds: Rounds, one: str, other: str) -> float:
    """Median over the rounds of the throughput of `one` against `other` in the same round."""
    pairs = zip(rounds[one], rounds[other], strict=True)
    return statistics.median(a.requests_per_s / b.requests_per_s for a, b in pairs)


def rows_of(rounds: Rounds, connections: int, reference: str) -> list[dict[str, object]]:
    """One row a contender: medians over the rounds."""
    return [
        {
            "connections": connections,
            "server": name,
            "requests/s": round(statistics.median(load.requests_per_s for load in loads)),
            f"{reference} =1": round(ratio(rounds, name, reference), 3),
            "p50 ms": round(statistics.median(load.p50_s for load in loads) * 1000, 2),
            "p99 ms": round(statistics.median(load.p99_s for load in loads) * 1000, 2),
            "server CPU us/request": round(
                statistics.median(load.server_cpu_us_per_request for load in loads), 1
            ),
            "failed": sum(load.failed for load in loads),
        }
        for name, loads in rounds.items()
    ]


def judged(rounds: Rounds, bars: Sequence[tuple[str, str, float]]) -> list[dict[str, object]]:
    """Each bar with the ratio that was measured."""
    found = [(one, other, bar, ratio(rounds, one, other)) for one, other, bar in bars]
    return [
        {"ratio": f"{one} / {other}", "at least": bar, "measured": round(value, 3), "held": value >= bar}
        for one, other, bar, value in found
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if every bar held, else 3."""
    parser = argparse.ArgumentParser(prog="python -m bench serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each load; wrk takes whole ones")
    parser.add_argument("--connections", type=int, nargs="+", default=[200, 8, 1])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    with started(CONTENDERS) as ports, quiet_machine():
        every = {
            connections: interleaved(
                CONTENDERS, ports, connections, options.seconds, options.rounds, options.seed
            )
            for connections in options.connections
        }
    rows = [row for connections, rounds in every.items() for row in rows_of(rounds, connections, "echo")]
    bars = judged(every[200], BARS) if 200 in every else []
    told = {
        str(connections): {name: [as_row(load) for load in loads] for name, loads in rounds.items()}
        for connections, rounds in every.items()
    }
    path = record(
        "serving", rows, bars=bars, rounds=told, seconds=options.seconds, workers=2, seed=options.seed
    )
    print(table(rows) + "\n" + table(bars) + f"\nwritten to {path.name}")
    return 0 if all(bar["held"] for bar in bars) else 3


if __name__ == "__main__":
    sys.exit(main())
