"""The run that every part is held against: 2,788 of 50,000 requests, 613 of them late."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from headwind.histogram import from_counts
from headwind.report import document, text
from tests.analysis.runs import HEALTHY, SLOW, healthy

EXACT = healthy(
    timeout_s=2.0,
    histogram=from_counts({150_000: 50_000, 900_000: 8_000}, late=594, limit_us=2_000_000),
)


@pytest.fixture
def built() -> dict[str, Any]:
    return document.build([SLOW], source="wrk_output.txt", target=50_000)


def finding(built: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = [row for row in built["findings"] if row["code"] == code]
    return dict(found)


def test_it_gives_these_findings_and_no_others_above_a_note(built: dict[str, Any]) -> None:
    told = [
        (row["code"], row["severity"], row["certainty"])
        for row in built["findings"]
        if row["severity"] != "info"
    ]
    assert told == [
        ("target_missed", "critical", "proved"),
        ("late_answers", "critical", "likely"),
        ("saturation_likely", "warning", "likely"),
        ("mean_understated", "warning", "likely"),
    ]


def test_late_answers_and_the_percentiles_they_hide(built: dict[str, Any]) -> None:
    late = finding(built, "late_answers")
    assert late["title"].startswith("22.0 % of the answers (613) came later than 2 s")
    assert "default" in late["title"]
    assert "assumption" in late["title"]
    assert "p99, and every percentile above 78, is unknown but above 2 s" in late["title"]
    assert built["assumptions"][0]["code"] == "default_timeout"


def test_the_mean_is_littles_not_the_printed_one(built: dict[str, Any]) -> None:
    mean = finding(built, "mean_understated")
    assert "3.12 to 3.24 s by Little's law, not the printed 1.46 s" in mean["title"]


def test_the_target_is_missed_by_its_factor_and_the_mean_that_meets_it_is_said(built: dict[str, Any]) -> None:
    missed = finding(built, "target_missed")
    assert "17.9 times over" in missed["title"]
    assert "down to 180 ms" in missed["advice"]


def test_saturation_would_be_proved_at_half_the_connections_and_more_are_not_advised(
    built: dict[str, Any],
) -> None:
    saturated = finding(built, "saturation_likely")
    assert saturated["advice"].startswith("Do not add connections")
    assert "-c100 " in saturated["verify"]
    assert "61.8/s again means saturated, about 30.9/s means pure delay" in saturated["expect"]


def test_nothing_else_advises_more_connections(built: dict[str, Any]) -> None:
    for row in built["findings"]:
        said = row["advice"].lower().replace("do not add connections", "")
        assert "add connections" not in said
        assert "more connections" not in said


def test_the_text_leads_with_the_answer_and_fits_a_screen(built: dict[str, Any]) -> None:
    shown = text.render(built)
    assert shown.startswith("Target missed: 2,788 of 50,000 requests")
    lines = shown.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert len(lines) <= 30


def test_a_healthy_run_raises_no_warning() -> None:
    built = document.build([HEALTHY], source="wrk.txt", target=50_000)
    assert [row["code"] for row in built["findings"] if row["severity"] != "info"] == []
    assert built["answer"].startswith("Target met: 58,594 of 50,000 requests")


@pytest.mark.parametrize("run", [SLOW, HEALTHY, EXACT])
def test_the_document_follows_its_schema(run: Any) -> None:
    schema = json.loads(files("headwind.report").joinpath("schemas/run.schema.json").read_text())
    built = document.build([run], source="wrk.txt", target=50_000, slos=["p99<250ms", "errors<0.1%"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(built)), schema)
