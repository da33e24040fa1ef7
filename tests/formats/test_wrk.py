"""wrk's report becomes a Run: every line, nothing invented."""

from __future__ import annotations

from headwind.formats import read_text
from headwind.run import Errors, Latency, Run
from tests.analysis.runs import slow
from tests.analysis.wrk_text import SLOW_TEXT

SATURATED = SLOW_TEXT


def only(text: str) -> Run:
    """The one run that the text holds."""
    (run,) = read_text(text, "text")
    return run


def codes(run: Run) -> set[str]:
    return {warning.code for warning in run.warnings}


def test_every_printed_value_is_read() -> None:
    run = only(SATURATED + "Transfer/sec:      8.45KB\n")
    assert run == slow(lines=(1, 9), bytes_per_s=8652.8)


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


def test_log_lines_of_json_are_read_by_their_messages() -> None:
    lines = "".join(f'{{"message":"{line}","level":"info"}}\n' for line in SATURATED.splitlines())
    run = only(lines)
    assert (run.url, run.connections, run.requests) == ("http://localhost:8000/v1/prediction", 200, 2788)
    assert run.latency == only(SATURATED).latency
    docker = "".join(f'{{"log":"{line}\\n","stream":"stdout"}}\n' for line in SATURATED.splitlines())
    assert only(docker).requests_per_s == 61.82


def test_colours_without_their_escape_character_are_none_of_the_text() -> None:
    for colour in ("[32m", "\\u001b[1;32m", "\\x1b[0m", "\\033[0m"):
        assert only("".join(f"{colour}{line}[0m\n" for line in SATURATED.splitlines())).requests == 2788


def test_what_a_script_prints_during_the_load_is_not_wrks() -> None:
    header, rest = SATURATED.split("  Thread Stats", 1)
    noise = "tick\n" * 9 + "Requests/sec: 11.11\nTransfer/sec: 1.00KB\nNon-2xx or 3xx responses: 5\n"
    run = only(f"{header}{noise}  Thread Stats{rest}")
    assert (run.requests_per_s, run.bytes_per_s, run.errors.status) == (61.82, None, 0)


def test_a_row_that_was_wrapped_keeps_its_values() -> None:
    run = only(SATURATED.replace("   71.26%", "\n71.26%"))
    assert run.latency == Latency(mean_s=1.46, stdev_s=0.30913, max_s=2.0)


def test_latex_escapes_its_percent_signs() -> None:
    assert only(SATURATED.replace("%", "\\%")).latency == only(SATURATED).latency


def test_go_wrk_autocannon_and_prose_are_no_runs() -> None:
    for text in (
        "Running 60s test @ http://x\n  10 goroutine(s) running concurrently\n1557674 requests in 59.679437388s,"
        " 1.47GB read\nRequests/sec:\t\t26100.68\nTransfer/sec:\t\t25.29MB\n",
        "Running 10s test @ http://localhost:3000\n10 connections\n\n440 requests in 10.02s, 50.2 kB read\n",
        "We ran it with 4 threads and 200 connections: Latency 1.46s, max 2.00s, 50% below.\n",
        "| Latency | 1.46s | 309.13ms | 2.00s | 71.26% |\n| Req/Sec | 21.25 | 24.38 | 232.00 | 90.89% |\n",
        "Statistics        Avg      Stdev        Max\n  Latency       5.02ms     0.87ms   106.53ms\n",
        "`Thread Stats   Avg      Stdev     Max   +/- Stdev` is the head of the table.\n",
        "  2788 requests in 45.10s, 381.17KB read\nRequests/sec:     61.82\nTransfer/sec:      8.45KB\n",
    ):
        assert read_text(text, "text", tool="wrk") == []


def test_prose_that_repeats_a_report_is_no_second_run() -> None:
    repeated = "".join(f"`{line.strip()}` means\n\n" for line in SATURATED.splitlines()[3:])
    assert [run.lines for run in read_text(f"{SATURATED}\n```\n\n{repeated}", "text")] == [(1, 8)]


