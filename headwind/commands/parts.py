"""A large file of wrk reports, cut between reports and judged by several processes at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headwind.formats import read_part
from headwind.report.document import COMPARED_RUNS
from headwind.report.stream import Judge, Part

PIECE = 2**20  # bytes judged at once: its JSON, some ten times as long, is held in memory
# A part ends where a finished report is followed at once by the header of the next one: nothing of either is cut.
_HEADER = b"\nRunning "
_LAST_LINE = b"\nTransfer/sec:"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `begin` to `end` of a file, from line `first_line`, with the number of headers before it."""

    begin: int
    end: int
    first_line: int
    headers_before: int


def pieces(path: Path) -> list[Piece] | None:
    """The file cut between reports, or None where it is no UTF-8 text, has few, or not one after another."""
    found: list[Piece] = []
    begin, line, headers = 0, 1, 0
    with path.open("rb") as file:
        held = b""
        while data := file.read(PIECE):
            if not found and (b"\0" in data or data.startswith((b"\xff", b"\xfe"))):
                return None
            held += data
            cut = _boundary(held)
            if cut is None:
                if len(held) > 4 * PIECE:
                    return None
                continue
            found.append(Piece(begin, begin + cut, line, headers))
            begin, line = begin + cut, line + held.count(b"\n", 0, cut)
            headers += held.count(_HEADER, 0, cut) + held.startswith(_HEADER[1:])
            held = held[cut:]
    if held:
        found.append(Piece(begin, begin + len(held), line, headers))
    return found if headers > COMPARED_RUNS else None


def _boundary(data: bytes) -> int | None:
    """Where the last header stands that comes right behind a finished report."""
    at = len(data)
    for _ in range(100):
        at = data.rfind(_HEADER, 0, at)
        if at < 0:
            return None
        before = data.rfind(b"\n", 0, at)
        if before >= 0 and data.startswith(_LAST_LINE, before):
            return at + 1
    return None


def judged(
    path: Path, source: str, cut: list[Piece], judge: Judge, timeout_s: float | None
) -> Iterator[Part]:
    """The parts of the document in the order of the file, each piece judged by one of as many processes as cores.

    A piece's first index is foreseen from the headers before it; where one of them was no run, it is judged again.
    """
    processes = max(1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8))
    count = 0
    with ProcessPoolExecutor(processes) as pool:
        waiting: deque[tuple[Piece, Future[Part]]] = deque()
        rest = iter(cut)
        for piece in rest:
            waiting.append(
                (piece, pool.submit(_part, path, source, piece, piece.headers_before, judge, timeout_s))
            )
            if len(waiting) > processes + 1:
                break
        while waiting:
            piece, future = waiting.popleft()
            part = future.result()
            following = next(rest, None)
            if following is not None:
                foreseen = following.headers_before
                waiting.append(
                    (following, pool.submit(_part, path, source, following, foreseen, judge, timeout_s))
                )
            if part.first_index != count:
                part = _part(path, source, piece, count, judge, timeout_s)
            count += part.count
            if part.count:
                yield part


def _part(
    path: Path, source: str, piece: Piece, first_index: int, judge: Judge, timeout_s: float | None
) -> Part:
    with path.open("rb") as file:
        file.seek(piece.begin)
        data = file.read(piece.end - piece.begin)
    runs = read_part(data, piece.first_line, timeout_s=timeout_s)
    return judge.part([(source, run) for run in runs], first_index)
