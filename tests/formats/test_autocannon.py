"""autocannon: requests sent and answered, thousands, locales, and old keys."""

from __future__ import annotations

import json

import pytest

from headwind.formats import read_text
from headwind.run import Errors
from tests.formats.tool_text import codes, contradictions, fixture, only_run


def test_a_table_with_rounded_requests() -> None:
    run = only_run(fixture("autocannon/plain.txt"), "autocannon")
    assert (run.requests, run.requests_per_s, run.duration_s, run.connections) == (51_000, 51_152, 1.01, 4)
    assert (run.bytes_read, run.bytes_per_s, run.planned_duration_s) == (6_800_000, 6_810_000, 1)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.stdev_s, run.latency.max_s) == (1e-5, 1.1e-4, 0.007)
    assert codes(run) == {"requests_rounded", "rate_is_mean_of_samples", "whole_milliseconds"}


def test_the_tables_of_codes_and_percentiles_are_exact() -> None:
    run = only_run(fixture("autocannon/flaky-codes-percentiles.txt"), "autocannon")
    assert (run.requests, run.status_codes, run.pipeline) == (296, {"200": 196, "503": 100}, 2)
    assert run.errors == Errors(0, 0, 0, 0, 100)
    assert run.latency is not None
    assert run.latency.percentiles_s["99.9"] == 0.016
    assert "requests_rounded" not in codes(run)


def test_json_has_the_exact_counts() -> None:
    document = json.loads(fixture("autocannon/flaky.json"))
    run = only_run(fixture("autocannon/flaky.json"), "autocannon")
    assert (run.requests, run.url) == (2000, document["url"])
    assert run.started_at == document["start"]
    assert run.errors == Errors(0, 0, 0, 0, 667)
    assert run.latency is not None
    assert run.latency.percentiles_s["99"] == 0.002
    assert run.latency.min_s is None  # 1 ms is its smallest value that is not 0


def test_socket_errors_are_one_number_and_nothing_answered_means_no_latency() -> None:
    run = only_run(fixture("autocannon/refused.txt"), "autocannon")
    assert (run.requests, run.latency, run.errors) == (0, None, Errors(None, 22_000, None, 0, 0))
    assert "errors_not_split" in codes(run)


def test_the_answered_among_the_sent_are_unknown_when_some_failed() -> None:
    run = only_run(fixture("autocannon/time-outs.txt"), "autocannon")
    assert (run.requests, run.errors.timeout, run.threads) == (None, 4, 2)
    assert run.complete


def test_percentiles_of_the_first_versions() -> None:
    document = json.loads(fixture("autocannon/plain.json"))
    document["latency"] = {"average": 3, "stddev": 1, "min": 1, "max": 9, "p50": 2, "p999": 8, "p99999": 9}
    run = only_run(json.dumps(document), "autocannon")
    assert run.latency is not None
    assert run.latency.percentiles_s == {"50": 0.002, "99.9": 0.008, "99.999": 0.009}


@pytest.mark.parametrize(
    ("cell", "rate"),
    [
        ("13,366.5", 13366.5),
        ("13.366,5", 13366.5),
        ("13 366,5", 13366.5),
        ("7.415", 7415),
        ("1,13,366.5", 113_366.5),
        ("22758.55", 22758.55),
    ],
)
def test_numbers_of_other_locales(cell: str, rate: float) -> None:
    text = fixture("autocannon/plain.txt").replace("51,152 ", cell)
    assert only_run(text, "autocannon").requests_per_s == rate


def test_the_table_without_boxes_of_the_first_versions() -> None:
    text = (
        "Running 10s test @ http://localhost:3000\n10 connections\n\nStat         Avg      Stdev    Max\n"
        "Latency (ms) 3.11     2.5      55\nReq/Sec      3111.5   200.1    3300\n"
        "Bytes/Sec    1.2 MB   20 kB    1.3 MB\n\n31k requests in 10s, 12.1 MB read\n"
    )
    run = only_run(text, "autocannon")
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.max_s) == (0.00311, 0.055)
    assert (run.requests_per_s, run.requests, run.bytes_read) == (3111.5, 31_000, 12_100_000)


def test_the_first_versions_and_what_they_print_where_nothing_was_recorded() -> None:
    run = only_run(
        "Running 5s test @ http://localhost:3000\n4 connections\n\nStat         Avg     Stdev     Max\n"
        "Latency (ms) NaN     NaN       0\nReq/Sec      1000.5 98.21    1200\nBytes/Sec    2.5 MB 101.5 kB 2.75 MB\n\n"
        "0 2xx responses, 5002 non 2xx responses\n5k requests in 5s, 12.5 MB read\n",
        "autocannon",
    )
    assert (run.requests, run.requests_per_s, run.bytes_per_s) == (5002, 1000.5, 2_500_000)
    assert (run.latency, run.errors.status) == (None, 5002)
    assert "requests_rounded" not in codes(run)


def _markdown(text: str) -> str:
    lines = [line for line in text.split("\n") if "\u250c" not in line and "\u2514" not in line]
    return "\n".join(lines).translate(
        {ord("\u2502"): "|", ord("\u2500"): "-"} | dict.fromkeys(map(ord, "\u251c\u253c\u2524"), "|")
    )


