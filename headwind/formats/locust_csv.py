"""Locust's CSV files: `_stats.csv`, a table of totals, `_stats_history.csv`, the same over time, and, before 1.0,
`_distribution.csv` with the percentiles."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

from headwind.formats.documents import amount, whole
from headwind.formats.locust_rows import TOTALS, Row, run_of
from headwind.formats.units import seconds
from headwind.histogram import percentile_key
from headwind.run import Run
from headwind.samples import Timeline

# Headers now, and before 1.0 ("Method","Name","# requests",...), in lower case.
_COLUMNS = {
    "type": "method",
    "method": "method",
    "name": "name",
    "request count": "requests",
    "# requests": "requests",
    "total request count": "requests",
    "failure count": "failures",
    "# failures": "failures",
    "total failure count": "failures",
    "requests/s": "rate",
    "average response time": "mean",
    "total average response time": "mean",
    "min response time": "min",
    "total min response time": "min",
    "max response time": "max",
    "total max response time": "max",
    "median response time": "median",
    "total median response time": "median",
    "average content size": "size",
    "total average content size": "size",
    "timestamp": "time",
}
_HEADER = re.compile(r"^.*(?:Request Count|# requests)\"?[,;\t].*$", re.M | re.I)
_DISTRIBUTION = re.compile(r"# requests\"?[,;\t]\s?\"?50%", re.I)
_METHOD = re.compile(r"([A-Z]{3,8}|None) (.+)")  # the distribution has it in front of the name
_FIRST = re.compile(r"(?:(?:Timestamp|Type|Method|Name)|\"(?:Timestamp|Type|Method|Name)\")[,;\t]", re.I)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)%")
_LONGEST_GAP_S = 3600
_GREW_AT_MOST = 0.1  # of its requests while someone saved one table after the other


@dataclass(slots=True)
class _Table:
    """The rows below one header, as dictionaries of the columns' names."""

    columns: list[str]
    line: int
    last: int
    rows: list[dict[str, str]] = field(default_factory=list)


def recognises(text: str) -> bool:
    """A header with a count of requests and response times."""
    return any(_is_header(match[0]) for match in _HEADER.finditer(text))


def _is_header(line: str) -> bool:
    return "response time" in line.lower() or _DISTRIBUTION.search(line) is not None


def read(text: str) -> list[Run]:
    """The runs of Locust's CSV tables in the text."""
    found: list[Run] = []
    latest: _Table | None = None  # of totals
    for table in _tables(text):
        if "time" in table.columns:
            found += [_of_history(part, table) for part in _tests(table)]
            latest = None
        elif "mean" in table.columns or "median" in table.columns:
            latest = table
            found.append(_of_stats(table))
        elif latest is None:
            found.append(_of_stats(table))
        else:
            other = _of_stats(table)
            if _is_near(found[-1].requests, other.requests):  # the percentiles of the table before
                found[-1] = _with_percentiles(found[-1], latest, table)
            else:
                found.append(other)
            latest = None
    return found


def _is_near(requests: int | None, others: int | None) -> bool:
    """Whether two tables may be of one test that went on between their downloads."""
    return (
        requests is not None
        and others is not None
        and abs(requests - others) <= _GREW_AT_MOST * max(requests, others)
    )


def _with_percentiles(run: Run, totals: _Table, table: _Table) -> Run:
    """The run of a table of totals with the percentiles of another, where that counts the same requests."""
    other = _of_stats(table)
    if other.latency is None or other.requests != run.requests:
        return run
    rows = {f"{row['method']} {row['name']}": row for row in totals.rows if "method" in row and "name" in row}
    for cells in table.rows:
        own = rows.get(cells["name"]) or rows.get(f"None {cells['name']}")
        if own is not None:
            own |= {column: cell for column, cell in cells.items() if _PERCENT.fullmatch(column)}
    merged = _of_stats(totals)
    return replace(merged, lines=(totals.line, table.last))


def _tables(text: str) -> Iterator[_Table]:
    headers = [match for match in _HEADER.finditer(text) if _is_header(match[0])]
    line, counted = 1, 0
    for match, end in zip(headers, [*(match.start() for match in headers[1:]), len(text)], strict=True):
        header = match[0]
        first = _FIRST.search(header)
        mark = first.start() if first else 0
        prefix, header = header[:mark], header[mark:]
        delimiter = max(",;\t", key=header.count)
        names = next(csv.reader([header], delimiter=delimiter), [])
        columns = [_COLUMNS.get(name.strip().lower(), name.strip()) for name in names]
        line += text.count("\n", counted, match.start())
        counted = match.start()
        table = _Table(columns, line, line)
        _fill(table, text[match.end() + 1 : end], prefix, delimiter)
        if table.rows:
            yield table


