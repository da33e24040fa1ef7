"""vegeta: named columns of all versions, nanoseconds, and answers that never came."""

from __future__ import annotations

import json

import pytest

from headwind.run import Errors
from tests.formats.tool_text import codes, only_run, read_as

REPORT = """\
Requests      [total, rate, throughput]         6000, 100.01, 99.71
Duration      [total, attack, wait]             1m0.001s, 59.992s, 9ms
Latencies     [min, mean, 50, 90, 95, 99, max]  609.326\u00b5s, 66.243ms, 1.154ms, 1.566ms, 34.676ms, 2.178s, 1m2.74s
Bytes In      [total, mean]                     929228, 154.87
Bytes Out     [total, mean]                     0, 0.00
Success       [ratio]                           99.70%
Status Codes  [code:count]                      0:18  200:5980  500:2  \nError Set:
500 Internal Server Error
Get "https://cafe.test/tea": read tcp 10.0.0.1:55367->10.0.0.2:443: read: connection reset by peer
"""


def test_a_report_of_today() -> None:
    run = only_run(REPORT, "vegeta")
    assert (run.requests, run.requests_per_s, run.duration_s, run.bytes_read) == (
        6000,
        100.01,
        60.001,
        929228,
    )
    assert run.latency is not None
    assert (run.latency.min_s, run.latency.mean_s, run.latency.max_s) == (609.326e-6, 0.066243, 62.74)
    assert run.latency.percentiles_s == {"50": 0.001154, "90": 0.001566, "95": 0.034676, "99": 2.178}
    assert run.errors == Errors(connect=0, read=18, write=0, timeout=0, status=2)
    assert run.status_codes == {"200": 5980, "500": 2}
    assert run.lines == (1, 10)


def test_a_report_of_the_first_versions_has_other_columns() -> None:
    text = (
        "Requests\t[total, rate]\t\t\t300000, 10000.36\n"
        "Duration\t[total, attack, wait]\t29.99908055s, 29.9s, 166.049\u00b5s\n"
        "Latencies\t[mean, 50, 95, 99, max]\t193.004\u00b5s, 147.926\u00b5s, 438.727\u00b5s, 1.034802ms, 13.220574ms\n"
        "Success\t[ratio]\t100.00%\nStatus Codes\t[code:count]\t200:300000  \n"
    )
    run = only_run(text, "vegeta")
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.min_s) == (193.004e-6, None)
    assert set(run.latency.percentiles_s) == {"50", "95", "99"}
    assert run.complete


def test_two_lines_of_a_report_say_what_they_say() -> None:
    text = "```\nLatencies     [mean, 50, 95, 99, max]  5.42ms, 7.3ms, 20.6ms, 86.6ms, 250.6ms\n"
    text += "Success       [ratio]                  100.00%\n```\n"
    run = only_run(text, "vegeta")
    assert (run.requests, run.complete, run.errors) == (None, False, Errors())
    assert run.latency is not None
    assert run.latency.max_s == 0.2506


def test_values_wrapped_by_an_editor_are_read_on() -> None:
    text = REPORT.replace("1.154ms, 1.566ms", "1.154ms,\n       1.566ms").replace("  ", " ")
    assert only_run(text, "vegeta").latency == only_run(REPORT, "vegeta").latency


def test_lost_requests_with_several_messages_have_no_kind() -> None:
    text = REPORT + 'Get "https://cafe.test/tea": dial tcp 10.0.0.2:443: connect: connection refused\n'
    run = only_run(text, "vegeta")
    assert run.errors == Errors(connect=None, read=18, write=None, timeout=None, status=2)
    assert "errors_not_split" in codes(run)


def test_zeros_of_a_report_that_was_never_computed_are_no_figures() -> None:
    text = (
        "Requests      [total, rate, throughput]         480, 0.00, 0.00\n"
        "Duration      [total, attack, wait]             0s, 0s, 0s\n"
        "Latencies     [min, mean, 50, 90, 95, 99, max]  1.68ms, 0s, 0s, 0s, 0s, 0s, 3.393s\n"
        "Success       [ratio]                           0.00%\n"
        "Status Codes  [code:count]                      200:480\n"
    )
    run = only_run(text, "vegeta")
    assert (run.requests, run.requests_per_s, run.duration_s, run.complete) == (480, None, None, False)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.percentiles_s, run.latency.max_s) == (None, {}, 3.393)
    assert "nothing_computed" in codes(run)


def test_reports_inside_other_json_and_behind_log_prefixes_are_found() -> None:
    report = {
        "latencies": {
            "total": 9,
            "mean": 3_000_000,
            "50th": 2_000_000,
            "99th": 5_000_000,
            "max": 7_000_000,
            "min": 1,
        },
        "bytes_in": {"total": 12, "mean": 4},
        "earliest": "2024-11-26T00:26:05.016666748Z",
        "duration": 1_000_000_000,
        "wait": 500_000_000,
        "requests": 3,
        "rate": 3.0,
        "throughput": 2.0,
        "success": 1,
        "status_codes": {"200": 3},
        "errors": [],
    }
    nested = json.dumps({"metrics": {"read": report, "write": report}})
    for text, count in (
        (nested, 2),
        (f"run-benchmark:\t{json.dumps(report)}\n", 1),
        (f"{json.dumps(report)}\n" * 3, 3),
    ):
        runs = read_as(text, "vegeta")
        assert len(runs) == count
        assert {(run.requests, run.duration_s, run.started_at) for run in runs} == {
            (3, 1.5, "2024-11-26T00:26:05.016666748Z")
        }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("999ns", 999e-9),
        ("1h0m0.5s", 3600.5),
        ("2m0s", 120),
        ("1.5\u03bcs", 1.5e-6),
        ("77.5?s", 77.5e-6),
    ],
)
def test_durations_as_go_prints_them(text: str, seconds: float) -> None:
    run = only_run(f"Latencies [min, mean, max]  {text}, {text}, {text}\n", "vegeta")
    assert run.latency is not None
    assert run.latency.mean_s == pytest.approx(seconds, abs=1e-15)


@pytest.mark.parametrize(
    ("row", "size"),
    [("1,581,378, 8,785.43", 1_581_378), ("1581378, 8785.43", 1_581_378), ("1,581,378,8,785.43", None)],
)
def test_commas_between_thousands_never_give_the_first_group_alone(row: str, size: int | None) -> None:
    run = only_run(REPORT.replace("929228, 154.87", row), "vegeta")
    assert (run.bytes_read, run.requests) == (size, 6000)


def test_a_row_cut_behind_a_comma_of_its_thousands_says_nothing() -> None:
    text = REPORT.replace("929228, 154.87", "1,581,378, 8,785.43")
    for end in range(text.index("1,581") + 1, text.index("8,785")):
        run = only_run(text[:end], "vegeta")
        assert run.bytes_read in (None, 1_581_378)
