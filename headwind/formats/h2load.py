"""h2load (nghttp2): the report of src/h2load.cc, from 0.4 to 1.6x.

Latencies are those of requests, connecting is apart; each client draws at most a million samples. "failed" counts bad
status codes as well as requests without an answer ("errored", of which "timeout").
"""

from __future__ import annotations

import re
from dataclasses import replace

from headwind.formats.documents import amount
from headwind.formats.fields import Field, blocks, fields, first, labels, plain, span
from headwind.formats.units import seconds, share, size
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_LABELS = labels(
    {
        "starting": r"starting benchmark\.\.\.",
        "spawning": r"spawning thread #[0-9]+:",
        "finished": r"finished in(?= \S+ [0-9.]+ req/s| [0-9]+ sec, )",
        "requests": r"requests:(?= [0-9]+ total, [0-9]+ started)",
        "codes": r"status codes:(?= [0-9]+ 2xx)",
        "traffic": r"traffic:(?= \S+ )",
        "heading": r"min\s+max\s+(?=mean|median)",
        "time_for_request": r"time for request:",
        "request": r"request\s+:(?=\s+[0-9.]+[a-z]?s)",
        "client": r"req/s (?:\(client\))?\s*:",
    }
)
_COUNT = re.compile(r"([0-9]{1,18}) ([a-z0-9]+)(?=[,\s\\\"]|$)")
# Before 1.0, in whole numbers: "0 sec, 152 millisec and 152 microsec, 6572 req/s, 749 kbytes/s".
_OLD = re.compile(
    r" ([0-9]{1,9}) sec, ([0-9]{1,3}) millisec and ([0-9]{1,3}) microsec, ([0-9]{1,15}) req/s, ([0-9]{1,15}) kbytes/s"
)
_CLIENTS = re.compile(r" ([0-9]{1,9}) total client")
_TIMED = re.compile(r".* ([0-9]{1,9})s of main duration")
_BYTES = re.compile(r"(?:\S+ )?\(?([0-9]{1,18})\)?(?: bytes)? total")


def recognises(text: str) -> bool:
    """The two first lines of its report are h2load's alone."""
    return (
        re.search(r"finished in (?:\S+, [0-9.]+ req/s, |[0-9]+ sec, [0-9]+ millisec and )", text) is not None
        or re.search(r"requests: [0-9]+ total, [0-9]+ started", text) is not None
    )


def read(text: str, source: str) -> list[Run]:
    """The runs of h2load in the text."""
    readable = plain(text)
    found = (_from_text(block) for block in blocks(fields(readable, _LABELS), _LABELS, ("spawning",)))
    return [run for run in found if run is not None]


def _from_text(block: list[Field]) -> Run | None:
    finished, requests = first(block, "finished"), first(block, "requests")
    if finished is None and requests is None:
        return None
    words = _ended(finished) if finished else []
    counts = _counts(requests)
    codes = _counts(first(block, "codes"))
    spawned = [_CLIENTS.match(field.rest) for field in block if field.name == "spawning"]
    clients = [int(match[1]) for match in spawned if match]
    whole_start = bool(clients) and len(clients) == len(spawned) and first(block, "starting") is not None
    timed = [match for field in block if field.name == "spawning" and (match := _TIMED.match(field.rest))]
    run = Run(
        tool="h2load",
        lines=span(block),
        planned_duration_s=float(timed[0][1]) if timed else None,
        threads=len(clients) if whole_start else None,
        connections=sum(clients) if whole_start else None,
        requests=_answered(counts),
        duration_s=seconds(words[0]) if words else None,
        requests_per_s=amount(words[1]) if len(words) > 1 else None,
        bytes_read=_bytes(first(block, "traffic")),
        bytes_per_s=size(words[3].removesuffix("/s")) if len(words) > 3 else None,
        latency=_latency(block) if _answered(counts) != 0 else None,
        errors=_errors(counts, codes, cut=requests is None or requests.cut),
    )
    run = replace(run, complete=run.requests is not None and run.requests_per_s is not None)
    if not run.complete:
        run = run.warn("cut", "Parts of h2load's report are missing here; what they would say is null.")
    if run.errors.read and run.errors.connect is None:
        run = run.warn(
            "errors_not_split",
            f"h2load counts its {run.errors.read} requests without an answer together, here under read.",
        )
    return run


def _ended(finished: Field) -> list[str]:
    """ "1.50s", "6572.1", "req/s", "749.2KB/s"; less where the text is cut."""
    old = _OLD.match(finished.rest)
    if old is None:
        return [word.rstrip(",") for word in finished.words]
    microseconds = (int(old[1]) * 1000 + int(old[2])) * 1000 + int(old[3])
    return [f"{microseconds}us", old[4], "req/s", f"{old[5]}KB/s"]


def _counts(field: Field | None) -> dict[str, int]:
    """ "10 total, 10 started": name -> count. Where the text is cut inside the row nothing is taken of it."""
    if field is None:
        return {}
    found = {name: int(count) for count, name in _COUNT.findall(field.rest)}
    if field.cut and not {"timeout", "5xx"} & found.keys():
        return {}
    return found


def _answered(counts: dict[str, int]) -> int | None:
    """Requests with an answer. "done" counts streams that ended without one too, and in some versions those that were
    never sent."""
    if not {"succeeded", "failed", "errored"} <= counts.keys():
        return None
    return max(0, counts["succeeded"] + counts["failed"] - counts["errored"])


def _bytes(field: Field | None) -> float | None:
    match = _BYTES.match(field.rest.strip()) if field else None
    return float(match[1]) if match else None


def _latency(block: list[Field]) -> Latency | None:
    row, heading = first(block, "request"), first(block, "heading")
    row = row or first(block, "time_for_request")
    if row is None:
        return None
    columns = ["min", "max", *(heading.rest.replace("+/- sd", "within").split() if heading else ())]
    if heading is None:  # 1.69 put three percentiles before the mean, and renamed the row
        newer = len(row.words) >= 8
        columns = ["min", "max", *(("median", "p95", "p99") if newer else ()), "mean", "sd", "within"]
    cells = dict(zip(columns, row.words, strict=False))
    times = {name: seconds(cell) for name, cell in cells.items()}
    percentiles = {percentile_key(50): times.get("median"), "95": times.get("p95"), "99": times.get("p99")}
    return Latency(
        mean_s=times.get("mean"),
        stdev_s=times.get("sd"),
        max_s=times.get("max"),
        min_s=times.get("min"),
        within_stdev=share(cells.get("within", "")),
        percentiles_s={name: value for name, value in percentiles.items() if value is not None},
    )


def _errors(counts: dict[str, int], codes: dict[str, int], *, cut: bool) -> Errors:
    errored, timeout = counts.get("errored"), counts.get("timeout")
    status = codes["4xx"] + codes["5xx"] if {"4xx", "5xx"} <= codes.keys() else None
    if errored is not None and timeout is None and not cut:  # before 1.0 there was no time-out
        timeout = 0
    if errored is None or timeout is None:
        return Errors(status=status)
    unanswered = max(errored - timeout, 0)
    split = 0 if unanswered == 0 else None
    return Errors(connect=split, read=unanswered, write=split, timeout=timeout, status=status)
