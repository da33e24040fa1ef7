"""A hundred thousand mutated raw HTTP requests, and schemathesis at length: no 500, no crash, no hang.

`python -m bench.soak_http [--requests N] [--examples N]` prints what it saw and writes `results/soak_http.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import psutil

from bench.common import record, table
from bench.raw_http import fuzz
from bench.servers import gunicorn, running

SERVER = gunicorn("service", "service.app:app", KEEPALIVE_S="1", REQUEST_TIMEOUT_S="1")


def workers(port: int) -> set[int]:
    """Process ids that listen on `port`: another set afterwards means that one crashed."""
    every = psutil.net_connections("tcp")
    return {
        c.pid
        for c in every
        if c.pid is not None and c.laddr and c.laddr.port == port and c.status == "LISTEN"
    }


def schemathesis(port: int, examples: int) -> tuple[bool, str]:
    """Whether it found nothing over the whole OpenAPI document, and the last line that it printed."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json"]
    options = ["--checks", "all", "--max-examples", str(examples), "--no-color"]
    # In a folder of its own: it leaves what it found for its next run.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)
    return done.returncode == 0, (done.stdout.strip().splitlines() or [done.stderr[-500:]])[-1].strip("= ")


def main(argv: Sequence[str] | None = None) -> int:
    """0 when everything held, 3 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak_http", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    with running(SERVER) as port:
        before = workers(port)
        verdict = asyncio.run(fuzz(port, options.requests, options.seed))
        nothing_found, said = schemathesis(port, options.examples)
        survived = workers(port) == before
    for fault, sent in verdict.faults[:20]:
        print(f"{fault}: {sent[:300]!r}", file=sys.stderr)
    rows: list[dict[str, object]] = [
        {
            "what": "raw requests: no 500, no hang",
            "seen": f"{len(verdict.faults)} faults in {options.requests:,} exchanges",
            "held": not verdict.faults,
        },
        {"what": "no worker crashed", "seen": "the same workers" if survived else "others", "held": survived},
        {"what": "schemathesis finds nothing", "seen": said, "held": nothing_found},
    ]
    record("soak_http", rows, exchanges=options.requests, seed=options.seed, statuses=dict(verdict.statuses))
    print(table(rows))
    return 0 if all(row["held"] for row in rows) else 3


if __name__ == "__main__":
    sys.exit(main())
