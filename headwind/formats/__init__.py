"""Text -> Runs, one module a tool."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from headwind.errors import UnreadableError, UsageError
from headwind.formats import registry, wrk
from headwind.formats.bare import bare
from headwind.formats.exact import attach_all, attach_exact
from headwind.formats.repeats import without_repeats
from headwind.formats.sound import sound
from headwind.formats.source import (
    DOCUMENT,
    STDIN,
    exact_lines,
    folder_parts,
    is_folder,
    open_binary,
    read_at_most,
    whole_lines,
)
from headwind.formats.sources import put_apart
from headwind.formats.text import clean, decode
from headwind.run import Errors, Latency, Run

__all__ = ["HELD_AT_ONCE", "STDIN", "attach_exact", "read_part", "read_path", "read_text"]

HELD_AT_ONCE = 2**23  # bytes of a text that is held whole
REREAD_AT_MOST = 2**25  # bytes of a longer one without a wrk run that are searched for other tools
_WRK_LIKE = ("wrk", "wrk2")
_AS_IT_IS = frozenset({"headwind", "wrk"})  # these look through what stands around a text by themselves


def read_text(
    text: str, source: str, *, tool: str | None = None, timeout_s: float | None = None
) -> list[Run]:
    """All runs in a text, in its order; an empty list where there is none.

    `tool` asks only that tool's reader. `timeout_s` is wrk's `--timeout`, which wrk prints nowhere: it becomes the
    runs' `timeout_s` and `late_threshold_s`. Raises UsageError for a tool that nobody reads.
    """
    text = clean(text)
    if (apart := put_apart(text)) is not None:
        runs = _read(apart[0], source, tool, timeout_s)
        return sorted((_of_lines(run, apart[1]) for run in runs), key=_first_line)
    return _read(text, source, tool, timeout_s)


def _read(text: str, source: str, tool: str | None, timeout_s: float | None) -> list[Run]:
    candidates = _candidates(text, tool)
    unwrapped = None
    if not set(candidates) <= _AS_IT_IS or "&#" in text or "&nbsp;" in text:
        unwrapped = bare(text)
        if unwrapped is not None and tool is None:
            candidates = registry.hinted(f"{text}\n{unwrapped.text}")
    found: list[Run] = []
    for name in candidates:
        read = _told_by(name, text, source, asked=tool is not None)
        if unwrapped is not None and name not in _AS_IT_IS:
            again = _told_by(name, unwrapped.text, source, asked=tool is not None)
            read = max([_of_lines(run, unwrapped.numbers) for run in again], read, key=_how_much)
        taken = _Taken(found)
        found += [run for run in read if not taken.overlaps(run)]
    found.sort(key=_first_line)
    return [_as_told(run, tool, timeout_s) for run in found]


def _of_lines(run: Run, numbers: Sequence[int]) -> Run:
    """The run of lines that stand elsewhere in the whole text: `numbers` has the place of each, from 1."""
    if run.lines is None:
        return run
    own = [numbers[min(max(line, 1), len(numbers)) - 1] for line in run.lines]
    return replace(run, lines=(min(own), max(own)))


def _first_line(run: Run) -> tuple[int, int]:
    return run.lines or (0, 0)


def _told_by(name: str, text: str, source: str, *, asked: bool) -> list[Run]:
    """The runs that a tool's reader finds; none where it does not know the text, unless it was asked for."""
    module = registry.load(name)
    if not asked and not module.recognises(text):
        return []
    runs = module.read(text, source)
    if name in _AS_IT_IS:
        return runs if name == "wrk" else [sound(run) for run in runs if _says_anything(run)]
    return without_repeats(sound(run) for run in runs if _says_anything(run))


def _says_anything(run: Run) -> bool:
    """Whether a run has a figure of its load: the schema of a document and a page about it have its words alone."""
    figures = (
        *(run.requests, run.requests_per_s, run.duration_s, run.planned_duration_s),
        *(run.latency, run.status_codes, run.timeline, run.bytes_read),
    )
    told = any(figure is not None and figure != Latency() for figure in figures)
    return told or run.errors != Errors() or bool(run.endpoints)


def _how_much(runs: Sequence[Run]) -> tuple[int, int, int]:
    """How much was read: whole runs, runs, and figures."""
    return sum(run.complete for run in runs), len(runs), sum(_figures(run.to_json()) for run in runs)


def _figures(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_figures(inner) for name, inner in value.items() if name != "warnings")
    return sum(map(_figures, value)) if isinstance(value, list) else value is not None


def read_path(path: str | Path, *, tool: str | None = None, timeout_s: float | None = None) -> Iterator[Run]:
    """The runs of a file, of a Headwind run folder, or of stdin (`-`), one after the other.

    Up to `HELD_AT_ONCE` bytes are looked at for every tool; a longer text is streamed in bounded memory, for the runs
    of wrk and wrk2, and only where it has none, and can be read again, for the others.
    Raises UnreadableError where there is no run or it cannot be read, UsageError as `read_text` does.
    """
    if is_folder(path):
        yield from _read_folder(Path(path), tool, timeout_s)
    else:
        yield from _read_file(path, tool, timeout_s)


