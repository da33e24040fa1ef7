"""Locust's error report on the console: every failure with its count, which its tables only add up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from headwind.formats.causes import cause
from headwind.run import Errors, Run

_NEAR = 6  # lines between the last table and the heading
_ROW = re.compile(r"[^\w]*([0-9]{1,15})\s+(\S.*)")
_STATUS = re.compile(r"HTTPError\(\W*[45][0-9]{2}\b")


def split(run: Run, lines: Sequence[str]) -> Run:
    """The run with its failures by kind, where a report behind it names a kind for each and its counts add up to them;
    else the run as it is."""
    failures = run.errors.status
    if not failures or run.lines is None:
        return run
    start = run.lines[1]
    heading = next(
        (n for n in range(start, min(start + _NEAR, len(lines))) if "Error report" in lines[n]), None
    )
    counts = _counts(lines, heading + 1) if heading is not None else None
    if counts is None or sum(counts.values()) != failures:
        return run
    kept = tuple(warning for warning in run.warnings if warning.code != "errors_not_split")
    return replace(run, errors=Errors(**counts), warnings=kept)


def _counts(lines: Sequence[str], start: int) -> dict[str, int] | None:
    """Failures by kind; None where a message fits none."""
    counts = {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}
    rules = 0
    frame = (
        max(lines[start].find("# occurrences"), 0) if start < len(lines) else 0
    )  # what a log puts before each
    for framed in lines[start : start + 1000]:
        line = framed[frame:]
        row = _ROW.match(line)
        if row is not None:
            message = row[2].partition(": ")[2]
            kind = "status" if _STATUS.match(message.lstrip("\"' ")) else cause(message)
            if kind is None:
                return None
            counts[kind] += int(row[1])
        else:
            rules += "-----" in line
            if rules == 2:
                break
    return counts
