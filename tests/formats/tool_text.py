"""What all tests of tools' outputs share: the fixtures, text around a run, and what a cut run may still say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwind.formats import read_text, registry
from headwind.formats.text import decode
from headwind.run import Run

FIXTURES = Path(__file__).parent / "fixtures"
TOOLS = ("ab", "autocannon", "bombardier", "fortio", "h2load", "hey", "k6", "locust", "oha", "vegeta")
_NUMBERS = (
    *("url", "started_at", "planned_duration_s", "threads", "connections", "rate_target_per_s", "pipeline"),
    *("timeout_s", "requests", "duration_s", "bytes_read", "requests_per_s", "bytes_per_s", "status_codes"),
)


def fixture(name: str) -> str:
    """The text of a fixture."""
    return decode((FIXTURES / name).read_bytes())


def only_run(text: str, tool: str) -> Run:
    """The one run in a text, recognised as that tool's."""
    runs = read_text(text, "test")
    assert [run.tool for run in runs] == [tool]
    return runs[0]


def read_as(text: str, tool: str) -> list[Run]:
    """The runs that a tool's own reader finds, as with --tool."""
    return read_text(text, "test", tool=tool)


def recognised(text: str) -> set[str]:
    """The tools, wrk's own aside, that take a text for theirs."""
    return {name for name in registry.hinted(text) if name in TOOLS and registry.load(name).recognises(text)}


def codes(run: Run) -> set[str]:
    """The codes of a run's warnings."""
    return {warning.code for warning in run.warnings}


def close(found: float | None, expected: float, digits: float) -> bool:
    """Whether a number is the expected one within half of the last printed digit."""
    return found is not None and math.isclose(found, expected, rel_tol=1e-12, abs_tol=digits / 2 * 1.0001)


def contradictions(part: Run, whole: Run) -> list[str]:
    """What a cut run says otherwise than the whole one; saying less is fine."""
    found = [
        f"{name}: {getattr(part, name)!r} instead of {getattr(whole, name)!r}"
        for name in _NUMBERS
        if getattr(part, name) is not None and getattr(part, name) != getattr(whole, name)
    ]
    found += _differences("errors", part.errors.to_json(), whole.errors.to_json())
    if part.latency is not None:
        have = part.latency.to_json()
        full = whole.latency.to_json() if whole.latency else {"percentiles_s": {}}
        found += _differences("percentile", have.pop("percentiles_s"), full.pop("percentiles_s"))
        found += _differences("latency", have, full)
    rows = {(row.method, row.name): row.to_json() for row in whole.endpoints}
    for row in part.endpoints:
        mine, full_row = row.to_json(), rows.get((row.method, row.name), {})
        latency, full_latency = mine.pop("latency") or {}, full_row.get("latency") or {}
        found += _differences(f"endpoint {row.name}", mine, full_row)
        found += _differences(
            row.name, latency.pop("percentiles_s", {}), full_latency.get("percentiles_s", {})
        )
        found += _differences(row.name, latency, full_latency)
    return found


def _differences(what: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    return [
        f"{what} {name}: {value!r} instead of {whole.get(name)!r}"
        for name, value in part.items()
        if value is not None and value != whole.get(name)
    ]
