"""ApacheBench (`ab`, support/ab.c of httpd 2.x).

Latencies are whole milliseconds. "Failed requests" counts a body whose length differs from the first one's, which a
dynamic page does by itself; "Non-2xx responses" counts redirects too. A time-out ends the whole test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from headwind.formats.documents import amount, whole
from headwind.formats.fields import Field, blocks, fields, first, following, labels, plain, span
from headwind.formats.text import safe_url
from headwind.formats.units import seconds
from headwind.histogram import percentile_key
from headwind.run import Errors, Latency, Run

_LABELS = labels(
    {
        "banner": r"This is ApacheBench, Version",
        "benchmarking": r"Benchmarking (?=\S+ \(be patient\))",
        "progress": r"Completed(?= [0-9]+ requests)",
        "finished": r"Finished(?= [0-9]+ requests)",
        "aborted": r"Total of(?= [0-9]+ requests completed)",
        "software": r"Server Software:",
        "host": r"Server Hostname:",
        "port": r"Server Port:",
        "tls": r"SSL/TLS Protocol:",
        "tls_name": r"TLS Server Name:",
        "path": r"Document Path:",
        "length": r"Document Length:",
        "concurrency": r"Concurrency Level:",
        "taken": r"Time taken for tests:",
        "complete": r"Complete requests:",
        "failed": r"Failed requests:",
        "breakdown": r"\((?=(?:Connect|Length): [0-9]+,)",
        "write": r"Write errors:",
        "non_2xx": r"Non-2xx responses:",
        "keepalive": r"Keep-Alive requests:",
        "transferred": r"Total transferred:",
        "body": r"Total body sent:",
        "html": r"HTML transferred:",
        "rate": r"Requests per second:",
        "per_request": r"Time per request:",
        "transfer": r"Transfer rate:",
        "times": r"Connection Times \(ms\)",
        "row": r"Total:(?=[\s|]+[0-9]+[\s|]+[0-9])",  # "|": people make Markdown tables of it
        "percentages": r"Percentage of the requests served within a certain time \(ms\)",
    }
)
_REPEATS = ("progress", "per_request")
_BEHIND_FAILED = ("transferred", "html", "rate", "transfer")
_PERCENTILE = re.compile(r"\W*([0-9]{1,3})%[\s|]+([0-9]{1,15})(?=\s|$|\\)")
_BREAKDOWN = re.compile(r"(Connect|Receive|Length|Exceptions): ([0-9]{1,18})(?=[,)])")


def recognises(text: str) -> bool:
    """The banner, or the unit of the rate, are ab's alone."""
    return "This is ApacheBench" in text or "[#/sec] (mean)" in text


def read(text: str, source: str) -> list[Run]:
    """The runs of ab in the text."""
    readable = plain(text)
    found: list[Run] = []
    for block in _runs(readable):
        run = _from_text(block, readable)
        explained = first(block, "banner") is None and any(_repeats(run, other) for other in found)
        if run is not None and not explained:
            found.append(run)
    return found


def _repeats(run: Run | None, other: Run) -> bool:
    """Whether lines say nothing but what a report before them said: they explain it."""
    if run is None:
        return False
    figures = ("requests", "requests_per_s", "duration_s", "connections")
    told = [(getattr(run, name), getattr(other, name)) for name in figures]
    return all(mine is None or mine == its for mine, its in told)


def _runs(text: str) -> Iterator[list[Field]]:
    """The fields run by run; a rate that was moved to the front of its own run stays with it."""
    alone: list[Field] = []
    for block in blocks(fields(text, _LABELS), _LABELS, _REPEATS):
        names = {field.name for field in block}
        if alone and not (
            "rate" not in names >= {"taken", "complete"} and block[0].line == alone[-1].line + 1
        ):
            yield alone
            alone = []
        if not alone and names == {"rate"}:
            alone = block
        else:
            yield [*alone, *block]
            alone = []
    if alone:
        yield alone


def _from_text(block: list[Field], text: str) -> Run | None:
    rate, complete, taken = _number(block, "rate"), _count(block, "complete"), _taken(block)
    if rate is None and (complete is None or taken is None):
        return _aborted(block)
    transferred = _count(block, "transferred")
    transfer = first(block, "transfer")
    errors = _errors(block)
    answered = _answered(block, complete)
    run = Run(
        tool="ab",
        url=_url(block),
        lines=(block[0].line, _last_line(block, text)),
        complete=complete is not None and rate is not None,
        connections=_count(block, "concurrency"),
        requests=answered,
        duration_s=taken,
        requests_per_s=rate,
        bytes_read=None if transferred is None else float(transferred),
        bytes_per_s=_kilobytes(transfer),
        latency=None if complete and answered == 0 else _latency(block, text),
        errors=errors,
    )
    if not run.complete:
        run = run.warn("cut", "Parts of ab's report are missing here; what they would say is null.")
    return _warned(run, block)


def _answered(block: list[Field], complete: int | None) -> int | None:
    """With -r a request whose answer could not be received counts as complete, and its time as a latency: how many of
    them there were stands behind "Failed requests". None where that is not in the text."""
    failed = _count(block, "failed")
    if (
        failed is None
        and first(block, "failed") is None
        and any(first(block, name) for name in _BEHIND_FAILED)
    ):
        return complete  # the line was left out by whoever quoted the report; it was not cut off
    kinds = _kinds(block)
    if complete is None or not (failed == 0 or "Length" in kinds):
        return None
    return max(0, complete - kinds.get("Receive", 0))


