"""k6: the meaning of failed, thresholds that are inverted, sections, scenarios and broken code pages."""

from __future__ import annotations

import json
import re

import pytest

from headwind.formats import read_text
from headwind.run import Endpoint, Errors, Run
from tests.formats.tool_text import codes, fixture, only_run, read_as


def _row(run: Run, name: str) -> Endpoint:
    return next(row for row in run.endpoints if row.name == name)


def test_console_and_summary_export_of_one_test_agree() -> None:
    console = only_run(fixture("k6/console-v1.txt"), "k6")
    export = only_run(fixture("k6/summary-export.json"), "k6")
    assert console.complete
    assert export.complete
    assert console.requests == export.requests == 11_555
    assert console.requests_per_s == pytest.approx(export.requests_per_s, abs=1e-6)
    assert console.errors == export.errors == Errors(status=12)
    assert console.latency is not None
    assert export.latency is not None
    assert console.latency.mean_s == pytest.approx(export.latency.mean_s, abs=1e-8)
    assert console.latency.percentiles_s == pytest.approx(export.latency.percentiles_s, abs=1e-5)
    for part in ("scenario:flaky", "expected_response:true"):
        assert _row(console, part).requests == _row(export, part).requests
        assert _row(console, part).failures == _row(export, part).failures
    assert {"errors_not_split", "thresholds_crossed", "checks_failed", "excludes_connecting"} <= codes(export)


def test_failed_requests_are_the_passes_of_http_req_failed() -> None:
    document = json.loads(fixture("k6/summary-export.json"))
    assert document["metrics"]["http_req_failed"]["passes"] == 12
    assert only_run(fixture("k6/summary-export.json"), "k6").errors.status == 12


def test_a_threshold_is_crossed_where_the_export_says_true_and_handle_summary_says_not_ok() -> None:
    export = json.loads(fixture("k6/summary-export.json"))
    handled = json.loads(fixture("k6/handle-summary.json"))
    assert export["metrics"]["http_req_duration"]["thresholds"]["p(99)<0.0001"] is True
    assert handled["metrics"]["http_req_duration"]["thresholds"]["p(95)<0.0001"] == {"ok": False}
    for document in (export, handled):
        assert "thresholds_crossed" in codes(only_run(json.dumps(document), "k6"))
        for metric in document["metrics"].values():
            for rule in metric.get("thresholds", {}):
                metric["thresholds"][rule] = False if document is export else {"ok": True}
        assert "thresholds_crossed" not in codes(only_run(json.dumps(document), "k6"))


def test_handle_summary_knows_the_duration() -> None:
    document = json.loads(fixture("k6/handle-summary.json"))
    run = only_run(fixture("k6/handle-summary.json"), "k6")
    assert run.duration_s == pytest.approx(document["state"]["testRunDurationMs"] / 1e3)
    assert run.requests == document["metrics"]["http_reqs"]["values"]["count"]
    assert run.bytes_read == document["metrics"]["data_received"]["values"]["count"]


def test_scenarios_and_groups_of_the_full_summary_are_endpoints() -> None:
    run = only_run(fixture("k6/console-v1-full.txt"), "k6")
    assert run.requests == 12_645
    flaky, readers = _row(run, "scenario:flaky"), _row(run, "scenario:readers")
    assert (flaky.requests, flaky.failures, flaky.requests_per_s) == (40, 12, 39.981953)
    assert (readers.requests, readers.failures, readers.requests_per_s) == (12_605, 0, 12599.312821)
    assert readers.latency is not None
    assert readers.latency.percentiles_s["95"] == pytest.approx(540.44e-6)
    assert _row(run, "scenario:flaky group:flaky group").requests == 40


def test_the_summary_of_old_versions() -> None:
    run = only_run(fixture("k6/console-legacy.txt"), "k6")
    assert (run.requests, run.requests_per_s, run.errors.status) == (13_510, 13507.672493, 11)
    assert _row(run, "scenario:flaky").failures == 11
    assert "thresholds_crossed" in codes(run)


def test_no_failed_request_is_none_of_any_kind() -> None:
    text = re.sub(r"(http_req_failed\.+: )0\.10%  12 out", r"\g<1>0.00%  0 out", fixture("k6/console-v1.txt"))
    assert "0 out of 11555" in text
    assert only_run(text, "k6").errors == Errors(0, 0, 0, 0, 0)


def test_counts_that_contradict_their_share_are_left_out() -> None:
    text = "http_req_failed................: 0.05%   \u2713 6000      \u2717 3\n"
    text += "http_reqs......................: 6003   10/s\n"
    run = only_run(text, "k6")
    assert (run.requests, run.errors) == (6003, Errors())
    assert "contradiction" in codes(run)


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "latin-1"])
def test_a_summary_whose_utf_8_was_read_in_another_code_page(encoding: str) -> None:
    text = fixture("k6/console-v1-full.txt")
    mangled = text.encode().decode(encoding, errors="replace")
    found, expected = read_as(mangled, "k6"), read_as(text, "k6")
    assert len(found) == 1
    assert (found[0].requests, found[0].errors, found[0].duration_s) == (
        *(expected[0].requests, expected[0].errors),
        expected[0].duration_s,
    )
    assert found[0].latency == expected[0].latency


