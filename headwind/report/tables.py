"""All numbers of a report as tables: a caption, column heads, rows of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwind import words
from headwind.histogram import REPORTED_PERCENTILES, Histogram, percentile_key
from headwind.run import Endpoint, Latency, Run, answered_in_time, endpoint_kind

NOT_STATED = "not stated"
_NONE = {NOT_STATED, words.UNKNOWN, "none", "not recorded", "not yet", "not known", ""}
_NUMBER = r"[<>~+x-]?\s?\d[\d,.]*\s?(?:%|/s|us|ms|s|min|[KMGT]?i?B|cores?)?\*?"
# Also "1.02 [0.98, 1.06]", "3.12 to 3.24 s", "51%, 49%", "over 2 s".
_FIGURE = re.compile(rf"(?:over )?{_NUMBER}(?:(?: to |, ){_NUMBER})*(?: \[[^\]]*\])?")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a caption; the first cell of a row is its head."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def figures(self) -> tuple[bool, ...]:
        """Which columns hold figures, to be set flush right: numbers with their units, or that there is none."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.columns)
        return tuple(
            any(map(_FIGURE.fullmatch, cells))
            and all(_FIGURE.fullmatch(cell) or cell in _NONE for cell in cells)
            for cells in columns
        )


def number_tables(runs: Sequence[Run], sources: Sequence[str] | None = None) -> tuple[Table, ...]:
    """Every number the source holds: by subject of one run, or one row a run of several; then endpoints and codes."""
    names = run_names(runs, sources) if len(runs) > 1 else ("",)
    tables = list(_of_one(runs[0])) if len(runs) == 1 else [_of_many(runs, names)] if runs else []
    for name, run in zip(names, runs, strict=False):
        tables += _endpoints(run, f", run {name}" if name else "")
    if any(run.status_codes for run in runs):
        tables.append(_status_codes(runs, names))
    return tuple(tables)


def _of_one(run: Run) -> Iterator[Table]:
    load = [
        ("Requests answered", _count(run.requests)),
        ("Requests per second", _rate(run.requests_per_s)),
        ("Duration", _seconds(run.duration_s)),
        ("Threads", _count(run.threads)),
        ("Connections", _count(run.connections)),
        ("Timeout of the generator", _seconds(run.timeout_s)),
        ("Received", NOT_STATED if run.bytes_read is None else words.size(run.bytes_read)),
    ]
    if run.rate_target_per_s is not None:
        load.insert(2, ("Offered rate", words.rate(run.rate_target_per_s)))
    in_time = answered_in_time(run)
    if in_time is not None:
        # A schedule's requests are counted whenever they were answered, its rate only while it lasted.
        load[:2] = [
            ("Requests answered, of those due", _count(run.requests)),
            ("Answered while the schedule lasted", _count(in_time)),
            ("The same per second", _rate(run.requests_per_s)),
        ]
    if run.thread_requests_per_s is not None:
        rate = run.thread_requests_per_s
        figures = ", ".join(map(_number, (rate.mean, rate.stdev, rate.max)))
        load.append(("Req/Sec of a thread: mean, stdev, max", figures))
    errors = [
        (_late_name(run), _count(run.late)),
        ("Timeouts counted", _count(run.errors.timeout)),
        ("Answers with an error status", _count(run.errors.status)),
        ("Errors on connect", _count(run.errors.connect)),
        ("Errors on read", _count(run.errors.read)),
        ("Errors on write", _count(run.errors.write)),
    ]
    yield Table("The load", ("Figure", "Value"), tuple(load))
    yield Table("Late and failed", ("Figure", "Value"), tuple(errors))
    latency = _latencies(run)
    if latency:
        yield _side_by_side("Latency", latency)


