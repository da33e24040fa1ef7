"""What people did to reports before publishing them, and what old versions printed: never a wrong number."""

from __future__ import annotations

import pytest

from headwind.formats import read_text
from headwind.formats.causes import cause
from headwind.run import Errors
from tests.formats.test_wrk import SATURATED
from tests.formats.tool_text import only_run


@pytest.mark.parametrize("sign", [" ", "\u00a0", "\u202f", "'", "\u2019"])
def test_thousands_apart_never_give_the_last_group_alone(sign: str) -> None:
    (run,) = read_text(SATURATED.replace("  2788 requests", f"  1{sign}002{sign}788 requests"), "test")
    assert run.requests is None
    assert run.requests_per_s == 61.82


def test_figures_in_bold_are_read() -> None:
    text = SATURATED.replace("2788 requests", "**2788** requests").replace("timeout 613", "timeout **613**")
    (run,) = read_text(text, "test")
    assert (run.requests, run.errors.timeout) == (2788, 613)


@pytest.mark.parametrize(
    "text",
    [
        "it prints Running 30s test @ http://foo/ and then waits",
        "Running 30s test @ home is fun.",
        'echo "Running 30s test @ $URL" | tee log\nwrk -t2 -c10 "$URL"\n  echo "2 threads and 10 connections"',
        "Making 1000 requests to https://example.com with 10 workers\nRequests/sec: 55.3\n",
        "Disk Latency 1.00ms 0.50ms 10.00ms 90.00%",
        "ping: Latency 1.0ms 2.0ms 3.0ms 0% loss",
    ],
)
def test_sentences_and_scripts_that_name_wrks_lines_are_no_runs(text: str) -> None:
    assert read_text(text, "test") == []


def test_a_sentence_before_a_report_that_says_its_numbers_is_no_run() -> None:
    before = "We got Requests/sec: 61.82 and\nLatency     1.46s   309.13ms   2.00s    71.26%\nsee below.\n\n"
    assert len(read_text(before + SATURATED, "test")) == 1


def test_a_header_wrapped_before_its_url_keeps_it() -> None:
    (run,) = read_text(SATURATED.replace("test @ ", "test @\n"), "test")
    assert run.url == "http://localhost:8000/v1/prediction"


def test_a_number_that_begins_the_text_may_lack_digits() -> None:
    (run,) = read_text(SATURATED[SATURATED.index("4 threads") :], "test")
    assert run.threads is None


def test_a_row_of_zeros_cut_in_the_middle_is_no_latency_of_zero() -> None:
    head = (
        "Running 5s test @ http://h/\n  1 threads and 1 connections\n"
        "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n"
    )
    row = "    Latency     0.00us    0.00us   0.00us    -nan%\n"
    for end in range(1, len(row)):
        for run in read_text(head + row[:end], "test"):
            assert run.latency is None


def test_a_run_shorter_than_its_slowest_answer_keeps_what_was_printed_and_warns() -> None:
    (run,) = read_text(SATURATED.replace("45.10s", "1.25ms"), "test")
    assert (run.duration_s, run.requests_per_s) == (0.00125, 61.82)
    assert "slower_than_run" in {warning.code for warning in run.warnings}


@pytest.mark.parametrize("mark", ["@@ -1,9 +1,9 @@", "```diff"])
def test_the_two_sides_of_a_diff_are_two_runs(mark: str) -> None:
    other = SATURATED.replace("2788", "9788").replace("61.82", "217.03").replace("1.46s", "0.46s")
    lines = [f"-{line}\n" for line in SATURATED.splitlines()] + [f"+{line}\n" for line in other.splitlines()]
    first, second = read_text(f"{mark}\n{''.join(lines)}", "test")
    assert (first.requests, second.requests) == (2788, 9788)
    assert first.latency
    assert second.latency
    assert (first.latency.mean_s, second.latency.mean_s) == (1.46, 0.46)


def test_locusts_total_before_013_had_no_times() -> None:
    rule = "-" * 120
    text = (
        " Name                          # reqs      # fails     Avg     Min     Max  |  Median   req/s\n"
        f"{rule}\n POST /someurl              549     0(0.00%)      43      27     103  |      44   40.90\n{rule}\n"
        " Total                         549     0(0.00%)                                      40.90\n\n"
    )
    run = only_run(text, "locust")
    assert (run.requests, run.requests_per_s, run.errors) == (549, 40.9, Errors(0, 0, 0, 0, 0))
    assert run.latency is None


def test_h2loads_done_counts_streams_without_an_answer() -> None:
    text = (
        "finished in 4.65s, 5956.86 req/s, 30.54MB/s\n"
        "requests: 200000 total, 27826 started, 200000 done, 27726 succeeded, 172274 failed, 172274 errored, "
        "0 timeout\n"
        "status codes: 27726 2xx, 0 3xx, 0 4xx, 0 5xx\n"
    )
    run = only_run(text, "h2load")
    assert (run.requests, run.errors.read) == (27726, 172274)


