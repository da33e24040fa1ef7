"""vegeta: `vegeta report` as text and as JSON (lib/reporters.go and lib/metrics.go, from 2.0 to 12).

An open-loop tool: it sends at a rate. `rate` is how fast it sent, `throughput` how many successes came per second until
the last answer; `Requests/sec` of a Run is the first. All durations of the JSON are nanoseconds. Percentiles are
estimated from a sketch. A status code of 0 is a request without an answer, and the error set has no counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headwind.formats.causes import bad_status, cause, status_codes
from headwind.formats.documents import Document, amount, documents, entire, mapping, number, string, whole
from headwind.formats.fields import Field, first, following, labels, read_blocks
from headwind.formats.golang import duration
from headwind.formats.text import safe_name
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_LABELS = labels(
    {
        "requests": r"Requests[ \t]+\[(?:total|count)",
        "duration": r"Duration[ \t]+\[total",
        "latencies": r"Latencies[ \t]+\[(?:min|mean)",
        "bytes_in": r"Bytes In[ \t]+\[total",
        "bytes_out": r"Bytes Out[ \t]+\[total",
        "success": r"Success[ \t]+\[ratio",
        "codes": r"Status Codes[ \t]+\[code:count",
        "errors": r"Error Set:",
    }
)
_ROW = re.compile(r"([^\]\n]*)\][ \t]*(.*)")
_CODE = re.compile(r"([0-9]{1,3}):([0-9]{1,18})")
_PROMPT = re.compile(r"```|~~~|[\w.@~/:\-\[\] ]{0,60}[$#%>](?:\s|$)|\*/")
_WORD = re.compile(r"[A-Za-z]{3}")  # a bracket or a quotation mark alone is what stands around the report
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_JSON_KEY = re.compile(r"([0-9]+(?:\.[0-9]+)?)th")


def recognises(text: str) -> bool:
    """The bracketed headings, or the JSON's keys, are vegeta's alone."""
    return (
        re.search(r"(?:Latencies|Requests|Success)\s+\[(?:min|mean|total|ratio)", text) is not None
        or re.search(r'"50th(?:\\)?"', text) is not None
    )


def read(text: str, source: str) -> list[Run]:
    """The runs of vegeta's reports in the text, text and JSON alike."""
    found = [_from_json(document) for document in documents(text, _is_report)]
    if "[" in text:
        found += read_blocks(text, _LABELS, _from_text, gap=40)
    return sorted(found, key=lambda run: run.lines or (0, 0))


def _is_report(value: Any) -> bool:
    return isinstance(value, dict) and "50th" in mapping(value.get("latencies")) and "requests" in value


def _from_json(document: Document) -> Run:
    report: Mapping[str, Any] = document.value
    times = mapping(report.get("latencies"))
    code_counts = entire(report.get("status_codes"))
    codes = (
        None
        if code_counts is None
        else {str(code): count for code, raw in code_counts.items() if (count := whole(raw)) is not None}
    )
    attack, wait = amount(report.get("duration")), amount(report.get("wait"))
    latency = Latency(
        mean_s=_nanoseconds(times.get("mean")),
        max_s=_nanoseconds(times.get("max")),
        min_s=_nanoseconds(times.get("min")),
        percentiles_s={
            percentile_key(float(match[1])): value
            for key, raw in times.items()
            if (match := _JSON_KEY.fullmatch(str(key))) and (value := _nanoseconds(raw)) is not None
        },
    )
    messages = [item for item in report.get("errors") or [] if isinstance(item, str)]
    run = Run(
        tool="vegeta",
        lines=document.lines,
        complete=document.complete,
        started_at=string(report.get("earliest")),
        requests=whole(report.get("requests")),
        duration_s=None if attack is None or wait is None else round((attack + wait) / 1e9, 9),
        bytes_read=amount(mapping(report.get("bytes_in")).get("total")),
        requests_per_s=number(report.get("rate")),
        latency=latency if whole(report.get("requests")) != 0 else None,
        errors=_errors(codes, messages, complete=document.complete),
        status_codes=None if codes is None else status_codes(codes),
    )
    if not document.complete:
        run = run.warn("cut", "Parts of vegeta's JSON are missing here; what they would say is null.")
    return _warned(run, number(report.get("throughput")), messages)


def _nanoseconds(value: Any) -> float | None:
    found = amount(value)
    return None if found is None else found / 1e9


def _from_text(block: Sequence[Field], text: str) -> Run | None:
    rows = {field.name: _row(field, text) for field in block if field.name != "errors"}
    totals = [amount(word) for word in rows.get("requests", {}).values()]
    times = {name: duration(word) for name, word in rows.get("latencies", {}).items()}
    codes_field = first(block, "codes")
    codes = _codes(codes_field) if codes_field and not codes_field.cut else None
    messages = _error_set(block, text)
    if not totals and not any(value is not None for value in times.values()):
        return None
    lasted = rows.get("duration", {})
    # "[total, rate]" and "[total, rate, throughput]"; the durations are "[total, attack, wait]".
    rated = len(totals) > 1 and None not in totals[:2]
    run = Run(
        tool="vegeta",
        lines=(block[0].line, block[-1].line + len(messages)),
        requests=whole(totals[0]) if totals else None,
        requests_per_s=totals[1] if len(totals) > 1 else None,
        duration_s=duration(lasted.get("total", "")),
        bytes_read=amount(rows.get("bytes_in", {}).get("total")),
        latency=Latency(
            mean_s=times.get("mean"),
            max_s=times.get("max"),
            min_s=times.get("min"),
            percentiles_s={
                percentile_key(float(name)): value
                for name, value in times.items()
                if value is not None and amount(name) is not None
            },
        )
        if times and totals[:1] != [0]
        else None,
        errors=_errors(codes, messages, complete=codes is not None),
        status_codes=None if codes is None else status_codes(codes),
        complete=rated and "latencies" in rows and "codes" in rows,
    )
    # Before 6.0 no rate was printed.
    if not run.complete and not (list(rows.get("requests", ())) == ["total"] and codes is not None):
        run = run.warn("cut", "Parts of vegeta's report are missing here; what they would say is null.")
    return _warned(run, totals[2] if len(totals) > 2 else None, messages)


