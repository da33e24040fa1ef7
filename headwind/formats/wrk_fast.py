"""A whole report as wrk prints it, read by one expression: for files of many megabytes of nothing but runs.

Gives exactly what the careful way gives (`tests/formats/test_wrk_fast.py` holds them against each other), or nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from headwind.formats.wrk_draft import Draft
from headwind.formats.wrk_finish import (
    SLOWEST_IN_DEFAULT_TIMEOUT_S,
    clean_url,
    finish,
    planned_duration,
    shortest_planned_s,
)
from headwind.formats.wrk_lines import PATTERNS, is_fence, items
from headwind.formats.wrk_totals import totals_agree
from headwind.run import WRK_DEFAULT_TIMEOUT_S, Errors, Latency, ReadWarning, Run, ThreadRate

_TIME = r"([0-9]{1,6}\.[0-9]{2})(us|ms|s)"
_RATE = r"([0-9]{1,6}\.[0-9]{2})([kMG]?)"
_SHARE = r"([0-9]{1,3}\.[0-9]{2})%"
_HEADER = (
    r"Running ([0-9]{1,7}[sm]) test @ ([^\s\\<;\[|\"`]+)\n"
    r"  ([0-9]{1,9}) threads and ([0-9]{1,9}) connections\n"
)
_STATS = r"  Thread Stats   Avg      Stdev     Max   \+/- Stdev\n"
_ERRORS = (
    r"(?:  Socket errors: connect ([0-9]{1,18}), read ([0-9]{1,18}), write ([0-9]{1,18}), timeout ([0-9]{1,18})\n)?"
    r"(?:  Non-2xx or 3xx responses: ([0-9]{1,18})\n)?"
)
_REPORT = re.compile(
    rf"{_HEADER}{_STATS}"
    rf"    Latency +{_TIME} +{_TIME} +{_TIME} +{_SHARE}\n"
    rf"    Req/Sec +{_RATE} +{_RATE} +{_RATE} +{_SHARE}\n"
    rf"(?:  Latency Distribution\n +50% +{_TIME} *\n +75% +{_TIME} *\n +90% +{_TIME} *\n +99% +{_TIME} *\n)?"
    r"  ([0-9]{1,18}) requests in ([0-9]{1,6}\.[0-9]{2})(ms|s|m), ([0-9]{1,9}\.[0-9]{2})([KMGT]?)B read\n"
    rf"{_ERRORS}"
    r"Requests/sec: +([0-9]{1,15}\.[0-9]{2})\n"
    r"Transfer/sec: +([0-9]{1,9}\.[0-9]{2})([KMGT]?)B\n"
)
# The same with whatever is well formed: any unit, nan, wrk2's tables, a script's lines before the statistics, and no
# last line where the next report begins at once.
_TOKEN = r"(?:[0-9]{1,15}\.[0-9]{2}|-?nan)(?:us|ms|s|m|h)"
_ANY_TIME = rf"({_TOKEN})"
_ANY_RATE = r"([0-9]{1,15}\.[0-9]{2}[kMGTP]?|-?nan)"
_ANY_SHARE = r"((?:[0-9]{1,3}\.[0-9]{2}|-?nan)%)"
_RANKS = rf"(?: *[0-9]{{1,3}}(?:\.[0-9]{{1,6}})?% +{_TOKEN} *\n){{1,12}}"
_SPECTRUM = (
    r"\n?(?: +Detailed Percentile spectrum:\n +Value +Percentile +TotalCount 1/\(1-Percentile\)\n\n?"
    r"(?: +[0-9]{1,12}\.[0-9]{3} +[01]\.[0-9]{6} +[0-9]{1,18}(?: +(?:[0-9]+\.[0-9]+|inf))?\n)*)?"
    r"(?:#\[(?:Mean|Max|Buckets) [^\]\n]*\]\n){0,3}(?:-+\n)?"
)
_TABLE = (
    r"  Latency Distribution(?: \(HdrHistogram - (?:Recorded|Uncorrected) Latency(?: \(measured [a-z ]+\))?\))?\n"
    rf"{_RANKS}{_SPECTRUM}"
)
_ANY_REPORT = re.compile(
    rf"{_HEADER}((?:[^\n]*\n){{0,12}}?){_STATS}"
    rf"    Latency +{_ANY_TIME} +{_ANY_TIME} +{_ANY_TIME} +{_ANY_SHARE}\n"
    rf"    Req/Sec +{_ANY_RATE} +{_ANY_RATE} +{_ANY_RATE} +{_ANY_SHARE}\n"
    rf"((?:{_TABLE}){{0,2}})"
    r"  ([0-9]{1,18}) requests in ([0-9]{1,15}\.[0-9]{2}(?:us|ms|s|m|h)), ([0-9]{1,9}\.[0-9]{2}[KMGTP]?B) read\n"
    rf"{_ERRORS}"
    r"Requests/sec: +([0-9]{1,15}\.[0-9]{2})\n"
    r"(?:Transfer/sec: +([0-9]{1,9}\.[0-9]{2}[KMGTP]?B)\n|(?=\n*(?:\Z|Running [0-9]{1,7}[smh] test @ [^\n]+\n)))"
)
_TITLE = re.compile(r"  Latency Distribution([^\n]*)\n")
_RANK = re.compile(rf" *([0-9.]+)% +{_ANY_TIME}")
_SUMMARY = re.compile(r"#\[(Mean|Max) ([^\]\n]*)\]")
_TIME_EXPONENT = {"us": "e-6", "ms": "e-3", "s": ""}
_RATE_EXPONENT = {"": "", "k": "e3", "M": "e6", "G": "e9"}
_BYTES = {"": 1.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3, "T": 1024.0**4}
_NO_ERRORS = Errors(0, 0, 0, 0, 0)


# What may stand in front of every line of a report: a service's name, a time, a quotation mark. It ends like a word
# does, and holds nothing that the careful way would read something into.
_DIGITS = str.maketrans("123456789", "000000000")
_LONGEST_PREFIX = 80
_MOST_LINES = 60
_COMMAND = re.compile(r"wrk2? +-")

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


def whole_report(text: str, start: int, number: int, command: str | None = None) -> Report | None:
    """The report that begins at `start`, the beginning of line `number`, with the arguments of the command line before
    it; None where it is not of wrk's own form."""
    match = _REPORT.match(text, start) if command is None else None
    return (_plain(match, text, number) if match else None) or _any_report(text, start, number, command)


