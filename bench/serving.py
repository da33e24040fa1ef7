"""The fast lane beside its ceilings: raw ASGI echo, FastAPI's empty endpoint, the textbook version."""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence

import scipy.stats

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
)
"""At 200 connections: the first at least so many times the second."""

METRICS_KEEP = 0.97
"""With metrics at least so many times the throughput without: a difference that rounds of seconds cannot show on a
shared machine, so these two are compared in many pairs of one second, and all of a 95 % interval must lie above."""

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
        {
            "ratio": f"{one} / {other}",
            "at least": bar,
            "measured": round(value, 3),
            "between": "{:.3g} and {:.3g} (all rounds)".format(*_extremes(rounds, one, other)),
            "held": value >= bar,
        }
        for one, other, bar, value in found
    ]


def _extremes(rounds: Rounds, one: str, other: str) -> tuple[float, float]:
    ratios = [a.requests_per_s / b.requests_per_s for a, b in zip(rounds[one], rounds[other], strict=True)]
    return min(ratios), max(ratios)


def paired(
    one: Contender, other: Contender, ports: Mapping[str, int], connections: int, pairs: int
) -> list[tuple[Load, Load]]:
    """Both in turn for a second each, as often as `pairs` says; who is first changes every time."""
    found = []
    for number in range(pairs):
        order = (one, other) if number % 2 == 0 else (other, one)
        loads = {each.name: measured(each, ports[each.name], connections, 1) for each in order}
        found.append((loads[one.name], loads[other.name]))
    return found


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Lower end, mean and upper end of a 95 % interval for the ratio (Student's t of the logarithms)."""
    logs = [math.log(value) for value in ratios]
    half = scipy.stats.t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.fmean(logs)
    return math.exp(mean - half), math.exp(mean), math.exp(mean + half)


def cost_of_metrics(pairs: Sequence[tuple[Load, Load]]) -> tuple[dict[str, object], str]:
    """The bar with and without metrics, and what the server's own CPU time says beside it."""
    low, mean, high = interval([a.requests_per_s / b.requests_per_s for a, b in pairs])
    cpu = interval([a.server_cpu_us_per_request / b.server_cpu_us_per_request for a, b in pairs])
    bar: dict[str, object] = {
        "ratio": "fast lane / fast lane, no metrics",
        "at least": METRICS_KEEP,
        "measured": round(mean, 3),
        "between": f"{low:.3f} and {high:.3f} (95 % interval of {len(pairs)} pairs of one second)",
        "held": low >= METRICS_KEEP,
    }
    said = f"{cpu[1]:.3f} times ({cpu[0]:.3f} to {cpu[2]:.3f}, 95 % interval) that without them."
    return bar, f"In these pairs the server's CPU time per request with metrics was {said}"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if every bar held, else 3."""
    parser = argparse.ArgumentParser(prog="python -m bench serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each load; wrk takes whole ones")
    parser.add_argument("--connections", type=int, nargs="+", default=[200, 8, 1])
    parser.add_argument("--pairs", type=int, default=40, help="of one second, with and without metrics")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    with started(CONTENDERS) as ports, quiet_machine():
        every = {
            connections: interleaved(
                CONTENDERS, ports, connections, options.seconds, options.rounds, options.seed
            )
            for connections in options.connections
        }
        with_and_without = paired(CONTENDERS[1], CONTENDERS[2], ports, 200, options.pairs)
    metrics_bar, said = cost_of_metrics(with_and_without)
    rows = [row for connections, rounds in every.items() for row in rows_of(rounds, connections, "echo")]
    bars = [*(judged(every[200], BARS) if 200 in every else []), metrics_bar]
    told = {
        str(connections): {name: [as_row(load) for load in loads] for name, loads in rounds.items()}
        for connections, rounds in every.items()
    }
    told["metrics"] = {
        name: [as_row(pair[side]) for pair in with_and_without]
        for side, name in enumerate(("fast lane", "fast lane, no metrics"))
    }
    about = {"seconds": options.seconds, "workers": 2, "seed": options.seed}
    path = record("serving", rows, bars=bars, said=[said], rounds=told, **about)
    print(table(rows) + "\n" + table(bars) + f"\n{said}\nwritten to {path.name}")
    return 0 if all(bar["held"] for bar in bars) else 3


if __name__ == "__main__":
    sys.exit(main())
