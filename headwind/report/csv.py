"""The runs as CSV: one row a run, followed by a row for each of its endpoints; SI units, in the column's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from headwind.report.plain import cell, clean
from headwind.run import Latency, Run

_RUN_COLUMNS = (
    "tool", "url", "complete", "interrupted", "started_at", "planned_duration_s", "threads", "connections",
    "rate_target_per_s", "timeout_s", "late_threshold_s", "late", "requests", "duration_s", "bytes_read",
    "requests_per_s", "bytes_per_s",
)  # fmt: skip
_ERRORS = ("connect", "read", "write", "timeout", "status")
_LATENCY = ("min_s", "mean_s", "stdev_s", "max_s")


def render(document: Mapping[str, Any]) -> str:
    """The document's runs; an empty cell means that the source does not say, and is never a zero."""
    document = clean(document)
    runs = [Run.from_json(row) for row in document["runs"]]
    keys = sorted({key for latency in _latencies(runs) for key in latency.percentiles_s}, key=float)
    columns = [
        "run", "endpoint", *_RUN_COLUMNS, *(f"errors_{kind}" for kind in _ERRORS),
        *(f"latency_{name}" for name in _LATENCY), *(f"latency_p{key}_s" for key in keys),
        "failures", "findings", "gates_not_held",
    ]  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for place, run in enumerate(runs):
        for row in _rows(run, place, document):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _latencies(runs: list[Run]) -> Iterator[Latency]:
    for run in runs:
        yield from (one for one in (run.latency, *(row.latency for row in run.endpoints)) if one)


def _rows(run: Run, place: int, document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    # A finding without run indices is about all runs.
    codes = [row["code"] for row in document.get("findings") or () if place in (row.get("runs") or [place])]
    gates = [
        row["gate"]
        for row in document.get("gates") or ()
        if row["outcome"] != "held" and row.get("run", 0) == place
    ]
    yield {
        "run": place + 1,
        **{name: getattr(run, name) for name in _RUN_COLUMNS},
        **{f"errors_{kind}": getattr(run.errors, kind) for kind in _ERRORS},
        **_latency(run.latency),
        "findings": " ".join(codes),
        "gates_not_held": "; ".join(gates),
    }
    for endpoint in run.endpoints:
        name = endpoint.name
        yield {
            "run": place + 1,
            "endpoint": name
            if not endpoint.method or name.startswith(endpoint.method)
            else f"{endpoint.method} {name}",
            "requests": endpoint.requests,
            "failures": endpoint.failures,
            "requests_per_s": endpoint.requests_per_s,
            **_latency(endpoint.latency),
        }


def _latency(latency: Latency | None) -> dict[str, float | None]:
    if latency is None:
        return {}
    percentiles = {f"latency_p{key}_s": value for key, value in latency.percentiles_s.items()}
    return {**{f"latency_{name}": getattr(latency, name) for name in _LATENCY}, **percentiles}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return cell(value) if isinstance(value, str) else value
