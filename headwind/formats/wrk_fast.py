"""A whole report in wrk's plainest form, read by one expression: for files of many megabytes of nothing but runs.

Gives exactly what the careful way gives (`tests/formats/test_wrk_fast.py` holds them against each other), or nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from headwind.formats.wrk_finish import (
    SLOWEST_IN_DEFAULT_TIMEOUT_S,
    clean_url,
    planned_duration,
    shortest_planned_s,
    totals_agree,
)
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Errors, Latency, ReadWarning, Run, ThreadRate

_TIME = r"([0-9]{1,6}\.[0-9]{2})(us|ms|s)"
_RATE = r"([0-9]{1,6}\.[0-9]{2})([kMG]?)"
_SHARE = r"([0-9]{1,3}\.[0-9]{2})%"
_REPORT = re.compile(
    r"Running ([0-9]{1,7}[sm]) test @ ([^\s\\<;\[|\"`]+)\n"
    r"  ([0-9]{1,9}) threads and ([0-9]{1,9}) connections\n"
    r"  Thread Stats   Avg      Stdev     Max   \+/- Stdev\n"
    rf"    Latency +{_TIME} +{_TIME} +{_TIME} +{_SHARE}\n"
    rf"    Req/Sec +{_RATE} +{_RATE} +{_RATE} +{_SHARE}\n"
    rf"(?:  Latency Distribution\n +50% +{_TIME} *\n +75% +{_TIME} *\n +90% +{_TIME} *\n +99% +{_TIME} *\n)?"
    r"  ([0-9]{1,18}) requests in ([0-9]{1,6}\.[0-9]{2})(ms|s|m), ([0-9]{1,9}\.[0-9]{2})([KMGT]?)B read\n"
    r"(?:  Socket errors: connect ([0-9]{1,18}), read ([0-9]{1,18}), write ([0-9]{1,18}), timeout ([0-9]{1,18})\n)?"
    r"(?:  Non-2xx or 3xx responses: ([0-9]{1,18})\n)?"
    r"Requests/sec: +([0-9]{1,15}\.[0-9]{2})\n"
    r"Transfer/sec: +([0-9]{1,9}\.[0-9]{2})([KMGT]?)B\n"
)
_TIME_EXPONENT = {"us": "e-6", "ms": "e-3", "s": ""}
_RATE_EXPONENT = {"": "", "k": "e3", "M": "e6", "G": "e9"}
_BYTES = {"": 1.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3, "T": 1024.0**4}
_NO_ERRORS = Errors(0, 0, 0, 0, 0)


# A run, where it ends, its number of lines, and its figures by which prose that repeats it is known.
Report = tuple[Run, int, int, tuple[tuple[str, ...], ...]]


@lru_cache(maxsize=256)
def _header(planned: str, url: str) -> tuple[str | None, float | None, float, tuple[ReadWarning, ...]] | None:
    """What the header tells, the same for run after run; None where it needs the careful way."""
    planned_s, rounded = planned_duration(planned)
    shortest_s = shortest_planned_s(planned)
    if shortest_s is None or "sec:" in url or "#[" in url:
        return None
    return clean_url(url), planned_s, shortest_s, (rounded,) if rounded else ()


def whole_report(text: str, start: int, number: int) -> Report | None:
    """The report that begins at `start`, the beginning of line `number`; None where it is not of the plainest form,
    or where anything about it needs a second look."""
    match = _REPORT.match(text, start)
    if match is None:
        return None
    # fmt: off
    (planned, url, threads, connections, mean, mean_unit, stdev, stdev_unit, top, top_unit, within,
     rate, rate_k, rate_stdev, rate_stdev_k, rate_top, rate_top_k, rate_within,
     p50, p50_unit, p75, p75_unit, p90, p90_unit, p99, p99_unit, requests, runtime, runtime_unit, read, read_k,
     connect, read_errors, write, timeout, status, per_second, transfer, transfer_k) = match.groups()
    # fmt: on
    header = _header(planned, url)
    max_s = _time(top, top_unit)
    duration_s = _runtime(runtime, runtime_unit)
    count, requests_per_s = int(requests), float(per_second)
    if (
        header is None
        or "0.00" in (mean, rate, p50, p75, p90, p99)
        or max_s > SLOWEST_IN_DEFAULT_TIMEOUT_S
        or not duration_s
        or not totals_agree(count, duration_s, requests_per_s)
    ):
        return None
    clean, planned_s, shortest_s, warnings = header
    end = match.end()
    lines = text.count("\n", start, end)
    errors = _errors(connect, read_errors, write, timeout, status) if connect or status else _NO_ERRORS
    ranks = _percentiles(p50, p50_unit, p75, p75_unit, p90, p90_unit, p99, p99_unit) if p50 else {}
    run = Run(
        tool="wrk",
        url=clean,
        lines=(number, number + lines - 1),
        complete=True,
        interrupted=duration_s < shortest_s,
        planned_duration_s=planned_s,
        threads=int(threads),
        connections=int(connections),
        late_threshold_s=WRK_DEFAULT_TIMEOUT_S,
        late=errors.timeout,
        requests=count,
        duration_s=duration_s,
        bytes_read=round(float(read) * _BYTES[read_k], 6),
        requests_per_s=requests_per_s,
        bytes_per_s=round(float(transfer) * _BYTES[transfer_k], 6),
        latency=Latency(
            _time(mean, mean_unit), _time(stdev, stdev_unit), max_s, None, float(within + "e-2"), ranks
        ),
        thread_requests_per_s=_rates(
            rate, rate_k, rate_stdev, rate_stdev_k, rate_top, rate_top_k, rate_within
        ),
        errors=errors,
        warnings=warnings,
    )
    row = (mean + mean_unit, stdev + stdev_unit, top + top_unit, within + "%")
    return run, end, lines, (row, (requests, runtime + runtime_unit, f"{read}{read_k}B"))


def _time(number: str, unit: str) -> float:
    return float(number + _TIME_EXPONENT[unit])


def _rates(mean: str, mean_k: str, stdev: str, stdev_k: str, top: str, top_k: str, within: str) -> ThreadRate:
    return ThreadRate(
        float(mean + _RATE_EXPONENT[mean_k]),
        float(stdev + _RATE_EXPONENT[stdev_k]),
        float(top + _RATE_EXPONENT[top_k]),
        float(within + "e-2"),
    )


def _runtime(number: str, unit: str) -> float:
    return round(float(number) * 60.0, 6) if unit == "m" else float(number + _TIME_EXPONENT[unit])


def _percentiles(*columns: str) -> dict[str, float]:
    return dict(zip(("50", "75", "90", "99"), map(_time, columns[::2], columns[1::2]), strict=True))


def _errors(connect: str | None, read: str, write: str, timeout: str, status: str | None) -> Errors:
    socket = (int(connect), int(read), int(write), int(timeout)) if connect else (0, 0, 0, 0)
    return Errors(*socket, int(status or 0))
