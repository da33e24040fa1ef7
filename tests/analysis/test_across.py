"""Several runs of one source together: where they must speak, and where they must be silent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headwind.analysis import context
from headwind.analysis.across import across
from headwind.run import Errors, Run
from tests.analysis.runs import healthy


def codes(runs: Sequence[Run]) -> list[str]:
    return [row.code for row in across([context.of(run, "wrk.txt", index=at) for at, run in enumerate(runs)])]


def at(connections: int, rate: float) -> Run:
    return healthy(connections=connections, requests_per_s=rate, requests=int(rate * 45))


FAILING = Errors(connect=0, read=0, write=0, timeout=0, status=9)


@pytest.mark.parametrize(
    ("code", "runs"),
    [
        ("saturated_across_loads", [at(100, 1300), at(200, 1310)]),
        ("saturated_across_loads", [at(50, 1300), at(100, 1290), at(200, 1400)]),
        ("not_saturated", [at(100, 650), at(200, 1300)]),
        ("equal_runs_differ", [at(200, 1300), at(200, 1210)]),
    ],
)
def test_it_speaks_where_it_must(code: str, runs: list[Run]) -> None:
    assert codes(runs) == [code]


@pytest.mark.parametrize(
    "runs",
    [
        [at(200, 1300)],
        [at(100, 1000), at(200, 1300)],  # neither flat nor in step: no judgement
        [at(160, 1300), at(200, 1300)],  # the loads are too much alike
        [at(100, 1300), healthy(connections=200, requests_per_s=1300.0, errors=FAILING)],
        [at(100, 1300), healthy(connections=200, requests_per_s=1300.0, url="http://elsewhere/")],
        [at(100, 1300), healthy(connections=200, requests_per_s=1300.0, interrupted=True)],
        [at(100, 1300), Run("hey", connections=200, requests=9, requests_per_s=1300.0, complete=True)],
        [at(100, 1300), at(100, 700), at(200, 1300)],  # which belongs to which is not known
        [at(200, 1300), at(200, 300)],  # too far apart to be equal runs
        [at(200, 1300), at(200, 1300)],
    ],
)
def test_it_is_silent_next_to_it(runs: list[Run]) -> None:
    assert codes(runs) == []


def test_nothing_is_proved_by_texts_that_cannot_show_what_else_was_changed() -> None:
    runs = [at(100, 1300), at(200, 1310)]
    (row,) = across([context.of(run, "wrk.txt", index=index) for index, run in enumerate(runs)])
    assert row.certainty == "likely"
    assert "if nothing else was changed" in row.title
    assert row.advice.startswith("Do not go beyond 100 connections")
    assert row.runs == (0, 1)
