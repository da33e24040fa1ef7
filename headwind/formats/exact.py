"""What Headwind's Lua tells beside stdout (`headwind.wrk/1`, docs/developing.md), joined with the run it belongs to."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headwind.histogram import from_counts, percentile_key, undo_correction
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Errors, Latency, Run
from headwind.samples import Timeline

SCHEMA = "headwind.wrk/1"


def parse_line(line: str) -> dict[str, Any] | None:
    """The object of one line of exact.jsonl or of stdout; None where it is not whole, or not such an object."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA else None


def attach_exact(
    run: Run, exact: Mapping[str, Any], *, late_threshold_s: float = WRK_DEFAULT_TIMEOUT_S
) -> Run:
    """The run with the exact figures of its `headwind.wrk/1` object in place of wrk's rounded ones.

    Counts, duration, rates, errors, status codes, timeout and time line come from the object. `latency` stays the
    printed row, which is wrk's corrected view, in which the object's percentiles fill what was not printed.
    `histogram` holds the responses as measured, with the correction undone, and is left out with a warning where its
    sum is not requests - timeouts. `late` counts answers over `late_threshold_s`, or over wrk's timeout where that
    is lower. An object that is malformed or of another run changes nothing but adds a warning.
    """
    try:
        told = _Told.of(exact)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return run.warn("exact_unreadable", "The exact figures of this run are malformed and were left out.")
    if run.requests is not None and run.requests != told.requests:
        return run.warn(
            "exact_of_another_run",
            f"The exact figures tell of {told.requests} requests, wrk's report of {run.requests}: they belong to"
            " another run and were left out.",
        )
    run = _with_counts(run, told)
    if told.histogram is not None:
        run = _with_histogram(run, told)
    return _with_late(run, told, late_threshold_s)


def attach_all(runs: Sequence[Run], told: Iterable[Mapping[str, Any]]) -> list[Run]:
    """Join several runs with several objects: by their numbers of requests, else in their order."""
    objects = list(told)
    joined: list[Run] = []
    for run in runs:
        same = [index for index, found in enumerate(objects) if found.get("requests") == run.requests]
        chosen = same[0] if same else 0 if run.requests is None and objects else None
        joined.append(run if chosen is None else attach_exact(run, objects.pop(chosen)))
    return joined


@dataclass(frozen=True, slots=True)
class _Told:
    """The object, checked."""

    duration_us: int
    requests: int
    bytes_read: int
    threads: int | None
    timeout_us: int | None
    errors: Errors
    max_us: float | None
    percentiles_s: Mapping[str, float]
    status_codes: Mapping[str, int] | None
    histogram: Mapping[int, int] | None
    timeline: Timeline | None

    @classmethod
    def of(cls, exact: Mapping[str, Any]) -> _Told:
        """Raises KeyError, TypeError or ValueError where a field that must be there is not, or is of no use."""
        errors, latency = exact["errors"], exact.get("latency_us") or {}
        codes = exact.get("status_codes")
        return cls(
            duration_us=_positive(exact["duration_us"]),
            requests=_whole(exact["requests"]),
            bytes_read=_whole(exact["bytes"]),
            threads=_whole(exact["threads"]) if exact.get("threads") is not None else None,
            timeout_us=_positive(exact["timeout_us"]) if exact.get("timeout_us") is not None else None,
            errors=Errors(
                **{kind: _whole(errors[kind]) for kind in ("connect", "read", "write", "timeout", "status")}
            ),
            max_us=_seconds(latency["max"]) * 1e6 if latency.get("max") is not None else None,
            percentiles_s=_percentiles(latency.get("percentiles") or {}),
            status_codes=_codes(codes) if codes else None,
            histogram=_buckets(exact.get("histogram")),
            timeline=_timeline(exact.get("timeline")),
        )


def _codes(told: Mapping[str, Any]) -> dict[str, int]:
    if not all(re.fullmatch("[0-9]{1,3}", code) for code in told):
        raise ValueError("a status code has three digits")
    return {code: _whole(count) for code, count in told.items()}


def _percentiles(told: Mapping[str, Any]) -> dict[str, float]:
    found = {percentile_key(float(key)): _seconds(value) for key, value in told.items() if value is not None}
    if any(not 0 <= float(key) <= 100 for key in found):
        raise ValueError("a percentile lies between 0 and 100")
    return found


