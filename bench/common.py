"""What every benchmark shares: best of several, the machine's calibration, and the file a result goes to."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwind.stress import environment

RESULTS = Path(__file__).parent / "results"
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


def record(name: str, rows: Sequence[Mapping[str, Any]], **about: Any) -> Path:
    """Write `bench/results/<name>.json`: the rows, with commit, time, machine, calibration and what else is given."""
    software = environment.software()
    value = {
        "schema": SCHEMA,
        "name": name,
        "commit": software["commit"],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": software["python"],
        "machine": environment.machine(),
        "calibration": calibrate(),
        **about,
        "rows": list(rows),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
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
