"""Half an hour of load on the service: nothing fails, nothing is late, and neither memory nor speed drifts.

`python -m bench.soak_load [--minutes N]` prints what it saw and writes `results/soak_load.json`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import common
from headwind.samples import Sample, Timeline
from headwind.stress import generator, trial
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan, Traffic
from headwind.stress.progress import Progress

# Half an hour is tens of millions of requests: a leak of a byte per request would be far above this.
MOST_GROWTH = 0.02
LEAST_KEPT = 0.85
COMMAND = f"PORT={{port}} WORKERS={{workers}} {sys.executable} -m gunicorn -c service/gunicorn.conf.py service.app:app"


def main(argv: Sequence[str] | None = None) -> int:
    """Load, and judge; 0 when everything held, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak_load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args(argv)
    plan = Plan(
        url="http://127.0.0.1:{port}/v1/prediction",
        command=COMMAND,
        traffic=(Traffic(bodies=generator.lua_folder() / "flights.jsonl"),),
        duration_s=round(options.minutes * 60),
        workers=os.cpu_count() or 1,
        label="soak",
    )
    with tempfile.TemporaryDirectory() as folder, Interrupt() as interrupt:
        done = trial.run(plan, generator.find(), Path(folder), interrupt=interrupt, progress=Progress())
    rows = judge(done)
    print(common.table(rows))
    common.record("soak_load", rows, minutes=options.minutes)
    return 0 if all(row["held"] for row in rows) else 1


def judge(done: trial.Trial) -> list[dict[str, Any]]:
    """One row per promise: what was seen, and whether it held."""
    (run,) = done.runs
    speed = kept_speed(run.timeline, done.samples) if run.timeline else 0.0
    growth = memory_growth(done.samples)
    errors = run.errors
    failed = sum(count or 0 for count in (errors.connect, errors.read, errors.write, errors.status))
    return [
        {"what": "went to its end", "seen": str(done.interruption), "held": done.interruption is None},
        {"what": "requests answered", "seen": run.requests, "held": bool(run.requests)},
        {"what": "failed", "seen": failed, "held": failed == 0},
        {"what": "late, over 2 s", "seen": run.late, "held": run.late == 0},
        {
            "what": "answers per second of the server's CPU time, last third to the first",
            "seen": round(speed, 4),
            "held": speed >= LEAST_KEPT,
        },
        {"what": "growth of the server's memory", "seen": round(growth, 6), "held": growth <= MOST_GROWTH},
    ]


def kept_speed(timeline: Timeline, samples: Sequence[Sample]) -> float:
    """How many answers a second of the server's CPU time made in the last third, for each in the first third.

    Not by the clock: who else uses the machine takes CPU time from the server, but not from an answer's cost.
    """
    third = len(timeline.responses) // 3
    third_s = third * timeline.slot_s
    end_s = len(timeline.responses) * timeline.slot_s
    first = sum(timeline.responses[:third]) / (server_cpu_s(samples, third_s) - server_cpu_s(samples, 0))
    last_cpu_s = server_cpu_s(samples, end_s) - server_cpu_s(samples, end_s - third_s)
    return sum(timeline.responses[-third:]) / last_cpu_s / first


def server_cpu_s(samples: Sequence[Sample], at_s: float) -> float:
    """CPU time of the server's processes up to the last sample before `at_s` seconds, or to the first sample."""
    before = [one for one in samples if one.t_s <= at_s] or samples[:1]
    return sum(process.cpu_s for process in before[-1].processes if process.role == "server")


def memory_growth(samples: Sequence[Sample]) -> float:
    """Growth of the server's resident memory from the tenth of the run to its end, as a share (caches fill first)."""
    totals = [sum(p.rss_bytes for p in one.processes if p.role == "server") for one in samples]
    settled = totals[len(totals) // 10]
    # The last sample may be of a server that is going already.
    return totals[-2] / settled - 1


if __name__ == "__main__":
    sys.exit(main())
