"""The document `headwind.run/1` of any number of runs, written as they are read, in bounded memory.

Each run is judged alone; findings and gates wait in files, because the document is one object.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, BinaryIO

import orjson

from headwind.analysis import context, gates, rules
from headwind.report import document
from headwind.run import SCHEMA, Run
from headwind.words import number

_COPIED = 2**18  # bytes at once: so few that they stay in the cache between reading and writing
BATCH = 64  # runs judged and written together: so few that their values are still in the caches when they are written


def write_json(
    parts: Iterable[Part],
    out: BinaryIO,
    spools: tuple[BinaryIO, BinaryIO],
    *,
    source: str,
    target: int | None = None,
) -> Tally:
    """Write the document of the parts, in their order, to `out`; what was counted on the way.

    `spools` are two empty, seekable files that take findings and gates meanwhile.
    """
    findings, judged = spools
    stored: list[Path] = []
    tally = Tally()
    out.write(b'{"schema":%b,"source":%b,"target":%b' % tuple(map(orjson.dumps, (SCHEMA, source, target))))
    out.write(b',"trust":[],"ruled_out":[],"runs":[')
    for part in parts:
        out.write(b",\n" + part.runs if tally.count else part.runs)
        if part.stored:
            stored.append(part.stored)
        _spool(findings, part.findings)
        _spool(judged, part.gates)
        tally.add(part)
    out.write(b'],"findings":[')
    _pour(findings, out)
    for at, path in enumerate(stored):
        out.write(b",\n" if at or findings.tell() else b"")
        with path.open("rb") as waiting:
            shutil.copyfileobj(waiting, out, _COPIED)
    out.write(b'],"gates":[')
    _pour(judged, out)
    out.write(
        b'],"sources":%b,"assumptions":%b' % tuple(map(orjson.dumps, (tally.sources, tally.assumptions)))
    )
    out.write(b',"answer":%b}\n' % orjson.dumps(tally.answer()))
    return tally


@dataclass(frozen=True, slots=True)
class Part:
    """Some runs as JSON: rows joined by commas, and what the end of the document needs to know of them.

    Findings are many times as long as runs: those of a large part are in the file `stored` instead.
    """

    first_index: int
    count: int
    runs: bytes
    findings: bytes
    gates: bytes
    outcomes: frozenset[str]
    assumptions: tuple[dict[str, Any], ...]
    slowest: float
    fastest: float
    fastest_at: str
    sources: tuple[str, ...] | None = None  # of every run, where there are several files
    stored: Path | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """What every run is judged by."""

    objectives: Sequence[gates.Objective]
    target: int | None
    several: bool = False  # whether the runs are of several files

    def parts(self, pairs: Iterable[tuple[str, Run]], first_index: int = 0) -> Iterator[Part]:
        """All (source, run) pairs, some at a time, the first of which is run `first_index` of the document."""
        waiting, count = iter(pairs), first_index
        while batch := list(islice(waiting, BATCH)):
            yield self.part(batch, count)
            count += len(batch)

    def stored(self, pairs: Iterable[tuple[str, Run]], first_index: int, folder: Path) -> Part:
        """The same of many pairs, some at a time, with their findings in a file of the folder."""
        parts = []
        with NamedTemporaryFile(dir=folder, delete=False) as file:
            for part in self.parts(pairs, first_index):
                _spool(file, part.findings)
                parts.append(replace(part, findings=b""))
            written = file.tell() > 0
        return replace(_joined(parts, first_index), stored=Path(file.name) if written else None)

    def part(self, pairs: Sequence[tuple[str, Run]], first_index: int) -> Part:
        """The JSON of (source, run) pairs, the first of which is run `first_index` of the document."""
        contexts = [
            context.of(run, name, index=index, target=self.target)
            for index, (name, run) in enumerate(pairs, start=first_index)
        ]
        told = [finding for one in contexts for finding in rules.judge(one)]
        judged = (
            [gate for one in contexts for gate in gates.judge(one, self.objectives)]
            if self.objectives
            else []
        )
        assumed = next((document.assumptions(one) for one in contexts if one.limit_assumed), [])
        paced = [(one.rate_per_s, one) for one in contexts if one.rate_per_s is not None]
        fastest = max(paced, key=_pace, default=None)
        return Part(
            first_index=first_index,
            count=len(contexts),
            runs=_rows([run for _, run in pairs]),
            findings=_rows(told),
            gates=_rows([gate.to_json() for gate in judged]),
            outcomes=frozenset(gate.outcome for gate in judged),
            assumptions=tuple(assumed),
            slowest=min(paced, key=_pace)[0] if paced else math.inf,
            fastest=fastest[0] if fastest else 0.0,
            fastest_at=fastest[1].where if fastest else "",
            sources=tuple(name for name, _ in pairs) if self.several else None,
        )


def _joined(parts: Sequence[Part], first_index: int) -> Part:
    """Parts one after the other as one, without their findings."""
    fastest = max(parts, key=lambda part: part.fastest, default=None)
    return Part(
        first_index=first_index,
        count=sum(part.count for part in parts),
        runs=b",\n".join(part.runs for part in parts),
        findings=b"",
        gates=b",\n".join(part.gates for part in parts if part.gates),
        outcomes=frozenset().union(*(part.outcomes for part in parts)),
        assumptions=next((part.assumptions for part in parts if part.assumptions), ()),
        slowest=min((part.slowest for part in parts), default=math.inf),
        fastest=fastest.fastest if fastest else 0.0,
        fastest_at=fastest.fastest_at if fastest else "",
        sources=tuple(name for part in parts for name in part.sources or ()) or None,
    )


def _pace(pair: tuple[float, context.Context]) -> float:
    return pair[0]


def _rows(values: Sequence[object]) -> bytes:
    """The rows of a JSON array without its brackets; orjson writes dataclasses as they are."""
    return orjson.dumps(values, default=_plain)[1:-1]


class Tally:
    """What the end of the document says of all runs."""

    def __init__(self) -> None:
        self.outcomes: set[str] = set()
        self.sources: list[str] | None = None
        self.assumptions: tuple[dict[str, Any], ...] = ()
        self.count = 0
        self.slowest = math.inf
        self.fastest = 0.0
        self.fastest_at = ""

    def add(self, part: Part) -> None:
        self.count += part.count
        if part.sources:
            self.sources = [*(self.sources or ()), *part.sources]
        self.outcomes |= part.outcomes
        self.assumptions = self.assumptions or part.assumptions
        self.slowest = min(self.slowest, part.slowest)
        if part.fastest > self.fastest:
            self.fastest, self.fastest_at = part.fastest, part.fastest_at

    def answer(self) -> str:
        if not self.fastest:
            return f"{number(self.count)} runs, none of them with its totals."
        return (
            f"{number(self.count)} runs, from {number(self.slowest)} to {number(self.fastest)} requests per second; "
            f"the fastest is {self.fastest_at}."
        )


def _spool(spool: IO[bytes], rows: bytes) -> None:
    if rows:
        if spool.tell():
            spool.write(b",\n")
        spool.write(rows)


def _pour(spool: BinaryIO, out: BinaryIO) -> None:
    spool.seek(0)
    shutil.copyfileobj(spool, out, _COPIED)


def _plain(value: object) -> object:
    """What orjson does not know by itself: any mapping as an object."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
