"""h2load: requests failed, errored and timed out, and clients over threads."""

from __future__ import annotations

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
