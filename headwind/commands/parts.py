"""A large file of wrk reports, cut between reports and judged by several processes at once."""

from __future__ import annotations

import gc
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headwind.formats import read_part
from headwind.formats.text import clean, decode
from headwind.formats.wrk_lines import says_nothing, service
from headwind.report.document import COMPARED_RUNS
from headwind.report.stream import Judge, Part

PIECE = 2**20  # bytes judged at once
_HEADER = re.compile(rb"Running +[0-9]+[smh] +test @ ")
_LAST_LINES = (b"Requests/sec:", b"Transfer/sec:")
_SERVICE = re.compile(rb"^ *[A-Za-z0-9][A-Za-z0-9_.-]{0,62} *\|", re.MULTILINE)
_MOST_BETWEEN = 2**14  # bytes between two reports that are looked through for anything of wrk's


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `begin` to `end` of a file, from line `first_line`, with the number of headers before it."""

    begin: int
    end: int
    first_line: int
    headers_before: int


@dataclass(frozen=True, slots=True)
class _Work:
    """What a process needs to judge the pieces of a file: where findings go, and by what runs are judged."""

    path: Path
    source: str
    judge: Judge
    timeout_s: float | None
    folder: Path


def pieces(path: Path) -> list[Piece] | None:
    """The file cut between reports, or None where it is no UTF-8 text, has few, or has none that can be told apart."""
    found: list[Piece] = []
    begin, line, headers = 0, 1, 0
    with path.open("rb") as file:
        held = b""
        while data := file.read(PIECE):
            if b"\0" in data or (not found and data.startswith((b"\xff", b"\xfe"))):
                return None
            held += data
            cut = _boundary(held)
            if cut is None:
                if len(held) > 4 * PIECE:
                    return None
                continue
            found.append(Piece(begin, begin + cut, line, headers))
            begin, line = begin + cut, line + _lines(held[:cut])
            headers += len(_HEADER.findall(held, 0, cut))
            held = held[cut:]
    if held:
        found.append(Piece(begin, begin + len(held), line, headers))
        headers += len(_HEADER.findall(held))
    return found if headers > COMPARED_RUNS and len(found) > 1 else None


def _lines(data: bytes) -> int:
    """How many lines end in it: a lone CR ends one too."""
    return data.count(b"\n") + (data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0)


def _boundary(data: bytes) -> int | None:
    """Where a report ends that a header follows, with nothing of wrk's between but a command line.

    What comes then belongs to no report before it, and the header closes whatever is still open; so both sides can
    be read alone, unless lines of another service stand among them.
    """
    at = len(data)
    for _ in range(100):
        at = data.rfind(b"Running ", 0, at)
        if at < 0:
            return None
        if not _HEADER.match(data, at):
            continue
        start = data.rfind(b"\n", 0, at) + 1
        last = max(data.rfind(line, max(0, start - _MOST_BETWEEN), start) for line in _LAST_LINES)
        end = data.find(b"\n", last, start) + 1
        if last < 0 or end == 0 or not says_nothing(clean(decode(data[end:start]))):
            continue
        alone = service(clean(decode(data[start:at]))) is None
        return end if alone or len(set(_SERVICE.findall(data))) == 1 else None
    return None


def judged(
    path: Path, source: str, cut: Sequence[Piece], judge: Judge, timeout_s: float | None, folder: Path
) -> Iterator[Part]:
    """The parts of the document in the order of the file, each piece judged by one of as many processes as cores.

    A piece's first index is foreseen from the headers before it and from how many of the ones before were runs; where
    that was wrong, it is judged again. Findings wait in files of the folder.
    """
    processes = max(1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8))
    count = drift = 0
    with ProcessPoolExecutor(processes, initializer=gc.disable) as pool:
        # What is made for a run is gone with it, without cycles: looking for those took a third of the time.
        work = _Work(path, source, judge, timeout_s, folder)
        waiting: deque[tuple[Piece, Future[Part]]] = deque()
        rest = iter(cut)
        while True:
            while len(waiting) < processes + 2 and (piece := next(rest, None)) is not None:
                waiting.append((piece, pool.submit(_part, work, piece, piece.headers_before + drift)))
            if not waiting:
                return
            piece, future = waiting.popleft()
            part = future.result()
            if part.first_index != count:
                part = _part(work, piece, count)
            drift = count - piece.headers_before
            count += part.count
            if part.count:
                yield part


def _part(work: _Work, piece: Piece, first_index: int) -> Part:
    with work.path.open("rb") as file:
        file.seek(piece.begin)
        data = file.read(piece.end - piece.begin)
    runs = read_part(data, piece.first_line, timeout_s=work.timeout_s)
    return work.judge.stored(((work.source, run) for run in runs), first_index, work.folder)