def test_abs_complete_requests_count_those_not_received() -> None:
    text = (
        "Concurrency Level:      5\nTime taken for tests:   0.010 seconds\nComplete requests:      50\n"
        "Failed requests:        75\n   (Connect: 0, Receive: 50, Length: 0, Exceptions: 25)\n"
        "Total transferred:      0 bytes\nRequests per second:    5000.00 [#/sec] (mean)\n"
    )
    run = only_run(text, "ab")
    assert (run.requests, run.errors.read, run.tried()) == (0, 50, 50)


def test_vegeta_before_6_printed_no_rate_and_is_not_cut() -> None:
    text = (
        "Requests      [total]        1200\nDuration      [total]        10.09s\n"
        "Latencies     [mean, 50, 95, 99, max]  113.172398ms, 108.2ms, 140.1ms, 247.7ms, 264.8ms\n"
        "Bytes In      [total, mean]  3714690, 3095.57\nSuccess       [ratio]        100.00%\n"
        "Status Codes  [code:count]   200:1200\nError Set:\n\n"
    )
    run = only_run(text, "vegeta")
    assert (run.requests, run.requests_per_s, run.complete) == (1200, None, False)
    assert "cut" not in {warning.code for warning in run.warnings}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('Get "https://tls.example.com/certificate/1": context deadline exceeded', "timeout"),
        ('Get "http://h/timeout?x=1": EOF', "read"),
        ('Post "http://h/write": EOF', "read"),
        ("error sending request for url (https://h/dns/): operation timed out", "timeout"),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "connect"),
    ],
)
def test_the_words_of_an_address_say_nothing_of_an_error(message: str, kind: str) -> None:
    assert cause(message) == kind


def test_fortios_json_with_comments_and_a_last_comma_is_read() -> None:
    text = (
        '{  // one run\n  "RunType": "HTTP", "ActualQPS": 99.5, // per second\n  "ActualDuration": 10000000000,\n'
        '  "NumThreads": 4, "URL": "http://localhost:8080/echo",\n'
        '  "DurationHistogram": {"Count": 995, "Min": 0.001, "Max": 0.02, "Sum": 2.0, "Avg": 0.002, "StdDev": 0.001,\n'
        '    "Percentiles": [{"Percentile": 50, "Value": 0.002},],},\n  "RetCodes": {"200": 995},\n}\n'
    )
    run = only_run(text, "fortio")
    assert (run.requests, run.requests_per_s, run.url) == (995, 99.5, "http://localhost:8080/echo")


@pytest.mark.parametrize(
    ("tool", "whole"), [("oha", "  99.00% in 3.0201 ms"), ("bombardier", "     99%     6.10ms")]
)
def test_a_unit_cut_to_an_m_is_no_minute(tool: str, whole: str) -> None:
    head = {
        "oha": "Summary:\n  Success rate:\t100.00%\n  Total:\t10.0 secs\n  Requests/sec:\t100.0\n\n"
        "Response time distribution:\n",
        "bombardier": "Bombarding http://h/ for 10s using 1 connection(s)\n"
        "Statistics        Avg      Stdev        Max\n"
        "  Reqs/sec      9251.21     123.00   10000.00\n  Latency        1.35ms     1.10ms    98.12ms\n"
        "  Latency Distribution\n",
    }[tool]
    for text in (head + whole[:-1], head + whole[:-1] + "s"):
        for run in read_text(text, "test"):
            assert run.latency is None or all(value < 1 for value in run.latency.percentiles_s.values())


def test_a_count_that_no_counter_holds_is_left_out() -> None:
    text = (
        "Concurrency Level:      5\nTime taken for tests:   0.010 seconds\n"
        f"Complete requests:      {'9' * 20}\n"
        "Failed requests:        0\nRequests per second:    5000.00 [#/sec] (mean)\n"
    )
    run = only_run(text, "ab")
    assert (run.requests, run.complete) == (None, False)


def test_bombardier_with_nothing_but_refused_connections_has_no_latency() -> None:
    text = (
        "Bombarding http://127.0.0.1:1 with 20000 request(s) using 5 connection(s)\n"
        "Statistics        Avg      Stdev        Max\n  Reqs/sec     20000.00     100.00   21000.00\n"
        "  Latency      200.00us    20.00us     5.00ms\n  HTTP codes:\n"
        "    1xx - 0, 2xx - 0, 3xx - 0, 4xx - 0, 5xx - 0\n    others - 20000\n  Errors:\n"
        "    dial tcp 127.0.0.1:1: connect: connection refused - 20000\n  Throughput:   0.00MB/s\n"
    )
    run = only_run(text, "bombardier")
    assert (run.requests, run.latency, run.errors.connect) == (0, None, 20000)
    assert "unanswered_in_latency" in {warning.code for warning in run.warnings}


def test_autocannon_cut_behind_its_connections_is_no_wrk() -> None:
    text = '{"stdout": "Running 10s test @ http://localhost:3000\\n100 connections with 10 pipelining factor\\n\\n'
    assert all(run.tool == "autocannon" for run in read_text(text, "test"))


