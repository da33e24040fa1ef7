"""What every benchmark shares: best of several, the machine's calibration, and the file a result goes to."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwind.stress import environment

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
MEASURED_FOLDERS = ("headwind", "service", "wrk")
SCHEMA = "headwind.bench/1"


def best_of(times: int, work: Callable[[], object]) -> float:
    """The shortest of several durations in seconds: noise only ever adds time."""
    shortest = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest


def calibrate() -> dict[str, float]:
    """How fast this machine is now, in units to compare absolute speeds by (best of five).

    `python_loops_per_s`: turns of an empty interpreted loop; `sha256_bytes_per_s`: native code on one core.
    """
    loops, block = 1_000_000, bytes(8 << 20)

    def loop() -> None:
        for _ in range(loops):
            pass

    return {
        "python_loops_per_s": round(loops / best_of(5, loop)),
        "sha256_bytes_per_s": round(len(block) / best_of(5, lambda: hashlib.sha256(block).digest())),
    }


def code() -> dict[str, Any]:
    """What was measured: `commit`, and `trees`, git's own hash of each measured folder's content, which a rebase leaves
    as it is (`git rev-parse COMMIT:service`). A "+" marks what has changes that are in no commit; results and pages
    that are written while benchmarks follow each other are none. Values are None outside a checkout."""

    def hashed(what: str, *changed: str) -> str | None:
        found = _git("rev-parse", "--short=12", what)
        changes = _git("status", "--porcelain", "--untracked-files=no", "--", *changed)
        return found and found + ("+" if changes else "")

    return {
        "commit": hashed("HEAD", ".", ":(exclude)bench/results", ":(exclude)docs"),
        "trees": {folder: hashed(f"HEAD:{folder}", folder) for folder in MEASURED_FOLDERS},
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def record(name: str, rows: Sequence[Mapping[str, Any]], **about: Any) -> Path:
    """Write `bench/results/<name>.json`: the rows, with commit, time, machine, calibration and what else is given."""
    value = {
        "schema": SCHEMA,
        "name": name,
        **code(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": environment.software()["python"],
        "machine": environment.machine(),
        "calibration": calibrate(),
        **about,
        "rows": list(rows),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table, in the order of the first row's keys."""
    if not rows:
        return "(no rows)\n"
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
