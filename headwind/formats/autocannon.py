"""autocannon: its tables and its JSON (lib/printResult.js and lib/aggregateResult.js, from 2.0 to 9).

Latencies are recorded in whole milliseconds. The table's rate is the mean of counts per second. The number of requests
is the number *sent*, printed in thousands from 1,000 on; exact counts are in the JSON and in the table of codes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from headwind.formats.boxes import BOTTOM, MIDDLE, SIDE, drawn
from headwind.formats.causes import bad_status, status_codes
from headwind.formats.documents import Document, amount, documents, entire, mapping, string, whole
from headwind.formats.fields import Field, first, following, labels, read_blocks
from headwind.formats.javascript import as_json
from headwind.formats.text import safe_url
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_LABELS = labels(
    {
        "start": r"Running (?=[0-9.]+s test @ |[0-9]+ requests test @ )",
        "connections": r"connections(?<=[0-9] connections)(?=\s|$|\\)",
        "workers": r"workers(?<=[0-9] workers)(?=\s|$|\\)",
        "heading": r"Stat\s+(?=\u2502 (?!1%)|Avg)",
        "latency": r"Latency(?: \(ms\))?\s*(?=\u2502|\s[0-9.]+\s|\sNaN\s)",
        "heading_2": r"Stat\s+(?=\u2502 1%)",
        "rate": r"Req/Sec\s*(?=\u2502|\s[0-9.,]+\s)",
        "bytes": r"Bytes/Sec\s*(?=\u2502|\s[0-9.]+\s)",
        "codes": r"Code\s*(?=\u2502 Count)",
        "sampled": r"Req/Bytes counts sampled",
        "samples": r"# of samples:",
        "percentiles": r"Percentile\s*(?=\u2502 Latency|\sLatency \(ms\))",
        "classes": r"2xx responses,(?<=[0-9] 2xx responses,)",
        "total": r"requests in(?<=[0-9k] requests in)(?= [0-9.]+s, )",
        "errors": r"errors (?<=[0-9k] errors )(?=\([0-9]+k? timeouts\))",
    }
)
_COUNT = re.compile(r"(?<![0-9,.])(?<![0-9] )((?:[0-9]{1,3}(?:,[0-9]{3}){1,5}|[0-9]{1,15})k?)\s$")
_START = re.compile(r"(?:([0-9.]+)s|[0-9]+ requests) test @ (\S+)")
_NON_2XX = re.compile(r" ([0-9]{1,18}) non 2xx responses")
_TOTAL = re.compile(r" ([0-9.]+)s, (\S+) ([kMGTP]?B) read")
_TIMEOUTS = re.compile(r"\(([0-9]{1,15})(k?) timeouts\)")
_PRINTED = re.compile(r"^[ \t]*pipelining: [0-9]{1,6},$", re.M)  # a result that a script gave to console.log
_KEY = re.compile(r"p([0-9]+(?:_[0-9]+)?)")
_OLD_CELL = re.compile(
    r"NaN|[0-9][0-9.,]*(?: [kMGTP]?B)?"
)  # the first versions may leave one space between cells
_SI = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}
_OLD_KEYS = {"999": 99.9, "9999": 99.99, "99999": 99.999}


def recognises(text: str) -> bool:
    """Its boxes, its note on sampling, or the keys of its JSON."""
    text = drawn(text)
    return (
        re.search(r"Latency(?: \(ms\))?\s+(?:\u2502|\\u2502)", text) is not None
        or "Req/Bytes counts sampled" in text
        or re.search(r"Stat\s+Avg\s+Stdev\s+Max\s*\nLatency \(ms\)", text) is not None
        or _PRINTED.search(text) is not None
        or ('"p97_5' in text.replace("\\", "") or '"pipelining"' in text.replace("\\", ""))
    )


def read(text: str, source: str) -> list[Run]:
    """The runs of autocannon in the text, tables and JSON."""
    results = documents(text, _is_result)
    if not results and _PRINTED.search(text):
        results = documents(as_json(text), _is_result)
    found = [_from_json(document) for document in results]
    if "Latency" in text:
        found += read_blocks(drawn(text), _LABELS, _from_text, gap=40)
    return sorted(found, key=lambda run: run.lines or (0, 0))


def _is_result(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "average" in mapping(value.get("requests"))
        and bool(mapping(value.get("latency")))
        and "throughput" in value
    )


def _from_json(document: Document) -> Run:
    value = document.value
    times, requests, throughput = (mapping(value.get(name)) for name in ("latency", "requests", "throughput"))
    url = value.get("url")
    url = url[0] if isinstance(url, list) and url else url
    codes = {
        str(code): count
        for code, row in (entire(value.get("statusCodeStats")) or {}).items()
        if (count := whole(mapping(row).get("count"))) is not None
    }
    run = Run(
        tool="autocannon",
        url=safe_url(url) if isinstance(url, str) else None,
        lines=document.lines,
        started_at=string(value.get("start")),
        connections=whole(value.get("connections")),
        threads=whole(value.get("workers")) or None,
        pipeline=whole(value.get("pipelining")),
        requests=whole(requests.get("total")),
        duration_s=amount(value.get("duration")),
        bytes_read=amount(throughput.get("total")),
        requests_per_s=amount(requests.get("average", requests.get("mean"))),
        bytes_per_s=amount(throughput.get("average", throughput.get("mean"))),
        latency=Latency(
            mean_s=_milliseconds(times.get("average", times.get("mean"))),
            stdev_s=_milliseconds(times.get("stddev")),
            max_s=_milliseconds(times.get("max")),
            min_s=_smallest(times),
            percentiles_s=_percentiles(times),
        ),
        errors=_errors(
            whole(value.get("errors")),
            whole(value.get("timeouts")),
            _sum(whole(value.get("4xx")), whole(value.get("5xx"))),
        ),
        status_codes=status_codes(codes) or None,
    )
    if run.requests == 0:
        run = replace(run, latency=None)
    run = replace(
        run, complete=document.complete and run.requests is not None and run.requests_per_s is not None
    )
    return _warned(run, None)


def _smallest(times: Any) -> float | None:
    """The minimum; None where it is only the smallest that is not 0."""
    smallest, percentiles = _milliseconds(times.get("min")), _percentiles(times)
    return None if smallest is None or min(percentiles.values(), default=smallest) < smallest else smallest


def _percentiles(times: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, raw in times.items():
        match = _KEY.fullmatch(str(key))
        seconds = _milliseconds(raw)
        if match and seconds is not None:
            percent = _OLD_KEYS.get(match[1]) or float(match[1].replace("_", "."))
            if percent <= 100:
                found[percentile_key(percent)] = seconds
    return found


def _milliseconds(value: Any) -> float | None:
    found = amount(value)
    return None if found is None else round(found / 1e3, 9)


def _sum(first_part: int | None, second_part: int | None) -> int | None:
    return None if first_part is None or second_part is None else first_part + second_part


def _from_text(block: list[Field], text: str) -> Run | None:
    latency, rate, total = first(block, "latency"), first(block, "rate"), first(block, "total")
    headings = [field for field in block if field.name in ("heading", "heading_2")]
    if latency is None or rate is None or not headings:
        return None
    cells = {
        field.name: _cells(field, headings) for field in block if field.name in ("latency", "rate", "bytes")
    }
    start, connections, workers = first(block, "start"), first(block, "connections"), first(block, "workers")
    begun = _START.match(start.rest) if start and not start.cut else None
    ended = _TOTAL.match(total.rest) if total else None
    codes = {
        code: count
        for code, cell in _table(first(block, "codes"), text)
        if (count := whole(cell)) is not None
    }
    requests = _answered(block, codes, text)
    run = Run(
        tool="autocannon",
        url=safe_url(begun[2].rstrip("`\"',")) if begun else None,
        lines=(block[0].line, block[-1].line),
        planned_duration_s=amount(begun[1]) if begun and begun[1] else None,
        connections=whole(_number(connections)) if connections else None,
        threads=whole(_number(workers)) if workers else None,
        pipeline=_pipelining(connections),
        requests=requests if ended else None,
        duration_s=amount(ended[1]) if ended else None,
        bytes_read=_bytes(ended[2], ended[3]) if ended else None,
        requests_per_s=_local_number(cells["rate"].get("Avg", "")),
        bytes_per_s=_bytes(*cells.get("bytes", {}).get("Avg", "").split()[:2]),
        latency=_latency(cells["latency"], _table(first(block, "percentiles"), text)),
        errors=_text_errors(block, text, codes) if ended else Errors(),
        status_codes=codes or None,
    )
    if run.bytes_read == 0:
        run = replace(run, requests=0)
    nothing_recorded = cells["latency"].get("Avg") == "NaN"
    if (
        nothing_recorded
        or run.requests == 0
        or not (run.requests_per_s or (run.latency and run.latency.max_s))
    ):
        run = replace(run, latency=None)
    run = replace(run, complete=ended is not None and run.requests_per_s is not None)
    sent = _number(total) if total else ""
    exact = bool(codes) or first(block, "classes") is not None
    return _warned(run, sent if requests is None or (sent.endswith("k") and not exact) else None)


def _pipelining(connections: Field | None) -> int | None:
    match = re.match(r" with ([0-9]{1,6}) pipelining factor", connections.rest) if connections else None
    return int(match[1]) if match else None


def _cells(field: Field, headings: list[Field]) -> dict[str, str]:
    """The cells of a row by the names of the heading above it."""
    heading = [item for item in headings if item.line < field.line]
    if not heading or field.cut:
        return {}
    above = heading[-1].rest
    if SIDE in above:
        names, values = above.split(SIDE), field.rest.split(SIDE)
        names, values = names[1:], values[1:]
    else:  # "Stat  Avg  Stdev  Max" of the first versions
        names, values = above.split(), _OLD_CELL.findall(field.rest)
    return {name.strip(): value.strip() for name, value in zip(names, values, strict=False)}


def _number(field: Field) -> str:
    """The number before a label: "51k requests in", "10 connections"."""
    match = _COUNT.search(field.prefix)
    return match[1].replace(",", "") if match else ""


def _table(field: Field | None, text: str) -> list[tuple[str, str]]:
    """The rows of a table of two columns below its heading; none where nothing shows that they are all there."""
    found: list[tuple[str, str]] = []
    boxed = field is not None and SIDE in field.rest
    lines = list(following(text, field, 300)) if field else []
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.split(SIDE)][1:-1] if boxed else line.split()
        if BOTTOM in line or (found and not line.strip() and number < len(lines)):
            return found
        if len(cells) == 2:
            found.append((cells[0], cells[1]))
        elif MIDDLE not in line:
            break
    return []


def _answered(block: list[Field], codes: dict[str, int], text: str) -> int | None:
    """Requests with an answer: exact from codes or classes; else those sent, in thousands, where none failed."""
    if codes:
        return sum(codes.values())
    classes, total, errors = first(block, "classes"), first(block, "total"), first(block, "errors")
    match = _NON_2XX.match(classes.rest) if classes else None
    if classes and match and _number(classes):
        return _thousands(_number(classes)) + int(match[1])
    told = total is not None and _number(total) != "" and not errors and not _stops_at(total, text)
    return _thousands(_number(total)) if total and told else None


def _stops_at(total: Field, text: str) -> bool:
    """Whether the text ends on the line of the total or inside the next, which would be that of the errors."""
    rest = list(following(text, total, 2))
    return total.cut or (len(rest) == 1 and rest[0].strip() != "")


def _latency(cells: dict[str, str], rows: list[tuple[str, str]]) -> Latency:
    times = {name: _time(cell) for name, cell in cells.items()}
    percentiles = {
        percentile_key(percent): seconds
        for name, seconds in times.items()
        if name.endswith("%") and (percent := amount(name[:-1])) is not None and seconds is not None
    }
    for name, cell in rows:
        percent, seconds = amount(name), _milliseconds(cell)
        if percent is not None and percent <= 100 and seconds is not None:
            percentiles[percentile_key(percent)] = seconds
    percentiles = dict(sorted(percentiles.items(), key=lambda item: float(item[0])))
    return Latency(
        mean_s=times.get("Avg"), stdev_s=times.get("Stdev"), max_s=times.get("Max"), percentiles_s=percentiles
    )


def _time(cell: str) -> float | None:
    value = _local_number(cell.removesuffix("ms").strip())
    return None if value is None else round(value / 1e3, 9)


def _local_number(cell: str) -> float | None:
    """A number as JavaScript's toLocaleString writes it: at most two decimals, thousands apart by , . or space (in
    India, after the last three digits, hundreds)."""
    match = re.fullmatch(
        r"([0-9]{1,3}(?:[,. '\u2019][0-9]{2,3}){0,6}[,. '\u2019][0-9]{3}|[0-9]+)(?:[.,]([0-9]{1,2}))?", cell
    )
    if match is None:
        return amount(cell)
    return float(re.sub(r"[^0-9]", "", match[1]) + "." + (match[2] or "0"))


def _bytes(number: str = "", unit: str = "") -> float | None:
    """pretty-bytes counts in thousands: 18.8 MB are 18,800,000 bytes."""
    value = amount(number)
    return None if value is None or unit not in _SI else round(value * _SI[unit], 3)


def _text_errors(block: list[Field], text: str, codes: dict[str, int]) -> Errors:
    field, classes = first(block, "errors"), first(block, "classes")
    match = _NON_2XX.match(classes.rest) if classes else None
    status = bad_status(codes) if codes else int(match[1]) if match else 0
    if field is None:
        total = first(block, "total")
        if total is not None and _stops_at(total, text):
            return Errors(status=status)
        return Errors(0, 0, 0, 0, status)
    timeouts = _TIMEOUTS.match(field.rest)
    if timeouts is None:
        return Errors(status=status)
    return _errors(_thousands(_number(field)), _thousands(timeouts[1] + timeouts[2]), status)


def _thousands(number: str) -> int:
    return int(number.removesuffix("k") or 0) * (1000 if number.endswith("k") else 1)


def _errors(errors: int | None, timeouts: int | None, status: int | None) -> Errors:
    """`errors` are time-outs and socket errors of any kind."""
    if errors is None or timeouts is None:
        return Errors(status=status)
    unanswered = max(errors - timeouts, 0)
    split = 0 if unanswered == 0 else None
    return Errors(connect=split, read=unanswered, write=split, timeout=timeouts, status=status)


def _warned(run: Run, rounded: str | None) -> Run:
    if not run.complete:
        run = run.warn("cut", "Parts of autocannon's report are missing here; what they would say is null.")
    if rounded:
        run = run.warn(
            "requests_rounded",
            f"autocannon prints {rounded} requests: those sent, not those answered, and from 1,000 on within 500; its "
            "JSON has the exact counts.",
        )
    if run.errors.status and run.status_codes is None and rounded is None:
        run = run.warn(
            "non_2xx_includes_redirects",
            "autocannon's non 2xx responses, here under status, count 3xx as well.",
        )
    if run.errors.read and run.errors.connect is None:
        run = run.warn(
            "errors_not_split",
            f"autocannon counts its {run.errors.read} socket errors of all kinds together, here under read.",
        )
    if run.requests_per_s is not None:
        run = run.warn(
            "rate_is_mean_of_samples",
            "autocannon's Req/Sec is the mean of counts per second, not requests over time.",
        )
    return run.warn("whole_milliseconds", "autocannon records latencies in whole milliseconds.")
