"""bombardier: rates of samples, errors among the others, and what it could not compute."""

from __future__ import annotations

from headwind.run import Errors
from tests.formats.tool_text import codes, only_run, recognised

RUN = """\
Bombarding http://127.0.0.1:5000 with 10000000 requests using 125 connections
 10000000 / 10000000 [============================================] 100.00% 37s Done!
Statistics        Avg      Stdev        Max
  Reqs/sec    264560.00   10733.06     268434
  Latency      471.00us   522.34us      1.17m
  HTTP codes:
    1xx - 0, 2xx - 9999000, 3xx - 0, 4xx - 0, 5xx - 990
    others - 10
  Errors:
    dialing to the given TCP address timed out - 7
    the server closed connection before returning the first response byte - 3
  Throughput:   292.92MB/s
"""


def test_a_run_of_a_number_of_requests() -> None:
    run = only_run(RUN, "bombardier")
    assert (run.requests, run.connections, run.planned_duration_s) == (9_999_990, 125, None)
    assert (run.requests_per_s, run.bytes_per_s, run.duration_s) == (264_560, None, None)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.max_s, run.latency.percentiles_s) == (471e-6, 70.2, {})
    assert run.errors == Errors(connect=7, read=3, write=0, timeout=0, status=990)


def test_others_without_a_message_are_requests_without_an_answer() -> None:
    text = RUN.replace("others - 10", "others - 25")
    run = only_run(text, "bombardier")
    assert run.errors.read == 3 + 15
    assert "errors_unclassified" in codes(run)


def test_nothing_to_compute_from_is_null() -> None:
    text = (
        "Bombarding http://127.0.0.1:1 for 10s using 1 connection(s)\nDone!\n"
        "Statistics        Avg      Stdev        Max\n"
        "  There wasn't enough data to compute statistics for requests.\n"
        "  There wasn't enough data to compute statistics for latencies.\n  HTTP codes:\n"
        "    1xx - 0, 2xx - 0, 3xx - 0, 4xx - 0, 5xx - 0\n    others - 0\n  Throughput:         0B/s\n"
    )
    run = only_run(text, "bombardier")
    assert (run.latency, run.requests_per_s, run.planned_duration_s) == (None, None, 10)


def test_a_report_with_collapsed_spaces_is_bombardiers_and_not_wrks() -> None:
    text = "\n".join(" ".join(line.split()) for line in RUN.splitlines())
    assert recognised(text) == {"bombardier"}
    assert only_run(text, "bombardier").requests == 9_999_990
