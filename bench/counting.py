"""What counting costs: the metrics of one batch, beside the CPU time that a server spends on a request.

The difference between two servers, one with metrics and one without, is smaller than what any two servers differ by
on a shared machine. What is added can be timed alone: each batch is counted by two calls, however many flights it has.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from bench.common import RESULTS, record, table
from service.metrics import Metrics

MOST_SHARE = 0.03
CALLS = 20_000


def counting_s(repeats: int) -> float:
    """CPU time of counting one batch of one flight as `Gatherer.settle` does, in seconds: the least of `repeats`."""
    metrics, shortest = Metrics(2), float("inf")
    for _ in range(repeats):
        began_s = time.thread_time()
        for _ in range(CALLS):
            opened_s = time.monotonic()
            metrics.batch(1)
            metrics.answered(200, 1, time.monotonic() - opened_s)
        shortest = min(shortest, (time.thread_time() - began_s) / CALLS)
    return shortest


def rows_of(counting: float, served: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """One row a number of connections: the share of counting if each flight were a batch of its own, which is so with
    one connection and the most that it can be with more. `served` are the rows of `bench.serving`."""
    rows = []
    for row in served:
        if row["server"] == "fast lane":
            request_us = float(str(row["server CPU us/request"]))
            rows.append(
                {
                    "connections": row["connections"],
                    "counting a batch, us": round(counting * 1e6, 2),
                    "server CPU us/request": request_us,
                    "at most, of a request": f"{counting * 1e6 / request_us:.1%}",
                    "held": counting * 1e6 / request_us < MOST_SHARE,
                }
            )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if counting costs under 3 % of a request, else 3."""
    parser = argparse.ArgumentParser(prog="python -m bench.counting", description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args(argv)
    served = json.loads((RESULTS / "serving.json").read_text(encoding="utf-8"))["rows"]
    rows = rows_of(counting_s(options.repeats), served)
    path = record("counting", rows)
    print(table(rows) + f"\nwritten to {path.name}")
    return 0 if all(row["held"] for row in rows) else 3


if __name__ == "__main__":
    sys.exit(main())
