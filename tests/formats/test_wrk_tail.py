"""What is left of a report when its beginning was cut off: a tail, a scrollback that was too short."""

from __future__ import annotations

from headwind.formats import read_text
from headwind.run import Latency, Run

TAIL = """\
  Latency Distribution
     50%    4.37ms
     75%    7.99ms
     90%   11.65ms
     99%   27.13ms
  4042451 requests in 30.07s, 801.88MB read
Requests/sec: 134442.12
Transfer/sec:     26.67MB
"""
TAIL2 = """\
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    1.09ms
 99.000%    2.02ms
100.000%    2.64ms

  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       2.635     1.000000         9992          inf
#[Mean    =        1.101, StdDeviation   =        0.499]
#[Max     =        2.634, Total count    =         9992]
#[Buckets =           27, SubBuckets     =         2048]
----------------------------------------------------------
  9994 requests in 10.00s, 1.39MB read
Requests/sec:    999.35
Transfer/sec:    142.50KB
"""
COMMAND = "$ wrk -t9 -c1000 {}-d30s {}\n"
RUN = """\
Running 30s test @ http://goapi:8000/converter/
  9 threads and 1000 connections
  Thread calibration: mean lat.: 1807.231ms, rate sampling interval: 6574ms
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.72s     2.99s   19.94s    67.39%
    Req/Sec     0.99k   116.61     1.22k    68.42%
  245135 requests in 29.99s, 46.76MB read
"""


def only(text: str) -> Run:
    (run,) = read_text(text, "text")
    return run


def test_percentiles_and_totals_are_a_run() -> None:
    run = only(TAIL)
    assert (run.tool, run.url, run.requests, run.requests_per_s) == ("wrk", None, 4042451, 134442.12)
    assert run.latency == Latency(percentiles_s={"50": 0.00437, "75": 0.00799, "90": 0.01165, "99": 0.02713})
    assert {warning.code for warning in run.warnings} == {"header_missing", "cut"}


def test_a_table_alone_and_totals_alone_are_none() -> None:
    table, totals = TAIL.split("  4042451")
    assert read_text(table, "text", tool="wrk") == []
    assert read_text("  4042451" + totals, "text", tool="wrk") == []
    assert read_text(TAIL2.split("  9994")[0], "text", tool="wrk") == []


def test_what_stands_below_the_spectrum_is_mean_deviation_and_maximum_where_the_row_was_left_out() -> None:
    header = "Running 10s test @ http://h/\n  2 threads and 100 connections\n"
    for text in (TAIL2, TAIL2.replace("#[", "["), TAIL2.replace("\n", "\n\n")):
        run = only(header + text)
        assert (run.tool, run.requests) == ("wrk2", 9994)
        assert run.latency == Latency(
            mean_s=0.001101,
            stdev_s=0.000499,
            max_s=0.002634,
            percentiles_s={"50": 0.00109, "99": 0.00202, "100": 0.00264},
        )


def test_below_a_spectrum_without_its_title_they_may_be_of_either_table() -> None:
    run = only(TAIL2[TAIL2.index("#[Mean") :])
    assert (run.tool, run.requests, run.latency) == ("wrk2", 9994, None)
    latency = only(TAIL2).latency
    assert latency is not None
    assert (latency.mean_s, latency.percentiles_s["99"]) == (None, 0.00202)


def test_nan_below_a_spectrum_is_nothing() -> None:
    text = TAIL2.replace("1.101", " -nan").replace("0.499", " -nan").replace("2.634", "0.000")
    for value in ("1.09ms", "2.02ms", "2.64ms"):
        text = text.replace(value, "0.00us")
    assert only(text).latency is None


def test_a_command_without_its_url_counts_where_it_asks_for_the_same_load() -> None:
    for url in ("", "$URL", "http://goapi:8000/converter/"):
        assert only(COMMAND.format("-R13000 ", url) + RUN).rate_target_per_s == 13000.0
    for other in (COMMAND.replace("-t9", "-t8"), COMMAND.replace("-t9 ", "")):
        assert only(other.format("-R13000 ", "") + RUN).rate_target_per_s is None
    assert only(COMMAND.format("-R13000 ", "http://other/") + RUN).rate_target_per_s is None


def test_a_command_that_asks_for_another_duration_is_another_runs() -> None:
    url = "http://goapi:8000/converter/"
    for duration, same in (("30s", True), ("30", True), ("10s", False), ("1m", False), ("31", False)):
        command = f"$ wrk -t9 -c1000 -d{duration} --timeout 5s -R13000 {url}\n"
        run = only(command + RUN)
        assert run.rate_target_per_s == (13000.0 if same else None), duration
    for duration, same in (("60s", True), ("1m", True), ("51", True), ("89s", True), ("100s", False)):
        text = f"$ wrk -t9 -c1000 -d {duration} -R13000 {url}\n" + RUN.replace("30s test", "1m test")
        assert only(text).rate_target_per_s == (13000.0 if same else None), duration