def test_two_urls_of_one_wrk2_are_one_run() -> None:
    header = "Running 30s test @ http://{}\n  2 threads and 100 connections\n\n"
    stats = "-----Overall Statistics-----\n  Thread Stats   Avg      Stdev     99%   +/- Stdev\n"
    tail = SATURATED.split("Stdev\n", 1)[1].replace("  2788", "  Overall 2788")
    run = only(header.format("a") + header.format("b") + stats + tail)
    assert (run.url, run.threads, run.connections, run.requests) == (None, 4, 200, 2788)
    assert run.latency is not None
    assert (run.latency.max_s, run.latency.percentiles_s) == (None, {"99": 2.0})
    assert [run.url for run in read_text(header.format("a") + header.format("b"), "text")] == [
        "http://a",
        "http://b",
    ]


def test_the_command_line_before_a_report_tells_the_timeout_and_the_rate() -> None:
    command = "$ wrk -t4 -c200 -d45s --timeout 5s http://localhost:8000/v1/prediction\n"
    run = only(command + SATURATED)
    assert (run.tool, run.timeout_s, run.late_threshold_s, run.late) == ("wrk", 5.0, 5.0, 613)
    run = only(command.replace("--timeout 5s", "-R2k") + SATURATED)
    assert (run.tool, run.rate_target_per_s, run.late) == ("wrk2", 2000.0, None)


def test_a_command_line_of_another_run_tells_nothing() -> None:
    for command in (
        "wrk -t2 -c200 --timeout 5s {}\n",
        "wrk -t4 -c200 --timeout 5s http://other/\n",
        "wrk -R9 {}" + "\n" * 20,
    ):
        run = only(command.format("http://localhost:8000/v1/prediction") + SATURATED)
        assert (run.tool, run.timeout_s, run.rate_target_per_s) == ("wrk", None, None)
    slower = SATURATED.replace("2.00s", "7.50s")
    assert only(f"wrk --timeout 5s http://localhost:8000/v1/prediction\n{slower}").timeout_s is None


def test_the_callers_word_on_the_tool_overrules_the_text() -> None:
    (run,) = read_text(SATURATED, "text", tool="wrk2")
    assert (run.tool, run.late, run.late_threshold_s) == ("wrk2", None, None)
    calibrated = SATURATED.replace(
        "  Thread Stats", "  Thread calibration: mean lat.: 1.184ms\n  Thread Stats"
    )
    assert only(calibrated).tool == "wrk2"
    (run,) = read_text(calibrated, "text", tool="wrk", timeout_s=2.0)
    assert (run.tool, run.late, run.late_threshold_s) == ("wrk", 613, 2.0)


def test_any_number_of_a_scripts_lines_may_stand_before_the_statistics() -> None:
    header, rest = SATURATED.split("  Thread Stats", 1)
    run = only(
        f"{header}{'Completed 100 requests' + chr(10) * 2}" + "tick\n" * 30_000 + f"  Thread Stats{rest}"
    )
    assert (run.url, run.threads, run.requests) == ("http://localhost:8000/v1/prediction", 4, 2788)


def test_reports_that_lost_their_line_ends_keep_the_errors_of_each() -> None:
    more = SATURATED.replace("timeout 613", "timeout 7") + "Transfer/sec:      8.45KB\n"
    both = SATURATED + "Transfer/sec:      8.45KB\n" + more
    for text in (" ".join(both.split()), str(both.splitlines())):
        assert [run.errors.timeout for run in read_text(text, "text")] == [613, 7]


def test_what_people_put_around_urls_counts_and_colons() -> None:
    url = "http://localhost:8000/v1/prediction"
    for around in (f"[{url}]({url})", f"<{url}>", f'"{url}"', f"`{url}`"):
        assert only(SATURATED.replace(url, around)).url == url
    for colon in ("**Requests/sec:** 1,061.82", "Requests/sec\uff1a  1061.82"):
        run = only(SATURATED.replace("Requests/sec:     61.82", colon).replace("2788", "47,888"))
        assert (run.requests_per_s, run.requests, run.complete) == (1061.82, 47888, True)


def test_words_in_spans_of_a_highlighter_are_lines_of_wrk() -> None:
    marked = "\n".join(
        " ".join(f"<span class='x'>{word}</span>" if word else "" for word in line.split(" "))
        for line in SATURATED.splitlines()
    )
    run = only(marked)
    assert (run.url, run.errors.timeout) == ("http://localhost:8000/v1/prediction", 613)


def test_four_durations_of_another_tool_are_no_row_of_wrk() -> None:
    table = "Statistics    Min     Mean   StdDev      Max\n  Latency    31us    870us    430us   12.50ms\n"
    assert read_text(table, "text") == []
