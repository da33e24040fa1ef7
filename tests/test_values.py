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
