"""HdrHistogram's own reader and the plotter's columns get back what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given
from hypothesis import strategies as st

from headwind.cli import main
from headwind.errors import Exit
from headwind.histogram import Histogram, from_counts
from headwind.report import hdr
from headwind.run import Run
from tests.formats.test_wrk import SATURATED

HISTOGRAMS = st.builds(
    from_counts,
    st.dictionaries(st.integers(0, 12_000_000), st.integers(1, 10_000), min_size=1, max_size=60),
    late=st.integers(0, 50),
    limit_us=st.just(12_000_000),
)


def read_back(text: str, folder: Path) -> list[HdrHistogram]:
    path = folder / "latency.hlog"
    path.write_text(text)
    reader = HistogramLogReader(str(path), HdrHistogram(1, 60_000_000, hdr.SIGNIFICANT_DIGITS))
    found = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        found.append(histogram)
    reader.close()
    return found


@given(HISTOGRAMS)
def test_the_log_gives_every_count_back(
    tmp_path_factory: pytest.TempPathFactory, histogram: Histogram
) -> None:
    run = Run(tool="wrk", histogram=histogram, duration_s=45.1)
    (found,) = read_back(hdr.log([run, Run(tool="wrk")]), tmp_path_factory.mktemp("log"))
    assert found.get_total_count() == histogram.recorded
    for value in histogram.values_us:
        if value < 262_144:
            expected = sum(
                c for v, c in zip(histogram.values_us, histogram.counts, strict=True) if v == value
            )
            assert found.get_count_at_value(value) == expected
    assert found.get_max_value() == pytest.approx(histogram.values_us[-1], rel=1e-5, abs=1)


def test_each_run_has_its_interval(tmp_path: Path) -> None:
    runs = [
        Run(
            tool="wrk",
            histogram=from_counts({1000 * n: 5}),
            duration_s=10.0 * n,
            started_at=f"2026-01-0{n}T00:00:00Z",
        )
        for n in (1, 2)
    ]
    text = hdr.log(runs)
    first, second = read_back(text, tmp_path)
    assert (first.get_max_value(), second.get_max_value()) == (1000, 2000)
    assert second.get_end_time_stamp() - second.get_start_time_stamp() == pytest.approx(20_000)


def test_late_answers_are_told_and_not_recorded(tmp_path: Path) -> None:
    text = hdr.log([Run(tool="wrk", histogram=from_counts({1000: 5}, late=3, limit_us=2_000_000))])
    assert "3 more answers came after 2 s" in text
    assert read_back(text, tmp_path)[0].get_total_count() == 5


def columns(text: str) -> list[tuple[float, float, int]]:
    rows = [line.split() for line in text.splitlines()[2:] if line and not line.startswith("#")]
    return [(float(row[0]), float(row[1]), int(row[2])) for row in rows]


@given(HISTOGRAMS)
def test_the_distribution_holds_the_exact_percentiles(histogram: Histogram) -> None:
    rows = columns(hdr.percentiles(histogram))
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    for value_ms, share, count in rows:
        assert value_ms == pytest.approx((histogram.percentile_s(share * 100) or 0) * 1e3, abs=0.0006)
        assert count >= share * histogram.total - 1e-3
    if histogram.late:
        assert all(share <= histogram.recorded / histogram.total + 1e-9 for _, share, _ in rows)
    else:
        assert rows[-1] == (histogram.values_us[-1] / 1e3, 1.0, histogram.total)


def test_histograms_of_several_runs_merge_without_loss() -> None:
    runs = [
        Run(tool="wrk", histogram=from_counts({1000: 5, 2000: 1})),
        Run(tool="wrk"),
        Run(tool="wrk", histogram=from_counts({2000: 2})),
    ]
    assert hdr.merged(runs) == from_counts({1000: 5, 2000: 3})
    assert hdr.merged([Run(tool="wrk")]) is None


def test_the_distribution_of_merged_runs_ends_at_the_smallest_limit() -> None:
    short = Run(tool="wrk", histogram=from_counts({1000: 80, 1900: 10}, late=5, limit_us=2000))
    long = Run(tool="wrk", histogram=from_counts({1500: 90, 4000: 14}, late=1, limit_us=5000))
    merged = hdr.merged([short, long])
    assert merged is not None
    rows = columns(hdr.percentiles(merged))
    assert (rows[-1][0], rows[-1][2]) == (1.9, 180)
    assert all(share <= 180 / 200 for _, share, _ in rows)


def test_explain_writes_both_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(
        tool="wrk",
        requests=5,
        duration_s=1.0,
        requests_per_s=5.0,
        histogram=from_counts({1000: 5}),
        complete=True,
    )
    source = tmp_path / "run.json"
    source.write_text(json.dumps({"schema": "headwind.run/1", "source": "x", "runs": [run.to_json()]}))
    for name in ("a.hgrm", "a.hlog"):
        assert main(["explain", str(source), "--hdr", str(tmp_path / name)]) == Exit.DONE
    assert columns((tmp_path / "a.hgrm").read_text())[-1] == (1.0, 1.0, 5)
    assert read_back((tmp_path / "a.hlog").read_text(), tmp_path)[0].get_total_count() == 5
    assert main(["explain", str(source), "--hdr", str(tmp_path / "a.txt")]) == Exit.USAGE
    assert ".hgrm" in capsys.readouterr().err


def test_text_without_a_histogram_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "wrk.txt"
    source.write_text(SATURATED)
    assert main(["explain", str(source), "--hdr", str(tmp_path / "a.hgrm")]) == Exit.USAGE
    assert "needs an exact histogram" in capsys.readouterr().err
