"""Rows of diagnoses gathered over several calls, in `bench/results/diagnosis.json`: what the present rules gave counts,
what older ones gave is kept apart."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from bench.common import RESULTS, record
from headwind.stress import environment
from tests.diagnose.sick.cases import Case

ROOT = Path(__file__).resolve().parents[1]
# What decides a diagnosis: the rules, the probes and the counters, and the services themselves.
SOURCES = (
    "headwind/analysis/diagnosis/*.py",
    "headwind/stress/agent/*.py",
    *(
        f"headwind/stress/{name}.py"
        for name in (
            *("agent_pass", "counters", "diagnose", "gathered", "interventions", "launch", "probes", "proc"),
            *("prober", "proxy", "requests", "server", "sockdiag", "spy", "threads"),
        )
    ),
    "service/sickness.py",
    "tests/diagnose/sick/*.py",
)

Row = dict[str, Any]


@cache
def rules() -> str:
    """A hash of everything that decides a diagnosis: rows with the same one may be counted together."""
    text = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            text.update(path.read_bytes())
    return text.hexdigest()[:12]


def read() -> list[Row]:
    """All rows that were gathered so far, by whatever rules."""
    path = RESULTS / "diagnosis.json"
    if not path.exists():
        return []
    value = json.loads(path.read_text(encoding="utf-8"))
    return [row for row in (*value["rows"], *value.get("older", ())) if "rules" in row]


def missing(cases: Sequence[Case], times: int, rows: Sequence[Row]) -> list[tuple[Case, int]]:
    """(case, its number) for each run that is not among `rows` yet, round by round."""
    done = Counter(row["case"] for row in rows)
    return [(case, number) for number in range(times) for case in cases if number >= done[case.name]]


def add(known: list[Row], row: Row) -> list[Row]:
    """The rows with one more, written at once: what ends the gathering loses nothing."""
    commit = environment.software()["commit"]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [*known, {**row, "commit": commit, "rules": rules(), "at": at}]
    counted = [row for row in rows if row["rules"] == rules()]
    older = [row for row in rows if row["rules"] != rules()]
    how = (
        "rows: by the rules of this commit, each run at its own commit; older: by rules that changed since, counted "
        "in older_summary alone; others_cores: what processes used that belong neither to server nor to test; "
        "at_once: how many diagnoses of idle servers ran at the same time, each in a network namespace of its own"
    )
    record("diagnosis", counted, how=how, **summary(counted), older_summary=summary(older), older=older)
    return rows


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """How many diagnoses, in how many the true cause came first, and in how many a false one was named."""
    wrong = Counter(row["case"] for row in rows if not row["right"])
    false = Counter(row["case"] for row in rows if row["false"])
    return {
        "diagnoses": len(rows),
        "right": sum(row["right"] for row in rows),
        "with_a_false_cause": sum(bool(row["false"]) for row in rows),
        "with_a_true_cause_ruled_out": sum(bool(row["wrongly_excluded"]) for row in rows),
        "services": len({row["case"] for row in rows}),
        "wrong_of_service": dict(wrong),
        "false_of_service": dict(false),
    }


def words(found: dict[str, Any]) -> str:
    """The summary as a line."""
    return (
        f"true cause first: {found['right']} of {found['diagnoses']} ({found['services']} services); "
        f"with a false cause: {found['with_a_false_cause']}; "
        f"with a true one ruled out: {found['with_a_true_cause_ruled_out']}"
    )
