"""fortio: its JSON (also as nighthawk writes it) and its console output (periodic/periodic.go, from 0.x to 1.7x).

Latencies go into buckets of `-r` seconds (1 ms unless said), and percentiles are interpolated inside a bucket: the
digits beyond the bucket are made up. A code of -1 is a request without an answer. Several counts may be strings.
Where a text has console output, the JSON beside it is what fortio saved of the same runs, and is not read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from headwind.formats.causes import bad_status, errors_of, status_codes
from headwind.formats.documents import Document, amount, documents, entire, mapping, number, string, whole
from headwind.formats.fields import Field, blocks, fields, first, labels, plain, span
from headwind.formats.golang import duration
from headwind.formats.text import safe_url
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_LABELS = labels(
    {
        "start": r"Fortio (?:\S+ )?running at(?= \S+ queries per second)",
        "threads": r"Starting at (?=\S+ qps with [0-9]+ thread)",
        "ended": r"Ended after(?= \S+ : [0-9]+ calls)",
        "sleep": r"Sleep times :",
        "sleep_time": r"Aggregated Sleep Time :",
        "times": r"Aggregated Function Time :(?= count)",
        "target": r"# target (?=[0-9.]+%)",
        "failed": r"Error cases :",
        "sockets": r"Sockets used:",
        "bytes": r"Total Bytes sent:(?= [0-9]+, received: [0-9])",
        "code": r"Code +(?=-?[0-9]{1,3} : [0-9])",
        "tcp": r"tcp (?=\S[^\n:]{0,300}(?::[^\n:]{1,300}){0,9} : [0-9]+ \()",
        "udp": r"udp (?=\S[^\n:]{0,300}(?::[^\n:]{1,300}){0,9} : [0-9]+ \()",
        "health": r"Health (?=[A-Z_]{2,40} : [0-9])",
        "ping": r"Ping (?=[A-Z_]{2,40} : [0-9])",
        "sizes": r"Response Body(?:/Total)? Sizes :(?= count)",
        "done": r"All done(?= [0-9]+ calls)",
    }
)
_START = re.compile(r" (\S+) queries per second.*?(?:for (\S+?)(?: calls)?|until interrupted): (\S+)")
_THREADS = re.compile(r"(\S+) qps with ([0-9]{1,9}) thread")
_ENDED = re.compile(r" (\S+) : ([0-9]{1,18}) calls\. qps=([0-9.e+\-]+)")
_TIMES = re.compile(r" count ([0-9]{1,18}) avg (\S+) \+/- (\S+) min (\S+) max (\S+) sum (\S+)")
_DONE = re.compile(r" ([0-9]{1,18}) calls \([^)]{0,80}\) [0-9.e+\-]+ ms avg, ([0-9.e+]+) qps")
_RECEIVED = re.compile(r" [0-9]+, received: ([0-9]{1,18})(?=\s|\\)")
_OUTCOME = re.compile(r"(\S.*?) : ([0-9]{1,18})(?=\s|\\|$)")  # of TCP, UDP and gRPC, whose codes are words
_GOOD = frozenset({"OK", "SERVING"})
_GRPC = frozenset(
    {"ERROR", "UNKNOWN", "NOT_SERVING", "SERVICE_UNKNOWN"}
)  # ERROR: no answer; the others: an answer
_CODE = re.compile(r"(-?[0-9]{1,3}) : ([0-9]{1,18})(?=\s|\\|$)")
_KEYS = ("RequestedQPS", "ActualQPS", "DurationHistogram")
_SHORTEST_NS = 1e6  # a duration below a millisecond was not written in nanoseconds


def recognises(text: str) -> bool:
    """The names in its JSON, or the lines around its histogram."""
    return "DurationHistogram" in text or "Aggregated Function Time" in text


def read(text: str, source: str) -> list[Run]:
    """The runs of fortio in the text: its console output, else its JSON."""
    found: list[Run] = []
    if "Aggregated Function Time" in text:
        readable = plain(text)
        rows = (field for field in fields(readable, _LABELS))
        repeats = ("threads", "sleep", "sleep_time", "target", "code", "tcp", "udp", "health", "ping")
        for block in blocks(_of_function_times(rows), _LABELS, repeats, gap=3000):
            run = _from_text(block)
            if run is not None:
                found.append(run)
    return found or [_from_json(document) for document in documents(text, _is_result)]


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and "DurationHistogram" in value and bool(value.keys() & set(_KEYS[:2]))


def _of_function_times(found: Iterable[Field]) -> Iterable[Field]:
    """Without the percentiles of sleep times before, and of error cases after, those of the function times."""
    section = ""
    for field in found:
        if field.name == "target" and section != "times":
            continue
        if field.name != "target":
            section = field.name
        yield field


def _from_json(document: Document) -> Run:
    value: Mapping[str, Any] = document.value
    times, sizes = mapping(value.get("DurationHistogram")), mapping(value.get("Sizes"))
    code_counts = entire(value.get("RetCodes"))
    codes = {
        str(code): count for code, raw in (code_counts or {}).items() if (count := whole(raw)) is not None
    }
    threads, url = whole(value.get("NumThreads")), string(value.get("URL"))
    rate, target = amount(value.get("ActualQPS")), amount(value.get("RequestedQPS"))
    requests, lasted = whole(times.get("Count")), amount(value.get("ActualDuration"))
    run = Run(
        tool="fortio",
        url=safe_url(url) if url else None,
        lines=document.lines,
        complete=document.complete and requests is not None and rate is not None,
        started_at=string(value.get("StartTime")),
        planned_duration_s=duration(str(value.get("RequestedDuration", ""))),
        threads=threads,
        connections=threads,
        rate_target_per_s=target or None,
        requests=requests,
        duration_s=None if lasted is None or lasted < _SHORTEST_NS else round(lasted / 1e9, 9),
        bytes_read=amount(sizes.get("Sum", value.get("BytesReceived"))),
        requests_per_s=rate,
        latency=None
        if whole(times.get("Count")) == 0
        else Latency(
            mean_s=amount(times.get("Avg")),
            stdev_s=amount(times.get("StdDev")),
            max_s=amount(times.get("Max")),
            min_s=amount(times.get("Min")),
            percentiles_s=_json_percentiles(times.get("Percentiles") or []),
        ),
        errors=_errors(codes) if code_counts is not None else Errors(),
        # The codes of gRPC and TCP runs ("SERVING", "1") are none of HTTP.
        status_codes=(status_codes(codes) or None) if code_counts is not None else None,
    )
    if not document.complete:
        run = run.warn("cut", "Parts of fortio's JSON are missing here; what they would say is null.")
    if lasted is not None and lasted < _SHORTEST_NS:
        run = run.warn(
            "impossible_duration",
            f"ActualDuration is {lasted:g}, which would be nanoseconds; the duration is left out.",
        )
    return _warned(run, sum(codes.values()))


def _json_percentiles(rows: Iterable[Any]) -> dict[str, float]:
    return {
        percentile_key(percent): seconds
        for row in rows
        if (percent := amount(mapping(row).get("Percentile"))) is not None
        and percent <= 100
        and (seconds := amount(mapping(row).get("Value"))) is not None
    }


def _from_text(block: list[Field]) -> Run | None:
    ended, times = first(block, "ended"), first(block, "times")
    outcome = _ENDED.match(ended.rest) if ended and not ended.cut else None
    row = _TIMES.match(times.rest) if times and not times.cut else None
    if outcome is None and row is None:
        return None
    started, threads_field = first(block, "start"), first(block, "threads")
    begun = _START.match(started.rest) if started and not started.cut else None
    threads = _THREADS.match(threads_field.rest) if threads_field else None
    # Codes are all there when what is printed after them is.
    end = first(block, "done")
    done = first(block, "sizes") is not None or end is not None
    codes = _codes(block) if done else {}
    summed = _DONE.match(end.rest) if end else None
    values = [number(cell) for cell in row.groups()[1:]] if row else [None] * 5
    target = amount(begun[1]) if begun else None
    run = Run(
        tool="fortio",
        url=safe_url(begun[3].rstrip("`\"',")) if begun else None,
        lines=span(block),
        planned_duration_s=duration(begun[2]) if begun and begun[2] else None,
        threads=int(threads[2]) if threads else None,
        connections=int(threads[2]) if threads else None,
        rate_target_per_s=target or None,
        requests=int(outcome[2]) if outcome else int(row[1]) if row else None,
        duration_s=duration(outcome[1]) if outcome else None,
        requests_per_s=amount(outcome[3]) if outcome else amount(summed[2]) if summed else None,
        bytes_read=_sizes(first(block, "sizes")) or _received(first(block, "bytes")),
        latency=Latency(
            mean_s=values[0],
            stdev_s=values[1],
            min_s=values[2],
            max_s=values[3],
            percentiles_s=_percentiles(block),
        )
        if row
        else None,
        errors=_errors(codes) if done else Errors(),
        status_codes=(status_codes(codes) or None) if codes else None,
    )
    run = replace(run, complete=run.requests is not None and run.requests_per_s is not None)
    if not run.complete or run.latency is None:
        run = run.warn("cut", "Parts of fortio's output are missing here; what they would say is null.")
    return _warned(run, sum(codes.values()))


def _codes(block: Iterable[Field]) -> dict[str, int]:
    """How often which answer came: HTTP's status codes, or the words that other protocols have instead."""
    found: dict[str, int] = {}
    for field in block:
        pattern = (
            _CODE
            if field.name == "code"
            else _OUTCOME
            if field.name in ("tcp", "udp", "health", "ping")
            else None
        )
        match = pattern.match(field.rest) if pattern else None
        if match:
            found[match[1]] = int(match[2])
    return found


