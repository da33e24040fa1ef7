"""A million damaged outputs of every tool: nothing raises but the reader's own errors, nothing unsound comes out.

`python -m bench.soak_fuzz [--inputs N] [--seed S]` runs on all cores and writes `bench/results/fuzz.json`. A failing
input is printed with the seed that makes it again, and its text is kept under `reports/fuzz/`.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from bench.common import record
from tests.formats.mutations import LONGEST_S, check, mutated, seeds

BATCH = 2000
# Four of five inputs begin as a part of an output: most of what can go wrong needs a few lines only.
WHOLE_SHARE, PART = 0.2, 400  # characters of a part
KEPT = Path("reports/fuzz")


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz; 0 when every input was read or refused as it should be, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak_fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    batches = -(-options.inputs // BATCH)
    began, done, runs, failures = time.monotonic(), 0, 0, 0
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        waiting = [pool.submit(batch, options.seed * 1_000_000 + number) for number in range(batches)]
        for future in as_completed(waiting):
            found, failed = future.result()
            done, runs, failures = done + BATCH, runs + found, failures + failed
            if done % (BATCH * 25) == 0:
                print(
                    f"{done:,} inputs, {runs:,} runs read, {failures} failures", file=sys.stderr, flush=True
                )
    took_s = time.monotonic() - began
    row = {"inputs": done, "runs read": runs, "failures": failures, "allowed for one s": LONGEST_S}
    record("fuzz", [row], seed=options.seed, seconds=round(took_s))
    print(
        f"fuzz: {done:,} damaged outputs in {took_s:.0f} s, {runs:,} runs read from them, {failures} failures"
    )
    return 1 if failures else 0


def batch(seed: int) -> tuple[int, int]:
    """`BATCH` inputs from one seed: (runs read, failures)."""
    random_, whole = random.Random(seed), seeds()
    gc.set_threshold(
        100_000
    )  # what is made for an input goes with it; looking for cycles took a third of the time
    runs = failures = 0
    for number in range(BATCH):
        text = random_.choice(whole)
        if random_.random() > WHOLE_SHARE:
            start = random_.randrange(max(1, len(text) - PART // 2))
            text = text[start : start + PART]
        text = mutated(text, whole, random_)
        try:
            runs += check(text)
        except Exception:
            failures += 1
            KEPT.mkdir(parents=True, exist_ok=True)
            kept = KEPT / f"{seed}-{number}.txt"
            kept.write_bytes(text.encode("utf-8", "surrogatepass"))
            print(
                f"input {number} of seed {seed}, kept as {kept}:\n{traceback.format_exc()}", file=sys.stderr
            )
    return runs, failures


if __name__ == "__main__":
    sys.exit(main())
