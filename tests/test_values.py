"""The values survive their JSON, and the histogram's arithmetic is exact."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwind.histogram import Histogram, from_counts, percentile_key, undo_correction
from headwind.run import Endpoint, Errors, Latency, Run, ThreadRate
from headwind.samples import ProcessSample, Sample, Timeline


def correct_as_wrk_does(raw: dict[int, int], step: int) -> dict[int, int]:
    """wrk's `stats_correct`, written from its description: the reference that the inverse is held against."""
    printed = dict(raw)
    for value in raw:
        if value >= 2 * step:
            synthetic = value - step
            while synthetic > step:
                printed[synthetic] = printed.get(synthetic, 0) + raw[value]
                synthetic -= step
    return printed


@given(
    st.dictionaries(st.integers(0, 5000), st.integers(1, 50), max_size=40),
    st.integers(1, 700),
)
def test_undoing_the_correction_gives_back_what_was_measured(raw: dict[int, int], step: int) -> None:
    assert undo_correction(correct_as_wrk_does(raw, step), step) == raw


def test_a_histogram_that_was_not_corrected_so_is_refused() -> None:
    with pytest.raises(ValueError, match="not wrk's correction"):
        undo_correction({150: 1, 250: 3}, 100)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(0, 20), st.floats(0, 100))
def test_a_percentile_is_the_nearest_rank_with_late_answers_at_the_top(
    latencies: list[int], late: int, percent: float
) -> None:
    histogram = from_counts([(value, latencies.count(value)) for value in set(latencies)], late=late)
    everyone = [*sorted(latencies), *[None] * late]
    rank = max(1, -(-round(percent / 100 * len(everyone) * 1e6) // 10**6))
    expected = everyone[rank - 1]
    assert histogram.percentile_s(percent) == (None if expected is None else expected / 1e6)


def test_merging_loses_nothing() -> None:
    merged = from_counts({10: 1, 20: 2}, late=1, limit_us=50).merge(
        from_counts({20: 3, 30: 1}, late=2, limit_us=40)
    )
    assert merged == Histogram((10, 20, 30), (1, 5, 1), late=3, limit_us=40)


LATENCIES = st.lists(st.integers(1, 300), min_size=1, max_size=40)


@given(st.lists(st.tuples(LATENCIES, st.integers(20, 200)), min_size=1, max_size=3), st.floats(0, 100))
def test_a_percentile_of_merged_histograms_is_what_it_is_without_limits_or_unknown(
    hosts: list[tuple[list[int], int]], percent: float
) -> None:
    parts = []
    for latencies, limit in hosts:
        kept = [value for value in latencies if value <= limit]
        counts = {value: kept.count(value) for value in kept}
        parts.append(from_counts(counts, late=len(latencies) - len(kept), limit_us=limit))
    merged = parts[0].merge(*parts[1:])
    everyone = sorted(value for latencies, _ in hosts for value in latencies)
    true_s = everyone[max(1, -(-round(percent / 100 * len(everyone) * 1e6) // 10**6)) - 1] / 1e6
    limits = [limit for latencies, limit in hosts if max(latencies) > limit]
    expected = true_s if true_s <= min(limits, default=300) / 1e6 else None
    assert merged.percentile_s(percent) == expected
    assert merged.percentiles_s([percent]) == {percentile_key(percent): expected}


def test_a_part_that_does_not_know_its_limit_has_its_late_responses_above_its_largest_value() -> None:
    unsure = from_counts({10: 5, 30: 1}, late=4)
    merged = unsure.merge(from_counts({20: 5, 90: 5}, late=1, limit_us=100))
    assert merged.limit_us == 30
    assert merged.percentile_s(52) == 30 / 1e6
    assert merged.percentile_s(53) is None
    assert unsure.merge(from_counts({20: 5, 90: 5})).percentile_s(80) is None
    assert unsure.merge() == unsure


def test_a_part_without_late_responses_sets_no_limit() -> None:
    merged = from_counts({10: 5}, limit_us=20).merge(from_counts({40: 4}, late=1, limit_us=50))
    assert (merged.limit_us, merged.percentile_s(90)) == (50, 40 / 1e6)


def test_corrected_percentiles_above_the_limit_are_unknown() -> None:
    merged = from_counts({10: 8}, late=1, limit_us=50).merge(from_counts({80: 10}, late=1, limit_us=100))
    percentiles = merged.corrected()["percentiles_s"]
    assert (percentiles["50"], percentiles["75"]) == (None, None)
    assert from_counts({10: 8}).merge(from_counts({80: 10})).corrected()["percentiles_s"]["75"] == 80 / 1e6


def test_percentile_keys_are_written_as_people_write_them() -> None:
    assert [percentile_key(p) for p in (50.0, 99.9, 99.999, 100.0)] == ["50", "99.9", "99.999", "100"]


def test_a_run_survives_json() -> None:
    run = Run(
        tool="wrk",
        lines=(3, 11),
        requests=7,
        latency=Latency(mean_s=1.0, percentiles_s={"99.9": 2.0}),
        thread_requests_per_s=ThreadRate(mean=3.0),
        errors=Errors(connect=0, timeout=2),
        endpoints=(Endpoint("GET /", requests=3, latency=Latency(max_s=1.5)),),
        histogram=from_counts({10: 1}),
        timeline=Timeline(0.1, (1, 2), (0, 1)),
    ).warn("cut", "The text ends inside the run.")
    assert Run.from_json(json.loads(json.dumps(run.to_json()))) == run


@pytest.mark.parametrize(
    ("tool", "errors", "tried"),
    [
        (
            "wrk",
            Errors(connect=1, read=2, write=900, timeout=50, status=7),
            103,
        ),  # time-outs are answers, writes attempts
        ("hey", Errors(connect=1, read=2, timeout=50, status=7), 153),  # time-outs are no answers
        ("vegeta", Errors(connect=1, read=2, timeout=50, status=7), 100),  # its count has them all
        ("locust", Errors(status=7), 100),
    ],
)
def test_requests_tried_are_those_answered_and_those_that_were_not(
    tool: str, errors: Errors, tried: int
) -> None:
    assert Run(tool=tool, requests=100, errors=errors).tried() == tried
    assert Run(tool=tool, errors=errors).tried() is None


def test_a_sample_survives_json() -> None:
    sample = Sample(1.5, 2, 3.0, 0.0, (ProcessSample(1, "server", "gunicorn", 0.5, 1024, 3),))
    assert Sample.from_json(json.loads(json.dumps(sample.to_json()))) == sample
