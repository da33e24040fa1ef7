"""Locust: its files against each other, the history that is no table of totals, and percentiles of two digits."""

from __future__ import annotations

import csv
import io
import json

import pytest

from headwind.formats import read_text
from headwind.run import Endpoint, Errors, Run
from tests.formats.tool_text import codes, fixture, only_run, read_as


def _rows(run: Run) -> dict[str, Endpoint]:
    return {row.name: row for row in run.endpoints}


@pytest.mark.parametrize("version", ["run", "run-1.4.4", "run-2.0.0"])
def test_stats_csv_gives_every_cell_of_the_file(version: str) -> None:
    text = fixture(f"locust/{version}_stats.csv")
    run = only_run(text, "locust")
    *rows, total = csv.DictReader(io.StringIO(text))
    assert run.complete
    assert run.requests == int(total["Request Count"])
    assert run.requests_per_s == float(total["Requests/s"])
    assert run.errors == Errors(status=int(total["Failure Count"]))
    assert len(run.endpoints) == len(rows) == 3
    for cells, row in zip(rows, run.endpoints, strict=True):
        assert (row.method, row.name) == (cells["Type"], cells["Name"])
        assert (row.requests, row.failures) == (int(cells["Request Count"]), int(cells["Failure Count"]))
        assert row.requests_per_s == float(cells["Requests/s"])
        assert row.latency is not None
        assert row.latency.mean_s == pytest.approx(float(cells["Average Response Time"]) / 1e3)
        assert row.latency.max_s == pytest.approx(float(cells["Max Response Time"]) / 1e3)
        assert row.latency.percentiles_s["99.9"] == float(cells["99.9%"]) / 1e3
    assert codes(run) == {"errors_not_split", "percentiles_two_digits"}


@pytest.mark.parametrize("version", ["run", "run-1.4.4", "run-2.0.0"])
def test_a_history_is_a_time_series_and_no_table_of_totals(version: str) -> None:
    text = fixture(f"locust/{version}_stats_history.csv")
    run = only_run(text, "locust")
    last = [cells for cells in csv.DictReader(io.StringIO(text)) if cells["Name"] == "Aggregated"][-1]
    assert (run.requests, run.requests_per_s, run.complete) == (int(last["Total Request Count"]), None, False)
    assert run.errors.status == int(last["Total Failure Count"])
    assert run.started_at is not None
    assert "time_series" in codes(run)


def test_the_time_line_of_a_history_is_what_its_totals_grew_by() -> None:
    run = only_run(fixture("locust/run_stats_history.csv"), "locust")
    assert run.timeline is not None
    assert (run.timeline.slot_s, run.timeline.responses, run.timeline.errors) == (
        *(1.0, (152, 154, 158)),
        (9, 12, 10),
    )


@pytest.mark.parametrize(
    ("times", "slot_s"),
    [((10, 11, 12, 13), 1.0), ((10, 11, 13, 14), 4 / 3), ((10, 12, 14, 16), 2.0), ((10, 11, 14, 15), None)],
)
def test_a_second_that_a_history_skips_does_not_end_its_time_line(
    times: tuple[int, ...], slot_s: float | None
) -> None:
    text = fixture("locust/run_stats_history.csv")
    header, *rows = [line for line in text.splitlines() if ",Aggregated," in line or "Timestamp" in line]
    cells = rows[0].split(",")
    at = header.split(",").index("Total Request Count")
    made = [[str(time), *cells[1:at], str(5 * n), "0", *cells[at + 2 :]] for n, time in enumerate(times)]
    run = only_run("\n".join([header, *(",".join(row) for row in made)]) + "\n", "locust")
    if slot_s is None:
        assert run.timeline is None
    else:
        assert run.timeline is not None
        assert run.timeline.slot_s == pytest.approx(slot_s)
        assert run.timeline.responses == (5, 5, 5)


def test_a_total_that_falls_begins_another_test_in_a_history() -> None:
    text = fixture("locust/run_stats_history.csv")
    again = "\n".join(text.splitlines()[1:])
    assert [run.requests for run in read_as(text + again, "locust")] == [464, 464]


