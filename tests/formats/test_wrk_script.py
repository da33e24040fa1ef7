"""Lines that a script prints in wrk's words while the load runs, before wrk's own."""

from __future__ import annotations

import pytest

from headwind.formats import read_text
from headwind.formats.wrk import Scanner
from headwind.run import Run
from tests.formats.printer import Report, Row

REPORT = Report(
    url="http://localhost:8080/flights",
    duration_s=30,
    threads=4,
    connections=64,
    latency=Row(7311.0, 2200.0, 41_000.0, 77.5),
    rate=Row(2110.0, 150.0, 2600.0, 81.25),
    requests=251_730,
    runtime_us=30_040_000,
    bytes_read=41_283_720,
    percentiles_us={50: 6900.0, 75: 8200.0, 90: 9900.0, 99: 17_300.0},
    errors=(0, 4, 0, 9),
).text()
HEADER, STATISTICS = REPORT.split("  Thread Stats")
STATISTICS = "  Thread Stats" + STATISTICS
TOTALS = "{0}00 requests in {0}.00s, {0}.50MB read\nRequests/sec: 100.{0:02}\nTransfer/sec: 0.{0:02}MB\n"


def figures(run: Run) -> tuple[object, ...]:
    """All that a run says, but for the lines it stands on."""
    return {**run.to_json(), "lines": None}, {warning.code for warning in run.warnings}


def assert_is_the_report(text: str) -> None:
    (expected,) = read_text(REPORT, "text")
    (run,) = read_text(text, "text")
    assert figures(run) == figures(expected)


@pytest.mark.parametrize(
    "line",
    [
        "Requests/sec: 12.00",
        "[progress] Requests/sec:     12.00",
        "12 requests in 3.00s, 1.00MB read",
        "Transfer/sec: 12.00MB",
        "Non-2xx or 3xx responses: 12",
        "Socket errors: connect 1, read 0, write 0, timeout 5",
        "Latency 1.00ms 2.00ms 3.00ms 50.00%",
        "Latency Distribution\n 50% 1.00ms\n 99% 2.00ms",
        TOTALS.format(3).rstrip(),
    ],
)
def test_what_stands_before_the_statistics_is_the_scripts(line: str) -> None:
    assert_is_the_report(f"{HEADER}{line}\n{STATISTICS}")
    assert_is_the_report(f"{HEADER}{line}\n{'tick' * 3}\n\n{STATISTICS}")


@pytest.mark.parametrize("between", ["", "a line of its own\n", 7 * "a line\n"])
def test_progress_however_often_begins_no_second_run(between: str) -> None:
    rates = "".join(f"[{second}s] Requests/sec: {second}.00\n{between}" for second in range(1, 30))
    assert_is_the_report(HEADER + rates + STATISTICS)
    totals = "".join(TOTALS.format(second) + between for second in range(1, 30))
    assert_is_the_report(HEADER + totals + STATISTICS)
    assert_is_the_report(HEADER + "Requests/sec: 12.00\n" + 40 * "a line\n" + STATISTICS)


def test_socket_errors_without_their_kinds_are_a_scripts() -> None:
    line = "  Socket errors: connect 0, read 4, write 0, timeout 9\n"
    assert_is_the_report(REPORT.replace(line, "Socket errors: none\n" + line))


def test_progress_before_the_calibration_leaves_the_run_wrk2s() -> None:
    calibration = "  Thread calibration: mean lat.: 1.184ms, rate sampling interval: 10ms\n"
    (expected,) = read_text(HEADER + 4 * calibration + STATISTICS, "text")
    for times in (1, 9, 30):
        progress = "".join(f"[{second}s] Requests/sec: {second}.00\n" for second in range(1, times + 1))
        for after in ("", progress):
            (run,) = read_text(HEADER + progress + 4 * calibration + after + STATISTICS, "text")
            assert (run.tool, figures(run)) == ("wrk2", figures(expected))


FORK = """\
Running 2s test @ http://localhost:8080
  1 threads and 1 connections
  9200 requests in 2.01s, 1.02MB read
Requests/sec:   4577.11
Transfer/sec:    519.64KB

Thread Stats         Avg       Stdev         Min         Max    +/- Stdev
     Latency:     153.80us    227.98us     94.00us      5.12ms   97.91%
     Req/sec:       4.62k       2.15k      49.00        7.25k    90.91%
"""


def test_a_fork_that_prints_the_totals_first_keeps_them() -> None:
    (run,) = read_text(FORK, "text")
    assert (run.requests, run.requests_per_s, run.complete) == (9200, 4577.11, True)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.max_s) == (0.0001538, 0.00512)
    assert [run.requests for run in read_text(FORK + "$ ./wrk again\n" + FORK, "text")] == [9200, 9200]


