"""What the reports of experiments and diagnoses say, as the same `Content` that a run's report lays out.

`headwind.experiment/1` holds, besides what is its own, the keys read here; each may be missing or null:
    title, answer, trust, assumptions, gates, findings, ruled_out, again      as in `headwind.run/1`
    baseline, margin, comparisons: [{name, ratio, low, high, verdict}]        throughput over the baseline's
    objective, objective_s, capacity_per_s, capacity_low_per_s, capacity_high_per_s, ceiling_per_s,
    steps: [{rate_per_s, p50_s, p99_s, held}]                                 latency against offered rate
    stages: [{name, test, server, endpoint, requests, fails, length_s, p50_s, p95_s}]    of a load pattern, in order
    ladder: {points: [{connections, rate_per_s}], service_s, think_s, ceiling_per_s}
    tables: [{caption, columns, rows}]                                        any other figures, as text or numbers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwind import words
from headwind.analysis.finding import Evidence, Finding, Severity
from headwind.report import content, diff
from headwind.report.content import Content, Fact, Told
from headwind.report.tables import Table, environment_tables

EXPERIMENT, DIAGNOSIS, DIFFERENCE = "headwind.experiment/1", "headwind.diagnosis/1", "headwind.diff/1"
# A table of percentiles has a column a run; more do not fit, and p50 and p99 are in the table of the runs.
RUNS_IN_COLUMNS = 8


def experiment(document: Mapping[str, Any], environment: Mapping[str, Any] | None = None) -> Content:
    """The words of a comparison, a capacity search or a load pattern."""
    findings = [Finding.from_json(row) for row in document.get("findings") or ()]
    title = str(document.get("title") or document.get("source") or "experiment")
    return Content(
        title=title,
        source=str(document.get("source") or title),
        answer=str(document.get("answer") or title),
        trust=content.facts(document),
        gates=tuple(content.gate(row) for row in document.get("gates") or ()),
        findings=tuple(Told(finding) for finding in findings),
        ruled_out=content.ruled_out(document),
        numbers=tuple(_table(row) for row in document.get("tables") or ()),
        again=content.again(document) or content.again(environment),
        environment=environment_tables(environment or document.get("environment")),
        notes=tuple(str(row["message"]) for row in document.get("assumptions") or ()),
        raw_text=None,
    )


def diagnosis(document: Mapping[str, Any], environment: Mapping[str, Any] | None = None) -> Content:
    """The words of a diagnosis: its causes in order as findings, and what it ruled out."""
    title = str(document.get("url") or "diagnosis")
    return Content(
        title=title,
        source=title,
        answer=str(document.get("summary") or title),
        trust=_diagnosis_facts(document),
        gates=(),
        findings=tuple(Told(_cause(row, place)) for place, row in enumerate(document.get("causes") or ())),
        ruled_out=content.ruled_out(document),
        numbers=tuple(_table(row) for row in document.get("tables") or ()),
        again=content.again(document) or content.again(environment),
        environment=environment_tables(environment or document.get("environment")),
        notes=tuple(map(str, document.get("notes") or ())),
        raw_text=None,
    )


def difference(document: Mapping[str, Any]) -> Content:
    """The words of runs put side by side: the tables of `headwind diff`, and what single runs can show."""
    labels = [str(run["label"]) for run in document["runs"]]
    title = (
        f"{labels[0]} beside {labels[1]}" if len(labels) == 2 else f"{len(labels)} runs beside {labels[0]}"
    )
    numbers = [
        Table(caption, tuple(header), tuple(map(tuple, rows)))
        for caption, (header, *rows) in diff.tables(document)
        if caption != "Percentiles" or len(labels) <= RUNS_IN_COLUMNS
    ]
    notes = [str(note) for note in document.get("notes") or ()]
    return Content(
        title=title,
        source=", ".join(str(run["source"]) for run in document["runs"][:RUNS_IN_COLUMNS]),
        answer=str(document["answer"]),
        trust=(),
        gates=tuple(content.gate(row) for row in document.get("gates") or ()),
        findings=(),
        ruled_out=(),
        numbers=tuple(numbers),
        again=None,
        environment=(),
        notes=tuple(notes),
        raw_text=None,
    )


def proved_percentiles(run: Mapping[str, Any]) -> dict[float, float]:
    """The percentiles (0..100) of a run of `headwind diff` that are known, and not only bounded, in seconds."""
    return {
        float(key): float(bounds["low"])
        for key, bounds in run["percentiles_s"].items()
        if bounds["low"] is not None and bounds["low"] == bounds["high"]
    }


def _diagnosis_facts(document: Mapping[str, Any]) -> tuple[Fact, ...]:
    ceiling, unloaded, load_s = (document.get(key) for key in ("ceiling_per_s", "unloaded_s", "load_s"))
    reached = document.get("ceiling_reached")
    facts = [
        Fact(
            "ceiling",
            words.rate(ceiling),
            "good" if reached else "neutral",
            "more load would not give more" if reached else "the highest seen; more load might give more",
        ),
        Fact("one request alone", words.seconds(unloaded), "neutral", "the unloaded response time"),
    ]
    if load_s is not None:
        facts.append(Fact("load spent", words.seconds(load_s), "neutral", "on all probes together"))
    return (*facts, *content.facts(document))


def _cause(row: Mapping[str, Any], place: int) -> Finding:
    """A cause as a finding: the first weighs most, and the code `none` is good news."""
    severity: Severity = "info" if row["code"] == "none" else "critical" if place == 0 else "warning"
    return Finding(
        code=str(row["code"]),
        severity=severity,
        certainty=row["certainty"],
        title=str(row.get("title") or str(row["code"]).replace("_", " ")),
        evidence=tuple(_evidence(one) for one in row.get("evidence") or ()),
        advice=str(row.get("advice") or ""),
        expect=str(row.get("expect") or ""),
        verify=str(row.get("verify") or ""),
    )


def _evidence(row: Any) -> Evidence:
    if isinstance(row, Mapping):
        unit, source = str(row.get("unit") or ""), str(row.get("source") or "")
        return Evidence(str(row.get("name")), row.get("value"), unit, source)
    return Evidence("measured", str(row), "", "")


def _table(row: Mapping[str, Any]) -> Table:
    """A table of the document: text as it is, numbers as people write them, null as "not stated"."""
    rows = tuple(tuple(_cell(cell) for cell in line) for line in row["rows"])
    # A column of places needs no head to be understood, but a screen reader needs one.
    columns = tuple(str(column) or "No." for column in row["columns"])
    return Table(str(row["caption"]), columns, rows)


def _cell(cell: Any) -> str:
    if cell is None:
        return "not stated"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return words.number(cell) if isinstance(cell, int | float) else str(cell)


def comparison_rows(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The rows of a comparison, for a picture or CSV."""
    return [
        {"low": None, "high": None, "verdict": "undecided", **row}
        for row in document.get("comparisons") or ()
    ]