@pytest.mark.parametrize(
    ("name", "requests", "rate", "failures"),
    [("console", 524, 152.59, 39), ("console-1.4.4", 282, 108.33, 18), ("console-2.0.0", 238, 102.98, 19)],
)
def test_the_last_table_of_a_console_is_the_run(name: str, requests: int, rate: float, failures: int) -> None:
    run = only_run(fixture(f"locust/{name}.txt"), "locust")
    assert (run.requests, run.requests_per_s, run.errors.status) == (requests, rate, failures)
    assert run.complete
    rows = _rows(run)
    assert set(rows) == {"/flaky", "/v1/prediction", "slow page, with comma"}
    assert rows["/v1/prediction"].method == "POST"
    assert sum(row.requests or 0 for row in run.endpoints) == requests
    assert run.latency is not None
    assert set(run.latency.percentiles_s) >= {"50", "66", "99.99", "100"}
    assert "progress_only" not in codes(run)


def test_a_table_without_percentiles_may_be_one_of_the_progress() -> None:
    text = fixture("locust/console.txt").split("Response time percentiles")[0]
    run = only_run(text, "locust")
    assert run.requests == 524
    assert "progress_only" in codes(run)


def test_json_adds_up_to_the_row_that_locust_prints() -> None:
    text = fixture("locust/entries.json")
    entries = json.loads(text)
    run = only_run(text, "locust")
    printed = only_run(fixture("locust/stderr-of-json.txt"), "locust")
    assert run.requests == printed.requests == sum(entry["num_requests"] for entry in entries)
    kinds = printed.errors  # what is printed ends with the error report, which names the kinds
    assert run.errors.status == sum(
        count or 0 for count in (kinds.connect, kinds.read, kinds.write, kinds.timeout, kinds.status)
    )
    assert run.requests_per_s == pytest.approx(printed.requests_per_s, rel=0.02)
    assert run.latency is not None
    assert printed.latency is not None
    assert run.latency.percentiles_s == {
        name: value
        for name, value in printed.latency.percentiles_s.items()
        if name in run.latency.percentiles_s
    }
    assert run.timeline is not None
    assert sum(run.timeline.responses) == run.requests
    assert sum(run.timeline.errors) == run.errors.status
    assert "rate_computed" in codes(run)


def test_rows_that_json_emptied_are_unknown() -> None:
    run = only_run(fixture("locust/stderr-of-json.txt"), "locust")
    assert {row.requests for row in run.endpoints} == {None}
    assert "rows_emptied" in codes(run)


def test_a_log_of_json_and_tables_is_one_test() -> None:
    both = fixture("locust/stderr-of-json.txt") + fixture("locust/entries.json")
    run = only_run(both, "locust")
    assert "rate_computed" in codes(run)


def test_the_header_of_versions_before_1_0() -> None:
    text = (
        '"Method","Name","# requests","# failures","Median response time","Average response time",'
        '"Min response time","Max response time","Average Content Size","Requests/s"\n'
        '"GET","/",7,1,5,6,1,9,38,3.50\n"None","Total",7,1,5,6,1,9,38,3.50\n'
    )
    run = only_run(text, "locust")
    assert (run.requests, run.errors.status, run.requests_per_s, len(run.endpoints)) == (7, 1, 3.5, 1)


def test_without_the_aggregated_row_the_totals_are_unknown() -> None:
    text = "".join(fixture("locust/run_stats.csv").splitlines(keepends=True)[:-1])
    run = only_run(text, "locust")
    assert (run.requests, run.complete, len(run.endpoints)) == (None, False, 3)
    assert "cut" in codes(run)


def test_no_failure_is_none_of_any_kind() -> None:
    rows = [line.split(",") for line in fixture("locust/run_stats.csv").splitlines()]
    rows[-1][3] = "0"
    assert only_run("\n".join(map(",".join, rows)) + "\n", "locust").errors == Errors(0, 0, 0, 0, 0)


def test_lists_of_failures_and_exceptions_are_no_runs() -> None:
    text = "Method,Name,Error,Occurrences,First Seen,Last Seen\nGET,/,HTTPError('503'),9,1,2\n"
    assert read_as(text, "locust") == []


