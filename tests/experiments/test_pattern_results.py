"""What a load pattern's results say of every request that was due, of the whole pattern, and of its objectives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

import jsonschema
import numpy as np
import pytest

from headwind.analysis import gates
from headwind.analysis.gates import Objective
from headwind.report import html, markdown
from headwind.stress import pattern_report, pattern_run
from headwind.stress.pattern_run import Measured, Part
from headwind.stress.plain_tables import experiment_text
from headwind.stress.profile import Endpoint, Profile, Stage
from headwind.stress.schedule import Requests, merge


def evenly(count: int, length_s: float, *, latency_s: float = 0.1, sent: int | None = None) -> Requests:
    """`count` requests due at equal gaps, of which the first `sent` were sent in time and answered with 200."""
    due_s = (np.arange(count) + 0.5) * length_s / count
    sent_s = due_s.copy()
    sent_s[count if sent is None else sent :] = np.nan
    zeros = np.zeros(count, np.int16)
    return Requests(due_s, np.minimum(due_s, sent_s), sent_s, sent_s + latency_s, zeros + 200, zeros)


def crowd(*objectives: str, rate_per_s: float = 5000, length_s: float = 2.0) -> Stage:
    return Stage("crowd", "rate", rate_per_s, rate_per_s, length_s, objectives=asked(*objectives))


def asked(*objectives: str) -> tuple[Objective, ...]:
    return tuple(gates.parse(text) for text in objectives)


def pattern(*stages: Stage, endpoints: Sequence[str] = ("/",)) -> Profile:
    return Profile("t", tuple(Endpoint("GET", path) for path in endpoints), stages)


def built(
    parts: list[Part],
    *totals: Part,
    ended: str = "done",
    planned: int = 0,
    broken: Exception | None = None,
) -> dict[str, Any]:
    return pattern_report.document(
        Measured(parts, list(totals)),
        titles=["t"],
        source="x",
        ended=ended,
        planned=planned,
        broken=broken,
        seed=1,
        again="again",
        environment={},
    )


def rows(document: dict[str, Any], caption: str) -> list[dict[str, str]]:
    (table,) = (table for table in document["tables"] if table["caption"] == caption)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_what_was_due_and_never_sent_is_a_request_that_failed_and_beats_every_limit() -> None:
    stage = crowd("errors<1%", "p99<250ms", "p50<250ms", "rps>4000")
    parts = pattern_run.parts_of(evenly(10_000, 2.0, sent=7000), pattern(stage), (stage,), "server")
    whole = parts[0]
    assert (whole.requests, whole.fails, whole.unsent, whole.per_s) == (10_000, 3000, 3000, 3500)
    assert whole.p50_s is not None
    assert whole.p99_s is None
    assert [one.held for one in whole.judged] == [False, False, True, False]
    document = built(parts)
    assert "10,000 requests in 1 stage, 3,000 failed" in document["answer"]
    assert "crowd: 3,000 of its 10,000 requests were due and never sent" in document["answer"]
    assert document["gates"][0]["measured"] == 0.3
    assert "answers never came" in document["gates"][1]["reason"]
    (row,) = rows(document, "Stages")
    assert (row["never sent"], row["fails %"], row["p99"]) == ("3,000", "30 %", "no answer")
    assert any("no connection free" in note["message"] for note in document["assumptions"])


def test_a_pattern_that_was_sent_whole_says_nothing_of_requests_never_sent() -> None:
    stage = crowd("errors<1%", "p99<250ms")
    document = built(
        pattern_run.parts_of(evenly(10_000, 2.0), pattern(stage), (stage,), "server"),
    )
    assert "never sent" not in document["answer"]
    assert "All 2 objectives held" in document["answer"]
    assert not any("never sent" in note["message"] for note in document["assumptions"])


def test_a_request_that_was_never_sent_belongs_to_no_endpoint_where_there_are_several() -> None:
    stage = crowd(rate_per_s=100, length_s=1.0)
    requests = evenly(100, 1.0, sent=60)
    requests.endpoint[:60:2] = 1
    parts = pattern_run.parts_of(requests, pattern(stage, endpoints=("/a", "/b")), (stage,), "server")
    by_endpoint = {row["endpoint"]: row for row in rows(built(parts), "Endpoints over each whole test")}
    assert {name: row["requests"] for name, row in by_endpoint.items()} == {
        "GET /a": "30",
        "GET /b": "30",
        "(never sent)": "40",
    }
    assert by_endpoint["(never sent)"]["fails %"] == "100 %"


def test_an_objective_that_could_not_be_judged_is_not_called_held() -> None:
    stage = crowd("p99<1s", "errors<1%")
    document = built(pattern_run.parts_of(evenly(0, 2.0), pattern(stage), (stage,), "server"))
    assert [gate["outcome"] for gate in document["gates"]] == ["not_judged"] * 2
    assert (
        "2 of 2 objectives could not be judged, first crowd: p99<1s not judged: no request"
        in document["answer"]
    )
    assert "held" not in document["answer"]
    alone = crowd("p99<1s")
    parts = pattern_run.parts_of(evenly(100, 2.0), pattern(alone), (alone,), "server")
    assert "The objective held." in built(parts)["answer"]


def late_by(lag_s: float, requests: Requests) -> Requests:
    """The same requests, sent so much later by a generator that had connections free."""
    return replace(requests, sent_s=requests.sent_s + lag_s, done_s=requests.done_s + lag_s)


def test_a_generator_that_sends_late_is_told_apart_from_the_server() -> None:
    stage = crowd("p99<105ms", "p99<250ms", "errors<1%", rate_per_s=100)
    profile = replace(pattern(stage), objectives=asked("p50<105ms"))
    requests = late_by(0.02, evenly(200, 2.0))
    parts = pattern_run.parts_of(requests, profile, (stage,), "server")
    total = pattern_run.total_of(profile, [requests], parts, "server")
    assert [one.send_lag_p99_s for one in (parts[0], total)] == pytest.approx([0.02, 0.02])
    assert [one.held for one in (*parts[0].judged, *total.judged)] == [None, True, True, None]
    document = built(parts, total)
    assert "crowd: the generator itself sent late (p99 20 ms with connections free)" in document["answer"]
    assert "not judged, measured 120 ms: the generator itself sent late" in document["answer"]
    trust = {row["name"]: row for row in document["trust"]}
    assert (trust["generator on time"]["value"], trust["generator on time"]["good"]) == (
        "0 of 1 stage by rate",
        False,
    )
    assert rows(document, "Stages")[0]["send lag p99"] == "20 ms"
    assert document["stages"][0]["send_lag_p99_s"] == pytest.approx(0.02)


def test_what_waits_for_a_busy_connection_or_is_never_answered_is_the_servers_fault() -> None:
    stage = crowd("p99<150ms", rate_per_s=100)
    prompt = evenly(200, 2.0)
    waited = replace(late_by(0.2, prompt), taken_s=prompt.due_s + 0.1999)
    silent = replace(late_by(0.02, prompt), done_s=np.full(200, np.nan))
    for requests, lag_s in ((waited, 0.0001), (silent, 0.02)):
        whole = pattern_run.parts_of(requests, pattern(stage), (stage,), "server")[0]
        assert whole.send_lag_p99_s == pytest.approx(lag_s, abs=1e-9)
        assert [one.held for one in whole.judged] == [False]


def test_a_pattern_of_users_says_nothing_of_a_send_lag() -> None:
    stage = replace(crowd(rate_per_s=4), kind="users")
    document = built(pattern_run.parts_of(evenly(200, 2.0), pattern(stage), (stage,), "server"))
    assert "send lag p99" not in rows(document, "Stages")[0]
    assert {row["name"] for row in document["trust"]} == {"arrival", "requests sent"}


def test_the_whole_pattern_has_a_row_with_its_objectives_and_what_was_measured() -> None:
    calm, busy = crowd(rate_per_s=100, length_s=2.0), crowd(rate_per_s=400, length_s=1.0)
    profile = replace(pattern(calm, busy), objectives=asked("p95<500ms", "errors<1%", "rps>180"))
    pieces = [evenly(200, 2.0), evenly(400, 1.0, latency_s=0.7, sent=300)]
    parts = [
        part
        for piece, stage in zip(pieces, (calm, busy), strict=True)
        for part in pattern_run.parts_of(piece, profile, (stage,), "server")
    ]
    document = built(parts, pattern_run.total_of(profile, pieces, parts, "server"))
    (total,) = document["totals"]
    assert (total["requests"], total["fails"], total["unsent"], total["length_s"]) == (600, 100, 100, 3.0)
    assert total["per_s"] == pytest.approx(500 / 3)
    assert (total["p50_s"], total["p95_s"]) == (pytest.approx(0.7), None)
    (row,) = rows(document, "Whole patterns")
    assert (row["stages"], row["requests"], row["p50"], row["p99"]) == ("2", "600", "700 ms", "no answer")
    assert (
        row["objectives"] == "p95<500ms failed (no answer), errors<1% failed (16.7 %), rps>180 failed (167/s)"
    )
    assert [gate["stage"] for gate in document["gates"]] == ["t, whole pattern"] * 3
    schema = json.loads((resources.files("headwind.report") / "schemas/experiment.schema.json").read_text())
    jsonschema.validate(document, schema)
    for said in (experiment_text(document), markdown.render(document), html.render(document)):
        assert "Whole patterns" in said
        assert "167/s" in said


def test_what_users_sent_after_the_end_of_their_pattern_is_in_no_total() -> None:
    requests = evenly(100, 1.0)
    assert len(requests.until(0.5).due_s) == 50
    assert len(merge([requests, requests.until(0.5)]).status) == 150


def test_an_objective_that_held_until_the_pattern_was_cut_short_is_not_judged() -> None:
    whole = pattern_run.judge(evenly(10, 1.0), np.ones(10, bool), asked("errors<1%", "p99<50ms"), 1.0)
    assert [one.held for one in whole] == [True, False]
    assert [one.held for one in pattern_run.cut_short(whole)] == [None, False]
