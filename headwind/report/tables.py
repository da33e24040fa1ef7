"""All numbers of a report as tables: a caption, column heads, rows of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwind import words
from headwind.histogram import REPORTED_PERCENTILES, Histogram, percentile_key
from headwind.run import Endpoint, Latency, Run

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a caption; the first cell of a row is its head."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: bool = True  # the cells after the first are figures, set flush right


def number_tables(runs: Sequence[Run]) -> tuple[Table, ...]:
    """Every number the source holds: by subject of one run, or one row a run of several; then endpoints and codes."""
    tables = list(_of_one(runs[0])) if len(runs) == 1 else [_of_many(runs)] if runs else []
    for place, run in enumerate(runs, start=1):
        of_run = f", run {run_name(run, place)}" if len(runs) > 1 else ""
        tables += [_endpoints(run, of_run)] if run.endpoints else []
        tables += [_status_codes(run, of_run)] if run.status_codes else []
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
    if run.histogram is not None and run.histogram.total:
        yield Table("Latency, as measured", ("Figure", "Value"), tuple(_measured_rows(run.histogram)))
    for name, latency in (
        ("Latency, as printed", run.latency),
        ("Latency from the send", run.latency_from_send),
    ):
        rows = tuple(_latency_rows(latency))
        if rows:
            yield Table(name, ("Figure", "Value"), rows)


def _measured_rows(histogram: Histogram) -> Iterator[tuple[str, str]]:
    """The exact figures; a percentile that rests on less than one answer, or on late ones, is not made up."""
    yield "Answers recorded", words.number(histogram.recorded)
    yield "mean", words.seconds(histogram.mean_s())
    for percent in REPORTED_PERCENTILES:
        if (1 - percent / 100) * histogram.total >= 1:
            value = histogram.percentile_s(percent)
            limit = f"over {words.seconds(histogram.limit_us / 1e6)}" if histogram.limit_us else words.UNKNOWN
            yield f"p{percentile_key(percent)}", limit if value is None else words.seconds(value)
    if not histogram.late:
        yield "max", words.seconds(histogram.values_us[-1] / 1e6)


def _late_name(run: Run) -> str:
    return (
        "Late answers"
        if run.late_threshold_s is None
        else f"Answers later than {words.seconds(run.late_threshold_s)}"
    )


def _latency_rows(latency: Latency | None) -> Iterator[tuple[str, str]]:
    if latency is None:
        return
    for label, value in (
        ("min", latency.min_s),
        ("mean", latency.mean_s),
        ("standard deviation", latency.stdev_s),
    ):
        if value is not None:
            yield label, words.seconds(value)
    for key in sorted(latency.percentiles_s, key=float):
        yield f"p{key}", words.seconds(latency.percentiles_s[key])
    if latency.max_s is not None:
        yield "max", words.seconds(latency.max_s)


def run_name(run: Run, place: int) -> str:
    """What a run of several is called: its number, and its address where the source has one."""
    return f"{place}. {run.url or run.tool}"


def _of_many(runs: Sequence[Run]) -> Table:
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
            run_name(run, place),
            _count(run.requests),
            _rate(run.requests_per_s),
            _count(run.connections),
            _seconds(run.latency.mean_s if run.latency else None),
            *(_seconds(_percentile(run, key)) for key in shown),
            _count(run.late),
            _count(run.errors.status),
        )
        for place, run in enumerate(runs, start=1)
    )
    return Table("The runs side by side", columns, rows)


def _percentile(run: Run, key: str) -> float | None:
    return run.latency.percentiles_s.get(key) if run.latency else None


def _endpoints(run: Run, of_run: str) -> Table:
    rows = tuple(
        (
            _endpoint_name(row),
            _count(row.requests),
            _count(row.failures),
            _rate(row.requests_per_s),
            _seconds(row.latency.mean_s if row.latency else None),
            _seconds(row.latency.percentiles_s.get("99") if row.latency else None),
        )
        for row in run.endpoints
    )
    return Table(
        f"By endpoint{of_run}", ("Endpoint", "Requests", "Failed", "Requests/s", "Mean", "p99"), rows
    )


def _endpoint_name(row: Endpoint) -> str:
    return row.name if not row.method or row.name.startswith(row.method) else f"{row.method} {row.name}"


def _status_codes(run: Run, of_run: str) -> Table:
    rows = tuple((code, _count(count)) for code, count in sorted((run.status_codes or {}).items()))
    return Table(f"Status codes{of_run}", ("Status", "Answers"), rows)


def environment_tables(environment: Mapping[str, Any] | None) -> tuple[Table, ...]:
    """The environment as recorded: one table a section, plain values gathered in the first."""
    plain: list[tuple[str, str]] = []
    tables = []
    for key, value in (environment or {}).items():
        if isinstance(value, Mapping):
            rows = tuple((_label(name), _plain(one)) for name, one in value.items())
            tables.append(Table(_label(key), ("Item", "Value"), rows, numeric=False))
        else:
            plain.append((_label(key), _plain(value)))
    if plain:
        tables.insert(0, Table("Environment", ("Item", "Value"), tuple(plain), numeric=False))
    return tuple(tables)


def _label(name: object) -> str:
    text = str(name).replace("_", " ")
    return text[:1].upper() + text[1:]


def _plain(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{str(key).replace('_', ' ')} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(one) for one in value)
    return str(value)


def _count(value: int | None) -> str:
    return NOT_STATED if value is None else words.number(value)


def _number(value: float | None) -> str:
    return NOT_STATED if value is None else words.number(value)


def _rate(value: float | None) -> str:
    return NOT_STATED if value is None else words.rate(value)


def _seconds(value: float | None) -> str:
    return NOT_STATED if value is None else words.seconds(value)
