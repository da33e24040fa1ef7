"""oha: its summary as text and as JSON (src/printer.rs, from 0.3 to 1.x).

Latencies are those of requests with an answer. Requests/sec counts requests without an answer too, and the ones that
`-z` cuts off at its deadline ("aborted due to deadline"), which are no errors of the server.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from headwind.formats import summary
from headwind.formats.causes import errors_of, status_codes, warn_unknown
from headwind.formats.documents import Document, amount, documents, entire, mapping, whole
from headwind.formats.fields import first, plain
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4, "PiB": 1024**5} | {
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
}
_DEADLINE = "aborted due to deadline"


def recognises(text: str) -> bool:
    """The success rate of a summary, or the names in the JSON, are oha's alone."""
    return re.search(r"Success rate:(?:\s|\\t)", text) is not None or "latencyPercentiles" in text


def read(text: str, source: str) -> list[Run]:
    """The runs of oha's summaries in the text, text and JSON alike."""
    found = [_from_json(document) for document in documents(text, _is_summary)]
    if "Success rate:" in text:
        readable = plain(text)
        for block in summary.summaries(readable):
            run = _from_text(block, readable)
            if run is not None:
                found.append(run)
    return sorted(found, key=lambda run: run.lines or (0, 0))


def _is_summary(value: Any) -> bool:
    return isinstance(value, dict) and "requestsPerSec" in mapping(value.get("summary"))


def _from_json(document: Document) -> Run:
    value = document.value
    totals = mapping(value.get("summary"))
    run = Run(
        tool="oha",
        lines=document.lines,
        duration_s=amount(totals.get("total")),
        requests_per_s=amount(totals.get("requestsPerSec")),
        bytes_read=amount(totals.get("totalData")),
        bytes_per_s=amount(totals.get("sizePerSec")),
        latency=Latency(
            mean_s=amount(totals.get("average")),
            max_s=amount(totals.get("slowest")),
            min_s=amount(totals.get("fastest")),
            percentiles_s=_percentiles(value.get("latencyPercentiles")),
        ),
    )
    codes, messages = _counts(value.get("statusCodeDistribution")), _counts(value.get("errorDistribution"))
    codes = None if codes is None else status_codes(codes)
    rows = None if messages is None else list(messages.items())
    return _finished(run, summary.Outcome(codes, rows, document.lines[1]))


def _counts(value: Any) -> dict[str, int] | None:
    members = entire(value)
    if members is None:
        return None
    return {str(name): count for name, item in members.items() if (count := whole(item)) is not None}


def _percentiles(value: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, raw in mapping(value).items():
        percent, seconds = amount(str(name).removeprefix("p")), amount(raw)
        if percent is not None and percent <= 100 and seconds is not None:
            found[percentile_key(percent)] = seconds
    return found


def _bytes(block: summary.Block, name: str) -> float | None:
    field = first(block, name)
    words = field.words if field else []
    value = amount(words[0]) if words else None
    unit = _BYTES.get(words[1]) if len(words) > 1 else None
    return None if value is None or unit is None else round(value * unit, 2)


def _from_text(block: summary.Block, text: str) -> Run | None:
    if first(block, "success") is None or first(block, "rate") is None:
        return None
    rate, total = summary.rate(block), summary.time(block, "total")
    outcome = summary.outcome(block, text, rate, total)
    run = Run(
        tool="oha",
        lines=(block[0].line, outcome.last_line),
        duration_s=total,
        requests_per_s=rate,
        bytes_read=_bytes(block, "data"),
        bytes_per_s=_bytes(block, "per_second"),
        latency=Latency(
            mean_s=summary.time(block, "average"),
            max_s=summary.time(block, "slowest"),
            min_s=summary.time(block, "fastest"),
            percentiles_s=summary.percentiles(block, text),
        ),
    )
    run = _finished(run, outcome)
    return run.warn("rounded", "oha's text has four decimals of its unit; its JSON has every digit.")


def _finished(run: Run, outcome: summary.Outcome) -> Run:
    """The run with what follows from status codes and errors."""
    messages = outcome.messages
    aborted = sum(count for message, count in messages or () if message.startswith(_DEADLINE))
    errors, unknown = Errors(status=outcome.status), 0
    if messages is not None and outcome.codes is not None:
        failed = [(message, count) for message, count in messages if not message.startswith(_DEADLINE)]
        errors, unknown = errors_of(failed, outcome.status)
    if outcome.responses == 0:
        run = replace(run, latency=None)
    complete = outcome.codes is not None and run.requests_per_s is not None
    run = replace(
        run, requests=outcome.responses, errors=errors, status_codes=outcome.codes, complete=complete
    )
    if not complete or messages is None:
        run = run.warn("cut", "oha's status codes or errors are missing here; what they would say is null.")
    if aborted:
        run = run.warn(
            "aborted_at_deadline",
            f"{aborted} requests were under way when oha's time was up; they are no errors and are in no latency.",
        )
    if outcome.unanswered and not summary.agrees(outcome.responses or 0, run.requests_per_s, run.duration_s):
        run = run.warn(
            "rate_counts_errors",
            f"oha's Requests/sec counts the {outcome.unanswered} requests without an answer as well.",
        )
    return warn_unknown(run, unknown)