def read_part(data: bytes, first_line: int, *, timeout_s: float | None = None) -> Iterator[Run]:
    """The runs of wrk and wrk2 in a part of a long UTF-8 text that begins at line `first_line`, from 1.

    Parts read alone give the runs of the whole where each begins with a header right behind a finished report.
    """
    scanner = wrk.Scanner(first_line=first_line)
    return (_as_told(run, None, timeout_s) for run in scanner.feed(clean(decode(data)), last=True))


def _read_file(path: str | Path, tool: str | None, timeout_s: float | None) -> Iterator[Run]:
    handle, source = open_binary(path)
    with handle:
        try:
            data = read_at_most(handle, HELD_AT_ONCE + 1)
            if len(data) <= HELD_AT_ONCE or tool not in (None, *_WRK_LIKE):
                runs = iter(read_text(decode(data + handle.read()), source, tool=tool, timeout_s=timeout_s))
            elif _is_binary(data[:4096]):
                raise UnreadableError(_no_run(source, data[:4096], None))
            else:
                runs = _stream(handle, data, source, tool, timeout_s)
        except OSError as error:
            raise UnreadableError(f"{source} cannot be read: {error.strerror}.") from None
        run = next(runs, None)
        if run is None:
            raise UnreadableError(_no_run(source, data[:4096], tool))
        yield run
        yield from runs


def _stream(
    handle: BinaryIO, first: bytes, source: str, tool: str | None, timeout_s: float | None
) -> Iterator[Run]:
    """The runs of a text that is too long to be held: wrk's as they come, or else those of the other tools."""
    scanner, found = wrk.Scanner(), False
    for text, last in whole_lines(handle, first):
        for run in scanner.feed(clean(text), last=last):
            found = True
            yield _as_told(run, tool, timeout_s)
    if found or tool is not None:
        return
    again = 0
    if handle.seekable():
        handle.seek(0)
        data = read_at_most(handle, REREAD_AT_MOST)
        runs, again = read_text(decode(data), source, timeout_s=timeout_s), len(data)
        if runs or not handle.read(1):
            yield from runs
            return
    raise UnreadableError(_no_run_so_far(source, again))


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
    if not decode(head).strip():
        return f"{source} is empty: the load tool printed nothing, or its output went elsewhere."
    if tool is not None:
        return f"{source} holds no output of {tool}: leave --tool out to have the tool recognised."
    if _is_binary(head):
        return f"{source} is a binary file: give the text that the load tool printed."
    known = ", ".join(name for name in registry.HINTS if name != "headwind")
    return f"{source} holds no output of a load tool that Headwind reads ({known})."


def _no_run_so_far(source: str, searched: int) -> str:
    asked = "cut out the part with the results, or name the tool with --tool"
    if not searched:
        return f"{source} holds no output of wrk, and is too long to be searched for other tools: {asked}."
    return f"{source} holds no output of wrk, and of other tools none in its first {searched / 1e6:.0f} MB: {asked}."


def _is_binary(head: bytes) -> bool:
    """More than one control character in twenty, terminal escapes aside: no text, in no encoding."""
    text = decode(head)
    return sum(character < " " and character not in "\t\n\r\x1b" for character in text) > len(text) / 20


def _candidates(text: str, tool: str | None) -> list[str]:
    if tool is None:
        return registry.hinted(text)
    name = "wrk" if tool == "wrk2" else tool
    if name not in registry.HINTS:
        known = ", ".join([*registry.HINTS, "wrk2"])
        raise UsageError(f"no reader for the tool {tool!r}; --tool takes one of {known}.")
    return [name]


class _Taken:
    """The lines that runs of other tools hold."""

    def __init__(self, runs: list[Run]) -> None:
        held = sorted(run.lines for run in runs if run.lines)
        self._starts = [first for first, _ in held]
        self._ends = list(accumulate((last for _, last in held), max))

    def overlaps(self, run: Run) -> bool:
        if run.lines is None:
            return False
        before = bisect_right(self._starts, run.lines[1])
        return before > 0 and self._ends[before - 1] >= run.lines[0]


def _as_told(run: Run, tool: str | None, timeout_s: float | None) -> Run:
    """The run with what the caller knows better than the text: which of the two wrks it was, and its timeout."""
    if run.tool not in _WRK_LIKE:
        return run
    if tool in _WRK_LIKE and tool != run.tool:
        known = run.timeout_s if tool == "wrk" else None
        run = replace(run, tool=tool, late=run.errors.timeout if known else None, late_threshold_s=known)
    if timeout_s is None or run.histogram is not None:
        return run  # an exact histogram came with the timeout that wrk had
    late = run.errors.timeout if run.tool == "wrk" else None
    return replace(run, timeout_s=timeout_s, late_threshold_s=timeout_s, late=late)
