"""Over a folder of published load tests (HEADWIND_CORPUS): no advice contradicts its own evidence."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headwind.errors import HeadwindError
from headwind.formats import read_path
from headwind.report import document, text
from headwind.run import Run

CORPUS = os.environ.get("HEADWIND_CORPUS")
pytestmark = pytest.mark.skipif(not CORPUS, reason="HEADWIND_CORPUS names no folder of published load tests")

# One run of a text alone can never prove these: other causes give the same figures.
NEVER_PROVED = {
    "saturation_likely",
    "mean_understated",
    "synthetic_samples",
    "timeouts_unclear",
    "idle_windows",
}
# Rest on wrk's own counters and its closed loop without think times.
ONLY_WRK = {*NEVER_PROVED, "late_answers", "connections_rounded", "requests_overlap", "generator_near_limit"}
MORE_LOAD = re.compile(r"(add|more|increase|raise)[a-z ]{0,20} connections", re.IGNORECASE)
ANY_SLOS = [f"p{percent}<1ms" for percent in (50, 75, 90, 99, 99.9)]


@cache
def explained() -> list[tuple[str, list[Run], dict[str, Any]]]:
    return list(_explained())


def _explained() -> Iterator[tuple[str, list[Run], dict[str, Any]]]:
    for path in sorted(Path(CORPUS or ".").glob("*/*")):
        try:
            runs = list(read_path(path))
        except HeadwindError:
            continue
        yield path.name, runs, document.build(runs, source=path.name, target=50_000, slos=ANY_SLOS)


def findings() -> Iterator[tuple[str, Run, dict[str, Any]]]:
    for name, runs, built in explained():
        for row in built["findings"]:
            yield name, runs[row["runs"][0]], row


def littles_mean_s(run: Run) -> float | None:
    """c x runtime / N from the printed figures, computed here on its own."""
    if run.tool != "wrk" or not (run.requests and run.duration_s and run.threads and run.connections):
        return None
    return run.threads * (run.connections // run.threads) * run.duration_s / run.requests


def test_the_corpus_is_read() -> None:
    assert sum(len(runs) for _, runs, _ in explained()) > 200


def test_nobody_is_told_to_add_connections_where_answers_already_wait() -> None:
    for name, run, row in findings():
        mean_s = littles_mean_s(run)
        if mean_s is None or (mean_s < 0.5 and not run.errors.timeout):
            continue
        said = row["advice"].replace("Do not add connections", "")
        assert not MORE_LOAD.search(said) or row["code"] in ("saturated_across_loads", "not_saturated"), (
            name,
            row,
        )


def test_one_run_proves_nothing_that_one_run_cannot() -> None:
    for name, _, row in findings():
        if row["code"] in NEVER_PROVED:
            assert row["certainty"] != "proved", (name, row)


def test_wrks_arithmetic_is_not_applied_to_other_tools() -> None:
    for name, run, row in findings():
        if run.tool != "wrk":
            assert row["code"] not in ONLY_WRK, (name, row)


def test_no_percentile_is_given_where_late_answers_hide_it() -> None:
    for name, runs, built in explained():
        for gate in built["gates"]:
            run = runs[gate["run"]]
            timeouts, requests = run.errors.timeout or 0, run.requests or 0
            if run.tool != "wrk" or not requests or not gate["metric"].startswith("p"):
                continue
            percent = float(gate["metric"][1:])
            if timeouts / requests > 1 - percent / 100:
                assert gate["measured"] is None, (name, gate)
                assert gate["outcome"] != "held", (name, gate)


def test_a_mean_is_called_understated_only_where_it_lies_below_littles() -> None:
    for name, run, row in findings():
        if row["code"] == "mean_understated":
            mean_s = littles_mean_s(run)
            assert mean_s is not None, name
            assert run.latency is not None, name
            assert run.latency.mean_s is not None, name
            assert run.latency.mean_s < mean_s, (name, row)


def test_late_answers_are_told_exactly_where_wrk_counted_them() -> None:
    for name, run, row in findings():
        if row["code"] == "late_answers":
            assert run.errors.timeout, (name, row)
            assert row["evidence"][0]["value"] == run.errors.timeout


def test_every_number_is_finite_and_every_document_follows_the_schema() -> None:
    schema = json.loads(files("headwind.report").joinpath("schemas/run.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for name, _, built in explained():
        for row in built["findings"]:
            values = [evidence["value"] for evidence in row["evidence"]]
            assert all(math.isfinite(value) for value in values if isinstance(value, float)), (name, row)
        error = next(validator.iter_errors(json.loads(json.dumps(built))), None)
        assert error is None, (name, str(error)[:300])


def test_every_text_report_fits_a_terminal() -> None:
    for name, _, built in explained():
        lines = text.render(
            dict(built, gates=built["gates"][:2] if len(built["runs"]) == 1 else built["gates"])
        ).splitlines()
        assert max(len(line) for line in lines) <= 80, name
        assert len(lines) <= 40, (name, len(lines))