def _latencies(run: Run) -> dict[str, dict[str, str]]:
    """Every account of the latency that the run holds: its name, and its figures by theirs."""
    accounts = {}
    if run.histogram is not None and run.histogram.total:
        accounts["Measured"] = _measured(run.histogram)
    if run.latency is not None:
        accounts["As printed"] = _printed(run.latency)
    if run.latency_from_send is not None:
        accounts["From the send"] = _printed(run.latency_from_send)
    return {name: figures for name, figures in accounts.items() if figures}


def _side_by_side(caption: str, accounts: Mapping[str, Mapping[str, str]]) -> Table:
    """A column for each account and a row for each figure that any of them has, percentiles in their order."""
    order = {"min": -2.0, "mean": -1.0, "standard deviation": -0.5, "max": 101.0}
    names = {name for figures in accounts.values() for name in figures}
    rows = tuple(
        (name, *(figures.get(name, NOT_STATED) for figures in accounts.values()))
        for name in sorted(names, key=lambda name: order[name] if name in order else float(name[1:]))
    )
    return Table(caption, ("Figure", *accounts), rows)


def _measured(histogram: Histogram) -> dict[str, str]:
    """The exact figures; a percentile that rests on less than one answer, or on late ones, is not made up."""
    over = f"over {words.seconds(histogram.limit_us / 1e6)}" if histogram.limit_us else words.UNKNOWN
    found = {}
    if histogram.recorded:
        found["min"] = words.seconds(histogram.values_us[0] / 1e6)
        found["mean"] = words.seconds(histogram.mean_s())
        found["max"] = over if histogram.late else words.seconds(histogram.values_us[-1] / 1e6)
    if histogram.late:
        # The late answers' times are unknown, so the mean of all is, too.
        found["mean"] = words.UNKNOWN
    for percent in REPORTED_PERCENTILES:
        if (1 - percent / 100) * histogram.total >= 1:
            value = histogram.percentile_s(percent)
            found[f"p{percentile_key(percent)}"] = over if value is None else words.seconds(value)
    return found


def _late_name(run: Run) -> str:
    return (
        "Late answers"
        if run.late_threshold_s is None
        else f"Answers later than {words.seconds(run.late_threshold_s)}"
    )


def _printed(latency: Latency) -> dict[str, str]:
    figures = {
        "min": latency.min_s,
        "mean": latency.mean_s,
        "standard deviation": latency.stdev_s,
        "max": latency.max_s,
        **{f"p{key}": value for key, value in latency.percentiles_s.items()},
    }
    return {name: words.seconds(value) for name, value in figures.items() if value is not None}


def run_names(runs: Sequence[Run], sources: Sequence[str] | None = None) -> tuple[str, ...]:
    """What each run of several is called: its number, and whatever tells it from the others: file, tool, URL, load."""
    columns = [
        list(sources) if sources and len(sources) == len(runs) else [],
        [run.tool for run in runs],
        [run.url or "" for run in runs],
        ["" if run.connections is None else f"{run.connections:,} connections" for run in runs],
        [
            "" if run.rate_target_per_s is None else f"{words.rate(run.rate_target_per_s)} offered"
            for run in runs
        ],
    ]
    telling = [column for column in columns if len(set(column)) > 1]
    return tuple(
        " ".join([f"{place}.", ", ".join(part for part in parts if part)]).strip()
        for place, *parts in zip(range(1, len(runs) + 1), *telling, strict=True)
    )


def _of_many(runs: Sequence[Run], names: Sequence[str]) -> Table:
    shown = [
        key
        for key in ("50", "90", "95", "99", "99.9")
        if any(_percentile(run, key) is not None for run in runs)
    ]
    columns = (
        "Run",
        "Requests",
        "Requests/s",
        "Connections",
        "Mean",
        *(f"p{key}" for key in shown),
        "Late",
        "Failed",
    )
    rows = tuple(
        (
            name,
            _count(run.requests),
            _rate(run.requests_per_s),
            _count(run.connections),
            _seconds(run.latency.mean_s if run.latency else None),
            *(_seconds(_percentile(run, key)) for key in shown),
            _count(run.late),
            _count(run.errors.status),
        )
        for name, run in zip(names, runs, strict=True)
    )
    return Table("The runs side by side", columns, rows)


