"""Claims and stopping: replayed from the trials alone, spending no more than was declared."""

from __future__ import annotations

import numpy as np
import pytest

from bench.simulation import Machine
from headwind.statistics.search import SearchPlan, judge_search
from headwind.statistics.spending import boundary, null_paths, spent
from headwind.statistics.verdicts import (
    EQUIVALENT,
    FIRST_HIGHER,
    SECOND_HIGHER,
    UNDECIDED,
    Plan,
    blocks_needed,
    replay,
    smallest_found,
)

PATHS = 20_000


def plan(configurations: int, blocks: int = 8) -> Plan:
    return Plan(configurations, blocks, paths=PATHS)


def trials(effects: list[float], blocks: int, noise: float, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    machine = Machine(noise=noise, stray=0.0)
    return np.asarray(machine.trials(np.array(effects), 1, blocks, generator)[0])


def test_a_large_difference_ends_it_at_the_first_looks() -> None:
    outcome = replay(trials([0.6, 0.0], 8, 0.005), plan(2))
    assert outcome.claims.tolist() == [FIRST_HIGHER]
    assert outcome.blocks <= 4


def test_the_direction_is_that_of_the_data() -> None:
    assert replay(trials([0.0, 0.3], 8, 0.01), plan(2)).claims.tolist() == [SECOND_HIGHER]


def test_equal_and_steady_is_called_equivalent() -> None:
    assert replay(trials([0.0, 0.0], 8, 0.004), plan(2)).claims.tolist() == [EQUIVALENT]


def test_too_noisy_to_tell_is_undecided() -> None:
    outcome = replay(trials([0.03, 0.0], 8, 0.1), plan(2))
    assert outcome.claims.tolist() == [UNDECIDED]
    assert not outcome.answered


def test_it_stops_when_the_leader_is_known_though_others_are_not() -> None:
    outcome = replay(trials([0.5, 0.0, 0.02], 8, 0.02), plan(3))
    assert outcome.answered
    assert outcome.claims.tolist()[:2] == [FIRST_HIGHER, FIRST_HIGHER]
    assert outcome.blocks < 8


def test_replaying_more_blocks_changes_nothing_once_stopped() -> None:
    logs = trials([0.6, 0.0, 0.3], 8, 0.01)
    whole = replay(logs, plan(3))
    again = replay(logs[: int(whole.blocks)], plan(3))
    assert (whole.claims == again.claims).all()
    assert whole.estimates == pytest.approx(again.estimates)


def test_before_the_first_look_nothing_is_claimed_and_no_interval_given() -> None:
    outcome = replay(trials([0.6, 0.0], 2, 0.01), plan(2))
    assert outcome.claims.tolist() == [UNDECIDED]
    assert np.isinf(outcome.half_widths).all()


def test_a_clock_that_ends_it_lets_the_last_look_spend_the_rest() -> None:
    generator = np.random.default_rng(4)
    logs = Machine(stray=0.0).trials(np.array([0.1, 0.0]), 500, 5, generator)
    going_on = (replay(logs, plan(2)).claims == FIRST_HIGHER).mean()
    ended = (replay(logs, plan(2), ended=True).claims == FIRST_HIGHER).mean()
    assert ended > going_on + 0.1


def test_stray_trials_do_not_hide_a_difference() -> None:
    logs = trials([0.1, 0.0], 8, 0.02)
    logs[2, 0] -= 0.7
    assert replay(logs, plan(2)).claims.tolist() == [FIRST_HIGHER]


def test_the_boundary_spends_what_was_declared() -> None:
    looks = (3, 4, 5, 6)
    shares = [look / 6 for look in looks]
    values = boundary(null_paths(2, looks, 0.0, 50_000), 0.05, shares)
    fresh = np.random.default_rng(99).standard_normal((40_000, 6))
    crossed = np.zeros(40_000, bool)
    for look, critical in zip(looks, values.going_on, strict=True):
        part = fresh[:, :look]
        crossed |= np.abs(part.mean(1) / part.std(1, ddof=1)) * np.sqrt(look) > critical
    assert crossed.mean() == pytest.approx(0.05, abs=0.006)
    assert spent(0.05, 0.5) < 0.05 / 4


def test_blocks_needed_shrink_with_the_difference_and_grow_with_the_spread() -> None:
    design = plan(2)
    clear, unclear = blocks_needed(0.2, 0.02, 4, design), blocks_needed(0.06, 0.02, 4, design)
    assert clear is not None
    assert unclear is not None
    assert clear < unclear
    assert blocks_needed(design.log_margin, 0.5, 4, design) is None


def test_blocks_needed_do_decide_in_most_cases() -> None:
    noise = 0.04
    needed = blocks_needed(0.08, noise * np.sqrt(2 / 4), 4, plan(2))
    assert needed is not None
    logs = Machine(noise=noise, stray=0.0).trials(
        np.array([0.08, 0.0]), 400, needed, np.random.default_rng(6)
    )
    assert (replay(logs, plan(2, needed)).claims == FIRST_HIGHER).mean() > 0.7


def test_a_plan_survives_json() -> None:
    assert Plan.from_json(plan(3).to_json()) == plan(3)


def test_one_configuration_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more configurations"):
        Plan(1, 8)
    with pytest.raises(ValueError, match="two or more settings"):
        SearchPlan(1, 10)


def test_a_rate_of_zero_and_a_wrong_shape_are_refused() -> None:
    logs = trials([0.6, 0.0], 8, 0.01)
    with np.errstate(divide="ignore"):
        logs[3, 1] = np.log(0.0)
    with pytest.raises(ValueError, match="a rate of 0 has none"):
        replay(logs, plan(2))
    with pytest.raises(ValueError, match="a column a configuration"):
        replay(trials([0.6, 0.0], 8, 0.01), plan(3))
    with pytest.raises(ValueError, match="a column a configuration"):
        judge_search(np.zeros(8), SearchPlan(8, 60), np.random.default_rng(1))


def test_missing_trials_and_unequal_numbers_of_blocks_are_judged_by_what_there_is() -> None:
    logs = trials([0.6, 0.0], 8, 0.01)
    logs[2, 0] = np.nan
    logs[6:, 1] = np.nan
    outcome = replay(logs, plan(2))
    assert outcome.claims.tolist() == [FIRST_HIGHER]
    assert outcome.estimates[0] == pytest.approx(0.6, abs=0.05)


def test_a_configuration_without_any_trial_is_undecided() -> None:
    logs = trials([0.6, 0.0], 8, 0.01)
    logs[:, 1] = np.nan
    outcome = replay(logs, plan(2))
    assert outcome.claims.tolist() == [UNDECIDED]
    assert not np.isfinite(outcome.half_widths).any()


def test_plain_lists_will_do() -> None:
    assert replay(trials([0.6, 0.0], 8, 0.01).tolist(), plan(2)).claims.tolist() == [FIRST_HIGHER]


def test_the_smallest_difference_found_is_found_in_most_cases_and_half_of_it_is_not() -> None:
    noise, design = 0.04, plan(2)
    smallest = smallest_found(noise, 8, design)
    assert smallest is not None
    share = []
    for effect in (smallest, smallest / 2):
        logs = Machine(noise=noise, stray=0.0).trials(
            np.array([effect, 0.0]), 400, 8, np.random.default_rng(7)
        )
        share.append((replay(logs, design).claims == FIRST_HIGHER).mean())
    assert share[0] > 0.7
    assert share[1] < 0.5
    assert smallest_found(noise, 2, design) is None
    assert smallest_found(float("nan"), 8, design) is None
