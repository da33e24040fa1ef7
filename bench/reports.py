"""How long reports take, as a user waits for them: a fresh process from the command line to the written file.

A 45-s run with its exact histogram, time line and samples as HTML and as Markdown with PNGs; 500 runs on one page.
Ends with 1 if a promise of the docs is broken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import best_of, record, table
from headwind.histogram import from_counts
from headwind.report import document
from headwind.run import Errors, Latency, Run
from headwind.samples import ProcessSample, Sample, Timeline

REQUESTS = 300_000
DURATION_S = 45.0
RUNS = 500
LIMITS_S = {"html": 2.0, "markdown": 4.0, "page_of_500": 10.0}
ROUNDS = 5


def write_run(folder: Path) -> None:
    """A run's folder of the size that 45 s of the service leave: some 60,000 distinct latencies in microseconds."""
    generator = np.random.default_rng(45)
    latencies = generator.lognormal(np.log(31_000), 0.3, REQUESTS).astype(int)
    latencies[: REQUESTS // 1000] += 400_000
    values, counts = np.unique(latencies, return_counts=True)
    run = Run(
        tool="wrk",
        url="http://127.0.0.1:8000/v1/prediction",
        complete=True,
        planned_duration_s=DURATION_S,
        threads=4,
        connections=200,
        timeout_s=30.0,
        late_threshold_s=2.0,
        late=0,
        requests=REQUESTS,
        duration_s=DURATION_S,
        requests_per_s=REQUESTS / DURATION_S,
        latency=Latency(mean_s=0.034, stdev_s=0.03, max_s=0.5, percentiles_s={"50": 0.031, "99": 0.2}),
        errors=Errors(0, 0, 0, 0, 0),
        histogram=from_counts(
            zip(values.tolist(), counts.tolist(), strict=True),
            limit_us=30_000_000,
            expected_interval_us=int(DURATION_S * 1e6) // (REQUESTS // 200),
        ),
        timeline=Timeline(0.1, tuple(generator.poisson(667, 450).tolist()), (0,) * 450),
    )
    samples = [_sample(tick) for tick in range(91)]
    built = document.build([run], source="wrk.txt", samples=samples, target=50_000, slos=["p99<250ms"])
    (folder / "run.json").write_text(json.dumps(built))
    (folder / "samples.jsonl").write_text("".join(json.dumps(one.to_json()) + "\n" for one in samples))
    (folder / "environment.json").write_text(json.dumps({"versions": {"wrk": "4.1.0"}}))


def _sample(tick: int) -> Sample:
    server = [ProcessSample(pid, "server", "worker", 0.4 * tick, 200 * 2**20, 8) for pid in range(1, 5)]
    generator = ProcessSample(9, "generator", "wrk", 0.1 * tick, 9 * 2**20, 5)
    return Sample(tick * 0.5, 2, 0.9 * tick, 0.0, (*server, generator))


def write_texts(folder: Path) -> list[str]:
    """500 outputs of wrk as saved to files, each with other figures."""
    generator = np.random.default_rng(500)
    names = []
    for place, rate in enumerate(generator.normal(6000, 400, RUNS)):
        path = folder / f"run-{place:03}.txt"
        path.write_text(
            "Running 45s test @ http://127.0.0.1:8000/v1/prediction\n  4 threads and 200 connections\n"
            "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n"
            f"    Latency    {200 / rate * 1e3:.2f}ms    9.10ms 210.00ms   80.00%\n"
            f"    Req/Sec     {rate / 4000:.2f}k   120.00     2.10k    70.00%\n"
            f"  {int(rate * 45)} requests in 45.02s, 40.00MB read\n"
            f"Requests/sec:  {rate:.2f}\nTransfer/sec:      0.89MB\n"
        )
        names.append(str(path))
    return names


def seconds_of(*arguments: str) -> float:
    """The shortest of five fresh processes of `headwind`."""
    command = [sys.executable, "-m", "headwind", *arguments]
    return best_of(ROUNDS, lambda: subprocess.run(command, check=True, capture_output=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, write bench/results/reports.json."""
    argparse.ArgumentParser(prog="python -m bench.reports", description=__doc__).parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        write_run(folder)
        page, text, many = (str(Path(scratch) / name) for name in ("a.html", "a.md", "many.html"))
        taken = {
            "html": seconds_of("explain", str(folder), "--format", "html", "-o", page),
            "markdown": seconds_of("explain", str(folder), "--format", "md", "-o", text),
            "page_of_500": seconds_of("diff", *write_texts(Path(scratch)), "--format", "html", "-o", many),
        }
        sizes = {"html": page, "markdown": text, "page_of_500": many}
        rows: list[dict[str, Any]] = [
            {
                "report": name,
                "seconds": round(taken[name], 3),
                "limit_s": limit_s,
                "bytes": Path(sizes[name]).stat().st_size,
                "held": taken[name] < limit_s,
            }
            for name, limit_s in LIMITS_S.items()
        ]
    print(table(rows))
    print(f"written to {record('reports', rows, rounds=ROUNDS)}")
    return 0 if all(row["held"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
