"""k6's two JSON summaries: `--summary-export` (flat) and `handleSummary` (`values` inside). Times in milliseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headwind.formats import k6_metrics as k6
from headwind.formats.documents import Document, amount, documents, mapping, whole
from headwind.run import Run

_NAME = re.compile(r"([a-z_0-9]+)\{(.*)\}", re.S)


def recognises(text: str) -> bool:
    """Names of metrics as keys."""
    return (
        re.search(r'\\?"(?:http_reqs|http_req_duration|iterations|iteration_duration)\\?"\s*:', text)
        is not None
    )


def read(text: str) -> list[Run]:
    """The runs of k6's JSON in the text."""
    if not recognises(text) and "http_req" not in text:
        return []
    return [_run(document) for document in documents(text, _is_summary)]


def _is_summary(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    metrics = mapping(value.get("metrics"))
    return any(
        isinstance(metrics.get(name), dict)
        for name in (k6.REQUESTS, k6.DURATION, "iterations", "iteration_duration")
    )


def _run(document: Document) -> Run:
    value = document.value
    summary = k6.Summary()
    for name, raw in mapping(value.get("metrics")).items():
        metric = mapping(raw)
        values = mapping(metric.get("values")) or metric
        match = _NAME.fullmatch(str(name))
        base, tags = (match[1], match[2]) if match else (str(name), k6.TOTAL)
        _put(summary, base, tags, values)
        summary.crossed += _crossed(str(name), metric)
    milliseconds = amount(mapping(value.get("state")).get("testRunDurationMs"))
    summary.duration_s = None if milliseconds is None else round(milliseconds / 1e3, 9)
    run = k6.run_of(summary, document.lines, complete=document.complete)
    if not document.complete:
        run = run.warn("cut", "The text ends inside k6's JSON; what would follow is null.")
    return run


def _put(summary: k6.Summary, base: str, tags: str, values: Mapping[str, Any]) -> None:
    if base == k6.REQUESTS:
        part = summary.part(tags)
        part.requests, part.requests_per_s = whole(values.get("count")), amount(values.get("rate"))
    elif base == k6.FAILED and k6.passes(values):
        # The rate counts failures: a "pass" is a request that failed.
        _put_failed(summary, summary.part(tags), values)
    elif base == k6.DURATION:
        summary.part(tags).times_s = {
            stat: seconds / 1e3
            for stat, raw in values.items()
            if (seconds := amount(raw)) is not None
            and (stat in ("avg", "min", "med", "max") or stat.startswith("p("))
        }
    elif base == k6.RECEIVED and tags == k6.TOTAL:
        summary.bytes_read = amount(values.get("count"))
    elif base == "iterations" and tags == k6.TOTAL:
        summary.iterations = whole(values.get("count"))
    elif base == "checks" and tags == k6.TOTAL and k6.passes(values):
        passed, failed = whole(values.get("passes")), whole(values.get("fails"))
        if passed is not None and failed is not None:
            summary.checks = passed, failed


def _put_failed(summary: k6.Summary, part: k6.Part, values: Mapping[str, Any]) -> None:
    passed, failed = whole(values.get("passes")), whole(values.get("fails"))
    share = amount(values.get("value", values.get("rate")))
    part.failed = passed
    if passed is not None and failed is not None:
        part.failed, contradiction = k6.failed_of((passed, failed), share, None)
        summary.contradictions += [contradiction] if contradiction else []


def _crossed(name: str, metric: Mapping[str, Any]) -> list[str]:
    """Thresholds that were not held: {"ok": false} in handleSummary, true in --summary-export."""
    return [
        f"{name} {rule}"
        for rule, state in mapping(metric.get("thresholds")).items()
        if state is True or mapping(state).get("ok") is False
    ]