def test_an_interrupted_test_says_so() -> None:
    text = (
        'time="2024-01-01T00:00:00Z" level=error msg="test run was aborted because k6 received a '
        "'interrupt' signal\"\n"
    )
    assert only_run(fixture("k6/console-v1.txt") + text, "k6").interrupted


def test_a_test_without_http_has_no_count_of_requests() -> None:
    text = "\n".join(line for line in fixture("k6/console-legacy.txt").splitlines() if "http_req" not in line)
    run = only_run(text, "k6")
    assert (run.requests, run.complete) == (None, False)
    assert codes(run) >= {"no_http_requests"}


def _listed(name: str, kind: str, values: dict[str, float]) -> dict[str, object]:
    return {"contains": "default", "name": name, "type": kind, "values": values}


def _machine_readable() -> dict[str, object]:
    times = {"avg": 12.5, "max": 99.1, "med": 10.2, "min": 1.1, "p(90)": 20.5, "p(95)": 30.25}
    metrics = [
        _listed("http_reqs", "counter", {"count": 6100}),
        _listed("http_req_duration", "trend", times),
        _listed("http_req_duration{expected_response:true}", "trend", times),
        _listed("http_req_failed", "rate", {"matches": 61, "rate": 0.01, "total": 6100}),
        _listed("data_received", "counter", {"count": 1234567}),
    ]
    checks = [_listed("checks_failed", "rate", {"matches": 2, "rate": 0.1, "total": 20})]
    return {
        "config": {"duration": 30.5, "execution": "local", "script": "/s.js"},
        "metadata": {"generated_at": "2026-01-01T00:00:00Z", "k6_version": "1.5.0"},
        "results": {"checks": {"metrics": checks, "results": []}, "metrics": metrics},
        "version": "1.0.0",
    }


@pytest.mark.parametrize("indent", [None, 2])
def test_the_machine_readable_summary(indent: int | None) -> None:
    run = only_run(json.dumps(_machine_readable(), indent=indent), "k6")
    assert (run.requests, run.duration_s, run.requests_per_s, run.bytes_read) == (6100, 30.5, 200.0, 1234567)
    assert run.errors == Errors(status=61)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.percentiles_s["95"]) == (0.0125, 0.03025)
    assert [row.name for row in run.endpoints] == ["expected_response:true"]
    assert {"rate_computed", "checks_failed"} <= codes(run)


def test_a_machine_readable_summary_that_is_cut_says_no_more_than_is_there() -> None:
    text = json.dumps(_machine_readable(), indent=2)
    run = only_run(text[: text.index('"http_req_failed"')], "k6")
    assert (run.requests, run.complete, run.errors.status) == (6100, False, None)


def test_the_first_versions_had_no_dots_and_commas_between() -> None:
    text = (
        "    http_req_blocked: avg=19.57\u00b5s, max=14.9ms, med=1.28\u00b5s, min=808ns, p90=2us, p95=7us\n"
        "    http_req_duration: avg=5.26ms, max=31.48ms, med=4.3ms, min=2.25ms, p90=7.69ms, p95=12.84ms\n"
        "    http_reqs: 17538\n    runs: 17538\n"
    )
    run = only_run(text, "k6")
    assert (run.requests, run.requests_per_s, run.complete) == (17_538, None, False)
    assert run.latency is not None
    assert (run.latency.mean_s, run.latency.max_s, run.latency.min_s) == (0.00526, 0.03148, 0.00225)
    assert run.latency.percentiles_s == {"50": 0.0043, "90": 0.00769, "95": 0.01284}


def test_a_rate_in_brackets() -> None:
    text = (
        "    http_req_duration.....: avg=46.32ms, max=47ms, med=46ms, min=46ms, p90=46.5ms, p95=46.75ms\n"
        "    http_reqs.............: 110 (11/s)\n"
    )
    run = only_run(text, "k6")
    assert (run.requests, run.requests_per_s) == (110, 11)
    assert run.latency is not None
    assert run.latency.percentiles_s["95"] == 0.04675


def test_a_test_that_was_stopped_says_so_on_a_terminal_too() -> None:
    end = "\nERRO[0005] test run was aborted because k6 received a 'interrupt' signal\n"
    assert only_run(fixture("k6/console-v1.txt") + end, "k6").interrupted
    assert not only_run(fixture("k6/console-v1.txt"), "k6").interrupted


def _of_old(requests: int, seconds: int) -> str:
    return (
        "     http_req_duration..: avg=1ms med=1ms p(95)=2ms\n"
        f"     http_reqs..........: {requests} {requests / seconds}/s\n"
    )


def _progress(seconds: int) -> str:
    return f"running (0m{seconds:02}.0s), 00/10 VUs, 1 complete and 0 interrupted iterations\n"


def test_the_first_progress_line_of_the_next_test_is_not_the_end_of_the_one_before() -> None:
    next_one = "\n" + _progress(1) + _progress(20) + "\n" + _of_old(400, 20)
    for before, seconds in (
        (_progress(30) + "\n" + _of_old(300, 30), 30),
        (_of_old(300, 31) + "\n" + _progress(31), 31),
        (_of_old(300, 30), None),
    ):
        runs = read_text(before + next_one, "test")
        assert [(run.requests, run.duration_s) for run in runs] == [(300, seconds), (400, 20)]
