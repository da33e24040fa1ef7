"""How often `headwind diagnose` is right: `python -m bench.diagnosis [-k TIMES] [--record] [--keep DIR] [CASE...]`.

Runs the sick and healthy services of the tests, each K times, and prints how often the true cause came first, which
false causes were named, and which true ones were ruled out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.common import record
from headwind.analysis.diagnosis import Observations, judge
from headwind.analysis.diagnosis.facts import Facts
from tests.diagnose.sick.cases import CASES, Case

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def beside(case: Case) -> Iterator[dict[str, str]]:
    """What runs beside a case: processes that take the CPU, a downstream; and the environment that names it."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(case.burners)]
    try:
        with downstream(case) as environment:
            yield environment
    finally:
        for process in burning:
            process.kill()
            process.wait()


@contextlib.contextmanager
def downstream(case: Case) -> Iterator[dict[str, str]]:
    if case.downstream is None:
        yield {}
        return
    from headwind.stress.target import free_port

    port = free_port()
    seconds, limit = case.downstream
    command = [sys.executable, "tests/diagnose/sick/downstream.py", str(port), str(seconds), str(limit)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield {"DOWNSTREAM": str(port)}
    finally:
        process.terminate()
        process.wait()


def diagnose(case: Case, keep: Path | None, number: int, extra: list[str]) -> dict[str, Any]:
    """One diagnosis of the installed command line; the document, or `{"failed": what it said}`."""
    with beside(case) as environment, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "headwind", "diagnose", "--command", case.command, "--url", "/work"]
        command += ["--format", "json", "-o", f"{folder}/diagnosis.json", *extra]
        command += ["--script", case.script] if case.script else []
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            command += ["--observations", str(keep / f"{case.name}-{number}.json")]
        began = time.monotonic()
        run = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
        if run.returncode != 0:
            return {"failed": run.stderr.strip()[-400:], "took_s": round(took, 1)}
        document: dict[str, Any] = json.loads(Path(folder, "diagnosis.json").read_text())
        return {**document, "took_s": round(took, 1)}


def verdict(case: Case, document: dict[str, Any]) -> dict[str, Any]:
    """What was right and wrong about one document."""
    if "failed" in document:
        return {"right": False, "causes": [], "false": [], "wrongly_excluded": [], **document}
    codes = [cause["code"] for cause in document["causes"]]
    true = {*case.first, *case.also}
    out = {row["code"] for row in document["ruled_out"]}
    return {
        "right": codes[0] in case.first and set(case.must) <= set(codes),
        "causes": [f"{cause['code']}:{cause['certainty']}" for cause in document["causes"]],
        "false": [code for code in codes if code not in true],
        "wrongly_excluded": sorted(out & {*case.first[:1], *case.must}),
        "ruled_out": len(out),
        "load_s": document["load_s"],
        "took_s": document["took_s"],
    }


def again(folders: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Verdicts of the present rules on kept observations, whose interventions older rules may have chosen."""
    cases = {case.name: case for case in CASES}
    for path in sorted(file for folder in folders for file in folder.glob("*.json")):
        case = cases.get(path.stem.rpartition("-")[0])
        if case is not None:
            seen = Observations.from_json(json.loads(path.read_text()))
            others = round(Facts(seen).others_cores, 2) if seen.full is not None else None
            document = json.loads(json.dumps(judge(seen).to_json()))
            yield case.name, {**verdict(case, {**document, "took_s": None}), "others_cores": others}


def fresh(
    chosen: list[Case], times: int, keep: Path | None, extra: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Verdicts of new diagnoses."""
    for number in range(times):
        for case in chosen:
            yield case.name, verdict(case, diagnose(case, keep, number, extra))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("-k", type=int, default=1, help="times each")
    parser.add_argument("--record", action="store_true", help="write bench/results/diagnosis.json")
    parser.add_argument("--keep", type=Path, help="keep the observations there")
    parser.add_argument("--again", type=Path, nargs="+", help="judge kept observations again, without load")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    chosen = [case for case in CASES if not options.cases or case.name in options.cases]
    found = (
        again(options.again)
        if options.again
        else fresh(chosen, options.k, options.keep, ["--quick"] if options.quick else [])
    )
    rows = []
    for name, row in found:
        rows.append({"case": name, **row})
        mark = "ok " if row["right"] and not row["false"] else "BAD"
        said = f"false: {row['false']} wrongly excluded: {row['wrongly_excluded']} {row['took_s']} s"
        print(mark, name, row["causes"] or row.get("failed"), said, flush=True)
    right = sum(row["right"] for row in rows)
    false = sum(bool(row["false"]) for row in rows)
    print(f"true cause first: {right} of {len(rows)}; with a false cause: {false}")
    if options.record:
        how = (
            "kept observations, judged by this commit, whose rules were written with these in view; others_cores is "
            "what other processes used meanwhile"
            if options.again
            else "run at this commit"
        )
        record("diagnosis", rows, how=how, right=right, diagnoses=len(rows), with_a_false_cause=false)
    return 0


if __name__ == "__main__":
    sys.exit(main())
