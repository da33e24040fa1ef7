"""Which interventions are worth their load, and how long their slices are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from headwind.analysis.diagnosis import Observations
from headwind.analysis.diagnosis.planning import wanted
from headwind.stress import interventions
from headwind.stress.interrupt import Interrupt
from headwind.stress.interventions import Bench, Slice
from headwind.stress.requests import Request

RECORDED = Path(__file__).parent / "recorded"


def plan(name: str) -> list[str]:
    """What would be tried for a recorded server before anything was."""
    seen = Observations.from_json(json.loads((RECORDED / f"{name}.json").read_text()))
    return wanted(replace(seen, interventions=(), agent=None), may_start=True, may_change=True)


def test_a_full_worker_is_given_another_and_looked_into() -> None:
    assert plan("cpu") == ["agent", "worker", "copy"]


def test_cores_that_are_counted_full_need_no_core_taken_away() -> None:
    assert plan("cpu_two") == ["agent"]


def test_work_that_is_proved_to_be_repeated_needs_no_second_copy() -> None:
    assert "copy" not in plan("repeated_file")


def test_a_batch_that_was_seen_needs_no_second_copy() -> None:
    assert "copy" not in plan("batch")


def test_a_pool_that_was_not_seen_is_proved_by_a_second_copy() -> None:
    assert plan("pool_async") == ["copy"]


@pytest.mark.parametrize(("changed_per_s", "lengths_s"), [(180.0, [3, 3]), (104.0, [3, 3, 5, 5])])
def test_a_change_that_leaves_doubt_is_tried_again_for_longer(
    changed_per_s: float, lengths_s: list[float]
) -> None:
    bench = Bench(Request("http://127.0.0.1:1/"), 4, interventions.SLICE_S, Interrupt(), lambda: None)
    lengths: list[float] = []

    def slice_of(rate_per_s: float) -> Slice:
        lengths.append(bench.slice_s)
        return Slice(rate_per_s, (rate_per_s,) * 5)

    found = interventions._paired(
        bench, "copy", "", lambda: slice_of(100.0), lambda: slice_of(changed_per_s), 2
    )
    assert lengths == lengths_s
    assert len(found.base_per_s) == len(lengths) / 2
