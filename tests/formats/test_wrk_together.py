"""Two wrks on one terminal: no report is given to a header that may be another's."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.formats import read_text
from headwind.run import Latency, Run
from tests.formats.printer import Report
from tests.formats.strategies import reports

HEADERS = {
    "slow": "Running {} test @ http://localhost:8082/slow\n  2 threads and 10 connections\n",
    "fast": "Running {} test @ http://localhost:8082/fast\n  4 threads and 50 connections\n",
}
SLOW = """\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   500.86ms    0.93ms 507.93ms   95.59%
    Req/Sec     9.16      1.16    20.00     94.96%
  590 requests in 30.05s, 96.22KB read
Requests/sec:     19.64
Transfer/sec:      3.20KB
"""
FAST = """\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.99ms  700.69us  23.51ms   92.54%
    Req/Sec     2.01k    84.16     2.27k    85.50%
  240541 requests in 30.07s, 38.31MB read
Requests/sec:   7999.73
Transfer/sec:      1.27MB
"""
FAST_10_S = FAST.replace("30.07s", "10.02s").replace(" 7999.73", "24006.09")
BOTH = HEADERS["slow"].format("30s") + HEADERS["fast"].format("30s")
UNKNOWN = (None, None, None)


def told(text: str) -> list[tuple[object, ...]]:
    """Path, threads, connections and requests of each run."""
    return [
        (run.url and run.url.rsplit("/", 1)[1], run.threads, run.connections, run.requests)
        for run in read_text(text, "text")
    ]


def codes(text: str) -> list[set[str]]:
    return [{warning.code for warning in run.warnings} for run in read_text(text, "text")]


def test_the_order_of_the_reports_does_not_tell_whose_they_are() -> None:
    for reports_, requests in ((SLOW + FAST, (590, 240541)), (FAST + SLOW, (240541, 590))):
        assert told(BOTH + reports_) == [(*UNKNOWN, requests[0]), (*UNKNOWN, requests[1])]
        assert codes(BOTH + reports_) == [{"header_unclear"}, {"header_unclear"}]
    assert all(run.planned_duration_s == 30.0 for run in read_text(BOTH + SLOW + FAST, "text"))


def test_a_prompt_between_and_lost_line_ends_change_nothing() -> None:
    text = (
        f"[1] 45878\n{BOTH}{SLOW}user@host ~ % {FAST}[1]  + done       wrk -t4 -c50 -d30s http://localhost/\n"
    )
    assert told(text) == [(*UNKNOWN, 590), (*UNKNOWN, 240541)]
    assert told(" ".join(text.split())) == [(*UNKNOWN, 590), (*UNKNOWN, 240541)]


def test_what_all_headers_say_is_known() -> None:
    alike = BOTH.replace("4 threads and 50", "2 threads and 10")
    assert told(alike + SLOW + FAST) == [(None, 2, 10, 590), (None, 2, 10, 240541)]
    same = HEADERS["slow"].format("30s")
    assert told(same + same + SLOW + FAST) == [("slow", 2, 10, 590), ("slow", 2, 10, 240541)]
    assert codes(same + same + SLOW + FAST) == [set(), set()]


def test_a_report_that_did_not_come_belongs_to_either() -> None:
    assert told(BOTH + SLOW) == [(*UNKNOWN, None), (*UNKNOWN, 590)]
    assert codes(BOTH + SLOW) == [{"header_unclear", "cut"}, {"header_unclear"}]
    assert told(BOTH) == [("slow", 2, 10, None), ("fast", 4, 50, None)]


def test_the_planned_durations_decide_where_they_differ() -> None:
    headers = HEADERS["slow"].format("30s") + HEADERS["fast"].format("10s")
    assert told(headers + FAST_10_S + SLOW) == [("fast", 4, 50, 240541), ("slow", 2, 10, 590)]
    assert codes(headers + FAST_10_S + SLOW) == [set(), set()]


def test_a_long_load_beside_short_ones_is_told_by_its_run_time() -> None:
    short = HEADERS["fast"].format("10s") + FAST_10_S
    long = SLOW.replace("30.05s", "60.05s").replace("19.64", " 9.82")
    expected = [*3 * [("fast", 4, 50, 240541)], ("slow", 2, 10, 590)]
    assert told(HEADERS["slow"].format("60s").replace("60s", "1m") + 3 * short + long) == expected


def test_a_load_that_was_seen_to_end_waits_for_nothing() -> None:
    slow, fast = HEADERS["slow"].format("30s"), HEADERS["fast"].format("30s") + FAST
    command = "$ wrk -t{} -c{} -d30s http://localhost:8082/{}\n"
    for text in (
        f"{slow}Terminated\n{fast}",
        f"{slow}exit code: 137\n{fast}",
        f"{slow}```\n\n```\n{fast}",
        command.format(2, 10, "slow") + slow + command.format(4, 50, "fast") + fast,
        slow + 20 * "line\n" + fast,
    ):
        assert told(text) == [("slow", 2, 10, None), ("fast", 4, 50, 240541)], text


def test_a_command_in_the_background_goes_on() -> None:
    text = "$ wrk -t2 -c10 -d30s http://localhost:8082/slow &\n[1] 33\n" + HEADERS["slow"].format("30s")
    text += "$ wrk -t4 -c50 -d30s http://localhost:8082/fast\n" + HEADERS["fast"].format("30s")
    assert told(text + FAST + SLOW) == [(*UNKNOWN, 240541), (*UNKNOWN, 590)]


def test_headers_whose_threads_lines_stand_behind_both() -> None:
    first, second = (header.format("30s").splitlines(keepends=True) for header in HEADERS.values())
    assert told(f"{first[0]}{second[0]}{first[1]}{second[1]}{SLOW}{FAST}") == [
        (*UNKNOWN, 590),
        (*UNKNOWN, 240541),
    ]
    assert told(f"{first[0]}{second[0]}{first[1]}{first[1]}{SLOW}{FAST}") == [
        (None, 2, 10, 590),
        (None, 2, 10, 240541),
    ]


def test_a_script_that_says_what_wrk_says_next_is_no_load() -> None:
    header = HEADERS["slow"].format("30s")
    assert told(header.splitlines(keepends=True)[0] + header + SLOW) == [("slow", 2, 10, 590)]


def test_lines_of_two_reports_among_one_another_are_left_out() -> None:
    slow, fast = SLOW.splitlines(keepends=True), FAST.splitlines(keepends=True)
    text = BOTH + "".join(one + other for one, other in zip(slow, fast, strict=True))
    assert told(text) == 2 * [(*UNKNOWN, None)]
    assert all("lines_mixed" in found for found in codes(text))
    late = BOTH + "".join([*slow[:4], *fast[:2], *slow[4:], *fast[2:]])
    assert told(late) == [(*UNKNOWN, None), (*UNKNOWN, 590)]
    assert [run.requests_per_s for run in read_text(late, "text")] == [None, None]


def test_the_next_load_after_a_header_without_a_report_is_its_own() -> None:
    text = BOTH + FAST + HEADERS["slow"].format("30s") + SLOW
    assert told(text)[1:] == [(*UNKNOWN, 240541), ("slow", 2, 10, 590)] or told(text)[0] == (*UNKNOWN, None)
    assert told(text)[-1] == ("slow", 2, 10, 590)


def of_one(run: Run, wholes: list[Run]) -> bool:
    """Whether every value of a run is that of one of some runs."""
    names = ("url", "threads", "connections", "requests", "duration_s", "requests_per_s", "bytes_per_s")
    return any(
        all(getattr(run, name) in (None, getattr(whole, name)) for name in names)
        and run.errors.timeout in (None, whole.errors.timeout)
        and is_part(run.latency, whole.latency)
        for whole in wholes
    )


def is_part(latency: Latency | None, whole: Latency | None) -> bool:
    """Whether a latency says nothing that the whole one does not."""
    if latency is None or whole is None:
        return latency is None
    names = ("mean_s", "stdev_s", "max_s", "within_stdev")
    return (
        all(getattr(latency, name) in (None, getattr(whole, name)) for name in names)
        and latency.percentiles_s.items() <= whole.percentiles_s.items()
    )


@given(one=reports(), other=reports(), seed=st.integers(0, 2**20), ends=st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_however_the_lines_of_two_loads_meet_no_run_has_figures_of_both(
    one: Report, other: Report, seed: int, ends: int
) -> None:
    other = replace(other, url="http://other:81/", duration_s=one.duration_s, requests=one.requests + 1)
    wholes = [run for report in (one, other) for run in read_text(report.text(), "text")]
    random_ = random.Random(seed)
    waiting = [report.text().splitlines(keepends=True) for report in (one, other)]
    lines = [waiting[0].pop(0), waiting[1].pop(0)]
    while any(waiting):
        at = random_.randrange(2)
        lines += [waiting[at].pop(0) for _ in range(min(len(waiting[at]), random_.randint(1, 12)))]
    text = "".join(lines)
    for part in (text, text[: ends % (len(text) + 1)]):
        for run in read_text(part, "text"):
            assert of_one(run, wholes), part


@pytest.mark.parametrize("order", [SLOW + FAST, FAST + SLOW])
def test_every_cut_of_two_loads_names_no_owner(order: str) -> None:
    text = BOTH + order
    for at in range(len(BOTH) + 1, len(text)):
        for run in read_text(text[:at], "text"):
            assert (run.url, run.threads, run.connections) in (
                UNKNOWN,
                ("http://localhost:8082/fast", 4, 50),
                ("http://localhost:8082/slow", 2, 10),
            )
            assert run.url is None or run.latency is None, at