def _fill(table: _Table, rest: str, prefix: str, delimiter: str) -> None:
    """Rows until one has another number of cells. A last one without a line end may lack digits and is left out,
    unless its last cell can be whole."""
    try:
        reader = csv.reader(_without(prefix, io.StringIO(rest)), delimiter=delimiter)
        for cells in reader:
            if not any(cells):
                continue  # every other line is empty where Windows wrote the file
            if len(cells) != len(table.columns):
                break
            table.rows.append(dict(zip(table.columns, map(str.strip, cells), strict=True)))
            table.last = table.line + reader.line_num
    except csv.Error:
        pass
    at_end = table.last - table.line >= rest.count("\n") + 1 and not rest.endswith("\n")
    if table.rows and at_end:
        # The last cell may have lost digits; what is before it is whole.
        table.rows[-1][table.columns[-1]] = ""


def _without(prefix: str, lines: io.StringIO) -> Iterator[str]:
    for line in lines:
        yield line[len(prefix) :] if prefix and line.startswith(prefix) else line


def _row(cells: Mapping[str, str]) -> Row:
    method, name = cells.get("method", ""), cells.get("name", "")
    if "method" not in cells and (match := _METHOD.fullmatch(name)):
        method, name = match.groups()
    row = Row(
        name=name,
        method="" if method == "None" else method,
        requests=whole(cells.get("requests")),
        failures=whole(cells.get("failures")),
        requests_per_s=amount(cells.get("rate")),
        mean_s=_milliseconds(cells.get("mean")),
        min_s=_milliseconds(cells.get("min")),
        max_s=_milliseconds(cells.get("max")),
        bytes_each=amount(cells.get("size")),
    )
    for column, cell in cells.items():
        match = _PERCENT.fullmatch(column)
        value = _milliseconds(cell)
        if match and value is not None:
            row.percentiles_s[percentile_key(float(match[1]))] = value
    median = _milliseconds(cells.get("median"))
    if median is not None:
        row.percentiles_s.setdefault("50", median)
    return row


def _milliseconds(cell: str | None) -> float | None:
    value = amount(cell)
    return None if value is None or cell is None else seconds(f"{cell.strip()}ms") or value / 1e3


def _of_stats(table: _Table) -> Run:
    rows = [_row(cells) for cells in table.rows]
    total = next((row for row in reversed(rows) if row.is_total), None)
    return run_of([row for row in rows if row is not total], total, (table.line, table.last))


def _tests(table: _Table) -> Iterator[list[dict[str, str]]]:
    """The rows test by test: a total that falls, or an hour without a row, is the beginning of another."""
    part: list[dict[str, str]] = []
    highest, latest = -1, None
    for cells in table.rows:
        at, count = whole(cells.get("time")), whole(cells.get("requests"))
        total = cells.get("name") in TOTALS
        if total and count is not None:
            gap = latest is not None and at is not None and at - latest > _LONGEST_GAP_S
            if count < highest or gap:
                yield part
                part, highest = [], -1
            highest, latest = max(highest, count), at
        part.append(cells)
    if part:
        yield part


def _of_history(part: Sequence[Mapping[str, str]], table: _Table) -> Run:
    totals = [cells for cells in part if cells.get("name") in TOTALS and not cells.get("method")]
    last = _row(totals[-1]) if totals else None
    others: dict[tuple[str, str], Row] = {}
    for cells in part:
        if cells.get("name") not in TOTALS:
            row = _row(cells)
            row.requests_per_s = None
            others[row.method, row.name] = row
    if last is not None:
        last.requests_per_s = None  # the rate of the last ten seconds is not the test's
    times = [(at, cells) for cells in totals if (at := whole(cells.get("time"))) is not None]
    run = run_of(
        list(others.values()),
        last,
        (table.line, table.last),
        duration_s=_span_s([time for time, *_ in times]),
        started_at=_moment(times[0][0]) if times else None,
        timeline=_timeline(times),
    )
    return run.warn(
        "time_series",
        "This is Locust's history: totals are those of its last row, its rates are those of ten seconds each, and the "
        "rate of the whole test is not in it.",
    )


def _span_s(times: Sequence[int | float]) -> float | None:
    """From the first row to the last; None where the clock stepped back between them."""
    span_s = float(times[-1] - times[0]) if len(times) > 1 else -1.0
    return span_s if span_s >= 0 else None


def _moment(timestamp: int) -> str | None:
    try:
        return datetime.fromtimestamp(timestamp, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _timeline(times: Sequence[tuple[int, Mapping[str, str]]]) -> Timeline | None:
    """Requests and failures between rows, where the rows are a steady time apart.

    Their clock has whole seconds and every row is written a little late: now and then a step has one second more.
    """
    steps = [later - earlier for (earlier, _), (later, _) in pairwise(times)]
    if not steps or not 0 < min(steps) <= max(steps) <= min(min(steps) + 1, _LONGEST_GAP_S):
        return None
    step = (times[-1][0] - times[0][0]) / len(steps)
    responses = _increments([whole(cells.get("requests")) for _, cells in times])
    errors = _increments([whole(cells.get("failures")) for _, cells in times])
    return None if responses is None or errors is None else Timeline(step, responses, errors)


def _increments(counts: Sequence[int | None]) -> tuple[int, ...] | None:
    known = [count for count in counts if count is not None]
    steps = tuple(later - earlier for earlier, later in pairwise(known))
    return steps if len(known) == len(counts) and min(steps, default=0) >= 0 else None
