"""The additive model: exact where the truth is exact, and no single trial can turn a result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.statistics.blocks import fit

PAIR = np.array([0]), np.array([1])


def test_block_levels_drop_out_of_differences() -> None:
    effects, blocks = np.array([0.3, 0.1, -0.4]), np.array([5.0, 7.0, -2.0, 0.0])
    found = fit(blocks[:, None] + effects).differences(*PAIR)
    assert found[0] == pytest.approx([0.2])
    assert found[1] == pytest.approx([0.0], abs=1e-9)


def test_two_configurations_give_the_paired_t_statistic() -> None:
    logs = np.random.default_rng(1).normal(size=(6, 2))
    pairs = logs[:, 0] - logs[:, 1]
    estimate, error = fit(logs, set_aside_level=0).differences(*PAIR)
    assert estimate == pytest.approx([pairs.mean()])
    assert error == pytest.approx([pairs.std(ddof=1) / np.sqrt(6)])


def test_the_variance_is_pooled_over_all_configurations() -> None:
    result = fit(np.random.default_rng(2).normal(size=(4, 3)))
    assert result.degrees == 6


def test_a_missing_trial_equals_least_squares_on_the_rest() -> None:
    logs = np.random.default_rng(3).normal(size=(5, 3))
    logs[1, 2] = np.nan
    rows, columns = np.nonzero(np.isfinite(logs))
    design = np.zeros((len(rows), 8))
    design[np.arange(len(rows)), rows] = 1
    design[np.arange(len(rows)), 5 + columns] = 1
    solution, *_ = np.linalg.lstsq(design, logs[rows, columns], rcond=None)
    estimate, _ = fit(logs, set_aside_level=0).differences(np.array([0, 0]), np.array([1, 2]))
    assert estimate == pytest.approx([solution[5] - solution[6], solution[5] - solution[7]])


def test_the_error_with_a_missing_trial_is_that_of_simulated_trials() -> None:
    logs = np.random.default_rng(4).normal(size=(20_000, 4, 3))
    logs[:, 0, 0] = np.nan
    estimate, error = fit(logs, set_aside_level=0).differences(*PAIR)
    assert estimate.std() == pytest.approx(np.sqrt((error**2).mean()), rel=0.03)


@settings(deadline=None)
@given(st.integers(0, 7), st.integers(0, 1), st.floats(0.5, 3.0), st.integers(0, 1000))
def test_one_ruined_trial_of_eight_blocks_is_set_aside(
    block: int, configuration: int, loss: float, seed: int
) -> None:
    clean = 0.01 * np.random.default_rng(seed).normal(size=(8, 2))
    ruined = clean.copy()
    ruined[block, configuration] -= loss
    result = fit(ruined)
    assert result.set_aside.any(-1).tolist() == [row == block for row in range(8)]
    assert result.differences(*PAIR)[0] == pytest.approx([0.0], abs=0.05)


def test_ordinary_noise_is_hardly_ever_set_aside() -> None:
    result = fit(np.random.default_rng(5).normal(size=(4000, 8, 3)))
    assert result.set_aside.any((-1, -2)).mean() < 0.005


def test_a_configuration_without_a_trial_stays_unknown() -> None:
    logs = np.array([[0.0, 0.1, np.nan], [0.1, 0.3, np.nan], [0.0, 0.2, np.nan]])
    estimate, _ = fit(logs).differences(np.array([0, 0]), np.array([1, 2]))
    assert np.isfinite(estimate[0])
    assert np.isnan(estimate[1])