def _plain(match: re.Match[str], text: str, number: int) -> Report | None:
    """A report about which nothing has to be told; None for others."""
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
        or max_s > min(SLOWEST_IN_DEFAULT_TIMEOUT_S, duration_s)
        or not duration_s
        or not totals_agree(count, duration_s, requests_per_s)
    ):
        return None
    clean, planned_s, shortest_s, warnings = header
    lines = text.count("\n", match.start(), match.end())
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
    return run, match.end(), lines, (row, (requests, runtime + runtime_unit, f"{read}{read_k}B"))


def prefixed_report(text: str, start: int, number: int, command: str | None = None) -> Report | None:
    """The same of a report whose lines all begin with the same characters, digits aside."""
    at = text.find("Running ", start, start + _LONGEST_PREFIX)
    if at <= start:
        return None
    width, shape = at - start, text[start:at].translate(_DIGITS)
    last = text.find("Transfer/sec:", at, at + _MOST_LINES * _LONGEST_PREFIX * 2)
    end = text.find("\n", last) + 1
    if last < 0 or end == 0 or not _says_nothing(shape):
        return None
    lines = text[start:end].split("\n")[:-1]
    if any(line[:width].translate(_DIGITS) != shape for line in lines):
        return None
    report = whole_report("\n".join([line[width:] for line in lines]) + "\n", 0, number, command)
    if report is None:
        return None
    run, _, own, keys = report  # without a last line of its own the report ends before the one that was found
    return run, start + sum(len(line) + 1 for line in lines[:own]), own, keys


@lru_cache(maxsize=256)
def _says_nothing(prefix: str) -> bool:
    """Whether a prefix stands apart from what follows, and has no part in what wrk prints."""
    if prefix[-1].isalnum() or any(sign in prefix for sign in "\n<&\\") or _COMMAND.search(prefix):
        return False
    return not any(pattern.literal in prefix for pattern in PATTERNS if pattern.kind != "command")


def _any_report(text: str, start: int, number: int, command: str | None) -> Report | None:
    """A report with anything that has to be told with care, which the careful way's `finish` does."""
    match = _ANY_REPORT.match(text, start)
    if match is None:
        return None
    # fmt: off
    (planned, url, threads, connections, before, *columns, tables, requests, runtime, read,
     connect, read_errors, write, timeout, status, per_second, transfer) = match.groups()
    # fmt: on
    calibrations = _calibrations(before, number + 2)
    found = _tables(tables)
    if _header(planned, url) is None or calibrations is None or found is None:
        return None
    distributions, summaries = found
    lines = text.count("\n", start, match.end())
    draft = Draft(
        number,
        number + lines - 1,
        planned=planned,
        url=url,
        threads=threads,
        connections=connections,
        has_header=True,
        has_threads=True,
        has_stats=True,
        calibrations=calibrations,
        latency=columns[:4],
        rate=columns[4:],
        distributions=distributions,
        summaries=summaries,
        hdr="HdrHistogram" in tables or "#[" in tables or "TotalCount" in tables,
        requests=requests,
        runtime=runtime,
        read=read,
        has_totals=True,
        socket=f" connect {connect}, read {read_errors}, write {write}, timeout {timeout}"
        if connect
        else None,
        status=status,
        has_status=status is not None,
        per_second=per_second,
        has_per_second=True,
        transfer=transfer,
        command=command,
    )
    return finish(draft), match.end(), lines, (tuple(columns[:4]), (requests, runtime, read))


def _calibrations(before: str, number: int) -> int | None:
    """How many calibration lines stand between the header and the statistics; None where a line of wrk's stands there
    beside them, or one that would end the report."""
    found = 0
    for line in before.split("\n")[:-1]:
        kinds = [item.kind for item in items(line, number, number)] if line else []
        if kinds == ["calibration"]:
            found += 1
        elif kinds or "^C" in line or is_fence(line):
            return None
    return found


def _tables(text: str) -> tuple[dict[str, dict[str, str]], dict[str, str]] | None:
    """The rows of the latency distributions by their names, and the figures below them; None where ranks do not
    ascend or two tables have one name."""
    distributions: dict[str, dict[str, str]] = {}
    summaries: dict[str, str] = {}
    _, *parts = _TITLE.split(text)
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        name = "uncorrected" if "Uncorrected" in title else "recorded"
        ranks = _RANK.findall(body, 0, body.find("Detailed") if "Detailed" in body else len(body))
        values = [float(rank) for rank, _ in ranks]
        if name in distributions or any(low >= high for low, high in pairwise(values)):
            return None
        distributions[name] = {_rank_key(rank): token for rank, token in ranks}
        after = "uncorrected" if "uncorrected" in distributions else "recorded"
        for kind, figures in _SUMMARY.findall(body):
            summaries.setdefault(f"{after} {kind}", " " + figures)
    return distributions, summaries


@lru_cache(maxsize=64)
def _rank_key(rank: str) -> str:
    return f"{float(rank):.6f}".rstrip("0").rstrip(".")


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
