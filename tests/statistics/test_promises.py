"""The promises of docs/comparing.md on simulated trials: the bench's functions with 2,000 experiments each."""

from __future__ import annotations

import numpy as np
import pytest

from bench.simulation import BETWEEN_STEPS_S, CURVES, Machine, simulated_capacity, simulated_search
from bench.statistics import LOAD_SHARE, TRIAL_S, broken_promises, comparison, equivalence, upper_bound
from headwind.statistics.queueing import capacity_per_s
from headwind.statistics.search import SearchPlan
from headwind.stress.step import CAPACITY_BUDGET_S


@pytest.mark.parametrize("configurations", [2, 3, 4])
def test_comparisons_keep_false_claims_power_coverage_and_bias(configurations: int) -> None:
    row = comparison(configurations, seed=configurations, resamples=15)
    print(row)
    assert broken_promises({"comparison": [row], "search": []}) == []


def test_a_broken_promise_is_told() -> None:
    row = {
        "configurations": 2,
        "false_claims_upper_99": 0.07,
        "power_all_pairs": 0.8,
        "coverage": 0.9,
        "coverage_equal": 0.95,
        "bias": 0.02,
    }
    assert len(broken_promises({"comparison": [row], "search": []})) == 4


def test_equality_is_found_on_a_steady_machine_and_hardly_ever_wrongly() -> None:
    assert equivalence(0.01, 1.0, seed=1, repetitions=500)["equivalent"] > 0.9
    assert equivalence(0.02, 1.031, seed=1, repetitions=2000)["equivalent"] < 0.052


@pytest.mark.parametrize("name", sorted(CURVES))
def test_the_search_names_a_nearly_best_count_in_a_third_of_the_time(name: str) -> None:
    curve = CURVES[name]
    plan = SearchPlan(len(curve), int(6 * 45 * len(curve) * LOAD_SHARE / TRIAL_S))
    generator = np.random.default_rng(8)
    found = 0
    for _ in range(80):
        state, trials = simulated_search(curve, plan, Machine(block=0.03), generator)
        assert trials * TRIAL_S <= 6 * 45 * len(curve) * LOAD_SHARE
        found += curve[state.leader] >= curve.max() - np.log1p(plan.margin)
    assert found / 80 >= 0.95


@pytest.mark.parametrize("limit_s", [0.25, 0.01])
def test_capacity_of_a_serial_server_is_that_of_theory(limit_s: float) -> None:
    generator = np.random.default_rng(3)
    found = [simulated_capacity(0.002, limit_s, generator) for _ in range(25)]
    ratio = np.array([one.state.estimate_per_s or 0.0 for one in found]) / capacity_per_s(0.002, 99, limit_s)
    assert np.abs(np.median(ratio) - 1) < 0.03
    assert (np.abs(ratio - 1) < 0.05).mean() >= 0.9
    assert np.mean([one.state.confirmed for one in found]) >= 0.8
    assert max(one.spent_s for one in found) < CAPACITY_BUDGET_S + BETWEEN_STEPS_S


def test_the_upper_bound_is_the_binomial_one() -> None:
    # 1 - (1 - p)^n = 0.99 with no event in n.
    assert upper_bound(0, 100) == pytest.approx(1 - 0.01 ** (1 / 100))
    assert upper_bound(100, 100) == 1.0
