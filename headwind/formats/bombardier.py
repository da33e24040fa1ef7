"""bombardier (codesenberg): plain text and JSON (templates.go, from 1.0 to 2.0).

Reqs/sec is the mean of rates sampled during the run, not requests over time. Throughput is bytes read and written.
Its standard deviation weighs every distinct latency the same, however often it came (LatenciesStats in
internal/test_info.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headwind.formats.causes import errors_of, warn_unknown
from headwind.formats.documents import Document, amount, documents, mapping, string, whole
from headwind.formats.fields import Field, first, following, is_cut_minute, labels, read_blocks
from headwind.formats.golang import duration
from headwind.formats.text import safe_url
from headwind.formats.units import size
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_LABELS = labels(
    {
        "start": r"Bombarding (?=[a-z]+://|\S+ (?:for|with) )",
        "statistics": r"Statistics(?=\s+Avg\s+Stdev\s+Max)",
        "rate": r"Reqs/sec(?=\s+[0-9])",
        "no_rate": r"There wasn't enough data to compute statistics for requests",
        "latency": r"Latency(?=\s+[0-9])",
        "no_latency": r"There wasn't enough data to compute statistics for latencies",
        "distribution": r"Latency Distribution(?! \([1-5]xx\))",  # of all answers; others follow by status
        "codes": r"HTTP codes:",
        "classes": r"1xx -",
        "others": r"others -",
        "errors": r"Errors:",
        "throughput": r"Throughput:",
    }
)
_START = re.compile(r"(\S+) (?:for (\S+)|with ([0-9]+) request\S*) using ([0-9]+) connection")
_CLASS = re.compile(r"([1-5])xx - ([0-9]{1,19})(?=\D|$)")
_ERROR = re.compile(r"\s*(\S.*?) - ([0-9]{1,18})\s*[\"',\\]*")
_PERCENTILE = re.compile(r"\W*([0-9]{1,3}(?:\.[0-9]+)?)%\s+(\S+)")


def recognises(text: str) -> bool:
    """Its first line, or "Reqs/sec" and its codes by class, are bombardier's alone."""
    return (
        re.search(r"Bombarding \S+ (?:for|with) \S+ .{0,20}using [0-9]+ connection", text) is not None
        or re.search(r"1xx - [0-9]+, 2xx - [0-9]+", text) is not None
        or "numberOfConnections" in text
    )


def read(text: str, source: str) -> list[Run]:
    """The runs of bombardier in the text, plain and JSON."""
    found = [_from_json(document) for document in documents(text, _is_result)]
    if "Reqs/sec" in text or "Bombarding" in text:
        found += read_blocks(text, _LABELS, _from_text, gap=60)
    return sorted(found, key=lambda run: run.lines or (0, 0))


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and "numberOfConnections" in mapping(value.get("spec"))


def _from_json(document: Document) -> Run:
    spec, result = mapping(document.value.get("spec")), mapping(document.value.get("result"))
    times, rates = mapping(result.get("latency")), mapping(result.get("rps"))
    classes = {name: count for name in "12345" if (count := whole(result.get(f"req{name}xx"))) is not None}
    messages = [
        (str(mapping(row).get("description")), count)
        for row in result.get("errors") or []
        if (count := whole(mapping(row).get("count"))) is not None
    ]
    others = whole(result.get("others"))
    complete = document.complete and len(classes) == 5 and others is not None
    errors, unknown = _errors(classes, messages, others) if complete else (Errors(), 0)
    rate, url = amount(rates.get("mean")), string(spec.get("url"))
    run = Run(
        tool="bombardier",
        url=safe_url(url) if url else None,
        lines=document.lines,
        complete=complete and rate is not None,
        planned_duration_s=amount(spec.get("testDurationSeconds")),
        connections=whole(spec.get("numberOfConnections")),
        rate_target_per_s=amount(spec.get("rate")),
        timeout_s=amount(spec.get("timeoutSeconds")),
        requests=sum(classes.values()) if complete else None,
        duration_s=amount(result.get("timeTakenSeconds")),
        bytes_read=amount(result.get("bytesRead")),
        requests_per_s=rate,
        latency=Latency(
            mean_s=_microseconds(times.get("mean")),
            stdev_s=_microseconds(times.get("stddev")),
            max_s=_microseconds(times.get("max")),
            percentiles_s={
                percentile_key(percent): value
                for key, raw in mapping(times.get("percentiles")).items()
                if (percent := amount(str(key).strip())) is not None
                and (value := _microseconds(raw)) is not None
            },
        )
        if times
        else None,
        errors=errors,
    )
    if not document.complete:
        run = run.warn("cut", "Parts of bombardier's JSON are missing here; what they would say is null.")
    return _warned(run, unknown, None)


