"""oha: two generations of text, JSON, and requests cut off at the deadline."""

from __future__ import annotations

import json

from headwind.run import Errors
from tests.formats.tool_text import codes, only_run, recognised

OLD = """\
Summary:
  Success rate:\t1.0000
  Total:\t5.0069 secs
  Slowest:\t0.1105 secs
  Fastest:\t0.0012 secs
  Average:\t0.0079 secs
  Requests/sec:\t5773.4290

  Total data:\t3.17 MiB
  Size/request:\t115 B
  Size/sec:\t648.38 KiB

Response time histogram:
  0.002 [451]  |\u25a0

Latency distribution:
  10% in 0.0048 secs
  50% in 0.0073 secs
  99% in 0.0157 secs

Details (average, fastest, slowest):
  DNS+dialup:\t0.0018 secs, 0.0012 secs, 0.0029 secs
  DNS-lookup:\t0.0002 secs, 0.0000 secs, 0.0010 secs

Status code distribution:
  [200] 28907 responses
"""


def test_the_text_of_old_versions_is_not_taken_for_hey() -> None:
    assert "oha" in recognised(OLD)
    run = only_run(OLD, "oha")
    assert (run.requests, run.duration_s, run.requests_per_s) == (28907, 5.0069, 5773.4290)
    assert run.bytes_read == round(3.17 * 2**20, 2)
    assert run.latency is not None
    assert run.latency.percentiles_s == {"10": 0.0048, "50": 0.0073, "99": 0.0157}
    assert run.errors == Errors(0, 0, 0, 0, 0)


def test_requests_cut_off_at_the_deadline_are_no_errors() -> None:
    text = OLD.replace("5773.4290", "5793.4051") + "\nError distribution:\n  [100] aborted due to deadline\n"
    run = only_run(text, "oha")
    assert run.errors == Errors(0, 0, 0, 0, 0)
    assert {"aborted_at_deadline", "rate_counts_errors"} <= codes(run)


def test_errors_by_kind() -> None:
    text = OLD + (
        "\nError distribution:\n  [7] connection error: Connection refused (os error 111)\n  [5] timeout\n"
        "  [3] connection closed before message completed\n"
    )
    assert only_run(text, "oha").errors == Errors(connect=7, read=3, write=0, timeout=5, status=0)


def test_percentiles_that_are_nan_are_left_out() -> None:
    run = only_run(OLD.replace("99% in 0.0157 secs", "99% in NaN secs\n  99.9% in NaN secs"), "oha")
    assert run.latency is not None
    assert set(run.latency.percentiles_s) == {"10", "50"}
    assert run.requests == 28907


def test_codes_cut_off_at_the_end_of_the_text_are_unknown() -> None:
    text = OLD.replace("[200] 28907 responses", "[200] 20000 responses\n  [503] 8907 responses")
    assert only_run(text, "oha").requests == 28907
    cut = only_run(text[: text.index("  [503]")], "oha")
    assert (cut.requests, cut.complete, cut.errors) == (None, False, Errors())


def test_json_with_nulls_and_missing_parts() -> None:
    document = {
        "summary": {
            "successRate": None,
            "total": 2.0,
            "requestsPerSec": 5.0,
            "average": None,
            "slowest": -1.0,
        },
        "latencyPercentiles": {"p50": None, "99.9": 0.25},
        "statusCodeDistribution": {"200": 10, "teapot": 3},
    }
    run = only_run(json.dumps(document), "oha")
    assert (run.requests, run.status_codes, run.errors) == (10, {"200": 10}, Errors(status=0))
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.max_s, run.latency.percentiles_s) == (None, None, {"99.9": 0.25})


def _section(name: str, seconds: float) -> str:
    rows = "".join(f"  {percent:.2f}% in {seconds:.4f} sec\n" for percent in (10, 50, 90, 99, 99.9, 99.99))
    bars = "".join(f"  0.00{number} sec [{number}] |\n" for number in range(10))
    return f"Response time histogram{name}:\n{bars}\nResponse time distribution{name}:\n{rows}\n"


def test_a_breakdown_by_success_keeps_the_percentiles_of_all_and_the_codes_behind_it() -> None:
    text = (
        "Summary:\n  Success rate:\t100.00%\n  Total:\t10.0000 sec\n  Slowest:\t0.0181 sec\n  Fastest:\t0.0006 sec\n"
        "  Average:\t0.0018 sec\n  Requests/sec:\t5570.0000\n\n"
        + _section("", 0.5)
        + _section(" (2xx only)", 0.4)
        + _section(" (4xx + 5xx only)", 0.3)
        + "\nDetails (average, fastest, slowest):\n  DNS+dialup:\t0.0001 sec, 0.0000 sec, 0.0034 sec\n\n"
        "Status code distribution:\n  [200] 55000 responses\n  [404] 700 responses\n"
    )
    run = only_run(text, "oha")
    assert (run.requests, run.errors.status, run.complete) == (55_700, 700, True)
    assert run.latency is not None
    assert set(run.latency.percentiles_s.values()) == {0.5}
