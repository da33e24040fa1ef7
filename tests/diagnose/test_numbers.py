"""What the rules rest on: groups of latencies, rhythms of stalls, gains of interventions, who is behind a proxy."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

import pytest

from headwind.analysis.diagnosis.gains import gain, gain_interval, words_of_gain
from headwind.analysis.diagnosis.kinds import split_counts
from headwind.analysis.diagnosis.observations import Intervention
from headwind.analysis.diagnosis.pauses import Stall, regular_period_s, rhythm_of_workers
from headwind.stress import probes, proc, proxy
from headwind.stress.gathered import Gathered, use_of
from headwind.stress.probes import Generated
from headwind.stress.server import Server


def in_steps(values_s: Sequence[float]) -> list[tuple[float, int]]:
    """As `Load.latencies`: in steps of 5 %."""
    steps = sorted(round(math.log(value * 1e6) / math.log(probes.LATENCY_STEP)) for value in values_s)
    return [(probes.LATENCY_STEP**step / 1e6, len(list(rows))) for step, rows in itertools.groupby(steps)]


def test_one_slow_request_in_a_hundred_is_seen_among_thousands() -> None:
    chance = random.Random(1)
    found = split_counts(
        in_steps(
            [chance.gauss(0.06, 0.003) for _ in range(9900)] + [chance.gauss(1.2, 0.02) for _ in range(100)]
        )
    )
    assert found is not None
    assert found.share_slow == pytest.approx(0.01, rel=0.02)
    assert found.slow_s == pytest.approx(1.2, rel=0.06)
    assert found.fast_s == pytest.approx(0.06, rel=0.06)


def test_a_long_tail_is_no_second_kind() -> None:
    chance = random.Random(2)
    assert split_counts(in_steps([chance.lognormvariate(-3, 0.8) for _ in range(10_000)])) is None


def test_a_few_strays_are_no_second_kind() -> None:
    assert split_counts(in_steps([0.06] * 9990 + [1.2] * 10)) is None


def test_latencies_are_told_without_the_correction_of_wrk() -> None:
    """One connection, 10 answers of 1 ms and one of 100 ms in 0.11 s: wrk adds samples at 90, 80, ..., 20 ms."""
    added = {(100_000 - k * 10_000): 1 for k in range(1, 9)}
    printed = {1000: 10, 100_000: 1, **added}
    report = {
        "requests": 11,
        "duration_us": 110_000,
        "histogram": {"values": sorted(printed), "counts": [printed[value] for value in sorted(printed)]},
    }
    rows = Generated(report).latencies(1)
    assert [count for _, count in rows] == [10, 1]
    assert rows[1][0] == pytest.approx(0.1, rel=0.05)


def stalls_every(period_s: float, jitter_s: float, count: int) -> list[Stall]:
    chance = random.Random(3)
    return [Stall(number * period_s + chance.uniform(-jitter_s, jitter_s), 0.4) for number in range(count)]


@pytest.mark.parametrize("count", [3, 4, 8])
def test_a_rhythm_is_found_in_as_few_as_three_stalls(count: int) -> None:
    period = regular_period_s(stalls_every(5.0, 0.1, count))
    assert period == pytest.approx(5.0, rel=0.05)


def test_a_rhythm_is_found_where_one_stall_was_missed() -> None:
    seen = stalls_every(2.0, 0.05, 7)
    assert regular_period_s([*seen[:3], *seen[4:]]) == pytest.approx(2.0, rel=0.05)


def test_two_workers_out_of_step_have_one_rhythm() -> None:
    seen = sorted(
        [*stalls_every(1.5, 0.05, 5), *(Stall(row.at_s + 0.4, 0.3) for row in stalls_every(1.5, 0.05, 5))],
        key=lambda stall: stall.at_s,
    )
    assert rhythm_of_workers(seen, 2) == pytest.approx(1.5, rel=0.05)


def test_luck_seldom_looks_like_a_rhythm() -> None:
    def tries() -> Iterator[bool]:
        chance = random.Random(4)
        for _ in range(500):
            moments = sorted(chance.uniform(0, 20) for _ in range(3))
            yield regular_period_s([Stall(moment, 0.2) for moment in moments]) is not None

    assert sum(tries()) / 500 < 0.2


def test_a_gain_is_told_with_its_interval() -> None:
    chance = random.Random(5)
    base = tuple(chance.gauss(100, 3) for _ in range(16))
    changed = tuple(chance.gauss(186, 5) for _ in range(16))
    tried = Intervention("worker", "one more", (100.0, 100.0), (186.0, 186.0), base, changed)
    assert gain(tried) == pytest.approx(1.86)
    interval = gain_interval(tried)
    assert interval is not None
    assert 1.78 < interval[0] < interval[1] < 1.94
    assert words_of_gain(tried).startswith("+86 % [")


def test_too_few_half_seconds_give_no_interval() -> None:
    tried = Intervention("worker", "one more", (100.0,), (186.0,), (100.0,), (186.0,))
    assert gain_interval(tried) is None
    assert words_of_gain(tried) == "+86 %"


def test_a_port_whose_processes_work_for_404s_is_behind_a_proxy() -> None:
    before, after = {8001: 1.0, 5432: 4.0}, {8001: 1.4, 5432: 4.0}
    assert proxy.passed_on(before, after, 1.0) == {8001}
    assert proxy.passed_on(before, before, 1.0) == set()


@pytest.mark.parametrize(
    ("clients", "workers"),
    [
        ({}, {1}),  # before the load
        ({1: 100}, {1}),
        ({1: 100, 2: 100}, {1}),  # 2 was forked to compute and inherited the sockets
        ({1: 0, 2: 60, 3: 40}, {2, 3}),  # 1 only hands connections on, as the master of Node's cluster
    ],
)
def test_workers_are_those_who_serve_clients(
    clients: dict[int, int], workers: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "holders", lambda _: {1})
    server = Server(80, {1}, pids={1, 2, 3}, up={2: 1, 3: 1})
    assert server.workers(clients) == workers


def waiting_threads(runs: Sequence[int], state: str = "timed_lock") -> int:
    """How many of these threads, always seen waiting, are said to keep house."""
    stat = proc.Stat("java", "S", 1, 0.0, len(runs), 0, 0, 0)
    first = dict.fromkeys(range(len(runs)), (0.0, 0.0, 0))
    last = {tid: (0.1, 0.0, count) for tid, count in enumerate(runs)}
    row = Gathered(7, "java", stat, stat, first, last, looks=50)
    for tid in range(len(runs)):
        row.states[tid][state] = 50
    return use_of(row).parked_threads


def test_threads_that_hardly_ever_run_hold_no_request() -> None:
    assert waiting_threads([300, 280, 310, 20, 0, 2]) == 3
    assert waiting_threads([200] * 40, "lock") == 0  # all wait for one lock in turn
    assert waiting_threads([0, 1, 2], "lock") == 3


def test_a_thread_seen_doing_anything_else_is_not_parked() -> None:
    assert waiting_threads([1, 1], "sleep") == 0
