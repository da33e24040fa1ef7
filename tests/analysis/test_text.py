"""The report as text: the answer first, one screen, colour only when asked for, nothing that steers a terminal."""

from __future__ import annotations

import re

import pytest

from headwind.histogram import from_counts
from headwind.report import document, text
from tests.analysis.runs import HEALTHY, SLOW, healthy

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def test_colour_changes_nothing_but_colour() -> None:
    built = document.build([SLOW], source="wrk.txt", target=50_000, slos=["p99<250ms"])
    plain, coloured = text.render(built), text.render(built, colour=True)
    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain
    assert ESCAPES.sub("", coloured) == plain


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_line_is_wider_than_asked_for(width: int) -> None:
    url = "http://a.rather.long.host.name.example.org:8000/v1/predictions/of/everything"
    built = document.build([healthy(url=url), SLOW], source="wrk.txt", slos=["p99<250ms"])
    assert max(len(line) for line in text.render(built, width=width).splitlines()) <= width


def test_a_hostile_url_cannot_steer_the_terminal() -> None:
    url = "http://x/\x1b]0;owned\x07\x1b[2J\u202e"
    shown = text.render(document.build([healthy(url=url)], source="wrk.txt"))
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_findings_of_many_runs_are_told_once_by_code() -> None:
    shown = text.render(document.build([SLOW] * 5, source="wrk.txt"))
    assert shown.count("22.0 % of the answers (613)") == 1
    assert "in run 1 and 4 others" in shown


def test_gates_of_many_runs_are_counted() -> None:
    built = document.build([SLOW, HEALTHY, HEALTHY, HEALTHY, HEALTHY], source="wrk.txt", slos=["rps>1000"])
    assert "FAILED    rps>1000: held 4, failed 1 of 5 runs" in text.render(built)


def test_measured_latencies_come_before_printed_ones() -> None:
    run = healthy(histogram=from_counts({1000: 980, 20_000: 20}))
    shown = text.render(document.build([run], source="wrk.txt"))
    assert "measured  mean 1.38 ms, p50 1 ms, p99 20 ms" in shown
    assert "printed   " in text.render(document.build([HEALTHY], source="wrk.txt"))


def test_a_document_without_a_figure_says_unknown() -> None:
    shown = text.render(document.build([healthy(requests=None, complete=False)], source="wrk.txt"))
    assert "unknown in 45.1 s" in shown


def test_late_ones_of_a_schedule_are_a_part_of_what_was_due_and_not_of_what_was_answered() -> None:
    run = healthy(
        requests=128,
        late_threshold_s=2.0,
        late=500,
        histogram=from_counts({3_000_000: 128}, late=372, limit_us=8_000_000),
        rate_target_per_s=250.0,
    )
    built = document.build([run], source="wrk.txt", slos=["late<1%"])
    shown = text.render(built)
    assert "500 late (100 %)" in shown
    assert "391 %" not in shown
    assert "100 % of the requests that were due (500) had no answer within 2 s" in str(built["findings"])
    assert [gate["outcome"] for gate in built["gates"]] == ["failed"]
