"""`headwind capacity` for real on a serial server that is busy for 2 ms a request, beside theory (M/D/1).

Needs a machine that nothing else uses. `--read FOLDER...` records searches that were carried out before.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.common import record, table
from bench.schedule import ROOT, SERIAL, SERVICE_S
from headwind.statistics.queueing import capacity_per_s

LIMITS_S = (0.25, 0.01)
SEED = 4321
PROMISED_S, WITHIN = 240.0, 0.05


def search(limit_s: float, reports: Path) -> Path:
    """Carry one search out; its folder."""
    before = set(reports.iterdir())
    line = [sys.executable, "-m", "headwind", "capacity", "--slo", f"p99<{limit_s * 1e3:g}ms", "--ready", "/"]
    server = f"exec {sys.executable} {SERIAL} --port {{port}} --service {SERVICE_S}"
    line += ["--command", server, "--reports", str(reports), "--seed", str(SEED)]
    subprocess.run(line, check=True, cwd=ROOT)
    return next(path for path in reports.iterdir() if path not in before and path.is_dir())


def row(folder: Path) -> dict[str, Any]:
    """What a search found, beside theory."""
    file = folder / "experiment.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    theory = capacity_per_s(SERVICE_S, 99, found["objective_s"])
    began = datetime.datetime.strptime(folder.name[:15], "%Y%m%d-%H%M%S")
    confirmed = next(one for one in found["trust"] if one["name"] == "both sides confirmed")
    return {
        "objective": found["objective"],
        "theory_per_s": theory,
        "found_per_s": found["capacity_per_s"],
        "low_per_s": found["capacity_low_per_s"],
        "high_per_s": found["capacity_high_per_s"],
        "ratio": found["capacity_per_s"] / theory,
        "both_sides_confirmed": confirmed["good"],
        "took_s": round(file.stat().st_mtime - began.timestamp(), 1),
    }


def main(argv: Sequence[str] = ()) -> int:
    """Measure (or read), print and record; 1 if a promise of docs/capacity.md is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--read", type=Path, nargs="+", metavar="FOLDER")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folders = options.read or [search(limit_s, Path(name)) for limit_s in LIMITS_S]
        rows = [row(folder) for folder in folders]
    print(table(rows))
    record("capacity_real", rows)
    kept = all(abs(one["ratio"] - 1) <= WITHIN and one["took_s"] < PROMISED_S for one in rows)
    print("Every promise is kept." if kept else "A promise is broken.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
