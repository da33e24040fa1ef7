"""Charts draw what was measured: curves follow the histogram, unknown stays unknown, every colour has a dark one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwind.histogram import from_counts, undo_correction
from headwind.report import figures, reading
from headwind.report.charts import latency, timeline
from headwind.report.charts.figure import NARROW, PALETTE, WIDE, Figure, log_ticks, style_sheet
from headwind.run import Errors, Latency, Run
from headwind.samples import Sample
from tests.report.documents import (
    CUT_RUN,
    FULL_RUN,
    SAMPLES,
    capacity_document,
    comparison_document,
    document,
    profile_document,
)


def run_figures(runs: list[Run], samples: Sequence[Sample] = ()) -> list[Figure]:
    """The figures that are drawn of these runs."""
    return [figure for figure in figures.run_figures(runs, samples) if figure]


@given(
    st.dictionaries(st.integers(1, 4000), st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 500)
)
def test_redoing_the_correction_is_the_inverse_of_undoing_it(raw: dict[int, int], step: int) -> None:
    corrected = latency.redo_correction(from_counts(raw, expected_interval_us=step))
    printed = dict(zip(corrected.values_us, corrected.counts, strict=True))
    assert undo_correction(printed, step) == raw


def test_the_curve_follows_the_histogram_and_stops_where_answers_were_late() -> None:
    run = Run(tool="wrk", histogram=from_counts({1000: 60, 2000: 20}, late=20, limit_us=5000), requests=100)
    (curve,) = latency.curves_of(run)
    assert curve.table == {0.5: 0.001, 0.75: 0.002}
    assert max(share for share, _ in curve.points) <= 0.8
    assert latency.unknown_of(run) == latency.Unknown(0.2, 0.005)


def test_late_answers_of_stdout_alone_leave_the_percentiles_above_unknown() -> None:
    figure = latency.percentile_figure(CUT_RUN)
    assert figure is not None
    assert "above 78" in figure.summary
    assert ("p99", "unknown, above 2.00 s") in figure.rows or ("p99", "unknown, above 2 s") in figure.rows
    assert "unknown, above" in figure.svgs(WIDE)[0]


@pytest.mark.parametrize(
    "run",
    [
        Run(tool="wrk", requests=10, latency=Latency(mean_s=1.0), errors=Errors(0, 0, 0, 0, 0)),
        Run(tool="oha"),
        Run(tool="wrk", histogram=from_counts({})),
    ],
)
def test_nothing_is_drawn_where_nothing_is_known(run: Run) -> None:
    assert run_figures([run]) == []


def test_a_single_answer_still_draws() -> None:
    run = Run(tool="wrk", requests=1, histogram=from_counts({1500: 1}))
    assert all(figure.svgs(NARROW) for figure in run_figures([run]))


def test_cpu_is_the_growth_between_samples_by_role() -> None:
    rows = timeline.cpu_rows(SAMPLES[:2])
    used = {row["who"]: row["value"] for row in rows}
    assert used == pytest.approx({"server": 1.62, "generator": 0.2, "whole machine": 1.96})


def test_a_worker_that_starts_in_between_counts_from_its_birth() -> None:
    before, after = SAMPLES[0], SAMPLES[2]
    born = type(after)(after.t_s, 2, after.host_busy_s, 0.0, (*after.processes, after.processes[0]))
    assert timeline.cpu_rows([before, born])


def test_samples_after_the_load_are_not_part_of_the_picture() -> None:
    late = [replace(one, t_s=one.t_s + 60) for one in SAMPLES]
    with_late = timeline.over_time_figure(FULL_RUN, [*SAMPLES, *late])
    without = timeline.over_time_figure(FULL_RUN, SAMPLES)
    assert with_late is not None
    assert without is not None
    assert with_late.rows == without.rows


def test_the_time_line_is_thinned_without_losing_answers_but_the_unfinished_end() -> None:
    figure = timeline.over_time_figure(FULL_RUN, SAMPLES)
    assert figure is not None
    assert [panel.label.split()[0] for panel in figure.panels] == ["Answers", "Error", "CPU", "Memory"]


def _painted(figure: Figure) -> set[str]:
    drawn = "".join(figure.svgs(WIDE))
    return set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6}|\w+)"', drawn)) - {"none", "transparent"}


def test_every_chart_is_valid_vega_lite() -> None:
    drawn = [*run_figures([FULL_RUN], SAMPLES), *run_figures([CUT_RUN]), *run_figures([FULL_RUN] * 60)]
    for made in (comparison_document(), capacity_document()):
        drawn += figures.figures_of(reading.of(made))
    assert len(drawn) == 8
    for figure in drawn:
        for panel in figure.panels:
            panel.draw(WIDE).to_dict()  # raises where the schema is broken


def test_every_colour_drawn_is_mapped_to_a_dark_one() -> None:
    known = {pair[0] for pair in PALETTE.values()}
    for figure in (*run_figures([FULL_RUN], SAMPLES), *run_figures([CUT_RUN]), *run_figures([FULL_RUN] * 3)):
        assert _painted(figure) <= known, figure.slug
    _, _, rules = style_sheet()
    assert all(colour in rules for colour in known)


@given(st.floats(1e-6, 100), st.floats(1.1, 1e6))
def test_ticks_lie_inside_the_axis(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)
    assert factor < 3 or ticks


def test_a_picture_without_a_neighbour_takes_the_whole_width() -> None:
    alone = figures.figures_of(reading.of(document(CUT_RUN)))
    assert [(figure.slug, figure.whole) for figure in alone] == [("percentiles", True)]
    pair = figures.figures_of(reading.of(document(FULL_RUN)))
    assert [(figure.slug, figure.whole) for figure in pair][:2] == [
        ("percentiles", False),
        ("histogram", False),
    ]


def test_a_load_pattern_is_drawn_stage_by_stage_with_a_colour_for_each_server() -> None:
    (figure,) = figures.figures_of(reading.of(profile_document()))
    assert [row[0] for row in figure.rows] == 2 * [
        "5 users: users come",
        "5 users",
        "50 users: users come",
        "50 users",
    ]
    assert figure.rows[1][2:] == ("49.5", "10 ms", "50 ms")
    rates, times = figure.svgs(WIDE)
    assert PALETTE["measured"][0] in rates
    assert PALETTE["corrected"][0] in rates
    assert "stroke-dasharray" in times
    assert "50 users on 3 models 167 ms" in figure.panels[1].summary


def test_one_stage_alone_needs_no_picture() -> None:
    alone = profile_document()
    alone["stages"] = alone["stages"][:2]
    assert figures.figures_of(reading.of(alone)) == ()
