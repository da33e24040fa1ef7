"""Text -> Runs, one module a tool."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from headwind.errors import UnreadableError, UsageError
from headwind.formats import registry
from headwind.formats.text import clean, decode
from headwind.run import Run

__all__ = ["STDIN", "read_path", "read_text"]

STDIN = "-"
_WRK_LIKE = ("wrk", "wrk2")


def read_text(
    text: str, source: str, *, tool: str | None = None, timeout_s: float | None = None
) -> list[Run]:
    """All runs in a text, in its order; an empty list where there is none.

    `tool` asks only that tool's reader. `timeout_s` is wrk's `--timeout`, which wrk prints nowhere: it becomes the
    runs' `timeout_s` and `late_threshold_s`. Raises UsageError for a tool that nobody reads.
    """
    text = clean(text)
    found: list[Run] = []
    for name in _candidates(text, tool):
        module = registry.load(name)
        if tool is None and not module.recognises(text):
            continue
        found += (run for run in module.read(text, source) if not _overlaps(run, found))
    found.sort(key=lambda run: run.lines or (0, 0))
    return [_with_timeout(run, timeout_s) for run in found]


def read_path(path: str | Path, *, tool: str | None = None, timeout_s: float | None = None) -> Iterator[Run]:
    """The runs of a file, of a Headwind run folder, or of stdin (`-`), one after the other.

    Raises UnreadableError where there is no run or it cannot be read, UsageError as `read_text` does.
    """
    if str(path) == STDIN:
        data, source = sys.stdin.buffer.read(), "<stdin>"
    else:
        data, source = Path(path).read_bytes(), str(path)
    runs = read_text(decode(data), source, tool=tool, timeout_s=timeout_s)
    if not runs:
        raise UnreadableError(f"{source} holds no output of a load tool that Headwind reads.")
    yield from runs


def _candidates(text: str, tool: str | None) -> list[str]:
    if tool is None:
        return registry.hinted(text)
    if tool not in registry.HINTS:
        known = ", ".join(registry.HINTS)
        raise UsageError(f"no reader for the tool {tool!r}; --tool takes one of {known}.")
    return [tool]


def _overlaps(run: Run, others: list[Run]) -> bool:
    if run.lines is None:
        return False
    first, last = run.lines
    return any(other.lines and first <= other.lines[1] and other.lines[0] <= last for other in others)


def _with_timeout(run: Run, timeout_s: float | None) -> Run:
    if timeout_s is None or run.tool not in _WRK_LIKE:
        return run
    late = run.errors.timeout if run.tool == "wrk" else None
    return replace(run, timeout_s=timeout_s, late_threshold_s=timeout_s, late=late)
