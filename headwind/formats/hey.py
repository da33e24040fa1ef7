"""hey (and its ancestor boom): the summary it prints (requester/print.go, from 2014 to 0.1.4).

Requests are the responses; requests without one are in the error distribution only. Times have four decimals of a
second. hey keeps the first 1,000,000 response times: beyond that, versions differ in what they divide by.
"""

from __future__ import annotations

import re
from dataclasses import replace

from headwind.formats import summary
from headwind.formats.causes import errors_of, warn_unknown
from headwind.formats.documents import amount
from headwind.formats.fields import first, following, plain
from headwind.run import Errors, Latency, Run

_STARTS = re.compile(r"Summary:\s*[\n\x0b][^\n\x0b]*?Total:\s+[0-9.]+ secs")
_AVERAGE = re.compile(r"Average:\s+[0-9.]+ secs")
KEPT = 1_000_000  # responses that hey keeps: maxRes in requester/report.go


def recognises(text: str) -> bool:
    """hey's summary counts in "secs"; oha's has a success rate, ghz's a count of requests first."""
    readable = plain(text)
    return _STARTS.search(readable) is not None or (
        "Requests/sec:" in readable and _AVERAGE.search(readable) is not None
    )


def read(text: str, source: str) -> list[Run]:
    """The runs of hey's summaries in the text."""
    readable = plain(text)
    found = (_from_text(block, readable) for block in summary.summaries(readable))
    return [run for run in found if run is not None]


def _from_text(block: summary.Block, text: str) -> Run | None:
    total, average, rate = summary.time(block, "total"), summary.time(block, "average"), summary.rate(block)
    if (average is None and total is None) or rate is None or _is_another_tool(block, text):
        return None
    outcome = summary.outcome(block, text, rate, total)
    errors, unknown = Errors(status=outcome.status), 0
    if outcome.messages is not None:
        errors, unknown = errors_of(outcome.messages, outcome.status)
    data = first(block, "data") or first(block, "data_of_boom")
    run = Run(
        tool="hey",
        lines=(block[0].line, outcome.last_line),
        complete=outcome.codes is not None,
        requests=outcome.responses,
        duration_s=total,
        requests_per_s=rate,
        bytes_read=amount(data.word(0)) if data and data.word(1).startswith("byte") else None,
        latency=None
        if outcome.responses == 0 or average is None
        else Latency(
            mean_s=average,
            max_s=summary.time(block, "slowest"),
            min_s=summary.time(block, "fastest"),
            percentiles_s=summary.percentiles(block, text),
        ),
        errors=errors,
        status_codes=outcome.codes,
    )
    return _warned(run, outcome, unknown)


def _is_another_tool(block: summary.Block, text: str) -> bool:
    heading = first(block, "summary")
    return first(block, "success") is not None or (
        heading is not None and next(following(text, heading), "").strip().startswith("Count:")
    )


def _warned(run: Run, outcome: summary.Outcome, unknown: int) -> Run:
    if not run.complete or outcome.messages is None:
        run = run.warn("cut", "hey's status codes or errors are missing here; what they would say is null.")
    if _beyond_kept(run):
        run = _of_the_first_million(run)
    elif not run.complete or outcome.messages is None:
        pass
    elif (
        run.requests is not None
        and run.duration_s is not None
        and not any(
            summary.agrees(run.requests + extra, run.requests_per_s, run.duration_s)
            for extra in (0, outcome.unanswered)
        )
    ):
        run = run.warn(
            "rate_disagrees",
            f"hey prints {run.requests_per_s} requests/s, but {run.requests} responses and {outcome.unanswered} "
            f"errors in {run.duration_s} s do not make that: hey's rate counts more than these.",
        )
    elif outcome.unanswered and not summary.agrees(run.requests or 0, run.requests_per_s, run.duration_s):
        run = run.warn(
            "rate_counts_errors",
            f"hey's Requests/sec counts the {outcome.unanswered} requests without an answer too.",
        )
    run = warn_unknown(run, unknown)
    if run.latency is None:
        return run
    return run.warn("rounded", "hey prints times to 0.1 ms: smaller differences are not visible.")


def _beyond_kept(run: Run) -> bool:
    """Whether there were more responses than hey keeps, or may have been, by rate and time, where codes are missing."""
    if run.requests is not None:
        return run.requests >= KEPT
    return (run.requests_per_s or 0.0) * (run.duration_s or 0.0) > KEPT + 1


def _of_the_first_million(run: Run) -> Run:
    """Above the limit, versions differ in what they count: all responses or those kept, in rate, mean and codes."""
    requests = run.requests if run.requests != KEPT else None
    if requests is None and summary.agrees(KEPT, run.requests_per_s, run.duration_s):
        return run
    rate = requests / run.duration_s if requests and run.duration_s else run.requests_per_s
    return replace(
        run,
        requests=requests,
        complete=run.complete and requests is not None,
        requests_per_s=rate,
        latency=run.latency and replace(run.latency, mean_s=None),
    ).warn(
        "first_million_only",
        f"hey keeps {KEPT:,} responses: percentiles and maximum are those of the first million, and its mean is not to "
        "be trusted and left out; codes, too, may be only of those.",
    )
