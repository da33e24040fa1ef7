"""What a load pattern's results say of every request that was due, of the whole pattern, and of its objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headwind.analysis import gates
from headwind.stress import pattern_report, pattern_run
from headwind.stress.pattern_run import Part
from headwind.stress.profile import Endpoint, Profile, Stage
from headwind.stress.schedule import Requests


def evenly(count: int, length_s: float, *, latency_s: float = 0.1, sent: int | None = None) -> Requests:
    """`count` requests due at equal gaps, of which the first `sent` were sent in time and answered with 200."""
    due_s = np.linspace(0, length_s, count, endpoint=False)
    sent_s = due_s.copy()
    sent_s[count if sent is None else sent :] = np.nan
    zeros = np.zeros(count, np.int16)
    return Requests(due_s, np.minimum(due_s, sent_s), sent_s, sent_s + latency_s, zeros + 200, zeros)


def crowd(*objectives: str, rate_per_s: float = 5000, length_s: float = 2.0) -> Stage:
    asked = tuple(gates.parse(text) for text in objectives)
    return Stage("crowd", "rate", rate_per_s, rate_per_s, length_s, objectives=asked)


def pattern(*stages: Stage, endpoints: Sequence[str] = ("/",)) -> Profile:
    return Profile("t", tuple(Endpoint("GET", path) for path in endpoints), stages)


def built(parts: list[Part]) -> dict[str, Any]:
    return pattern_report.document(
        parts,
        titles=["t"],
        source="x",
        interrupted=False,
        totals={},
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