@pytest.mark.parametrize(
    "page", ["cp437", "cp850", "cp866", "cp1251", "cp1252", "cp932", "latin-1", "?", "\ufffd\ufffd\ufffd"]
)
def test_boxes_in_a_wrong_code_page(page: str) -> None:
    text = fixture("autocannon/flaky-codes-percentiles.txt")
    if "c" in page or "-" in page:
        changed = text.encode().decode(page, errors="replace")
    else:
        changed = "".join(sign if sign.isascii() else page for sign in text)
    whole, run = only_run(text, "autocannon"), only_run(changed, "autocannon")
    assert run == whole


def test_boxes_of_ascii_and_of_markdown() -> None:
    text = fixture("autocannon/flaky-codes-percentiles.txt")
    plus = dict.fromkeys(map(ord, "\u250c\u252c\u2510\u251c\u253c\u2524\u2514\u2534\u2518"), "+")
    whole = only_run(text, "autocannon")
    assert only_run(text.translate(plus | {ord("\u2500"): "-", ord("\u2502"): "|"}), "autocannon") == whole
    run = only_run(_markdown(text), "autocannon")
    assert (run.latency and run.latency.mean_s, run.requests_per_s, run.duration_s) == (
        whole.latency and whole.latency.mean_s,
        whole.requests_per_s,
        whole.duration_s,
    )


def test_a_table_of_several_tests_is_nobodys_report() -> None:
    text = (
        "| Date | Stat | 2.5% | 50% | 97.5% | 99% | Avg | Stdev | Max |\n|---|---|---|---|---|---|---|---|---|\n"
        "| 1.8. | Latency | 1 ms | 2 ms | 3 ms | 4 ms | 2.5 ms | 1 ms | 9 ms |\n"
        "| 2.8. | Latency | 2 ms | 3 ms | 4 ms | 5 ms | 3.5 ms | 1 ms | 8 ms |\n\n"
        "| Date | Stat | 1% | 2.5% | 50% | 97.5% | Avg | Stdev | Min |\n|---|---|---|---|---|---|---|---|---|\n"
        "| 1.8. | Req/Sec | 1 | 2 | 3 | 4 | 3.5 | 1 | 1 |\n| 2.8. | Req/Sec | 1 | 2 | 3 | 4 | 2.5 | 1 | 1 |\n"
    )
    assert read_text(text, "test") == []


@pytest.mark.parametrize("version", ["1", "2"])
def test_percentiles_of_the_tables_without_boxes(version: str) -> None:
    text = (
        "Running 10s test @ http://localhost:3000\n10 connections\n\n"
        "Stat         Avg     Stdev   Max      \nLatency (ms) 0.33    1.15    31       \n"
        "Req/Sec      17352   2132.31 19687    \nBytes/Sec    2.42 MB 299 kB  2.75 MB  \n\n"
        "Percentile      Latency (ms)      \n50              0                 \n90              1                 \n"
        "99.9            10                \n99.999          31                \n\n"
        "12 2xx responses, 8 non 2xx responses\n20 requests in 10s, 24.2 MB read\n"
    )
    if version == "1":
        text = text.replace("12 2xx responses, 8 non 2xx responses\n", "")
    run = only_run(text, "autocannon")
    assert run.latency is not None
    assert run.latency.percentiles_s == {"50": 0.0, "90": 0.001, "99.9": 0.01, "99.999": 0.031}
    assert (run.requests, run.duration_s, run.complete) == (20, 10.0, True)
    cut = only_run(text[: text.index("99.999")], "autocannon")
    assert cut.latency is not None
    assert cut.latency.percentiles_s == {}


_PRINTED = """{
  title: undefined,
  url: 'http://127.0.0.1:3000',
  connections: 25,
  pipelining: 1,
  workers: undefined,
  duration: 160.13,
  start: 2023-10-31T22:00:53.600Z,
  errors: 216,
  timeouts: 216,
  non2xx: 3,
  '2xx': 719,
  '4xx': 1,
  '5xx': 2,
  statusCodeStats: { '200': { count: 719 }, '404': { count: 1 }, '503': { count: 2 } },
  latency: {
    average: 2489.13,
    stddev: 2073.29,
    min: 321,
    max: 9849,
    p50: 1621,
    p97_5: 9000
  },
  requests: { average: 4.5, total: 722, sent: 960 },
  throughput: { average: 1000, total: 160000 }
}
"""


def test_a_result_that_a_script_logged() -> None:
    run = only_run("Result: " + _PRINTED, "autocannon")
    assert (run.url, run.requests, run.requests_per_s, run.duration_s) == (
        "http://127.0.0.1:3000",
        722,
        4.5,
        160.13,
    )
    assert run.errors == Errors(0, 0, 0, 216, 3)
    assert run.status_codes == {"200": 719, "404": 1, "503": 2}
    assert run.latency is not None
    assert run.latency.percentiles_s == {"50": 1.621, "97.5": 9.0}
    assert run.started_at == "2023-10-31T22:00:53.600Z"


def test_a_logged_result_that_is_cut_says_no_more_than_is_there() -> None:
    whole = only_run(_PRINTED, "autocannon")
    for end in range(len(_PRINTED)):
        for run in read_text(_PRINTED[:end], "test"):
            assert run.tool == "autocannon"
            assert contradictions(run, whole) == []