def _seconds(microseconds: Any) -> float:
    value = float(microseconds) / 1e6
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"not a latency: {microseconds!r}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or value != int(value) or not 0 <= value < 2**63:
        raise ValueError(f"not a count: {value!r}")
    return int(value)


def _positive(value: Any) -> int:
    if _whole(value) == 0:
        raise ValueError("zero where a duration belongs")
    return int(value)


def _buckets(histogram: Any) -> dict[int, int] | None:
    if not histogram:
        return None
    pairs = zip(histogram["values"], histogram["counts"], strict=True)
    return {_whole(value): _whole(count) for value, count in pairs}


def _timeline(timeline: Any) -> Timeline | None:
    if not timeline:
        return None
    responses, errors = (tuple(map(_whole, timeline[name])) for name in ("responses", "errors"))
    return Timeline(_positive(timeline["slot_us"]) / 1e6, responses, errors)


def _with_counts(run: Run, told: _Told) -> Run:
    duration_s = told.duration_us / 1e6
    return replace(
        run,
        complete=True,
        threads=run.threads if run.threads is not None else told.threads,
        requests=told.requests,
        duration_s=duration_s,
        bytes_read=told.bytes_read,
        requests_per_s=told.requests / duration_s,
        bytes_per_s=told.bytes_read / duration_s,
        errors=told.errors,
        status_codes=told.status_codes if told.status_codes is not None else run.status_codes,
        timeout_s=told.timeout_us / 1e6 if told.timeout_us else run.timeout_s,
        latency=_with_percentiles(run.latency, told),
        timeline=told.timeline or run.timeline,
        warnings=tuple(warning for warning in run.warnings if warning.code != "timeout_not_default"),
    )


def _with_percentiles(latency: Latency | None, told: _Told) -> Latency | None:
    if latency is None or not told.percentiles_s:
        return latency
    merged = {**told.percentiles_s, **latency.percentiles_s}
    return replace(latency, percentiles_s=dict(sorted(merged.items(), key=lambda row: float(row[0]))))


def _with_histogram(run: Run, told: _Told) -> Run:
    buckets = told.histogram or {}
    if run.connections is None or not run.connections:
        return run.warn(
            "correction_not_undone",
            "The number of connections is not in the text, so wrk's correction cannot be undone: no histogram.",
        )
    rounds = told.requests // run.connections
    interval_us = told.duration_us // rounds if rounds else 0
    try:
        raw = undo_correction(buckets, interval_us)
    except ValueError as error:
        return run.warn("histogram_check_failed", f"The histogram is left out: {error}.")
    timeouts = told.errors.timeout or 0
    answers, measured = told.requests - timeouts, sum(raw.values())
    # With k requests in flight on a connection wrk records one sample for each batch of k answers.
    depth = told.requests / (measured + timeouts) if measured + timeouts else 0.0
    if measured != answers and not (depth >= 2 and depth == int(depth)):
        return run.warn(
            "histogram_check_failed",
            f"The histogram is left out: it holds {measured} answers where requests - timeouts is {answers}.",
        )
    histogram = from_counts(raw, late=timeouts, limit_us=told.timeout_us, expected_interval_us=interval_us)
    return replace(run, histogram=histogram, pipeline=int(depth) if measured != answers else run.pipeline)


def _with_late(run: Run, told: _Told, threshold_s: float) -> Run:
    """How many answers took longer than the threshold, where that is certain."""
    timeouts = told.errors.timeout or 0
    if told.timeout_us is not None and told.timeout_us < threshold_s * 1e6:
        return replace(run, late=timeouts, late_threshold_s=told.timeout_us / 1e6)
    if run.histogram is not None and run.pipeline is None:
        over = run.histogram.over(threshold_s)
        return replace(run, late=over, late_threshold_s=threshold_s if over is not None else None)
    if timeouts == 0 and told.max_us is not None and told.max_us <= threshold_s * 1e6:
        return replace(run, late=0, late_threshold_s=threshold_s)
    if told.timeout_us == threshold_s * 1e6:
        return replace(run, late=timeouts, late_threshold_s=threshold_s)
    return replace(run, late=None, late_threshold_s=None)
