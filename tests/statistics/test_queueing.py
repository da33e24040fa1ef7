"""Theory against simulation, the trend of what is in flight, and the search for a capacity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.simulation import serial_queue
from headwind.statistics.bisection import BisectionPlan, Step, judge_steps, posterior
from headwind.statistics.queueing import (
    capacity_per_s,
    closed_loop_bound_per_s,
    mean_sojourn_s,
    waiting_tail,
)
from headwind.statistics.reflected import seen
from headwind.statistics.trend import in_flight, trend

SERVICE_S = 0.002


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_the_theory_of_a_serial_server_is_what_a_simulation_shows(load: float) -> None:
    rate = load / SERVICE_S
    due, done = serial_queue(rate, SERVICE_S, 1_000_000 / rate, np.random.default_rng(1))
    sojourn = done - due
    assert sojourn.mean() == pytest.approx(mean_sojourn_s(rate, SERVICE_S), rel=0.03)
    for wait in (0.001, 0.004, 0.0059, 0.0061, 0.012):
        seen = (sojourn - SERVICE_S > wait).mean()
        assert waiting_tail(rate, SERVICE_S, wait) == pytest.approx(seen, rel=0.1, abs=1e-3)


def test_the_two_forms_of_the_tail_meet() -> None:
    for load in (0.3, 0.6, 0.95):
        below = waiting_tail(load / SERVICE_S, SERVICE_S, 3 * SERVICE_S - 1e-9)
        above = waiting_tail(load / SERVICE_S, SERVICE_S, 3 * SERVICE_S + 1e-9)
        assert above == pytest.approx(below, rel=0.01)


def test_an_overloaded_server_waits_for_ever() -> None:
    assert mean_sojourn_s(501, SERVICE_S) == float("inf")
    assert waiting_tail(501, SERVICE_S, 100.0) == 1.0
    assert capacity_per_s(SERVICE_S, 99, 0.001) == 0.0


def test_a_closed_loop_is_bound_by_its_connections_and_by_its_fullest_resource() -> None:
    assert closed_loop_bound_per_s(1, 0.01, 0.0, 0.002) == pytest.approx(100)
    assert closed_loop_bound_per_s(64, 0.01, 0.0, 0.002) == pytest.approx(500)
    assert closed_loop_bound_per_s(64, 0.01, 1.0, 0.002) == pytest.approx(64 / 1.01)


def test_growth_is_seen_and_a_level_queue_is_not_called_growing() -> None:
    generator = np.random.default_rng(2)
    grows = [_queue_trend(1.1, generator) for _ in range(20)]
    level = [_queue_trend(0.6, generator) for _ in range(100)]
    assert sum(grows) == 20
    assert sum(level) <= 15


def _queue_trend(load: float, generator: np.random.Generator) -> bool:
    due, done = serial_queue(load / SERVICE_S, SERVICE_S, 5.0, generator)
    return trend(*in_flight(due, done, 1.0, 5.0)).growing


def test_what_is_in_flight_is_counted_by_time() -> None:
    # One request during [0, 1), another during [0.5, 2).
    times, means = in_flight([0.0, 0.5], [1.0, 2.0], 0.0, 2.0, slices=4)
    assert times == [0.25, 0.75, 1.25, 1.75]
    assert means == pytest.approx([1, 2, 1, 1])


def test_too_few_points_or_no_change_show_no_trend() -> None:
    assert not trend([1, 2, 3], [1, 2, 3]).growing
    assert not trend([1, 2, 3, 4, 5], [7, 7, 7, 7, 7]).growing
    assert trend([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]).slope_per_s == pytest.approx(1.0)


def answer_all(
    capacity: float, plan: BisectionPlan, wrong: frozenset[int] = frozenset()
) -> tuple[float, int]:
    steps: list[Step] = []
    while (state := judge_steps(steps, plan)).next_per_s is not None:
        truth = state.next_per_s < capacity
        steps.append(Step(state.next_per_s, truth != (len(steps) in wrong)))
    assert state.estimate_per_s is not None
    return state.estimate_per_s, len(steps)


@settings(deadline=None, max_examples=50)
@given(st.floats(20, 4000))
def test_sure_answers_lead_to_the_capacity(capacity: float) -> None:
    estimate, steps = answer_all(capacity, BisectionPlan(50, 5000))
    assert estimate == pytest.approx(capacity, rel=0.05)
    assert steps <= 30


@settings(deadline=None, max_examples=50)
@given(st.floats(300, 3000), st.integers(6, 9))
def test_one_wrong_answer_is_survived(capacity: float, wrong: int) -> None:
    estimate, _ = answer_all(capacity, BisectionPlan(50, 5000), frozenset({wrong}))
    assert estimate == pytest.approx(capacity, rel=0.08)


def test_a_server_that_holds_everything_is_said_to_hold_at_least_that() -> None:
    plan = BisectionPlan(50, 400)
    state = judge_steps([Step(rate, True) for rate in (50, 100, 200, 400)], plan)
    assert state.reached_top
    assert state.next_per_s is None
    assert state.high_per_s is None


def test_a_server_that_holds_nothing_is_said_to_hold_nothing() -> None:
    steps: list[Step] = []
    plan = BisectionPlan(8, 400)
    while (state := judge_steps(steps, plan)).next_per_s is not None:
        steps.append(Step(state.next_per_s, False))
    assert state.below_bottom
    assert state.estimate_per_s is None


def test_both_sides_are_confirmed_by_steps_of_their_own() -> None:
    plan = BisectionPlan(50, 5000)
    steps: list[Step] = []
    while (state := judge_steps(steps, plan)).next_per_s is not None:
        steps.append(Step(state.next_per_s, state.next_per_s < 777))
    assert state.estimate_per_s is not None
    near = [step for step in steps if abs(step.rate_per_s / state.estimate_per_s - 1) <= plan.tolerance]
    assert {step.held for step in near} == {True, False}


def test_more_answers_narrow_the_interval() -> None:
    plan = BisectionPlan(50, 5000)
    steps = [Step(400, True), Step(600, False)]
    _, low, high = posterior(steps, plan)
    _, low_more, high_more = posterior([*steps, Step(490, True), Step(510, False), Step(500, True)], plan)
    assert high_more / low_more < high / low


@pytest.mark.parametrize("push", [-4.0, 1.0, 4.0, 20.0])
def test_a_reflected_motion_shows_what_a_short_look_at_a_queue_shows(push: float) -> None:
    generator, length_s = np.random.default_rng(6), 30.0
    rate = (1 - push * np.sqrt(SERVICE_S / length_s)) / SERVICE_S
    logs = []
    for _ in range(150):
        # Arrivals of free number; a schedule holds it, which makes a step steadier than this.
        offered = generator.poisson(rate * length_s) / length_s
        due, done = serial_queue(offered, SERVICE_S, length_s, generator)
        waits = (done - due - SERVICE_S)[due >= 0.2 * length_s]
        logs.append(np.log(np.quantile(waits, 0.99) / np.sqrt(SERVICE_S * length_s)))
    mean, deviation = seen(99, np.array([push]), 0.2)
    assert mean[0] == pytest.approx(np.mean(logs), abs=0.12)
    assert deviation[0] == pytest.approx(np.std(logs), rel=0.35)