def _last_line(block: list[Field], text: str) -> int:
    last = block[-1]
    return last.line + (len(_percentiles(block, text)) if last.name == "percentages" else 0)


def _aborted(block: list[Field]) -> Run | None:
    """A test that ended early says only how many requests there had been."""
    banner, end = first(block, "banner"), first(block, "aborted")
    requests = whole(end.word(0)) if end else None
    if banner is None or requests is None:
        return None
    return Run(tool="ab", lines=span(block), interrupted=True, requests=requests).warn(
        "aborted",
        f"ab gave up after {requests} requests, at a time-out or a lost connection, and printed no results.",
    )


def _number(block: list[Field], name: str) -> float | None:
    field = first(block, name)
    return amount(field.word(0)) if field else None


def _count(block: list[Field], name: str) -> int | None:
    field = first(block, name)
    return whole(field.word(0)) if field else None


def _taken(block: list[Field]) -> float | None:
    field = first(block, "taken")
    words = field.words if field else []
    return amount(words[0]) if len(words) > 1 and words[1].startswith("sec") else None


def _kilobytes(field: Field | None) -> float | None:
    """ "Transfer rate" is in units of 1024 bytes."""
    value = amount(field.word(0)) if field and field.word(1).startswith("[Kbytes/sec") else None
    return None if value is None else round(value * 1024, 2)


def _url(block: list[Field]) -> str | None:
    host, port, path = first(block, "host"), first(block, "port"), first(block, "path")
    name = host.word(0) if host else ""
    if not name or path is None or path.cut or not path.rest.strip():
        return None
    scheme = "https" if first(block, "tls") or first(block, "tls_name") else "http"
    number = whole(port.word(0)) if port else None
    default = {"http": 80, "https": 443}[scheme]
    authority = name if number in (None, default) else f"{name}:{number}"
    return safe_url(f"{scheme}://{authority}{path.rest.strip()}")


def _latency(block: list[Field], text: str) -> Latency | None:
    total = first(block, "row")
    cells = [amount(word) for word in total.words if word != "|"] if total else []
    heading = first(block, "times")
    columns = next(following(text, heading), "").replace("|", " ").split() if heading else []
    # "min mean[+/-sd] median max"; with -S "min avg max".
    short = len(columns) == 3 or (len(cells) == 3 and not columns)
    names = ("min", "mean", "max") if short else ("min", "mean", "sd", "median", "max")
    row = {name: _milliseconds(cell) for name, cell in zip(names, cells, strict=False)}
    percentiles = _percentiles(block, text)
    if not row and not percentiles:
        return None
    if row.get("median") is not None and "50" not in percentiles:
        percentiles = {"50": row["median"] or 0.0, **percentiles}
    return Latency(
        mean_s=row.get("mean"),
        stdev_s=row.get("sd"),
        max_s=row.get("max", percentiles.get("100")),
        min_s=row.get("min"),
        percentiles_s=percentiles,
    )


def _percentiles(block: list[Field], text: str) -> dict[str, float]:
    """The rows "  50%    723"; one at the very end of a cut text may lack digits and is left out."""
    heading = first(block, "percentages")
    rows = list(following(text, heading, 20)) if heading else []
    found: dict[str, float] = {}
    for number, line in enumerate(rows):
        match = _PERCENTILE.match(line)
        if match is None and not found and line.count("|") > 1:
            continue  # the heading of a Markdown table
        if match is None or (number == len(rows) - 1 and "(longest" not in line):
            break
        value = _milliseconds(amount(match[2]))
        if value is not None:
            found[percentile_key(float(match[1]))] = value
    return found


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else seconds(f"{value!r}ms")


def _kinds(block: list[Field]) -> dict[str, int]:
    """The failures by kind: on a line of their own, or behind their sum where lines were joined."""
    told = first(block, "breakdown") or first(block, "failed")
    return {name: int(count) for name, count in _BREAKDOWN.findall(told.rest)} if told else {}


def _errors(block: list[Field]) -> Errors:
    failed = _count(block, "failed")
    if failed is None or first(block, "transferred") is None:
        return Errors()
    kinds = _kinds(block)
    known = failed == 0 or bool(kinds)
    return Errors(
        connect=kinds.get("Connect", 0) if known else None,
        # A connection that could not be made is an exception, and once more an answer that was not received.
        read=max(kinds.get("Receive", 0), kinds.get("Exceptions", 0)) if known else None,
        write=_count(block, "write") or 0,
        timeout=0,
        status=_count(block, "non_2xx") if first(block, "non_2xx") else 0,
    )


def _warned(run: Run, block: list[Field]) -> Run:
    different = _kinds(block).get("Length", 0)
    if different:
        run = run.warn(
            "length_differs",
            f'{different} of ab\'s "Failed requests" had a body of another length than the first one, as dynamic pages '
            "have; but a connection that is closed without an answer counts there too. None of them is under errors "
            "(ab -l accepts different lengths).",
        )
    if run.errors.status:
        run = run.warn(
            "non_2xx_includes_redirects", "ab's Non-2xx responses, here under status, count 3xx as well."
        )
    if run.latency is not None and run.errors.read:
        run = run.warn(
            "unanswered_in_latency",
            f"ab's latencies and its rate count the {run.errors.read} requests without an answer too.",
        )
    if run.latency is not None:
        run = run.warn("whole_milliseconds", "ab prints latencies in whole milliseconds.")
    finished = [field for field in block if field.name == "aborted"]
    return replace(run, interrupted=bool(finished))
