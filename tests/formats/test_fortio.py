"""fortio: counts as strings, durations that cannot be, and console output with its JSON beside it."""

from __future__ import annotations

import json
import random

from headwind.run import Errors
from tests.formats.printed_by_go import fortio_json, fortio_text
from tests.formats.tool_text import codes, only_run, read_as


def test_nighthawks_strings_are_numbers() -> None:
    document = json.loads(fortio_json(random.Random(3)).text)
    document["DurationHistogram"]["Count"] = "53"
    document["RetCodes"] = {"200": "56"}
    run = only_run(json.dumps(document), "fortio")
    assert (run.requests, run.status_codes) == (53, {"200": 56})
    assert "counts_differ" in codes(run)


def test_no_secret_of_the_url_stays() -> None:
    assert only_run(fortio_json(random.Random(3)).text, "fortio").url == "http://localhost:8080/"


def test_a_duration_of_nanoseconds_that_cannot_be_is_left_out() -> None:
    document = json.loads(fortio_json(random.Random(3)).text)
    document["ActualDuration"] = 5
    run = only_run(json.dumps(document), "fortio")
    assert run.duration_s is None
    assert "impossible_duration" in codes(run)


def test_requests_without_an_answer_have_no_kind() -> None:
    document = json.loads(fortio_json(random.Random(3)).text)
    document["RetCodes"] = {"-1": 4, "200": 10, "503": 2}
    run = only_run(json.dumps(document), "fortio")
    assert run.errors == Errors(connect=None, read=4, write=None, timeout=None, status=2)
    assert run.status_codes == {"200": 10, "503": 2}


def test_the_json_beside_console_output_is_not_read_again() -> None:
    console = fortio_text(random.Random(5)).text
    text = f"{console}\nAnd the JSON saved is\n{fortio_json(random.Random(5)).text}\n"
    assert len(read_as(text, "fortio")) == 1
    assert only_run(text, "fortio").requests == only_run(console, "fortio").requests


def test_the_percentiles_of_sleep_and_error_times_are_not_those_of_the_requests() -> None:
    run = only_run(fortio_text(random.Random(5)).text, "fortio")
    assert run.latency is not None
    assert 0.99 not in run.latency.percentiles_s.values()
    assert 0.77 not in run.latency.percentiles_s.values()


def test_as_fast_as_possible_has_no_target() -> None:
    text = fortio_text(random.Random(5)).text.replace("running at 100 queries", "running at -1 queries")
    text = text.replace("Starting at 100 qps", "Starting at max qps").replace(
        "for 1m0s: http", "for 100 calls: http"
    )
    run = only_run(text, "fortio")
    assert (run.rate_target_per_s, run.planned_duration_s) == (None, None)
    assert run.threads is not None


def test_json_that_lost_its_end_and_codes_that_are_none_of_http() -> None:
    text = fortio_json(random.Random(4)).text
    assert "cut" in codes(only_run(text[: text.index('"Percentiles"')], "fortio"))
    document = json.loads(text)
    document["RetCodes"] = {"SERVING": document["DurationHistogram"]["Count"]}
    assert only_run(json.dumps(document), "fortio").status_codes is None


_TCP = """Fortio 1.33.0 running at -1 queries per second, 8->8 procs, for 10 calls: tcp://echo:8078
Starting at max qps with 3 thread(s) [gomax 8] for exactly 10 calls (3 per thread + 1)
Ended after 20.5ms : 10 calls. qps=486.7
Aggregated Function Time : count 10 avg 0.0043 +/- 0.0005 min 0.0024 max 0.0048 sum 0.043
# target 50% 0.00325
Sockets used: 8 (for perfect no error run, would be 3)
Total Bytes sent: 240, received: 72
tcp OK : 3 (30.0 %)
tcp short read : 5 (50.0 %)
tcp read tcp 127.0.0.1:1->127.0.0.1:2: i/o timeout : 2 (20.0 %)
All done 10 calls (plus 0 warmup) 4.300 ms avg, 487.8 qps
"""


def test_tcp_has_messages_for_codes() -> None:
    run = only_run(_TCP, "fortio")
    assert (run.requests, run.requests_per_s, run.bytes_read) == (10, 486.7, 72.0)
    assert (run.errors, run.status_codes) == (Errors(0, 5, 0, 2, 0), None)
    assert run.lines == (1, 11)


def test_the_last_line_has_the_rate_where_the_one_of_the_end_was_left_out() -> None:
    run = only_run("\n".join(line for line in _TCP.split("\n") if "Ended" not in line), "fortio")
    assert (run.requests, run.requests_per_s, run.duration_s, run.complete) == (10, 487.8, None, True)


def test_bytes_that_touch_the_end_of_the_text_may_lack_digits() -> None:
    run = only_run(_TCP[: _TCP.index("72\n") + 1], "fortio")
    assert run.bytes_read is None


def test_grpc_has_words_for_codes() -> None:
    text = _TCP[: _TCP.index("Sockets")] + (
        "Jitter: false\nHealth SERVING : 7\nHealth ERROR : 2\nHealth NOT_SERVING : 1\n"
        "All done 10 calls (plus 4 warmup) 4.300 ms avg, 487.8 qps\n"
    )
    run = only_run(text, "fortio")
    assert run.errors == Errors(None, 2, None, None, 1)
    assert "errors_not_split" in codes(run)


def test_json_of_tcp() -> None:
    document = json.loads(fortio_json(random.Random(3)).text)
    document.pop("Sizes", None)
    document |= {"RetCodes": {"OK": 90, "short read": 10}, "BytesReceived": 720}
    run = only_run(json.dumps(document), "fortio")
    assert (run.errors, run.bytes_read) == (Errors(0, 10, 0, 0, 0), 720.0)
