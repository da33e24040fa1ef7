"""Locust's tables on the console: one every two seconds while it runs, the final one, and the percentiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from headwind.formats import locust_errors
from headwind.formats.documents import amount, whole
from headwind.formats.fields import plain
from headwind.formats.locust_rows import Row, run_of
from headwind.formats.units import seconds
from headwind.histogram import percentile_key
from headwind.run import Run

_STATS = re.compile(r"(?:Type\s+)?Name\s+# reqs\s+# fails\b[^\n]{0,300}req/s")
_PERCENTILES = re.compile(r"(?:Type\s+)?Name\s+(?:# reqs\s+)?50%\s[^\n]{0,300}100%")
_PERCENT = re.compile(r"(?<=\s)([0-9]{1,3}(?:\.[0-9]{1,6})?)(?:%|(?=\s))")  # 0.14 cut "99.999%" to its column
_RULE = re.compile(r"[^\w]*-{3,}[-|+ ]*\s*")
# "# reqs  # fails | Avg Min Max Med | req/s failures/s"; the bar moved over the years, failures/s came with 0.14, and
# before 0.13 the total had no times.
_NUMBERS = re.compile(
    r"^(?P<name>.*?\S)\s+(?P<requests>[0-9]{1,15})\s+(?P<failures>[0-9]{1,15})\((?P<share>[0-9.]+)%\)[\s|]+"
    r"(?:(?P<mean>[0-9]+)[\s|]+(?P<min>[0-9]+)[\s|]+(?P<max>[0-9]+)[\s|]+(?P<median>[0-9]+)[\s|]+)?(?P<rate>[0-9.]+)"
    r"(?:\s+(?P<failing>[0-9.]+))?[\s\\\"',|]*$"
)
_DIGITS = str.maketrans("123456789", "000000000")
_METHOD = re.compile(r"(\S{1,20})\s+(\S.*)")
_BETWEEN = 40  # lines between the final table and its percentiles: messages of the shutdown


@dataclass(slots=True)
class _Table:
    """A table with its rows."""

    line: int
    last: int
    percentiles: bool
    rows: list[Row] = field(default_factory=list)
    total: Row | None = None


def recognises(text: str) -> bool:
    """The headings of its two tables."""
    return _STATS.search(plain(text)) is not None


def read(text: str) -> list[Run]:
    """The runs of Locust's console output in the text."""
    found: list[Run] = []
    latest: _Table | None = None
    text = plain(text)
    for table in _tables(text):
        if not table.percentiles:
            if latest is not None and _is_later(latest, table):
                latest = table
                continue
            if latest is not None:
                found.append(_run(latest, None))
            latest = table
        elif latest is not None and table.line - latest.last <= _BETWEEN:
            found.append(_run(latest, table))
            latest = None
    if latest is not None:
        found.append(_run(latest, None))
    lines = text.split("\n")
    return [locust_errors.split(run, lines) for run in found]


def _is_later(before: _Table, table: _Table) -> bool:
    """Whether a table is a later state of the same test: Locust prints one every two seconds, with counts that grow."""
    if before.total is None or table.total is None:
        return True
    return (table.total.requests or 0) >= (before.total.requests or 0) and table.line - before.last < 2000


def _tables(text: str) -> Iterator[_Table]:
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        if "Name" in line:
            stats, percentiles = _STATS.search(line), _PERCENTILES.search(line)
            heading = stats or percentiles
            if heading is not None:
                table = _Table(number + 1, number + 1, percentiles=stats is None)
                number = _fill(table, lines, number + 1, heading)
                yield table
                continue
        number += 1