def test_k6s_failures_that_contradict_their_share_are_left_out() -> None:
    text = (
        '{"metrics": {"http_reqs": {"count": 2940, "rate": 97.8}, "http_req_duration": {"avg": 1, "max": 2},'
        ' "http_req_failed": {"passes": 2934, "fails": 6, "value": 0.002}}}'
    )
    run = only_run(text, "k6")
    assert run.errors.status is None
    assert "contradiction" in {warning.code for warning in run.warnings}


@pytest.mark.parametrize("form", ["{:<90}| {}", "{}\t{}", "| {} | {} |", "{:<100}{}"])
def test_two_reports_beside_one_another_are_two_runs(form: str) -> None:
    other = SATURATED.replace("2788", "9788").replace("61.82", "217.03").replace("1.46s", "0.46s")
    lines = zip(SATURATED.splitlines(), other.splitlines(), strict=True)
    found = read_text("\n".join(form.format(left, right) for left, right in lines) + "\n", "test")
    assert [(run.requests, run.requests_per_s) for run in found] == [(2788, 61.82), (9788, 217.03)]
    assert [run.latency.mean_s for run in found if run.latency] == [1.46, 0.46]


def test_a_log_cut_inside_its_first_prefix_is_one_run() -> None:
    text = "".join(f"wrk-1  | {line}\n" for line in SATURATED.splitlines())
    for at in range(len("wrk-1  | ") + 1):
        (run,) = read_text(text[at:], "test")
        assert (run.url, run.connections, run.requests) == ("http://localhost:8000/v1/prediction", 200, 2788)


def test_h2loads_newer_row_without_its_heading_keeps_its_columns_apart() -> None:
    text = (
        "finished in 2.00s, 308330.00 req/s, 36.18MB/s\n"
        "requests: 616660 total, 616664 started, 616660 done, 616660 succeeded, 0 failed, 0 errored, 0 timeout\n"
        "request     :        7us       461us        10us        15us        20us        11us         3us    93.62%\n"
    )
    latency = only_run(text, "h2load").latency
    assert latency is not None
    assert (latency.mean_s, latency.stdev_s, latency.max_s) == (11e-6, 3e-6, 461e-6)
    assert latency.percentiles_s == {"50": 10e-6, "95": 15e-6, "99": 20e-6}


_H2LOAD = (
    "finished in 2.31ms, 432.53 req/s, 21.54KB/s\n"
    "requests: 1 total, 1 started, 1 done, 1 succeeded, 0 failed, 0 errored, 0 timeout\n"
    "status codes: 1 2xx, 0 3xx, 0 4xx, 0 5xx\ntraffic: 51B (51) total, 6B (6) headers, 18B (18) data\n"
)


def test_a_part_of_a_report_below_it_is_no_run_of_its_own() -> None:
    below = "\nwhich says that it was done:\n" + "\n".join(_H2LOAD.split("\n")[:2]) + "\n"
    assert len(read_text(_H2LOAD + below, "test")) == 1
    assert len(read_text(_H2LOAD + below.replace("2.31ms", "2.33ms"), "test")) == 2
    assert len(read_text(_H2LOAD + "\n" + _H2LOAD, "test")) == 2


def test_a_count_at_the_same_planned_rate_is_another_test() -> None:
    whole = (
        "Requests      [total, rate, throughput]  6000, 100.02, 99.71\n"
        "Duration      [total, attack, wait]      1m0.001s, 59.992s, 9ms\n"
        "Status Codes  [code:count]               200:6000\nError Set:\n\n"
    )
    assert len(read_text(whole + "second test:\n" + whole.split("\n")[0] + "\n", "test")) == 2


@pytest.mark.parametrize("query", ["a=1&copy=2&reg=3;x", "lt=1&region=2&order=3;", "a=1&times=2;b&para=3;c"])
def test_parameters_that_begin_like_entities_stay_as_they_are(query: str) -> None:
    url = f"http://h/v1?{query}"
    (run,) = read_text(SATURATED.replace("http://localhost:8000/v1/prediction", url), "test")
    assert run.url == url
    (escaped,) = read_text(
        SATURATED.replace("http://localhost:8000/v1/prediction", "http://h/?a=1&amp;copy=2&#38;c=3"), "test"
    )
    assert escaped.url == "http://h/?a=1&copy=2&c=3"


@pytest.mark.parametrize("prefix", ["{:6} | ", "{}. | ", "{}ms | ", "{}37ms | ", "abc{:05}12 | ", "{}.5s | "])
def test_what_counts_from_line_to_line_before_a_bar_is_no_service(prefix: str) -> None:
    (expected,) = read_text(SATURATED, "test")
    lines = SATURATED.splitlines()
    (run,) = read_text("".join(f"{prefix.format(at)}{line}\n" for at, line in enumerate(lines, 1)), "test")
    assert run == expected
