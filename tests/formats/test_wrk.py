"""wrk's report becomes a Run: every line, nothing invented."""

from __future__ import annotations

from headwind.formats import read_text
from headwind.run import Errors, Latency, Run, ThreadRate

SATURATED = """\
Running 45s test @ http://localhost:8000/v1/prediction
  4 threads and 200 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.46s   309.13ms   2.00s    71.26%
    Req/Sec    21.25     24.38   232.00     90.89%
  2788 requests in 45.10s, 381.17KB read
  Socket errors: connect 0, read 0, write 0, timeout 613
Requests/sec:     61.82
"""


def only(text: str) -> Run:
    """The one run that the text holds."""
    (run,) = read_text(text, "text")
    return run


def codes(run: Run) -> set[str]:
    return {warning.code for warning in run.warnings}


def test_every_printed_value_is_read() -> None:
    run = only(SATURATED + "Transfer/sec:      8.45KB\n")
    assert run == Run(
        tool="wrk",
        url="http://localhost:8000/v1/prediction",
        lines=(1, 9),
        complete=True,
        planned_duration_s=45.0,
        threads=4,
        connections=200,
        late_threshold_s=2.0,
        late=613,
        requests=2788,
        duration_s=45.10,
        bytes_read=390318.08,
        requests_per_s=61.82,
        bytes_per_s=8652.8,
        latency=Latency(mean_s=1.46, stdev_s=0.30913, max_s=2.0, within_stdev=0.7126),
        thread_requests_per_s=ThreadRate(21.25, 24.38, 232.0, 0.9089),
        errors=Errors(connect=0, read=0, write=0, timeout=613, status=0),
    )


def test_a_given_timeout_is_what_late_answers_exceeded() -> None:
    (run,) = read_text(SATURATED, "text", timeout_s=5.0)
    assert (run.timeout_s, run.late_threshold_s, run.late) == (5.0, 5.0, 613)


def test_a_line_that_is_printed_only_when_not_zero_is_zero_in_a_complete_run() -> None:
    without = SATURATED.replace("  Socket errors: connect 0, read 0, write 0, timeout 613\n", "")
    assert only(without).errors == Errors(0, 0, 0, 0, 0)
    assert only(without.rsplit("Requests/sec", 1)[0]).errors == Errors()


def test_a_status_line_proves_that_no_socket_line_was_printed() -> None:
    text = SATURATED.replace(
        "  Socket errors: connect 0, read 0, write 0, timeout 613\nRequests/sec:     61.82\n",
        "  Non-2xx or 3xx responses: 17\n",
    )
    assert only(text).errors == Errors(0, 0, 0, 0, 17)


def test_zeros_of_a_run_that_recorded_nothing_are_no_latencies() -> None:
    text = SATURATED.replace("1.46s   309.13ms   2.00s    71.26%", "0.00us    0.00us   0.00us    -nan%")
    run = only(text)
    assert run.latency is None
    assert run.requests == 2788
    assert "nothing_recorded" in codes(run)


def test_a_mean_that_lost_its_last_letter_is_milliseconds() -> None:
    text = SATURATED.replace("1.46s   309.13ms   2.00s    71.26%", "1000.00m1000.00ms1000.00ms   71.26%")
    run = only(text)
    assert run.latency == Latency(mean_s=1.0, stdev_s=1.0, max_s=1.0, within_stdev=0.7126)
    assert "mean_cut" in codes(run)


def test_an_impossible_duration_is_left_out_with_the_rates_it_spoiled() -> None:
    text = SATURATED.replace("45.10s", "307445734491.24m").replace("61.82", " 0.00")
    run = only(text)
    assert (run.requests, run.duration_s, run.requests_per_s) == (2788, None, None)
    assert "impossible_duration" in codes(run)


def test_minutes_in_the_header_are_rounded_and_said_to_be() -> None:
    run = only(SATURATED.replace("45s test", "2m test").replace("45.10s", "1.67m").replace("61.82", "27.84"))
    assert run.planned_duration_s == 120.0
    assert not run.interrupted
    assert "header_rounded" in codes(run)


def test_a_run_that_ended_before_its_time_was_interrupted() -> None:
    assert only(SATURATED.replace("45.10s", "28.08s")).interrupted
    assert not only(SATURATED).interrupted


def test_an_answer_slower_than_the_default_timeout_proves_another_timeout() -> None:
    run = only(SATURATED.replace("2.00s", "4.60s"))
    assert (run.late, run.late_threshold_s) == (None, None)
    assert "timeout_not_default" in codes(run)


def test_figures_that_do_not_fit_together_are_told() -> None:
    assert "totals_disagree" in codes(only(SATURATED.replace("61.82", "71.82")))
    assert "totals_disagree" not in codes(only(SATURATED))
