"""The document `headwind.run/1` of any number of runs, written as they are read, in bounded memory.

Each run is judged alone; findings and gates wait in spools, because the document is one object.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import orjson

from headwind.analysis import context, gates, rules
from headwind.report import document
from headwind.run import SCHEMA, Run
from headwind.words import number


def write_json(
    runs: Iterable[tuple[str, Run]],
    out: BinaryIO,
    spools: tuple[BinaryIO, BinaryIO],
    *,
    source: str,
    several: bool = False,
    target: int | None = None,
    slos: Sequence[gates.Objective] = (),
) -> set[str]:
    """Write the document of (source, run) pairs to `out`; the outcomes of all gates.

    `spools` are two empty, seekable files that take findings and gates meanwhile. `several` keeps the source of each
    run. Findings come in the order of their runs, since sorting them would hold them all.
    """
    objectives = document.objectives(target, slos)
    findings, judged = spools
    tally = _Tally()
    out.write(b'{"schema":%b,"source":%b,"target":%b' % tuple(map(orjson.dumps, (SCHEMA, source, target))))
    out.write(b',"trust":[],"ruled_out":[],"runs":[')
    dumps, of, judge = orjson.dumps, context.of, rules.judge
    for index, (name, run) in enumerate(runs):
        one = of(run, name, index=index, target=target)
        out.write(b",\n" + dumps(run, default=_plain) if index else dumps(run, default=_plain))
        told = judge(one)
        if told:
            findings.write(b",\n".join(map(dumps, told)) + b",\n")
        for gate in gates.judge(one, objectives) if objectives else ():
            judged.write(dumps(gate.to_json()) + b",\n")
            tally.outcomes.add(gate.outcome)
        tally.add(one)
        if several:
            tally.sources.append(name)
    out.write(b'],"findings":[')
    _pour(findings, out)
    out.write(b'],"gates":[')
    _pour(judged, out)
    out.write(
        b'],"sources":%b,"assumptions":%b'
        % tuple(map(orjson.dumps, (tally.sources or None, tally.assumptions)))
    )
    out.write(b',"answer":%b}\n' % orjson.dumps(tally.answer()))
    return tally.outcomes


class _Tally:
    """What the end of the document needs to know of all runs."""

    def __init__(self) -> None:
        self.outcomes: set[str] = set()
        self.sources: list[str] = []
        self.assumptions: list[dict[str, object]] = []
        self.count = 0
        self.slowest = float("inf")
        self.fastest = 0.0
        self.fastest_at = ""

    def add(self, one: context.Context) -> None:
        self.count += 1
        pace = one.rate_per_s
        if pace is not None:
            self.slowest = min(self.slowest, pace)
            if pace > self.fastest:
                self.fastest, self.fastest_at = pace, one.where
        if not self.assumptions and one.limit_assumed:
            self.assumptions = list(document.assumptions(one))

    def answer(self) -> str:
        if not self.fastest:
            return f"{number(self.count)} runs, none of them with its totals."
        return (
            f"{number(self.count)} runs, from {self.slowest:,.4g} to {self.fastest:,.4g} requests per second; "
            f"the fastest is {self.fastest_at}."
        )


def _pour(spool: BinaryIO, out: BinaryIO) -> None:
    """Copy a spool of rows that each end with a comma and a newline, without the last two bytes."""
    length = spool.tell() - 2
    if length < 0:
        return
    spool.seek(0)
    spool.truncate(length)
    shutil.copyfileobj(spool, out, 2**20)


def _plain(value: object) -> object:
    """What orjson does not know by itself: any mapping as an object."""
    return dict(value)  # type: ignore[call-overload]