def test_the_last_totals_of_a_script_give_way_to_wrks() -> None:
    for seconds in ("30.00s", "29.90s"):
        last = f"251000 requests in {seconds}, 39.00MB read\nRequests/sec: 8366.67\nTransfer/sec: 1.30MB\n"
        assert_is_the_report(HEADER + last + STATISTICS)
        assert_is_the_report(HEADER + TOTALS.format(2) + TOTALS.format(9) + last + STATISTICS)
        assert_is_the_report(HEADER + "Requests/sec: 3.00\n" + last + STATISTICS)


def test_progress_alone_is_no_result_of_the_run_it_stands_in() -> None:
    rates = "".join(f"[{second}s] Requests/sec: {second}.00\n" for second in range(1, 9))
    for text in (HEADER + rates, HEADER + rates + "^C\n", HEADER + rates + 30 * "a line\n"):
        (run,) = read_text(text, "text")
        assert (run.url, run.requests_per_s, run.complete) == ("http://localhost:8080/flights", None, False)


def test_every_cut_of_a_run_with_progress_says_only_what_the_whole_one_says() -> None:
    text = HEADER + "".join(TOTALS.format(second) for second in range(1, 6)) + STATISTICS
    second_block = text.index("200 requests") + len("200 requests in 2.00s, 2.50MB read\n")
    for at in range(second_block, len(text)):
        (run,) = read_text(text[:at], "text")
        assert run.requests in (None, 251_730), at
        assert run.errors.timeout in (None, 9), at
        assert run.duration_s in (None, 30.04), at


def test_totals_whose_statistics_were_left_out_stay_a_run_before_other_statistics() -> None:
    end = REPORT[REPORT.index("  251730 requests") :]
    other = STATISTICS.replace("251730 requests", "251000 requests")
    first, second = read_text(HEADER + end + 20 * "a line\n" + other, "text")
    assert (first.requests, first.url, second.requests, second.url) == (
        251_730,
        "http://localhost:8080/flights",
        251_000,
        None,
    )


def test_a_report_without_its_beginning_keeps_its_totals_from_the_next_statistics() -> None:
    tail = REPORT[REPORT.index("  Latency Distribution") :]
    first, second = read_text(tail + STATISTICS.replace("251730 requests", "251000 requests"), "text")
    assert (first.requests, first.requests_per_s, second.requests) == (251_730, 8379.83, 251_000)


def test_progress_of_many_runs_is_read_alike_in_pieces() -> None:
    rates = "".join(f"[{second}s] Requests/sec: {second}.00\n" for second in range(1, 30))
    text = 20 * (HEADER + rates + STATISTICS + 30 * "a line\n")
    whole = read_text(text, "text")
    assert len(whole) == 20
    lines = text.splitlines(keepends=True)
    for size in (1, 7, 41):
        scanner = Scanner()
        found: list[Run] = []
        for start in range(0, len(lines), size):
            found += scanner.feed("".join(lines[start : start + size]))
        assert [*found, *scanner.feed("", last=True)] == whole


def collapsed(prefix: str, requests: int) -> str:
    """The report with one space where wrk has several, and a prefix before each line."""
    text = REPORT.replace("251730 requests", f"{requests} requests")
    text = text.replace("8379.83", f"{requests / 30.04:.2f}")
    return "".join(f"{prefix}{' '.join(line.split())}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    "prefix",
    [
        "10:11:12 ",
        "1714550000.123 ",
        "1714550000 ",
        "2026-04-05 ",
        "12 ",
        "Nov 20 ",
        "20/11/26 10:11:12,345 ",
    ],
)
@pytest.mark.parametrize("requests", [7, 78, 278, 999, 1278, 251_730])
def test_the_end_of_a_prefix_is_no_group_of_thousands(prefix: str, requests: int) -> None:
    (run,) = read_text(collapsed(prefix, requests), "text")
    assert (run.requests, run.duration_s, run.complete) == (requests, 30.04, True)
    assert run.bytes_read is not None


@pytest.mark.parametrize("sign", [" ", "'", "\u2019"])
def test_the_rate_proves_groups_of_thousands(sign: str) -> None:
    text = REPORT.replace("251730 requests", f"251{sign}730 requests")
    (run,) = read_text(text, "text")
    assert run.requests == 251_730
    (run,) = read_text(text.replace("Requests/sec:   8379.83\n", ""), "text")
    assert (run.requests, run.duration_s) == (None, 30.04)
    (run,) = read_text(text.replace("8379.83", "8000.00"), "text")
    assert (run.requests, run.requests_per_s) == (None, 8000.0)