def _percentile(run: Run, key: str) -> float | None:
    return run.latency.percentiles_s.get(key) if run.latency else None


def _endpoints(run: Run, of_run: str) -> Iterator[Table]:
    """A table for each kind of part that the tool tells apart."""
    kinds = [endpoint_kind(run.tool, row.name) for row in run.endpoints]
    for kind in dict.fromkeys(kinds):
        rows = tuple(
            (
                _endpoint_name(row).removeprefix(f"{kind}:"),
                _count(row.requests),
                _count(row.failures),
                _rate(row.requests_per_s),
                _seconds(row.latency.mean_s if row.latency else None),
                _seconds(row.latency.percentiles_s.get("99") if row.latency else None),
            )
            for row, of_kind in zip(run.endpoints, kinds, strict=True)
            if of_kind == kind
        )
        yield Table(
            f"By {kind}{of_run}",
            (kind.capitalize(), "Requests", "Failed", "Requests/s", "Mean", "p99"),
            rows,
        )


def _endpoint_name(row: Endpoint) -> str:
    return row.name if not row.method or row.name.startswith(row.method) else f"{row.method} {row.name}"


def _status_codes(runs: Sequence[Run], names: Sequence[str]) -> Table:
    codes = sorted({code for run in runs for code in run.status_codes or ()})
    if len(runs) == 1:
        rows = tuple((code, _count((runs[0].status_codes or {})[code])) for code in codes)
        return Table("Status codes", ("Status", "Answers"), rows)
    return Table(
        "Status codes",
        ("Run", *codes),
        tuple(
            (
                name,
                *(
                    NOT_STATED if run.status_codes is None else _count(run.status_codes.get(code, 0))
                    for code in codes
                ),
            )
            for name, run in zip(names, runs, strict=True)
        ),
    )


def environment_tables(environment: Mapping[str, Any] | None) -> tuple[Table, ...]:
    """The environment as recorded: one table a section, plain values gathered in the first."""
    plain: list[tuple[str, str]] = []
    tables = []
    for key, value in (environment or {}).items():
        if key in _SHOWN_ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            rows = tuple(_item(str(name), one) for name, one in value.items())
            tables.append(Table(_label(str(key)), ("Item", "Value"), rows))
        else:
            plain.append(_item(str(key), value))
    if plain:
        tables.insert(0, Table("Environment", ("Item", "Value"), tuple(plain)))
    return tuple(tables)


_SHOWN_ELSEWHERE = {"schema", "again"}
_UNITS = {"_bytes": words.size, "_per_s": words.rate, "_s": words.seconds}


def _item(name: str, value: Any) -> tuple[str, str]:
    """A value of the environment under its name; the unit that the name ends with goes to the value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for ending, say in _UNITS.items():
            if name.endswith(ending):
                return _label(name.removesuffix(ending)), say(value)
    return _label(name), _plain(value)


def _label(name: str) -> str:
    text = words.label(name)
    return text[:1].upper() + text[1:]


def _plain(value: Any) -> str:
    if value is None or value in ([], (), {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return words.number(value) if isinstance(value, float) else str(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{str(key).replace('_', ' ')} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return (", " if all(isinstance(one, int | float) for one in value) else "; ").join(map(_plain, value))
    return str(value)


def _count(value: int | None) -> str:
    return NOT_STATED if value is None else words.number(value)


def _number(value: float | None) -> str:
    return NOT_STATED if value is None else words.number(value)


def _rate(value: float | None) -> str:
    return NOT_STATED if value is None else words.rate(value)


def _seconds(value: float | None) -> str:
    return NOT_STATED if value is None else words.seconds(value)
