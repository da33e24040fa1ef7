"""A capacity search: how a step is judged, what the document says, and a whole short search on a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from bench.simulation import serial_queue
from headwind.analysis import gates
from headwind.errors import UsageError
from headwind.histogram import from_counts
from headwind.run import Errors, Run
from headwind.statistics.bisection import BisectionState, Step, judge_steps
from headwind.statistics.evidence import Queue, Slow, Wait
from headwind.statistics.queueing import capacity_per_s, mean_sojourn_s
from headwind.stress import capacity, capacity_report, generator, step
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan
from headwind.stress.schedule import Requests
from headwind.stress.step import StepFigures, check_objectives, judge_exact, judge_paced
from tests.experiments.servers import serial

P99 = [gates.parse("p99<250ms")]
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`")


def requests(rate: float, length_s: float, seed: int = 1) -> Requests:
    """Requests at a serial 2-ms server, answered until 3 s after the end."""
    due, done = serial_queue(rate, 0.002, length_s, np.random.default_rng(seed))
    done = np.where(done > length_s + 3, np.nan, done)
    statuses, endpoints = np.full(len(due), 200, np.int16), np.zeros(len(due), np.int16)
    return Requests(due, due - 0.001, due + 1e-5, done, statuses, endpoints)


def test_a_step_well_below_the_capacity_holds_and_is_steady() -> None:
    figures = judge_exact(requests(300, 10), 300, 10, P99)
    assert figures.held
    assert not figures.growing
    assert figures.p50_s is not None
    assert figures.p50_s == pytest.approx(mean_sojourn_s(300, 0.002), rel=0.3)
    assert figures.measured["p99<250ms"] == figures.p99_s


def test_a_step_above_the_capacity_fails_however_short() -> None:
    assert not judge_exact(requests(700, 6), 700, 6, P99).held


def test_growth_is_seen_before_the_objective_breaks() -> None:
    figures = judge_exact(requests(512, 6, seed=4), 512, 6, P99)
    assert figures.held
    assert figures.growing


def test_the_step_is_judged_after_its_first_fifth() -> None:
    slow_start = requests(100, 10)
    early = slow_start.due_s < 1.5
    slow_start.done_s[early] += 3.0
    assert judge_exact(slow_start, 100, 10, P99).held


def test_answers_that_never_came_count_as_slower_than_any_limit() -> None:
    lost = requests(100, 10)
    lost.done_s[::20] = np.nan
    figures = judge_exact(lost, 100, 10, [*P99, gates.parse("errors<1%")])
    assert not figures.held
    assert figures.p99_s is None
    assert figures.measured["errors<1%"] == pytest.approx(0.05, abs=0.01)


def test_error_answers_count_for_an_objective_on_errors() -> None:
    wrong = requests(100, 10)
    wrong.status[::10] = 503
    assert judge_exact(wrong, 100, 10, P99).held
    assert not judge_exact(wrong, 100, 10, [gates.parse("errors<1%")]).held


def test_a_paced_step_adds_the_lag_and_fails_where_the_schedule_is_not_sent() -> None:
    run = Run(
        tool="wrk",
        requests=80_000,
        duration_s=10.0,
        errors=Errors(status=0),
        histogram=from_counts({1000: 79_000, 9000: 1000}),
    )
    assert judge_paced(run, 0.0005, 80_000, 8000, [gates.parse("p99<10ms")]).held
    assert not judge_paced(run, 0.0015, 80_000, 8000, [gates.parse("p99<10ms")]).held
    assert not judge_paced(run, 0.0005, 70_000, 8000, [gates.parse("p99<10ms")]).held


@pytest.mark.parametrize("text", ["p99<0ms", "errors<0%"])
def test_an_objective_that_nothing_can_hold_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="can hold at no rate"):
        check_objectives([gates.parse(text)])


def test_what_fails_at_every_rate_is_known_in_a_minute() -> None:
    steps: list[Step] = []
    design = step.climb_plan(500.0)
    while (state := judge_steps(steps, design)).next_per_s is not None:
        steps.append(Step(state.next_per_s, False))
    assert state.below_bottom
    assert len(steps) * step.COARSE_S <= 60


def test_slow_requests_are_counted_and_taken_for_less_where_they_come_together() -> None:
    spread, together = requests(100, 30), requests(100, 30)
    spread.done_s[100::50] += 1.0
    together.done_s[1000:1048] += 1.0
    alone = judge_exact(spread, 100, 30, P99).shown
    burst = judge_exact(together, 100, 30, P99).shown
    assert isinstance(alone, Slow)
    assert isinstance(burst, Slow)
    assert alone.share == pytest.approx(burst.share, rel=0.1)
    assert burst.independent < alone.independent / 3


def test_a_queue_that_settles_slowly_tells_its_waits() -> None:
    figures = judge_exact(requests(480, 30), 480, 30, P99, Queue(0.002, 500.0))
    assert isinstance(figures.shown, Wait)
    assert figures.p99_s is not None
    assert figures.shown.seen_s == pytest.approx(figures.p99_s - 0.002)
    tight = judge_exact(requests(280, 30), 280, 30, [gates.parse("p99<10ms")], Queue(0.002, 500.0))
    assert isinstance(tight.shown, Slow)


def test_errors_and_answers_that_never_came_are_counted_too() -> None:
    wrong = requests(100, 10)
    wrong.status[::10] = 503
    shown = judge_exact(wrong, 100, 10, [gates.parse("errors<1%")]).shown
    assert isinstance(shown, Slow)
    assert shown.share == pytest.approx(0.1, abs=0.01)
    assert shown.allowed == pytest.approx(0.01)
    assert judge_exact(wrong, 100, 10, [gates.parse("mean<50ms")]).shown is None


@pytest.mark.parametrize("text", ["p99<250ms", "p99.9<1s", "errors<0.1%", "mean<50ms", "max<2s"])
def test_every_kind_of_objective_is_judged_whatever_was_answered(text: str) -> None:
    objective = [gates.parse(text)]
    for lost in (False, True):
        measured = requests(450, 6)
        if lost:
            measured.done_s[:] = np.nan
        figures = judge_exact(measured, 450, 6, objective, Queue(0.002, 500.0))
        assert figures.held != lost
        json.dumps(figures.to_json(), allow_nan=False)
        judge_steps([figures.answer, Step(200, True)], step.climb_plan(500.0, 0.248))


def test_a_budget_too_short_for_any_step_is_refused_with_the_least_one() -> None:
    line = [sys.executable, "-m", "headwind", "capacity", "--url", "http://127.0.0.1:1/", "--budget", "10s"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"give --budget {step.least_budget_s(capacity.DEFAULT_CONNECTIONS)}s or more" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_wide_interval_is_told_by_its_ends() -> None:
    state, figures = searched(480)
    built = document(replace(state, low_per_s=5.0, estimate_per_s=9.0, high_per_s=14.0), figures)
    assert "breaks between 5/s and 14/s of Poisson arrivals (90 %), likeliest near 9/s" in built["answer"]
    assert "too few requests over the limit to tell" in built["answer"]


@pytest.mark.parametrize("text", ["rps>1000", "late<1%", "requests>=5", "p99>1ms"])
def test_an_objective_that_does_not_get_worse_with_the_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not get worse with the rate"):
        check_objectives([gates.parse(text)])


def figures_at(rate: float, held: bool, **changes: Any) -> StepFigures:
    values: dict[str, Any] = {
        "rate_per_s": rate,
        "length_s": 6.0,
        "answers": 1000,
        "p50_s": 0.002,
        "p99_s": 0.01 if held else 0.9,
        "measured": {},
        "held": held,
        "growing": False,
        "busy_share": 0.0,
        "send_lag_s": 0.0002,
    }
    return StepFigures(**{**values, **changes})


def document(
    state: BisectionState | None,
    figures: list[StepFigures],
    ended: str = "answered",
    ladder: Sequence[Mapping[str, float]] = (
        {"connections": 1, "rate_per_s": 400.0},
        {"connections": 2, "rate_per_s": 500.0},
    ),
) -> dict[str, Any]:
    return capacity_report.document(
        objectives=["p99<250ms"],
        limit_s=0.25,
        figures=figures,
        ladder=ladder,
        ceiling_per_s=500.0,
        service_s=0.0025,
        state=state,
        ended=ended,
        connections=64,
        seed=5,
        again="headwind capacity",
        environment={},
    )


def searched(capacity_rate: float) -> tuple[BisectionState, list[StepFigures]]:
    design = step.climb_plan(500.0)
    steps: list[Step] = []
    while (state := judge_steps(steps, design)).next_per_s is not None:
        steps.append(Step(state.next_per_s, state.next_per_s < capacity_rate))
    return state, [figures_at(one.rate_per_s, one.held) for one in steps]


def test_the_answer_gives_the_rate_its_interval_and_what_users_feel() -> None:
    state, figures = searched(480)
    built = document(state, figures)
    assert built["capacity_per_s"] == pytest.approx(480, rel=0.04)
    assert built["capacity_low_per_s"] < 480 < built["capacity_high_per_s"]
    assert "of Poisson arrivals" in built["answer"]
    assert "10 ms at 50%, 10 ms at 70%, 10 ms at 90% of the ceiling" in built["answer"]
    schema = json.loads((resources.files("headwind.report") / "schemas/experiment.schema.json").read_text())
    jsonschema.validate(built, schema)


def test_what_could_not_be_found_is_said() -> None:
    never, figures = searched(0.1)
    assert "not held at any rate" in document(never, figures)["answer"]
    always, figures = searched(1e9)
    assert "and beyond" in document(always, figures)["answer"]
    assert "Interrupted" in document(None, [], "interrupted")["answer"]


def test_a_search_that_broke_off_or_never_began_says_so() -> None:
    state, figures = searched(480)
    assert "broke off after" in document(state, figures, "broken")["answer"]
    assert document(state, figures, "broken")["capacity_per_s"] is None
    nothing = document(judge_steps([], step.climb_plan(500.0)), [figures_at(250, True)], "budget")
    assert "no step fitted the time budget" in nothing["answer"]


def test_busy_connections_and_a_late_generator_are_told() -> None:
    state, figures = searched(480)
    figures.append(figures_at(600, False, busy_share=0.9, send_lag_s=0.02))
    built = document(state, figures)
    assert any("connections busy" in note["message"] for note in built["assumptions"])
    assert any(fact["name"] == "generator on time" and not fact["good"] for fact in built["trust"])


def test_a_closed_loop_that_still_rose_has_no_ceiling() -> None:
    state, figures = searched(480)
    built = document(
        state,
        figures,
        ladder=[{"connections": 2, "rate_per_s": 47.2}, {"connections": 4, "rate_per_s": 94.5}],
    )
    assert "No ceiling was reached" in built["answer"]
    assert "closed loop's ceiling of" not in built["answer"]
    assert any(fact["name"] == "ceiling" and not fact["good"] for fact in built["trust"])
    assert "no ceiling reached" in built["tables"][-1]["caption"]
    full = document(state, figures)
    assert "No ceiling" not in full["answer"]
    assert "ceiling 500/s" in full["tables"][-1]["caption"]


def test_a_search_that_broke_off_is_what_its_schema_says() -> None:
    schema = json.loads((resources.files("headwind.report") / "schemas/experiment.schema.json").read_text())
    jsonschema.validate(document(None, [], "broken"), schema)


@needs_wrk
@pytest.mark.load
def test_a_short_search_on_a_serial_server_brackets_its_capacity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "COARSE_S", 1)
    monkeypatch.setattr(step, "NEAR_S", 2)
    monkeypatch.setattr(step, "SLOW_S", 2)
    with serial("--service", "0.004") as url, Interrupt() as interrupt:
        plan = Plan(url=url, ready="/", connections=16, warmup_s=0)
        # The ladder alone takes more than 6 s, and the fourth step is the first above the capacity.
        search = capacity.Capacity(
            plan, generator.find(), tmp_path, P99, interrupt, budget_s=18, seed=3, again="again"
        )
        ended = search.run()
    built = json.loads((tmp_path / "experiment.json").read_text())
    assert ended in ("answered", "budget")
    # Short steps on a shared machine find less than theory at times, but never much more than the server can do.
    assert 0 < built["capacity_per_s"] < 1.3 * capacity_per_s(0.004, 99, 0.25)
    assert {row["held"] for row in built["steps"]} == {True, False}
    assert [row["connections"] for row in built["ladder"]["points"]] == [1, 2, 4, 8, 16]
    assert built["ladder"]["service_s"] >= 0.004
    assert len((tmp_path / "steps.jsonl").read_text().splitlines()) == len(built["steps"])


def test_the_command_says_what_it_would_do(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "headwind", "capacity", "--url", "http://127.0.0.1:1/", "--dry-run"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "p99<250ms" in done.stdout