def _fill(table: _Table, lines: Sequence[str], number: int, heading: re.Match[str]) -> int:
    """The rows after a heading; returns the number of the line after them. Two rules frame the rows, the total is
    below the second."""
    start, titles = heading.start(), heading[0]
    frame = heading.string[:start].translate(_DIGITS)
    typed = titles.startswith("Type")
    columns = [percentile_key(float(cell)) for cell in _PERCENT.findall(titles)] if table.percentiles else []
    counts_first = table.percentiles and titles.find("# reqs") < titles.find("50%") and "# reqs" in titles
    rules = 0
    while number < len(lines):
        line = lines[number]
        if (
            line[:start].translate(_DIGITS) == frame
        ):  # what is glued to the heading alone stands before no row
            line = line[start:]
        if _RULE.fullmatch(line):
            rules += 1
        else:
            last = number == len(lines) - 1
            row = (
                _percentile_row(line, columns, counts_first, typed)
                if table.percentiles
                else _stats_row(line, typed)
            )
            if row is None or (last and not _is_whole(line)):
                if line.strip() or rules >= 2:
                    return number
            elif row.is_total:
                table.total, table.last = row, number + 1
                return number + 1
            else:
                table.rows.append(row)
        table.last = number + 1
        number += 1
    return number


def _is_whole(line: str) -> bool:
    """A row at the very end of the text ends in a rate of two decimals, or may have lost digits."""
    return re.search(r"\.[0-9]{2}[\s|]*$", line) is not None


def _stats_row(line: str, typed: bool) -> Row | None:
    match = _NUMBERS.match(line)
    if match is None:
        return None
    method, name = _method(match["name"], typed)
    requests = whole(match["requests"])
    if match["mean"] is None:
        untimed = Row(
            name, requests=requests, failures=whole(match["failures"]), requests_per_s=amount(match["rate"])
        )
        return untimed if untimed.is_total and not method else None
    return Row(
        name=name,
        method=method,
        requests=requests,
        failures=whole(match["failures"]),
        requests_per_s=amount(match["rate"]),
        mean_s=seconds(match["mean"] + "ms"),
        min_s=seconds(match["min"] + "ms"),
        max_s=seconds(match["max"] + "ms"),
        percentiles_s={"50": seconds(match["median"] + "ms") or 0.0} if requests else {},
    )


def _percentile_row(line: str, columns: Sequence[str], counts_first: bool, typed: bool) -> Row | None:
    words = line.rstrip("\\\"', |").split()
    needed = len(columns) + 1
    if len(words) <= needed or not all(re.fullmatch("[0-9]{1,15}", word) for word in words[-needed:]):
        return None
    cells = words[-needed + 1 :] if counts_first else words[-needed:-1]
    method, name = _method(" ".join(words[:-needed]), typed)
    row = Row(name=name, method=method, requests=whole(words[-needed] if counts_first else words[-1]))
    row.percentiles_s = {key: seconds(cell + "ms") or 0.0 for key, cell in zip(columns, cells, strict=True)}
    return row


def _method(label: str, typed: bool) -> tuple[str, str]:
    """("GET", "/path"): the first word, except of the total and of names that have no method."""
    label = label.strip()
    match = _METHOD.fullmatch(label)
    if match is None:
        return "", label
    if match[1] == "None":
        return "", match[2].strip()
    return (match[1], match[2].strip()) if typed or match[1].isupper() else ("", label)


def _run(table: _Table, percentiles: _Table | None) -> Run:
    known = {}
    if percentiles is not None:
        known = {
            (row.method, row.name): row.percentiles_s for row in (*percentiles.rows, percentiles.total) if row
        }
    for row in (*table.rows, table.total):
        if row is not None and (more := known.get((row.method, row.name))):
            row.percentiles_s = {**row.percentiles_s, **more}
    last = percentiles.last if percentiles else table.last
    rows = table.rows
    others = table.total is None or bool(table.total.requests)
    emptied = bool(rows) and others and not any(row.requests for row in rows)
    if emptied:
        rows = [Row(name=row.name, method=row.method) for row in rows]
    run = run_of(rows, table.total, (table.line, last))
    if emptied:
        run = run.warn(
            "rows_emptied",
            "Locust's --json empties the rows before it prints the table: their zeros mean nothing.",
        )
    if percentiles is None and run.requests is not None:
        run = run.warn(
            "progress_only",
            "This is a table that Locust prints while it runs, or the final one without its percentiles: the rates may "
            "be those of the last ten seconds.",
        )
    return run.warn(
        "whole_milliseconds", "Locust's tables have whole milliseconds; its CSV and JSON have more."
    )
