"""k6's JSON summaries: `--summary-export` (flat), `handleSummary` (`values` inside), and the one that both write with
`--new-machine-readable-summary` (1.5 and later: a list of metrics, without rates of counts). Times in milliseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headwind.formats import k6_metrics as k6
from headwind.formats.documents import Document, amount, documents, mapping, whole
from headwind.run import Run

_KEY = re.compile(
    r'\\?"(?:http_reqs|http_req_duration|iterations|iteration_duration)\\?"\s*:'
    r'|\\?"name\\?"\s*:\s*\\?"(?:http_req|iteration)[a-z_]{1,40}'
)
_NAME = re.compile(r"([a-z_0-9]+)\{(.*)\}", re.S)


def recognises(text: str) -> bool:
    """Names of metrics as keys."""
    return _KEY.search(text) is not None


def read(text: str) -> list[Run]:
    """The runs of k6's JSON in the text."""
    if not recognises(text) and "http_req" not in text:
        return []
    return [_run(document) for document in documents(text, _is_summary)]


def _is_summary(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    metrics = _metrics(value)
    return any(
        isinstance(metrics.get(name), dict)
        for name in (k6.REQUESTS, k6.DURATION, "iterations", "iteration_duration")
    )


def _metrics(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics by name, from their object or from the list of the newer form."""
    listed = mapping(value.get("results")).get("metrics")
    if not isinstance(listed, list):
        return mapping(value.get("metrics"))
    return {
        str(item["name"]): item
        for item in listed
        if isinstance(item, dict) and "name" in item and isinstance(item.get("values"), dict)
    }


def _listed_checks(value: Mapping[str, Any]) -> tuple[int, int] | None:
    """(passed, failed) of the newer form, which counts them apart from its metrics."""
    listed = mapping(mapping(value.get("results")).get("checks")).get("metrics")
    for item in listed if isinstance(listed, list) else ():
        if mapping(item).get("name") == "checks_failed":
            outcomes = _outcomes(mapping(item.get("values")))
            return (outcomes[1], outcomes[0]) if outcomes else None
    return None


def _duration_s(value: Mapping[str, Any]) -> float | None:
    """How long the test ran: milliseconds in handleSummary's state, seconds in the newer form's config."""
    milliseconds = amount(mapping(value.get("state")).get("testRunDurationMs"))
    if milliseconds is not None:
        return round(milliseconds / 1e3, 9)
    return amount(mapping(value.get("config")).get("duration")) if "results" in value else None


def _run(document: Document) -> Run:
    value = document.value
    summary = k6.Summary()
    for name, raw in _metrics(value).items():
        metric = mapping(raw)
        values = mapping(metric.get("values")) or metric
        match = _NAME.fullmatch(str(name))
        base, tags = (match[1], match[2]) if match else (str(name), k6.TOTAL)
        _put(summary, base, tags, values)
        summary.crossed += _crossed(str(name), metric)
    summary.checks = summary.checks or _listed_checks(value)
    summary.duration_s = _duration_s(value)
    rated = _rate(summary)
    run = k6.run_of(summary, document.lines, complete=document.complete)
    if rated:
        run = run.warn(
            "rate_computed",
            "This form of k6's JSON has no rate: it is requests over the time of the test, as k6 takes it.",
        )
    if not document.complete:
        run = run.warn("cut", "The text ends inside k6's JSON; what would follow is null.")
    return run


def _rate(summary: k6.Summary) -> bool:
    """Computes the rates that are missing, as CounterSink.Format of k6 does; whether there were any."""
    missing = [
        part for part in summary.parts.values() if part.requests is not None and part.requests_per_s is None
    ]
    if not summary.duration_s or not missing:
        return False
    for part in missing:
        part.requests_per_s = (part.requests or 0) / summary.duration_s
    return True


def _put(summary: k6.Summary, base: str, tags: str, values: Mapping[str, Any]) -> None:
    if base == k6.REQUESTS:
        part = summary.part(tags)
        part.requests, part.requests_per_s = whole(values.get("count")), amount(values.get("rate"))
    elif base == k6.FAILED and _outcomes(values) is not None:
        # The rate counts failures: a "pass" is a request that failed.
        _put_failed(summary, summary.part(tags), values)
    elif base == k6.DURATION:
        summary.part(tags).times_s = {
            stat: round(seconds / 1e3, 12)
            for stat, raw in values.items()
            if (seconds := amount(raw)) is not None
            and (stat in ("avg", "min", "med", "max") or stat.startswith("p("))
        }
    elif base == k6.RECEIVED and tags == k6.TOTAL:
        summary.bytes_read = amount(values.get("count"))
    elif base == "iterations" and tags == k6.TOTAL:
        summary.iterations = whole(values.get("count"))
    elif base == "checks" and tags == k6.TOTAL:
        summary.checks = _outcomes(values) or summary.checks


def _outcomes(values: Mapping[str, Any]) -> tuple[int, int] | None:
    """How often a rate's event happened, and how often not: passes and fails, or matches out of a total."""
    if k6.passes(values):
        passed, failed = whole(values.get("passes")), whole(values.get("fails"))
    else:
        passed, total = whole(values.get("matches")), whole(values.get("total"))
        failed = None if passed is None or total is None or total < passed else total - passed
    return None if passed is None or failed is None else (passed, failed)


def _put_failed(summary: k6.Summary, part: k6.Part, values: Mapping[str, Any]) -> None:
    outcomes = _outcomes(values)
    if outcomes is not None:
        share = amount(values.get("value", values.get("rate")))
        part.failed, contradiction = k6.failed_of(outcomes, share, None)
        summary.contradictions += [contradiction] if contradiction else []


def _crossed(name: str, metric: Mapping[str, Any]) -> list[str]:
    """Thresholds that were not held: {"ok": false} in handleSummary, true in --summary-export."""
    return [
        f"{name} {rule}"
        for rule, state in mapping(metric.get("thresholds")).items()
        if state is True or mapping(state).get("ok") is False
    ]
