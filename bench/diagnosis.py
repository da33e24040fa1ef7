"""How often `headwind diagnose` is right: `python -m bench.diagnosis [-k TIMES] [--keep DIR] [CASE...]`.

Runs the sick and healthy services of the tests, each K times, and prints how often the true cause came first, which
false causes were named, and which true ones were ruled out. `--teaching` runs the illnesses of our own service,
`--healthy` servers that have none; `--gather` keeps the rows of `bench/results/diagnosis.json` that the present rules
gave and runs what is missing up to K, most `--limit` seconds at a time, so that many can be gathered in pieces.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import gathering, illnesses
from bench.common import record
from bench.teaching import HEALTHY, TEACHING
from headwind.analysis.diagnosis import Observations, judge
from headwind.analysis.diagnosis.facts import Facts
from tests.diagnose.sick.cases import CASES, Case

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 3  # cases that leave the CPU idle
ALL = {case.name: case for case in (*CASES, *TEACHING, *HEALTHY)}


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
    """One diagnosis of the installed command line; the document, or `{"failed": what it said}`.

    With it `took_s`, and `others_cores`: what processes used that belong neither to the server nor to the test.
    """
    with beside(case) as environment, tempfile.TemporaryDirectory() as folder:
        seen = (keep or Path(folder)) / f"{case.name}-{number}.json"
        seen.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "headwind", "diagnose", "--command", case.command, "--url", case.url]
        command += ["--format", "json", "-o", f"{folder}/diagnosis.json", "--observations", str(seen), *extra]
        command += ["--script", case.script] if case.script else []
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
        facts = Facts(Observations.from_json(json.loads(seen.read_text())))
        others = round(facts.others_cores, 2) if facts.seen.full is not None else None
        return {**document, "took_s": round(took, 1), "others_cores": others}


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
        "others_cores": document.get("others_cores"),
    }


def again(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """Verdicts of the present rules on kept observations, whose interventions older rules may have chosen."""
    for path in sorted(file for folder in folders for file in folder.glob("*.json")):
        case = ALL.get(path.stem.rpartition("-")[0])
        if case is not None:
            seen = Observations.from_json(json.loads(path.read_text()))
            others = round(Facts(seen).others_cores, 2) if seen.full is not None else None
            document = json.loads(json.dumps(judge(seen).to_json()))
            more = {"took_s": None, "others_cores": others}
            yield {"case": case.name, **verdict(case, {**document, **more})}


def fresh(case: Case, number: int, options: argparse.Namespace) -> dict[str, Any]:
    """The verdict of a new diagnosis."""
    document = diagnose(case, options.keep, number, ["--quick"] if options.quick else [])
    row = {"case": case.name, **verdict(case, document)}
    if options.pages and row["right"] and case in TEACHING:
        name = case.name.removeprefix("service_")
        illnesses.write(name, illnesses.measured(name, document))
    return row


def apart(case: Case, number: int, options: argparse.Namespace) -> dict[str, Any]:
    """As `fresh`, in a network namespace of its own, so that others at the same time share no counter (needs root)."""
    inside = [sys.executable, "-m", "bench.diagnosis", "--rows", "--number", str(number), case.name]
    inside += ["--keep", str(options.keep)] if options.keep else []
    inside += ["--pages"] if options.pages else []
    command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inside]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(
            f"{case.name} could not be run in a network namespace of its own: {run.stderr.strip()[-300:]}"
        )
    row: dict[str, Any] = json.loads(run.stdout)
    return row


def groups(chosen: list[tuple[Case, int]], together: bool) -> Iterator[list[tuple[Case, int]]]:
    """What runs at the same time, round by round: cases that leave the CPU idle by three, all others alone."""
    for number in sorted({number for _, number in chosen}):
        this_round = [pair for pair in chosen if pair[1] == number]
        idle = [pair for pair in this_round if pair[0].idle and together]
        for start in range(0, len(idle), AT_ONCE):
            yield idle[start : start + AT_ONCE]
        yield from ([pair] for pair in this_round if pair not in idle)


def run(chosen: list[tuple[Case, int]], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """New verdicts, until `options.limit` seconds have gone by."""
    end = time.monotonic() + options.limit
    for group in groups(chosen, options.together):
        if time.monotonic() > end:
            return
        if len(group) == 1:
            rows = [fresh(*group[0], options)]
        else:
            with ThreadPoolExecutor(len(group)) as pool:
                under_way = [pool.submit(apart, *pair, options) for pair in group]
                rows = [row.result() for row in under_way]
        yield from ({**row, "at_once": len(group)} for row in rows)


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    if options.cases:
        unknown = sorted(set(options.cases) - set(ALL))
        if unknown:
            sys.exit(f"no case is called {', '.join(unknown)}; there are {', '.join(ALL)}.")
        return [ALL[name] for name in options.cases]
    sets = [*(TEACHING if options.teaching else ()), *(HEALTHY if options.healthy else ())]
    return sets or list(CASES)


def tell(row: dict[str, Any]) -> None:
    mark = "ok " if row["right"] and not row["false"] else "BAD"
    said = f"false: {row['false']} wrongly excluded: {row['wrongly_excluded']} {row['took_s']} s"
    print(mark, row["case"], row["causes"] or row.get("failed"), said, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--teaching", action="store_true", help="the illnesses of our own service")
    parser.add_argument("--healthy", action="store_true", help="servers without an illness")
    parser.add_argument("-k", type=int, default=1, help="times each")
    parser.add_argument("--gather", action="store_true", help="add to bench/results/diagnosis.json up to K")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds; nothing is begun later")
    parser.add_argument("--together", action="store_true", help="three idle ones at once (needs root)")
    parser.add_argument("--pages", action="store_true", help="write the measured part of docs/illnesses")
    parser.add_argument("--keep", type=Path, help="keep the observations there")
    parser.add_argument("--again", type=Path, nargs="+", help="judge kept observations again, without load")
    parser.add_argument(
        "--record", action="store_true", help="with --again: bench/results/diagnosis_kept.json"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    cases = chosen_cases(options)
    if options.rows:
        print(json.dumps(fresh(cases[0], options.number, options)))
        return 0
    if options.again:
        rows = list(again(options.again))
        for row in rows:
            tell(row)
        if options.record:
            how = "kept observations, judged by this commit, whose rules were written with these in view"
            record("diagnosis_kept", rows, how=how, **gathering.summary(rows))
    else:
        known = gathering.read() if options.gather else []
        rows = [row for row in known if row["rules"] == gathering.rules()]
        for row in run(gathering.missing(cases, options.k, rows), options):
            tell(row)
            rows.append(row)
            if options.gather:
                known = gathering.add(known, row)
    print(gathering.words(gathering.summary(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
