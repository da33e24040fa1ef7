"""Rounds of diagnoses gathered over several calls: what counts, what is kept apart, what is still missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import common, gathering
from bench.diagnosis import groups
from bench.teaching import HEALTHY, TEACHING
from service.sickness import ILLNESSES
from tests.diagnose.sick.cases import NAMED

DELAY, BLOCKING = NAMED["delay"], NAMED["blocking"]


def row(case: str, right: bool = True, **more: Any) -> dict[str, Any]:
    return {"case": case, "right": right, "false": [], "wrongly_excluded": [], **more}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(gathering, "RESULTS", tmp_path)
    monkeypatch.setattr(common, "calibrate", lambda: {"python_loops_per_s": 1.0})
    return tmp_path / "diagnosis.json"


def test_every_teaching_illness_is_in_the_set() -> None:
    assert {case.name.removeprefix("service_") for case in TEACHING} == set(ILLNESSES)
    assert len(TEACHING) == len(ILLNESSES) >= 12
    assert not {case.name for case in TEACHING} & {case.name for case in HEALTHY}


def test_rows_add_up_over_several_calls(results: Path) -> None:
    for right in (True, False, True):
        gathering.add(gathering.read(), row("delay", right))
    kept = json.loads(results.read_text())
    assert (kept["diagnoses"], kept["right"]) == (3, 2)
    assert kept["wrong_of_service"] == {"delay": 1}
    assert all(one["commit"] and one["at"] for one in kept["rows"])


def test_rows_of_older_rules_are_kept_apart_and_not_counted(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(gathering, "rules", lambda: "older")
        gathering.add(gathering.read(), row("delay"))
    gathering.add(gathering.read(), row("delay", right=False))
    kept = json.loads(results.read_text())
    assert (kept["diagnoses"], kept["right"]) == (1, 0)
    assert (kept["older_summary"]["diagnoses"], kept["older_summary"]["right"]) == (1, 1)


def test_what_is_missing_comes_round_by_round() -> None:
    left = gathering.missing([DELAY, BLOCKING], 3, [row("delay"), row("delay"), row("blocking")])
    assert left == [(BLOCKING, 1), (DELAY, 2), (BLOCKING, 2)]


def test_only_servers_that_leave_the_cpu_idle_are_diagnosed_at_once() -> None:
    names = ("delay", "threaded_delay", "downstream", "threadpool")
    idle = [(replace(NAMED[name], idle=True), 0) for name in names]
    found = list(groups([*idle, (NAMED["cpu"], 0), (NAMED["delay"], 1)], together=True))
    assert [len(group) for group in found] == [3, 1, 1, 1]
    assert all(len(group) == 1 for group in groups(idle, together=False))
