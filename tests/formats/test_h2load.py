"""h2load: requests failed, errored and timed out, and clients over threads."""

from __future__ import annotations

from headwind.formats import read_text
from headwind.run import Errors, Latency
from tests.formats.tool_text import codes, fixture, only_run


def test_a_plain_run() -> None:
    run = only_run(fixture("h2load/plain.txt"), "h2load")
    assert run.complete
    assert (run.threads, run.connections, run.requests, run.duration_s) == (2, 10, 500, 0.02023)
    assert (run.requests_per_s, run.bytes_read) == (24714.55, 66500)
    assert run.latency == Latency(
        mean_s=255e-6, stdev_s=813e-6, max_s=0.0066, min_s=79e-6, within_stdev=0.97, percentiles_s={}
    )
    assert run.errors == Errors(0, 0, 0, 0, 0)
    assert codes(run) == set()


def test_bad_status_codes_are_told_from_requests_without_an_answer() -> None:
    flaky = only_run(fixture("h2load/flaky.txt"), "h2load")
    assert flaky.errors == Errors(0, 0, 0, 0, 100)
    dropped = only_run(fixture("h2load/dropped.txt"), "h2load")
    assert dropped.errors == Errors(None, 88, None, 0, 0)
    assert codes(dropped) == {"errors_not_split"}


def test_no_answers_mean_no_latency() -> None:
    run = only_run(fixture("h2load/refused.txt"), "h2load")
    assert (run.requests, run.latency) == (0, None)


def test_a_timed_run_knows_its_planned_duration() -> None:
    run = only_run(fixture("h2load/timed.txt"), "h2load")
    assert (run.planned_duration_s, run.requests, run.connections) == (1, 76, 4)


def test_the_byte_counts_of_old_versions() -> None:
    text = fixture("h2load/plain.txt").replace("64.94KB (66500) total", "66500 bytes total")
    assert only_run(text, "h2load").bytes_read == 66500


def test_the_connections_are_unknown_without_the_first_lines() -> None:
    text = fixture("h2load/plain.txt").split("progress: 100% done")[1]
    assert only_run(text, "h2load").connections is None


def test_a_report_before_1_0_counts_its_time_in_words() -> None:
    text = (
        "starting benchmark...\nprogress: 100% done\n\n"
        "finished in 1 sec, 52 millisec and 152 microsec, 6572 req/s, 749 kbytes/s\n"
        "requests: 1000 total, 1000 started, 1000 done, 0 succeeded, 1000 failed, 0 errored\n"
        "status codes: 0 2xx, 0 3xx, 1000 4xx, 0 5xx\n"
        "traffic: 141100 bytes total, 840 bytes headers, 116000 bytes data\n"
    )
    run = only_run(text, "h2load")
    assert (run.requests, run.duration_s, run.requests_per_s) == (1000, 1.052152, 6572)
    assert (run.bytes_read, run.bytes_per_s, run.complete) == (141_100, 749 * 1024, True)
    assert run.errors == Errors(0, 0, 0, 0, 1000)
    for run in read_text(text[: text.index(" kbytes")], "test"):
        assert (run.duration_s, run.requests_per_s) == (None, None)
