"""hey: errors apart from responses, rates that count both, and the first million."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from headwind.run import Errors
from tests.formats.tool_text import codes, fixture, only_run, read_as


def test_a_plain_run() -> None:
    run = only_run(fixture("hey/plain.txt"), "hey")
    assert run.complete
    assert (run.requests, run.duration_s, run.requests_per_s, run.bytes_read) == (
        500,
        0.041,
        12185.6308,
        19000,
    )
    assert run.latency is not None
    assert (run.latency.min_s, run.latency.mean_s, run.latency.max_s) == (0.0, 0.0008, 0.0047)
    assert run.latency.percentiles_s["99"] == 0.0046
    assert run.errors == Errors(0, 0, 0, 0, 0)
    assert run.status_codes == {"200": 500}
    assert codes(run) == {"rounded"}


@pytest.mark.parametrize(
    ("name", "errors", "requests"),
    [
        ("hey/flaky.txt", Errors(0, 0, 0, 0, 100), 300),
        ("hey/time-outs.txt", Errors(0, 0, 0, 10, 0), 30),
        ("hey/dropped.txt", Errors(0, 4, 0, 0, 0), 196),
        ("hey/refused.txt", Errors(100, 0, 0, 0, 0), 0),
    ],
)
def test_errors_by_kind(name: str, errors: Errors, requests: int) -> None:
    run = only_run(fixture(name), "hey")
    assert (run.errors, run.requests) == (errors, requests)
    assert ("rate_counts_errors" in codes(run)) == (
        errors.connect != 0 or errors.read != 0 or errors.timeout != 0
    )


def test_nothing_answered_means_no_latency() -> None:
    assert only_run(fixture("hey/refused.txt"), "hey").latency is None


def test_a_percentile_of_zero_percent_is_none() -> None:
    run = only_run(fixture("hey/time-outs.txt"), "hey")
    assert run.latency is not None
    assert "0" not in run.latency.percentiles_s


def test_above_a_million_responses_the_mean_is_left_out() -> None:
    text = (
        fixture("hey/plain.txt")
        .replace("[200]\t500 responses", "[200]\t1500000 responses")
        .replace("Total:\t0.0410 secs", "Total:\t30.0000 secs")
        .replace("12185.6308", "33333.3333")
    )
    run = only_run(text, "hey")
    assert run.latency is not None
    assert (run.requests, run.requests_per_s, run.latency.mean_s) == (1_500_000, 50_000, None)
    assert "first_million_only" in codes(run)


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n\n", "\n$ "])
def test_exactly_a_million_responses_at_a_higher_rate_are_those_that_were_kept(end: str) -> None:
    text = (
        fixture("hey/plain.txt")
        .replace("500 responses", "1000000 responses")
        .replace("0.0410 secs", "10.0000 secs")
        .replace("12185.6308", "139700.0000")
    )
    run = only_run(text.rstrip() + end, "hey")
    assert (run.requests, run.complete) == (None, False)
    assert run.latency is not None
    assert run.latency.mean_s is None
    assert "first_million_only" in codes(run)


def test_a_rate_that_its_own_counts_contradict_is_a_warning() -> None:
    run = only_run(fixture("hey/plain.txt").replace("12185.6308", "47539.5388"), "hey")
    assert run.requests_per_s == 47539.5388
    assert "rate_disagrees" in codes(run)


def test_an_error_that_fits_no_kind_says_so() -> None:
    text = fixture("hey/dropped.txt").replace(": EOF", ": the moon is in the way")
    run = only_run(text, "hey")
    assert run.errors.read == 4
    assert "errors_unclassified" in codes(run)


def in_json(text: str) -> str:
    return json.dumps({"log": text})


def in_html(text: str) -> str:
    return "<p>" + text.replace("\n", "<br>") + "</p>"


@pytest.mark.parametrize("wrapped", [in_json, in_html])
def test_half_an_escape_or_a_tag_does_not_show_that_no_errors_come(
    wrapped: Callable[[str], str],
) -> None:
    text = wrapped(fixture("hey/dropped.txt"))
    whole = only_run(text, "hey")
    assert whole.errors.read
    for length in range(text.index("Status code"), len(text)):
        for run in read_as(text[:length], "hey"):
            assert run.errors.read in (None, whole.errors.read), text[:length][-80:]
            assert run.errors.connect in (None, whole.errors.connect)


def test_boom_ends_its_times_like_sentences() -> None:
    text = (
        "Summary:\n  Total:\t2.0000 secs.\n  Slowest:\t0.0500 secs.\n  Fastest:\t0.0010 secs.\n"
        "  Average:\t0.0200 secs.\n  Requests/sec:\t50.0000\n  Total Data Received:\t4200 bytes.\n"
        "  Response Size per Request:\t42 bytes.\n\nStatus code distribution:\n  [200]\t100 responses\n\n"
    )
    run = only_run(text, "hey")
    assert (run.requests, run.duration_s, run.requests_per_s, run.bytes_read) == (100, 2.0, 50.0, 4200)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.max_s) == (0.02, 0.05)


def test_a_message_that_is_cut_leaves_the_status_codes_certain() -> None:
    text = fixture("hey/dropped.txt").replace("[200]\t196", "[503]\t196")
    run = only_run(text.rstrip(), "hey")
    assert (run.errors, run.requests) == (Errors(status=196), 196)
