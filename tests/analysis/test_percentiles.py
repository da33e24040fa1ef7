"""What a run is said to prove about its percentiles holds for loads of which everything is known."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.analysis import closed_loop, context, percentiles
from headwind.histogram import from_counts
from headwind.run import Errors, Latency, Run
from tests.analysis.runs import HEALTHY, SLOW, slow
from tests.test_values import correct_as_wrk_does


def closed_loop_latencies(
    seed: int, connections: int, runtime_us: int, spread: float, stall_us: int
) -> list[int]:
    """Latencies of connections that ask one after the other until the time is over; now and then one stalls."""
    draw = random.Random(seed)
    found = []
    for _ in range(connections):
        clock = 0
        while True:
            latency = max(1, int(draw.lognormvariate(math.log(3000), spread)))
            if stall_us and draw.random() < 0.01:
                latency += stall_us
            clock += latency
            if clock > runtime_us:
                break
            found.append(latency)
    return found


def printed_by_wrk(latencies: list[int], connections: int, runtime_us: int, timeout_us: int) -> Run:
    """The run as wrk 4 prints it: late answers cut off, synthetic samples added, percentiles by its own rank."""
    recorded = Counter(value for value in latencies if value <= timeout_us)
    interval = runtime_us // (len(latencies) // connections)
    corrected = sorted(Counter(correct_as_wrk_does(dict(recorded), interval)).elements())
    ranks = {
        str(p): corrected[min(len(corrected), round(p / 100 * len(corrected) + 0.5)) - 1]
        for p in (50, 75, 90, 99)
    }
    late = sum(1 for value in latencies if value > timeout_us)
    return Run(
        tool="wrk",
        complete=True,
        threads=1,
        connections=connections,
        requests=len(latencies),
        duration_s=runtime_us / 1e6,
        requests_per_s=len(latencies) / (runtime_us / 1e6),
        timeout_s=timeout_us / 1e6,
        late=late,
        errors=Errors(0, 0, 0, late, 0),
        latency=Latency(
            mean_s=sum(corrected) / len(corrected) / 1e6,
            max_s=max(recorded) / 1e6,
            percentiles_s={key: value / 1e6 for key, value in ranks.items()},
        ),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 20),
    st.floats(0.01, 1.5),
    st.sampled_from([0, 20_000, 200_000]),
    st.sampled_from([30_000, 2_000_000]),
)
def test_the_measured_percentile_lies_within_what_is_said(
    seed: int, connections: int, spread: float, stall_us: int, timeout_us: int
) -> None:
    latencies = closed_loop_latencies(seed, connections, 1_500_000, spread, stall_us)
    if len(latencies) < connections or all(value > timeout_us for value in latencies):
        return
    judged = context.of(printed_by_wrk(latencies, connections, 1_500_000, timeout_us), "wrk.txt")
    everything = from_counts(Counter(latencies))
    for percent in (10, 50, 66, 75, 80, 90, 95, 98, 99, 99.9, 100):
        bounds = percentiles.of(judged, percent)
        # wrk's rank is up to one sample high, so a bound may be the neighbour's value.
        shift = 100 / max(1, len(latencies))
        least, most = (everything.percentile_s(min(100, max(0, percent + d))) for d in (shift, -shift))
        assert least is not None
        assert most is not None
        assert bounds.low_s <= least, (percent, bounds)
        assert most <= bounds.high_s, (percent, bounds)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.01, 1.0))
def test_littles_range_holds_the_mean_of_a_closed_loop(seed: int, connections: int, spread: float) -> None:
    latencies = closed_loop_latencies(seed, connections, 2_000_000, spread, 0)
    _, high = closed_loop.little_range_s(connections, 2.0, len(latencies))
    assert sum(latencies) / len(latencies) / 1e6 <= high


def test_percentiles_up_to_the_late_ones_are_known_and_those_above_are_not() -> None:
    judged = context.of(SLOW, "wrk.txt")
    assert percentiles.of(judged, 99).low_s == 2.0
    assert math.isinf(percentiles.of(judged, 99).high_s)
    assert math.isinf(percentiles.of(judged, 78.1).high_s)
    assert percentiles.of(judged, 78).high_s == 2.0


def test_a_printed_percentile_moves_to_its_rank_among_all_answers() -> None:
    # 613 of 2,788 are late: the 90th of the recorded ones is the 70.2nd of all.
    run = slow(latency=Latency(mean_s=1.46, max_s=2.0, percentiles_s={"50": 1.4, "90": 1.9}))
    judged = context.of(run, "wrk.txt")
    assert percentiles.of(judged, 70).high_s == 1.9
    assert percentiles.of(judged, 70.5).low_s == 1.9
    assert closed_loop.recorded_percent(70.2116, 2788, 613) == pytest.approx(90, abs=0.001)


def test_a_run_without_synthetic_samples_has_its_printed_percentiles() -> None:
    judged = context.of(HEALTHY, "wrk.txt")
    assert judged.as_measured is True
    assert percentiles.of(judged, 99).known
    assert percentiles.of(judged, 99).low_s == 0.2135
    assert not percentiles.of(judged, 95).known


def test_the_slow_run_holds_nothing_synthetic() -> None:
    judged = context.of(SLOW, "wrk.txt")
    assert judged.interval_s == pytest.approx(3.469, abs=0.001)
    assert judged.as_measured is True


def test_only_connections_that_wrk_opens_count_in_littles_law() -> None:
    assert closed_loop.live_connections(12, 500) == 492
    assert closed_loop.live_connections(4, 200) == 200
    low, high = closed_loop.little_range_s(200, 2788 / 61.82, 2788)
    assert (round(low, 2), round(high, 2)) == (3.12, 3.24)
