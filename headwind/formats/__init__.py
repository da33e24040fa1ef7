"""Text -> Runs, one module a tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from headwind.errors import UnreadableError, UsageError
from headwind.formats import registry
from headwind.formats.exact import attach_all, attach_exact
from headwind.formats.source import DOCUMENT, STDIN, exact_lines, folder_parts, open_binary
from headwind.formats.text import clean, decode
from headwind.run import Run

__all__ = ["STDIN", "attach_exact", "read_path", "read_text"]

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
        found += [run for run in module.read(text, source) if not _overlaps(run, tuple(found))]
    found.sort(key=lambda run: run.lines or (0, 0))
    return [_with_timeout(run, timeout_s) for run in found]


def read_path(path: str | Path, *, tool: str | None = None, timeout_s: float | None = None) -> Iterator[Run]:
    """The runs of a file, of a Headwind run folder, or of stdin (`-`), one after the other.

    Raises UnreadableError where there is no run or it cannot be read, UsageError as `read_text` does.
    """
    if str(path) != STDIN and Path(path).is_dir():
        yield from _read_folder(Path(path), tool, timeout_s)
    else:
        yield from _read_file(path, tool, timeout_s)


def _read_file(path: str | Path, tool: str | None, timeout_s: float | None) -> Iterator[Run]:
    handle, source = open_binary(path)
    with handle:
        data = handle.read()
    if not data.strip():
        raise UnreadableError(
            f"{source} is empty: the load tool printed nothing, or its output went elsewhere."
        )
    runs = read_text(decode(data), source, tool=tool, timeout_s=timeout_s)
    if not runs:
        raise UnreadableError(_no_run(source, data[:4096], tool))
    yield from runs


def _read_folder(folder: Path, tool: str | None, timeout_s: float | None) -> Iterator[Run]:
    """`run.json` has everything that the runner knew; where it is missing or damaged, `wrk.txt` and `exact.jsonl`."""
    failure = None
    for part in folder_parts(folder):
        try:
            runs = list(_read_file(part, None if part.name == DOCUMENT else tool, timeout_s))
        except UnreadableError as error:
            failure = failure or error
            continue
        yield from runs if part.name == DOCUMENT else attach_all(runs, exact_lines(folder))
        return
    if failure:
        raise failure


def _no_run(source: str, head: bytes, tool: str | None) -> str:
    if tool is not None:
        return f"{source} holds no output of {tool}: leave --tool out to have the tool recognised."
    if b"\0" in head and not decode(head).isprintable() and "\0" in decode(head):
        return f"{source} is a binary file: give the text that the load tool printed."
    known = ", ".join(name for name in registry.HINTS if name != "headwind")
    return f"{source} holds no output of a load tool that Headwind reads ({known})."


def _candidates(text: str, tool: str | None) -> list[str]:
    if tool is None:
        return registry.hinted(text)
    name = "wrk" if tool == "wrk2" else tool
    if name not in registry.HINTS:
        known = ", ".join(registry.HINTS)
        raise UsageError(f"no reader for the tool {tool!r}; --tool takes one of {known}.")
    return [name]


def _overlaps(run: Run, others: tuple[Run, ...]) -> bool:
    if run.lines is None:
        return False
    first, last = run.lines
    return any(other.lines and first <= other.lines[1] and other.lines[0] <= last for other in others)


def _with_timeout(run: Run, timeout_s: float | None) -> Run:
    if timeout_s is None or run.tool not in _WRK_LIKE:
        return run
    late = run.errors.timeout if run.tool == "wrk" else None
    return replace(run, timeout_s=timeout_s, late_threshold_s=timeout_s, late=late)
