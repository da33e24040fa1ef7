"""A whole report in wrk's plainest form, read by one expression: for files of many megabytes of nothing but runs.

Gives exactly what the careful way gives (`tests/formats/test_wrk_fast.py` holds them against each other), or nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from headwind.formats.units import seconds
from headwind.formats.wrk_finish import (
    SLOWEST_IN_DEFAULT_TIMEOUT_S,
    clean_url,
    interrupted,
    planned_duration,
    totals_agree,
)
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Errors, Latency, Run, ThreadRate

_TIME = r"([0-9]{1,6}\.[0-9]{2})(us|ms|s)"
_RATE = r"([0-9]{1,6}\.[0-9]{2})([kMG]?)"
_SHARE = r"([0-9]{1,3}\.[0-9]{2})%"
_REPORT = re.compile(
    r"Running ([0-9]{1,7}[sm]) test @ ([^\s\\<;\[|]+)\n"
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


@dataclass(frozen=True, slots=True)
class Report:
    """A run, where it ends, its number of lines, and its figures by which prose that repeats it is known."""

    run: Run
    end: int
    lines: int
    keys: tuple[tuple[str, ...], ...]


_planned = lru_cache(maxsize=256)(planned_duration)
_url = lru_cache(maxsize=256)(clean_url)


def whole_report(text: str, start: int, number: int) -> Report | None:
    """The report that begins at `start`, the beginning of line `number`; None where it is not of the plainest form,
    or where anything about it needs a second look."""
    match = _REPORT.match(text, start)
    if match is None:
        return None
    planned, url, threads, connections, *columns = match.groups()
    row, rates, percentiles, totals = columns[:7], columns[7:14], columns[14:22], columns[22:27]
    if "sec:" in url or "#[" in url:
        return None
    mean, mean_unit, stdev, stdev_unit, top, top_unit, share = row
    max_s = float(top + _TIME_EXPONENT[top_unit])
    requests, runtime, runtime_unit, read, read_unit = totals
    duration_s = seconds(runtime + runtime_unit)
    per_second = float(columns[32])
    if (
        mean == "0.00"
        or rates[0] == "0.00"
        or "0.00" in percentiles
        or max_s > SLOWEST_IN_DEFAULT_TIMEOUT_S
        or not duration_s
        or not totals_agree(int(requests), duration_s, per_second)
    ):
        return None
    planned_s, rounded = _planned(planned)
    errors = _errors(columns[27:32])
    run = Run(
        tool="wrk",
        url=_url(url),
        lines=(number, number + text.count("\n", start, match.end()) - 1),
        complete=True,
        interrupted=interrupted(planned, duration_s),
        planned_duration_s=planned_s,
        threads=int(threads),
        connections=int(connections),
        late_threshold_s=WRK_DEFAULT_TIMEOUT_S,
        late=errors.timeout,
        requests=int(requests),
        duration_s=duration_s,
        bytes_read=round(float(read) * _BYTES[read_unit], 6),
        requests_per_s=per_second,
        bytes_per_s=round(float(columns[33]) * _BYTES[columns[34]], 6),
        latency=Latency(
            mean_s=float(mean + _TIME_EXPONENT[mean_unit]),
            stdev_s=float(stdev + _TIME_EXPONENT[stdev_unit]),
            max_s=max_s,
            within_stdev=float(share + "e-2"),
            percentiles_s=_percentiles(percentiles),
        ),
        thread_requests_per_s=ThreadRate(
            float(rates[0] + _RATE_EXPONENT[rates[1]]),
            float(rates[2] + _RATE_EXPONENT[rates[3]]),
            float(rates[4] + _RATE_EXPONENT[rates[5]]),
            float(rates[6] + "e-2"),
        ),
        errors=errors,
        warnings=(rounded,) if rounded else (),
    )
    keys = (
        (mean + mean_unit, stdev + stdev_unit, top + top_unit, share + "%"),
        (requests, runtime + runtime_unit, f"{read}{read_unit}B"),
    )
    return Report(run, match.end(), run.lines[1] - number + 1 if run.lines else 0, keys)


def _percentiles(columns: list[str]) -> dict[str, float]:
    if not columns[0]:
        return {}
    return {
        "50": float(columns[0] + _TIME_EXPONENT[columns[1]]),
        "75": float(columns[2] + _TIME_EXPONENT[columns[3]]),
        "90": float(columns[4] + _TIME_EXPONENT[columns[5]]),
        "99": float(columns[6] + _TIME_EXPONENT[columns[7]]),
    }


def _errors(columns: list[str]) -> Errors:
    connect, read, write, timeout, status = columns
    if connect is None and status is None:
        return _NO_ERRORS
    socket = (int(connect), int(read), int(write), int(timeout)) if connect else (0, 0, 0, 0)
    return Errors(*socket, int(status or 0))
