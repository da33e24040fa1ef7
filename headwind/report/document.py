"""The document `headwind.run/1`: runs, findings, gates and the answer as plain data; every report is made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headwind.analysis import answer, context, gates, rules
from headwind.analysis.across import across
from headwind.analysis.context import Context
from headwind.analysis.excluded import excluded
from headwind.analysis.finding import Finding
from headwind.run import SCHEMA, Run
from headwind.samples import Sample
from headwind.words import number

# Findings that compare runs with one another are made up to so many runs; above it each run is judged alone.
COMPARED_RUNS = 1000


def build(
    runs: Sequence[Run],
    *,
    source: str,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
    target: int | None = None,
    slos: Sequence[str | gates.Objective] = (),
    sources: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The document of `runs`, as `report/schemas/run.schema.json` describes it.

    `sources` names the file of each run where there are several. `samples` and `environment` belong to the load that
    all of `runs` were part of. `slos` are objectives as text or parsed.
    Raises UsageError where an objective's text is none.
    """
    asked = objectives(target, slos)
    contexts = [
        context.of(
            run,
            sources[index] if sources else source,
            index=index,
            target=target,
            samples=samples,
            environment=environment,
        )
        for index, run in enumerate(runs)
    ]
    per_run = [rules.judge(one) for one in contexts]
    if len(contexts) <= COMPARED_RUNS:
        per_run.append(across(contexts))
    judged = [gate for one in contexts for gate in gates.judge(one, asked)]
    return {
        "schema": SCHEMA,
        "source": source,
        "sources": list(sources) if sources else None,
        "target": target,
        "answer": answer.sentence(contexts[0], per_run[0])
        if len(contexts) == 1
        else _answer_of_many(contexts),
        "assumptions": [row for one in contexts[:COMPARED_RUNS] for row in assumptions(one)],
        "trust": [mark.to_json() for mark in answer.trust(contexts[0])] if len(contexts) == 1 else [],
        "ruled_out": [row.to_json() for row in excluded(contexts[0], {f.code for f in per_run[0]})]
        if len(contexts) == 1
        else [],
        "findings": [finding.to_json() for finding in in_order(per_run)],
        "gates": [gate.to_json() for gate in judged],
        "runs": [run.to_json() for run in runs],
    }


def in_order(per_run: Iterable[Sequence[Finding]]) -> Iterator[Finding]:
    """All findings of several runs: the critical of every run first, then warnings, then notes."""
    everything = [finding for findings in per_run for finding in findings]
    yield from sorted(everything, key=lambda finding: rules.SEVERITY_RANK[finding.severity])


def assumptions(one: Context) -> list[dict[str, Any]]:
    """What was taken for granted because the source does not say it."""
    found = []
    if one.limit_assumed and one.limit_s is not None:
        found.append(
            {
                "code": "default_timeout",
                "message": f"wrk does not print its --timeout; its default of {one.limit_s:g} s is assumed.",
                "run": one.index,
            }
        )
    return found


def exit_code(document: Mapping[str, Any]) -> int:
    """What the process ends with: 3 a gate failed, 4 one could not be judged, else 0."""
    return int(gates.exit_code(gate["outcome"] for gate in document["gates"]))


def objectives(target: int | None, slos: Sequence[str | gates.Objective]) -> list[gates.Objective]:
    """The target and the objectives, parsed; raises UsageError where a text is none."""
    parsed = [gates.parse(slo) if isinstance(slo, str) else slo for slo in slos]
    return [*([gates.target(target)] if target is not None else []), *parsed]


def _answer_of_many(contexts: Sequence[Context]) -> str:
    if not contexts:
        return "No run was found."
    rated = [one for one in contexts if one.rate_per_s is not None]
    if not rated:
        return f"{len(contexts)} runs, none of them with its totals."
    best = max(rated, key=lambda one: one.rate_per_s or 0.0)
    slowest = min(rated, key=lambda one: one.rate_per_s or 0.0)
    return (
        f"{len(contexts)} runs, from {number(slowest.rate_per_s)} to {number(best.rate_per_s)} requests per second; "
        f"the fastest is {best.where}."
    )
