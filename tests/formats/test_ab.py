"""ApacheBench: whole milliseconds, failures that are none, and tests that end early."""

from __future__ import annotations

import pytest

from headwind.run import Errors
from tests.formats.tool_text import codes, fixture, only_run, read_as, recognised


def test_a_plain_run() -> None:
    run = only_run(fixture("ab/plain.txt"), "ab")
    assert run.complete
    assert run.url is not None
    assert run.url.startswith("http://127.0.0.1:")
    assert run.url.endswith("/predict?x=1&y=2")
    assert (run.requests, run.connections, run.duration_s, run.requests_per_s) == (500, 10, 0.079, 6315.52)
    assert (run.bytes_read, run.bytes_per_s) == (64000, 808386.56)
    assert run.latency is not None
    assert (run.latency.min_s, run.latency.mean_s, run.latency.stdev_s, run.latency.max_s) == (
        *(0.001, 0.001, 0.0004),
        0.004,
    )
    assert run.latency.percentiles_s == {
        **{"50": 0.001, "66": 0.002, "75": 0.002, "80": 0.002, "90": 0.002, "95": 0.003, "98": 0.003},
        **{"99": 0.003, "100": 0.004},
    }
    assert run.errors == Errors(0, 0, 0, 0, 0)
    assert codes(run) == {"whole_milliseconds"}


def test_bodies_of_another_length_are_no_errors_but_a_warning() -> None:
    run = only_run(fixture("ab/length-differs.txt"), "ab")
    assert run.errors == Errors(0, 0, 0, 0, 0)
    assert "length_differs" in codes(run)


def test_non_2xx_responses_are_status_errors_with_a_warning_about_redirects() -> None:
    run = only_run(fixture("ab/non-2xx.txt"), "ab")
    assert run.errors.status == 100
    assert "non_2xx_includes_redirects" in codes(run)


def test_the_columns_of_ab_dash_s() -> None:
    run = only_run(fixture("ab/no-median.txt"), "ab")
    assert run.latency is not None
    assert (run.latency.min_s, run.latency.mean_s, run.latency.stdev_s, run.latency.max_s) == (
        *(0.052, 0.052),
        *(None, 0.053),
    )


def test_a_test_that_gave_up_tells_only_how_far_it_came() -> None:
    text = fixture("ab/time-out.txt") + "Total of 36 requests completed\n"
    run = only_run(text, "ab")
    assert (run.requests, run.complete, run.interrupted, run.requests_per_s) == (36, False, True, None)
    assert codes(run) == {"aborted"}


@pytest.mark.parametrize("name", ["ab/refused.txt", "ab/time-out.txt"])
def test_a_banner_without_results_is_no_run(name: str) -> None:
    assert recognised(fixture(name)) == {"ab"}
    assert read_as(fixture(name), "ab") == []


def test_failures_without_a_breakdown_have_no_kind() -> None:
    text = fixture("ab/plain.txt").replace("Failed requests:        0", "Failed requests:        7")
    run = only_run(text, "ab")
    assert (run.errors.connect, run.errors.read) == (None, None)
    assert run.requests is None  # answers that were not received are among those of the unknown kinds


FAILURES = "Failed requests:        9\n   (Connect: 0, Receive: 4, Length: 1, Exceptions: 4)\n"


def with_failures() -> str:
    return fixture("ab/plain.txt").replace("Failed requests:        0\n", FAILURES)


def test_answers_that_were_not_received_are_no_answers_wherever_the_text_is_cut() -> None:
    text = with_failures()
    assert only_run(text, "ab").requests == 496
    begin, end = text.index("Complete requests:"), text.index("Requests per second:")
    for length in range(begin, end):
        for run in read_as(text[:length], "ab"):
            assert run.requests in (None, 496), text[begin:length]


def test_failures_in_a_report_on_one_line_have_their_kinds() -> None:
    run = only_run(" ".join(with_failures().split()), "ab")
    assert (run.requests, run.errors.connect, run.errors.read) == (496, 0, 4)
    assert "length_differs" in codes(run)


def test_a_server_behind_tls_has_an_https_url() -> None:
    text = fixture("ab/plain.txt").replace(
        "Document Path:", "SSL/TLS Protocol:       TLSv1.3,TLS_AES_256_GCM_SHA384,2048,256\n\nDocument Path:"
    )
    url = only_run(text, "ab").url
    assert url is not None
    assert url.startswith("https://127.0.0.1:")


def test_tables_that_became_markdown_are_read() -> None:
    text = (
        "Complete requests:      40\nTime taken for tests:   2.000 seconds\nFailed requests:        0\n"
        "Total transferred:      800 bytes\nRequests per second:    20.00 [#/sec] (mean)\n\n"
        "Connection Times (ms)\n| | min | mean | [+/-sd] | median | max |\n| --- | --- | --- | --- | --- | --- |\n"
        "| Total: | 5 | 41 | 6.5 | 39 | 61 |\n\n"
        "Percentage of the requests served within a certain time (ms)\n| Part | Time |\n| --- | --- |\n"
        "| 50% | 39 |\n| 99% | 60 |\n\n"
    )
    run = only_run(text.replace("Complete", "Concurrency Level: 1\nComplete"), "ab")
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.stdev_s, run.latency.max_s) == (0.041, 0.0065, 0.061)
    assert run.latency.percentiles_s == {"50": 0.039, "99": 0.06}


def test_a_rate_moved_to_the_front_of_its_run_stays_with_it() -> None:
    run = only_run(
        "Requests per second:    20.00 [#/sec] (mean)\nConcurrency Level:      4\n"
        "Time taken for tests:   2.000 seconds\nComplete requests:      40\n",
        "ab",
    )
    assert (run.requests_per_s, run.requests, run.connections, run.complete) == (20.0, 40, 4, True)
