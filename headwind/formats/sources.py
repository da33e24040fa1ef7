"""Lines of several load generators that alternate in one log, put apart: those of each one behind those of the other.

Two containers, pods or hosts print at once, and each line says in front whose it is. Read as they stand, the figures of
one would be joined with those of the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

# Behind a time, if there is one: [pod/name], name[pid]:, host-01:, name | .
_TIME = r"(?:\[?(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ])?[0-9]{2}:[0-9]{2}:[0-9]{2}\S*\]? +)?"
_SOURCE = re.compile(
    rf"{_TIME}(?P<name>\[[A-Za-z0-9][\w./:\-]{{0,80}}\]|[A-Za-z][\w.\-]{{0,62}}(?:\[[\w.\-]{{1,40}}\])?:(?= )"
    r"|[A-Za-z0-9][\w.\-]{0,62} *\||[A-Za-z][\w.\-]{0,62}\t)"
)
# What only the beginning of a tool's report says.
_BEGINS = re.compile(
    r"Running [0-9.]+[smh] test @|Making [0-9]+ requests to|Summary:|Success rate:|Requests\s+\[(?:total|count)"
    r"|Bombarding |This is ApacheBench|starting benchmark|Fortio [0-9.]+ running|# reqs|http_reqs|Statistics +Avg"
)
_MOST_SOURCES = 64
_DIFF = re.compile(r"^(?:@@ -[0-9]|diff --git |```diff)", re.M)
_LEAST_OF_A_SIDE = 3
# Two headers in one line with nothing but a gap between: reports beside one another (paste, diff -y, a table).
_HEADER = r"Running [0-9.]+[smh] test @ [^\s|]+"
_BESIDE = re.compile(
    rf"^(?P<before>[^\n]{{0,20}}?){_HEADER}(?P<gap>\t| *[|<>][ \t]*| {{2,}})(?={_HEADER})", re.M
)


def put_apart(text: str) -> tuple[str, Sequence[int]] | None:
    """A cleaned text with the lines of each source together, and for each of its lines the number of the line it was;
    None where lines of two reports do not alternate.

    Lines of no source stay with the source of the line before them.
    """
    lines = text.split("\n")
    if _DIFF.search(text):
        return _sides(lines)
    if (beside := _BESIDE.search(text)) is not None:
        return _columns(lines, beside)
    begun = [match["name"] for line in lines if _BEGINS.search(line) and (match := _SOURCE.match(line))]
    sources = dict.fromkeys(begun)
    if not 2 <= len(sources) <= _MOST_SOURCES:
        return None
    owners: list[str] = []
    for line in lines:
        match = _SOURCE.match(line)
        name = match["name"] if match else None
        owners.append(name if name in sources else owners[-1] if owners else "")
    # One behind the other they need not be put apart: then each source's lines are together already.
    changes = sum(before != after for before, after in pairwise(owners))
    if changes < len(set(owners)):
        return None
    place = {name: at for at, name in enumerate(("", *sources))}
    order = sorted(range(len(lines)), key=lambda at: (place[owners[at]], at))
    return "\n".join([lines[at] for at in order]), [at + 1 for at in order]


def _sides(lines: Sequence[str]) -> tuple[str, Sequence[int]] | None:
    """What a unified diff removed, and behind it what it put there; each with the lines that stayed."""
    sides = []
    for own, other in (("-", "+"), ("+", "-")):
        kept = [at for at, line in enumerate(lines) if not line.startswith((other, "@@", "diff ", "index "))]
        if (
            sum(lines[at].startswith(own) and not lines[at].startswith(3 * own) for at in kept)
            < _LEAST_OF_A_SIDE
        ):
            return None
        sides.append(kept)
    order = [*sides[0], *sides[1]]
    return "\n".join([lines[at][1:] if lines[at][:1] in ("+", "-") else lines[at] for at in order]), [
        at + 1 for at in order
    ]


def _columns(lines: Sequence[str], beside: re.Match[str]) -> tuple[str, Sequence[int]]:
    """The left column of each line, and behind all of them the right ones."""
    sign = beside["gap"].strip(" ")
    cells = sign in ("\t", "|") and (sign == "\t" or "|" in beside["before"])
    at = beside.end() - beside.start()
    pairs = []
    for line in lines:
        left, _, right = line.strip("| ").partition(sign) if cells else (line[:at], "", line[at:])
        pairs.append((left if cells else left.rstrip("|<> \t"), right))
    numbers = range(1, len(lines) + 1)
    return "\n".join([*(left for left, _ in pairs), *(right for _, right in pairs)]), [*numbers, *numbers]