def test_the_error_report_splits_the_failures_where_it_names_all_of_them() -> None:
    rule = "-" * 60 + "\n"
    table = (
        "Type     Name    # reqs      # fails |    Avg     Min     Max    Med |   req/s  failures/s\n"
        + rule
        + "GET      /a         100   7(7.00%) |     52       1     801     30 |   33.30        0.33\n"
        + rule
        + "         Aggregated 100   7(7.00%) |     52       1     801     30 |   33.30        0.33\n\n"
    )
    report = (
        "Error report\n# occurrences      Error\n"
        + rule
        + "4   GET /a: HTTPError('503 Server Error: for url: /a')\n"
        "2   GET /a: ConnectionResetError(104, 'Connection reset by peer')\n1   GET /a: TimeoutError(60, 'timed out')\n"
        + rule
    )
    run = only_run(table + report, "locust")
    assert run.errors == Errors(connect=0, read=2, write=0, timeout=1, status=4)
    assert "errors_not_split" not in codes(run)
    for other in (
        report.replace("4   GET", "3   GET"),
        report.replace("TimeoutError(60, 'timed out')", "wrong total"),
    ):
        unsplit = only_run(table + other, "locust")
        assert unsplit.errors == Errors(status=7)
        assert "errors_not_split" in codes(unsplit)


def test_tables_in_a_box() -> None:
    text = fixture("locust/console.txt")
    boxed = "".join(f"| {line:170} |\n" for line in text.splitlines())
    whole, run = only_run(text, "locust"), only_run(boxed, "locust")
    assert (run.requests, run.requests_per_s, run.latency) == (
        whole.requests,
        whole.requests_per_s,
        whole.latency,
    )
    assert [row.name for row in run.endpoints] == [row.name for row in whole.endpoints]


_OLD_TOTALS = (
    '"Method","Name","# requests","# failures","Median response time","Average response time","Min response time",'
    '"Max response time","Average Content Size","Requests/s"\n'
    '"PUT","/insert",4485,2,17,32,8,203,171,75.61\n"GET","/search",428,0,10,22,5,113,2596,7.21\n'
    '"None","Total",4913,2,17,31,5,203,382,82.82\n'
)
_OLD_DISTRIBUTION = (
    '"Name","# requests","50%","66%","75%","80%","90%","95%","98%","99%","100%"\n'
    '"PUT /insert",4485,17,23,37,53,87,100,110,110,203\n"GET /search",428,10,13,17,23,37,61,90,110,113\n'
    '"None Total",4913,17,22,36,51,86,100,110,110,203\n'
)


def test_the_distribution_of_old_versions_gives_percentiles() -> None:
    run = only_run(_OLD_DISTRIBUTION, "locust")
    assert (run.requests, run.requests_per_s, run.complete) == (4913, None, False)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.percentiles_s["95"]) == (None, 0.1)
    assert [(row.method, row.name, row.requests) for row in run.endpoints] == [
        ("PUT", "/insert", 4485),
        ("GET", "/search", 428),
    ]


def test_the_distribution_behind_the_totals_of_the_same_requests_is_theirs() -> None:
    run = only_run(_OLD_TOTALS + "\n" + _OLD_DISTRIBUTION, "locust")
    assert (run.requests, run.requests_per_s, run.errors.status, run.lines) == (4913, 82.82, 2, (1, 9))
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.percentiles_s["95"]) == (0.031, 0.1)
    assert run.endpoints[1].latency is not None
    assert run.endpoints[1].latency.percentiles_s["99"] == 0.11
    later = only_run(_OLD_TOTALS + "\n" + _OLD_DISTRIBUTION.replace("4913", "4999"), "locust")
    assert later.latency is not None
    assert later.latency.percentiles_s == {"50": 0.017}


def test_a_distribution_of_another_test_is_a_run_of_its_own() -> None:
    text = _OLD_TOTALS + "\n" + _OLD_DISTRIBUTION.replace("4913", "491")
    assert [run.requests for run in read_text(text, "test")] == [4913, 491]
