"""Whole reports read at once: exactly what reading line by line gives, whatever stands in, around and before them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.formats.wrk import Scanner
from headwind.formats.wrk_fast import prefixed_report, whole_report
from headwind.run import Run
from tests.analysis.wrk_text import SLOW_TEXT
from tests.formats.printer import Report
from tests.formats.strategies import reports, reports2

LATE = SLOW_TEXT + "Transfer/sec:      8.45KB\n"
# (what is replaced, what by): what wrk and scripts print now and then, and what people do to it.
CHANGES = (
    ("2.00s ", "5.12s "),
    ("1.46s", "1.46m"),
    ("1.46s   309.13ms   2.00s    71.26%", "0.00us    0.00us   0.00us    -nan%"),
    ("21.25     24.38   232.00     90.89%", "0.00      0.00     0.00    100.00%"),
    ("21.25     24.38   232.00     90.89%", "-nan      -nan   0.00     0.00%"),
    ("Transfer/sec:      8.45KB\n", ""),
    ("  Thread Stats", "thread 1 created\nthread 2 created\n  Thread Stats"),
    ("  Thread Stats", "  Thread calibration: mean lat.: 1.184ms, rate sampling interval: 10ms\n  Thread Stats"),
    ("  Thread Stats", "^C  Thread Stats"),
    ("  Thread Stats", "  7 requests in 1.00s, 2.00KB read\n  Thread Stats"),
    ("  2788", "  Latency Distribution\n   50%    1.46s\n  75%    1.80s\n  90%    1.95s\n     99%    1.99s\n  2788"),
    ("  2788", "  Latency Distribution\n     50%    1.46s\n     50%    1.80s\n  2788"),
    ("1.46s   309.13ms", "1000.00m1000.00ms"),
    ("45s test", "1m test"),
    ("connect 0", "connect -3"),
    ("45.10s", "307445734491.24m"),
    ("61.82", "71.82"),
    ("  4 threads", "   4 threads"),
    ("71.26%\n", "71.26%  # late!\n"),
    ("", "$ wrk -t4 -c200 -d45s --timeout 10s http://localhost:8000/v1/prediction\n"),
    ("", "$ wrk -t4 -c200 -R100 http://localhost:8000/v1/prediction\n"),
    ("", "Running 5s test @ http://other/\n"),
    ("Transfer/sec:      8.45KB\n", 'Transfer/sec:      8.45KB\nheadwind.wrk/1 {"schema": "headwind.wrk/1"}\n'),
    ("Transfer/sec:      8.45KB\n", "Transfer/sec:      8.45KB\n\n200: 2788\n" + 20 * "line\n"),
)  # fmt: skip
PREFIXES = (
    "",
    "",
    "wrk-1  | ",
    "> ",
    "# ",
    "    ",
    "2026-11-20T05:49:{:02d}.123Z ",
    "[{:02d}:00] ",
    "x",
    "<b> ",
    "* wrk -R5 ",
)


def careful(text: str) -> list[Run]:
    return in_order(Scanner(fast=False), text)


def quickly(text: str) -> list[Run]:
    return in_order(Scanner(), text)


def in_order(scanner: Scanner, text: str) -> list[Run]:
    """By their lines: a run is given when its end is known, and one of another service may end between."""
    return sorted(scanner.feed(text, last=True), key=lambda run: run.lines or (0, 0))


def changed(random_: random.Random) -> str:
    """A report with some changes, every line behind one prefix, sometimes with another report's lines in between."""
    text = LATE
    for _ in range(random_.randint(0, 3)):
        old, new = random_.choice(CHANGES)
        text = text.replace(old, new, 1)
    return prefixed(text, random_.choice(PREFIXES))


def prefixed(text: str, prefix: str) -> str:
    return "".join(prefix.format(at) + line for at, line in enumerate(text.splitlines(keepends=True)))


@pytest.mark.parametrize("seed", range(40))
def test_changed_reports_are_read_as_line_by_line(seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(12):
        blocks = [changed(random_) for _ in range(random_.randint(1, 4))]
        between = [random_.choice(("", "\n", "some words\n" * random_.randint(1, 30))) for _ in blocks]
        text = "".join(block + after for block, after in zip(blocks, between, strict=True))
        assert quickly(text) == careful(text), text


@pytest.mark.parametrize(("old", "new"), CHANGES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_each_change_behind_each_prefix_is_read_as_line_by_line(old: str, new: str, prefix: str) -> None:
    one = prefixed(LATE.replace(old, new, 1), prefix)
    text = one + prefixed(LATE, prefix) + one
    assert quickly(text) == careful(text)


@given(st.lists(st.one_of(reports(), reports2()), min_size=1, max_size=3), st.sampled_from(PREFIXES))
@settings(max_examples=100)
def test_any_report_behind_a_prefix_is_read_as_line_by_line(printed: list[Report], prefix: str) -> None:
    text = "".join(prefixed(report.text(), prefix) for report in printed)
    assert quickly(text) == careful(text)


def test_interleaved_services_are_read_as_line_by_line() -> None:
    first, second = (prefixed(LATE, f"wrk-{at}  | ").splitlines(keepends=True) for at in (1, 2))
    text = (
        "".join(one + two for one, two in zip(first, second, strict=True)) + "".join(first) + "".join(second)
    )
    assert quickly(text) == careful(text)
    assert len(careful(text)) == 4


@pytest.mark.parametrize("change", [0, 1, 2, 6, 7, 10, 13])
def test_what_is_common_is_read_at_once(change: int) -> None:
    old, new = CHANGES[change]
    assert whole_report(LATE.replace(old, new, 1), 0, 1)
    assert prefixed_report(prefixed(LATE.replace(old, new, 1), "wrk-1  | "), 0, 1)
