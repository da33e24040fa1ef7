"""For any report that wrk can print, in any noise: every value comes back within what it was printed to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.formats import read_text
from headwind.formats.text import decode
from headwind.formats.wrk import Scanner
from headwind.run import Latency, Run
from tests.formats.printer import Report, Report2, Row, metric, micros
from tests.formats.strategies import NOISE, reports, reports2

ANY_REPORT = st.one_of(reports(), reports2())


def half_a_digit(printed: str, *, step: float) -> float:
    """Half of the last printed digit, in the unit it is printed in, expressed in the base unit."""
    unit = printed.lstrip("0123456789.")
    factors = {
        "us": 1e-6,
        "ms": 1e-3,
        "s": 1.0,
        "m": 60.0,
        "": 1.0,
        "k": 1e3,
        "M": step**2,
        "G": step**3,
        "T": step**4,
    }
    if unit == "K":
        return 0.00501 * step
    return 0.00501 * factors[unit]


def assert_time(read_s: float | None, value_us: float) -> None:
    assert read_s == pytest.approx(value_us / 1e6, abs=half_a_digit(micros(value_us), step=1000), rel=1e-12)


def assert_row(latency: Latency | None, row: Row) -> None:
    assert latency is not None
    assert_time(latency.mean_s, row.mean)
    assert_time(latency.stdev_s, row.stdev)
    assert_time(latency.max_s, row.max)
    assert latency.within_stdev == pytest.approx(row.within_percent / 100, abs=0.0000501)


def is_nothing(row: Row, *, time: bool) -> bool:
    form = micros if time else metric
    return all(form(value).startswith("0.00") for value in (row.mean, row.stdev, row.max))


def assert_same(run: Run, report: Report) -> None:
    assert run.url == report.url
    assert run.complete
    assert not run.interrupted
    assert (run.threads, run.connections, run.requests) == (
        report.threads,
        report.connections,
        report.requests,
    )
    if report.duration_s < 51:
        assert run.planned_duration_s == report.duration_s
    else:
        assert run.planned_duration_s == pytest.approx(report.duration_s, abs=30.5)
    assert_time(run.duration_s, report.runtime_us)
    assert run.requests_per_s == pytest.approx(report.requests / (report.runtime_us / 1e6), abs=0.00501)
    assert run.bytes_read == pytest.approx(report.bytes_read, rel=0.0059, abs=0.0051)
    connect, read, write, timeout = report.errors
    assert (run.errors.connect, run.errors.read, run.errors.write) == (connect, read, write)
    assert (run.errors.timeout, run.errors.status) == (timeout, report.status)
    if not is_nothing(report.latency, time=True):
        assert_row(run.latency, report.latency)
    rate = run.thread_requests_per_s
    if not is_nothing(report.rate, time=False):
        assert rate is not None
        assert rate.mean == pytest.approx(
            report.rate.mean, abs=half_a_digit(metric(report.rate.mean), step=1000)
        )
    assert_percentiles(run, report)


def assert_percentiles(run: Run, report: Report) -> None:
    if isinstance(report, Report2):
        assert run.tool == "wrk2"
        tables = [(run.latency, report.ranks_us), (run.latency_from_send, report.uncorrected_us)]
    else:
        assert run.tool == "wrk"
        tables = [(run.latency, {float(rank): value for rank, value in report.percentiles_us.items()})]
    for latency, table in tables:
        found = dict(latency.percentiles_s) if latency else {}
        for rank, value in table.items():
            key = f"{rank:g}" if rank < 99.99 else f"{rank:.3f}".rstrip("0").rstrip(".")
            if key in found:
                assert_time(found[key], value)
            else:
                assert micros(value).startswith("0.00") or is_nothing(report.latency, time=True)
        assert len(found) <= len(table)


@given(st.lists(st.tuples(NOISE, ANY_REPORT), min_size=1, max_size=4), NOISE)
@settings(max_examples=200)
def test_every_value_comes_back_from_any_noise(parts: list[tuple[str, Report]], after: str) -> None:
    text = "".join(noise + report.text() for noise, report in parts) + after
    runs = read_text(text, "text")
    assert len(runs) == len(parts)
    for run, (_, report) in zip(runs, parts, strict=True):
        assert_same(run, report)
        first, last = run.lines or (0, 0)
        mine = text.splitlines()[first - 1 : last]
        assert mine[0].startswith("Running ")
        assert mine[-1].startswith("Transfer/sec")


PREFIXES = [
    "wrk-1  | ", "wrk-1  |", "> ", "> > ", "# ", "// ", " * ", ": ", "+", "│ ", "2024-05-01T10:00:00.123Z ",
    "bench\tRun wrk\t2024-05-01T10:00:00.1234567Z ", "[pod/wrk-x] ", "\t", "        ", "10:00:00 INFO - ",
    "    b_test.go:12: ",
    "May  1 10:00:00 host wrk[123]: ", "     7\t", "7:", "\x1b[36mwrk_1  |\x1b[0m ", "[36mwrk_1  |[0m ",
]  # fmt: skip


def surrounded(text: str, how: str) -> str:
    """The text as it looks when people paste it from somewhere."""
    lines = text.splitlines()
    match how:
        case "crlf":
            return text.replace("\n", "\r\n")
        case "tabs":
            return text.replace(" ", "\t")
        case "collapsed":
            return "\n".join(" ".join(line.split()) for line in lines) + "\n"
        case "nbsp":
            return text.replace(" ", "\u00a0")
        case "entities":
            return text.replace("&", "&amp;").replace(" ", "&nbsp;").replace("+", "&#43;")
        case "html":
            return "<pre>" + text.replace("&", "&amp;").replace("\n", "<br/>\n") + "</pre>\n"
        case "colours":
            return "".join(f"\x1b[32m{line}\x1b[0m\n" for line in lines)
        case "notebook":
            quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", '\\n",\n     "')
            return f'{{"text": ["{quoted}"]}}\n'
        case "json":
            quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return f'{{"stdout": "{quoted}"}}\n'
        case "hard breaks":
            return "".join(f"{line} \\\n" for line in lines)
        case "blank lines":
            return "".join(f"{line.strip()}\n\n" for line in lines)
        case "bom":
            return "\ufeff" + text
        case "table":
            rows = (line.replace("&", "&amp;") for line in lines)
            return "".join(f"<tr><td>7</td><td class='x'>{line}</td></tr>\n" for line in rows)
        case "recording":
            return "".join(json.dumps([0.5, "o", f"{line}\r\n"]) + "\n" for line in lines)
        case "json in json":
            return json.dumps(json.dumps({"out": text})) + "\n"
        case "repr":
            return repr(text.encode()) + "\n"
        case "one line":
            return " ".join(text.split()) + "\n"
        case "boxed":
            return "".join(f"| {line:<90} |\n" for line in lines)
        case "latex":
            return text.replace("%", "\\%") if "%7E" not in text else text
    return "".join(how + line + "\n" for line in lines)


SURROUNDINGS = [
    "crlf", "tabs", "collapsed", "nbsp", "entities", "html", "colours", "notebook", "json", "hard breaks",
    "blank lines", "bom", "table", "recording", "json in json", "repr", "one line", "boxed", "latex", *PREFIXES,
]  # fmt: skip


@pytest.mark.parametrize("how", SURROUNDINGS)
@given(report=ANY_REPORT)
@settings(max_examples=12)
def test_surroundings_change_nothing(how: str, report: Report) -> None:
    (run,) = read_text(surrounded(report.text(), how), "text")
    assert_same(run, report)


@given(
    report=ANY_REPORT, encoding=st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "latin-1"])
)
@settings(max_examples=30)
def test_encodings_change_nothing(report: Report, encoding: str) -> None:
    (run,) = read_text(decode(report.text().encode(encoding)), "text")
    assert_same(run, report)


@given(first=ANY_REPORT, second=ANY_REPORT, turns=st.lists(st.booleans(), min_size=80, max_size=80))
@settings(max_examples=30)
def test_services_whose_lines_alternate_come_apart(first: Report, second: Report, turns: list[bool]) -> None:
    second = replace(second, requests=first.requests + 1)
    waiting = [[f"wrk-1  | {line}\n" for line in first.text().splitlines()]]
    waiting.append([f"wrk-2  | {line}\n" for line in second.text().splitlines()])
    text = ""
    for turn in turns:
        if waiting[turn]:
            text += waiting[turn].pop(0)
    text += "".join(waiting[0] + waiting[1])
    runs = read_text(text, "text")
    assert len(runs) == 2
    if runs[0].requests != first.requests:
        runs.reverse()
    assert_same(runs[0], first)
    assert_same(runs[1], second)


def careful(text: str) -> list[Run]:
    return list(Scanner(fast=False).feed(text, last=True))


@given(st.lists(st.tuples(NOISE, ANY_REPORT), max_size=4), NOISE)
@settings(max_examples=200)
def test_the_fast_way_gives_what_the_careful_way_gives(parts: list[tuple[str, Report]], after: str) -> None:
    text = "".join(noise + report.text() for noise, report in parts) + after
    assert list(Scanner().feed(text, last=True)) == careful(text)


@given(
    st.lists(st.tuples(NOISE, ANY_REPORT), max_size=3), st.lists(st.integers(1, 60), min_size=1, max_size=60)
)
@settings(max_examples=120)
def test_chunks_change_nothing(parts: list[tuple[str, Report]], sizes: list[int]) -> None:
    text = "".join(noise + report.text() for noise, report in parts)
    lines = text.splitlines(keepends=True)
    scanner = Scanner()
    runs: list[Run] = []
    for size in sizes:
        chunk, lines = lines[:size], lines[size:]
        runs += scanner.feed("".join(chunk))
    runs += scanner.feed("".join(lines), last=True)
    assert runs == careful(text)