def _row(field: Field, text: str) -> dict[str, str]:
    """The values of a row by the names that its heading gives them: [min, mean, 50] 1ms, 2ms, 3ms."""
    heading = field.label.split("[", 1)[1] + field.rest
    match = _ROW.fullmatch(heading)
    if match is None:
        return {}
    names = [name.strip() for name in match[1].split(",")]
    rest = match[2].strip()
    if rest.endswith(",") and not field.cut:
        rest += " " + next(following(text, field), "").strip()  # wrapped by an editor
    values = _values(rest, len(names), cut=field.cut)
    # A number at the very end of a cut text may lack digits; a unit or a % sign shows that it is whole.
    if field.cut and values and not values[-1].endswith(("s", "%")):
        values.pop()
    return {name: value for name, value in zip(names, values, strict=False) if value}


def _values(row: str, most: int, *, cut: bool) -> list[str]:
    """The values of a row, which has at most so many; people put commas between thousands."""
    values = row.split(",")
    if len(values) > most or cut:
        values = [
            value.replace(",", "") if _THOUSANDS.fullmatch(value) else value
            for value in re.split(r",[ \t]+", row)
        ]
    # Where it cannot be told which comma ends a value, none is certain.
    return [] if len(values) > most or any("," in value for value in values) else [v.strip() for v in values]


def _codes(field: Field) -> dict[str, int]:
    # `words` lacks a pair whose count touches the end of a cut text.
    pairs = [match for word in field.words if (match := _CODE.fullmatch(word.rstrip("`\"',\\")))]
    return {match[1]: int(match[2]) for match in pairs}


def _error_set(block: Sequence[Field], text: str) -> list[str]:
    field = first(block, "errors")
    if field is None or field.cut:
        return []
    messages: list[str] = []
    for line in following(text, field):
        message = line.strip()
        if not message or message[0] in '"]}' or _PROMPT.match(message) or _LABELS.search(message):
            break
        if text.endswith(line) and cause(message) not in ("connect", "timeout"):
            message += "…"  # what is missing could name another kind
            messages.append("…")
        if _WORD.search(message):
            messages.append(message.rstrip("\"',\\"))
    return messages


def _errors(codes: Mapping[str, int] | None, messages: Sequence[str], *, complete: bool) -> Errors:
    """Status codes have counts; requests without an answer have only a code of 0 and a set of messages."""
    if codes is None or not complete:
        return Errors()
    status = bad_status(codes)
    unanswered = codes.get("0", 0)
    counts: dict[str, int | None] = {"connect": 0, "read": 0, "write": 0, "timeout": 0}
    if unanswered:
        kinds = {cause(message) for message in messages if not re.match(r"[1-5][0-9][0-9] ", message)}
        only = kinds.pop() if len(kinds) == 1 else None
        counts = dict.fromkeys(counts, 0 if only else None)
        counts[only or "read"] = unanswered
    return Errors(**counts, status=status)


def _warned(run: Run, throughput: float | None, messages: Sequence[str]) -> Run:
    latency = run.latency
    if latency is not None and latency.max_s and latency.mean_s == 0:
        run = _without_uncomputed(run)
    if run.errors.read and run.errors.connect is None:
        run = run.warn(
            "errors_not_split",
            f"{run.errors.read} requests got no answer for several reasons ({safe_name('; '.join(messages))[:300]}); "
            "vegeta counts them together, here under read.",
        )
    if (
        throughput is not None
        and run.requests_per_s
        and not math.isclose(throughput, run.requests_per_s, rel_tol=0.01)
    ):
        run = run.warn(
            "rate_is_sending_rate",
            f"Requests/sec is the rate at which vegeta sent ({run.requests_per_s:g}/s); successful answers came at "
            f"{throughput:g}/s.",
        )
    if latency is not None and latency.percentiles_s:
        run = run.warn(
            "percentiles_estimated",
            "vegeta estimates percentiles from a sketch of the latencies: the last digits are not measured.",
        )
    return run


def _without_uncomputed(run: Run) -> Run:
    """A report whose metrics were never closed prints 0 for all that would have been computed."""
    latency = run.latency
    assert latency is not None
    return replace(
        run,
        complete=False,
        duration_s=run.duration_s or None,
        requests_per_s=run.requests_per_s or None,
        latency=Latency(min_s=latency.min_s, max_s=latency.max_s),
    ).warn("nothing_computed", "vegeta printed 0 for rate, mean and percentiles: they were never computed.")
