"""Comparisons on this machine: one setting against itself in a bank of 200 trials, and a server made 15 % slower.

`python -m bench.soak_comparisons [--trials N] [--slow N] [--seconds S]`. Everything is kept under `reports/bank/` as it
comes and goes on where it ended, so that `--seconds` can cut the half hour into pieces. Contiguous trials become blocks
of two or three equal "settings" in random order, many times over: the share of comparisons that claim a difference is
the false-claim rate on this machine's real noise and drift.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common import record, table
from headwind.statistics.verdicts import Plan as Family
from headwind.statistics.verdicts import replay
from headwind.stress import folder, generator, trial
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan
from headwind.stress.progress import Progress

ROOT = Path(__file__).parents[1]
BANK = Path("reports/bank")
SERIAL = ROOT / "tests" / "experiments" / "serial_server.py"
SERVICE_S = 0.0002
SLOWER = 1.15
BLOCKS = 8
SHUFFLES = 2000
LOAD_S = 2


class OutOfTime(Exception):
    """The seconds of this sitting are spent; what was measured is on disk."""


class Sitting:
    """Trials until the clock says stop."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._wrk = generator.find()

    def rate_of(self, service_s: float) -> float:
        """Answers per second of one whole trial on a freshly started server. Raises OutOfTime."""
        if time.monotonic() > self._end:
            raise OutOfTime
        command = f"exec {sys.executable} {SERIAL} --port {{port}} --service {service_s}"
        plan = Plan(
            url="http://127.0.0.1:{port}/",
            command=command,
            ready="/",
            threads=1,
            connections=4,
            duration_s=LOAD_S,
            warmup_s=0,
        )
        into = folder.create(BANK / "trials", "trial")
        with Interrupt() as interrupt:
            result = trial.run(plan, self._wrk, into, interrupt=interrupt, progress=Progress())
        if interrupt.requested:
            raise KeyboardInterrupt
        return float(result.runs[0].requests_per_s or 0.0)


def kept(name: str) -> list[Any]:
    """What earlier sittings left in a file of JSON lines."""
    path = BANK / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep(name: str, value: Any) -> None:
    """One more line."""
    BANK.mkdir(parents=True, exist_ok=True)
    with (BANK / name).open("a") as file:
        file.write(json.dumps(value) + "\n")


def bank(trials: int, sitting: Sitting) -> list[float]:
    """The rates of so many trials of one setting, in order."""
    rates = kept("rates.jsonl")
    while len(rates) < trials:
        rates.append(sitting.rate_of(SERVICE_S))
        keep("rates.jsonl", rates[-1])
        if len(rates) % 20 == 0:
            print(f"{len(rates)} of {trials} trials", file=sys.stderr, flush=True)
    return rates[:trials]


def false_claims(rates: Sequence[float], settings: int) -> dict[str, Any]:
    """Comparisons of equal settings: contiguous blocks from random places, shuffled inside each block."""
    generator_ = np.random.default_rng(settings)
    length = BLOCKS * settings
    logs = np.log(rates)
    starts = generator_.integers(0, len(rates) - length + 1, SHUFFLES)
    windows: NDArray[np.float64] = np.stack([logs[start : start + length] for start in starts])
    shaped = generator_.permuted(windows.reshape(SHUFFLES, BLOCKS, settings), axis=-1)
    outcome = replay(shaped, Family(settings, BLOCKS))
    claimed = (np.abs(outcome.claims) == 1).any(-1)
    return {
        "what": f"{settings} equal settings",
        "trials": len(rates),
        "comparisons": SHUFFLES,
        "false_claims": float(claimed.mean()),
        "noise": float(np.nanmedian(outcome.noise)),
        "intervals_with_1": float((np.abs(outcome.estimates) <= outcome.half_widths).mean()),
    }


def slower(number: int, sitting: Sitting) -> dict[str, Any]:
    """One real comparison of the server with one that is 15 % slower."""
    design = Family(2, BLOCKS)
    order = np.random.default_rng(number)
    rows: list[list[float]] = []
    while True:
        row = [0.0, 0.0]
        for setting in order.permutation(2):
            row[setting] = sitting.rate_of(SERVICE_S * (SLOWER if setting else 1.0))
        rows.append(row)
        outcome = replay(np.log(np.array(rows)), design)
        if bool(outcome.answered) or len(rows) == BLOCKS:
            break
    return {
        "what": "15 % slower",
        "found": bool(outcome.claims[0] == 1),
        "blocks": len(rows),
        "ratio": float(np.exp(outcome.estimates[0])),
    }


def slowed(count: int, sitting: Sitting) -> list[dict[str, Any]]:
    """So many comparisons with a slower server; one that a sitting cut short is begun again."""
    rows = kept("slower.jsonl")
    while len(rows) < count:
        rows.append(slower(len(rows), sitting))
        keep("slower.jsonl", rows[-1])
    return rows[:count]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, record; 1 if a slower server was not found, equals differ too often, or time was too short."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak_comparisons", description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--slow", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end this sitting after so long")
    options = parser.parse_args(argv)
    sitting = Sitting(options.seconds)
    try:
        rates = bank(options.trials, sitting)
        found = slowed(options.slow, sitting)
    except OutOfTime:
        told = f"{len(kept('rates.jsonl'))} trials and {len(kept('slower.jsonl'))} comparisons so far"
        print(f"{told} are in {BANK}; the same command goes on with them.")
        return 1
    equal = [false_claims(rates, settings) for settings in (2, 3)]
    print(table(equal) + "\n" + table(found))
    record("comparisons", [*equal, *found], trials=options.trials)
    ok = all(row["found"] for row in found) and all(row["false_claims"] <= 0.065 for row in equal)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