def _microseconds(value: Any) -> float | None:
    found = amount(value)
    return None if found is None else round(found / 1e6, 12)


def _from_text(block: list[Field], text: str) -> Run | None:
    statistics, rates, times = first(block, "statistics"), first(block, "rate"), first(block, "latency")
    if statistics is None or (rates is None and times is None and first(block, "no_latency") is None):
        return None
    start, class_field, others_field = first(block, "start"), first(block, "classes"), first(block, "others")
    begun = _START.match(start.rest) if start else None
    row = "1xx -" + class_field.rest if class_field else ""
    classes = {name: int(count) for name, count in _CLASS.findall(row)}
    others = whole(others_field.word(0)) if others_field else None
    counted = len(classes) == 5 and others is not None
    messages, message_lines = _messages(block, text)
    errors, unknown = _errors(classes, messages, others) if counted else (Errors(), 0)
    if first(block, "throughput") is None and sum(count for _, count in messages) != others:
        errors, unknown = Errors(status=errors.status), 0  # the list of errors may go on, or follow
    last = block[-1].line + (message_lines if block[-1].name == "errors" else 0)
    run = Run(
        tool="bombardier",
        url=safe_url(begun[1]) if begun else None,
        lines=(block[0].line, last),
        complete=counted and rates is not None,
        planned_duration_s=duration(begun[2].lower()) if begun and begun[2] else None,
        connections=int(begun[4]) if begun and len(begun[4]) < 10 else None,
        requests=sum(classes.values()) if counted else None,
        requests_per_s=amount(rates.word(0)) if rates else None,
        latency=_latency(block, text) if times else None,
        errors=errors,
    )
    if not counted or (rates is None and first(block, "no_rate") is None):
        run = run.warn("cut", "Parts of bombardier's report are missing here; what they would say is null.")
    throughput = first(block, "throughput")
    both = size(throughput.word(0).removesuffix("/s")) if throughput else None
    return _warned(run, unknown, both)


def _latency(block: list[Field], text: str) -> Latency:
    times, distribution = first(block, "latency"), first(block, "distribution")
    cells = [duration(word) for word in times.words] if times else []
    cells += [None] * 3
    percentiles: dict[str, float] = {}
    for line in following(text, distribution, 12) if distribution else ():
        match = _PERCENTILE.match(line)
        value = duration(match[2]) if match and not is_cut_minute(text, line) else None
        if match is None or value is None:
            break
        percentiles[percentile_key(float(match[1]))] = value
    return Latency(mean_s=cells[0], stdev_s=cells[1], max_s=cells[2], percentiles_s=percentiles)


def _messages(block: list[Field], text: str) -> tuple[list[tuple[str, int]], int]:
    field = first(block, "errors")
    found: list[tuple[str, int]] = []
    for line in following(text, field, 500) if field else ():
        match = _ERROR.fullmatch(line)
        if match is None or "Throughput:" in line:
            break
        found.append((match[1], int(match[2])))
    return found, len(found)


def _errors(
    classes: Mapping[str, int], messages: list[tuple[str, int]], others: int | None
) -> tuple[Errors, int]:
    """Errors have a message each and are counted among `others`; `others` beyond them have no known kind."""
    errors, unknown = errors_of(messages, classes["4"] + classes["5"])
    rest = (others or 0) - sum(count for _, count in messages)
    if rest > 0 and not messages:
        return Errors(read=others, status=errors.status), 0  # of which kinds they are is not said
    if rest > 0:
        more, _ = errors_of([*messages, ("", rest)], errors.status)
        return more, unknown + rest
    return errors, unknown


def _warned(run: Run, unknown: int, both_ways: float | None) -> Run:
    run = warn_unknown(run, unknown)
    unanswered = sum(
        filter(None, (run.errors.connect, run.errors.read, run.errors.write, run.errors.timeout))
    )
    if run.requests == 0:
        run = replace(run, latency=None)
    if unanswered:
        run = run.warn(
            "unanswered_in_latency",
            f"bombardier's rate and latencies count the {unanswered} requests without an answer too.",
        )
    if run.errors.read and run.errors.connect is None:
        run = run.warn(
            "errors_not_split",
            f"bombardier counts {run.errors.read} requests without an answer together, here under read.",
        )
    if run.requests_per_s is not None:
        run = run.warn(
            "rate_is_mean_of_samples",
            "bombardier's Reqs/sec is the mean of rates sampled during the run, not requests divided by time.",
        )
    if both_ways is not None:
        run = run.warn(
            "throughput_both_ways",
            f"bombardier's Throughput ({both_ways:g} B/s) counts what was sent as well, so bytes per second is null.",
        )
    if run.latency is not None and run.latency.stdev_s is not None:
        run = run.warn(
            "stdev_unweighted",
            "bombardier's latency Stdev counts every distinct latency once, however often it came.",
        )
    return run