def _received(field: Field | None) -> float | None:
    match = _RECEIVED.match(field.rest + ("" if field.cut else " ")) if field else None
    return float(match[1]) if match else None


def _percentiles(block: Iterable[Field]) -> dict[str, float]:
    found: dict[str, float] = {}
    for field in block:
        words = field.words if field.name == "target" and not field.cut else []
        percent = amount(words[0].rstrip("%")) if words else None
        seconds = amount(words[1]) if len(words) > 1 else None
        if percent is not None and percent <= 100 and seconds is not None:
            found[percentile_key(percent)] = seconds
    return found


def _sizes(field: Field | None) -> float | None:
    match = (
        re.search(r" sum ([0-9.e+\-]+)(?=\s|\\)", field.rest + ("" if field.cut else " ")) if field else None
    )
    return amount(match[1]) if match else None


def _errors(codes: Mapping[str, int]) -> Errors:
    words = {name: count for name, count in codes.items() if name[-1:].isalpha() and name not in _GOOD}
    if words and not words.keys() <= _GRPC:  # TCP and UDP have messages
        return errors_of(words.items(), 0)[0]
    status = bad_status(codes) + sum(count for name, count in words.items() if name != "ERROR")
    unanswered = codes.get("-1", 0) + codes.get("0", 0) + words.get("ERROR", 0)
    split = None if unanswered else 0
    return Errors(connect=split, read=unanswered, write=split, timeout=split, status=status)


def _warned(run: Run, answers: int) -> Run:
    if run.errors.read and run.errors.connect is None:
        run = run.warn(
            "errors_not_split",
            f"fortio counts its {run.errors.read} requests without an answer (code -1) together, here under read.",
        )
    if answers and run.requests is not None and answers != run.requests:
        run = run.warn(
            "counts_differ",
            f"{run.requests} requests have a latency, {answers} a status code: some were not measured.",
        )
    if run.latency is not None and run.latency.percentiles_s:
        run = run.warn(
            "percentiles_interpolated",
            "fortio interpolates percentiles inside buckets (1 ms wide unless -r says otherwise): finer digits are "
            "not measured.",
        )
    return run
