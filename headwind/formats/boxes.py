"""autocannon's boxes drawn again: what a wrong code page, a lost encoding or Markdown made of their lines."""

from __future__ import annotations

import re

SIDE, TOP, MIDDLE, BOTTOM = "\u2502", "\u250c", "\u251c", "\u2514"
# The heading of the first table tells the sign that stands for a side: "? Stat    ? 2.5% ? 50%  ?".
_HEADING = re.compile(
    r"^(?P<before>[^\n]{0,80}?)(?P<side>[^\s\w.%]{1,3}|[^\s.%]{2,6}|[^\sA-Za-z0-9.%])[ \t]{1,4}Stat[ \t]{1,9}(?P=side)"
    r"[ \t]{1,4}2\.5%[ \t]{1,9}(?P=side)[ \t]{1,4}50%",
    re.M,
)
_MARKDOWN_EDGE = frozenset("|-+: =")


def drawn(text: str) -> str:
    """The text with the tables' sides and edges as autocannon prints them; as it is where no table lost them.

    Lines keep their numbers. What an edge was follows from its place: one that no row follows is the lower edge.
    """
    if SIDE in text or "Stat" not in text:
        return text
    heading = _HEADING.search(text)
    if heading is None or heading["side"] in heading["before"]:
        return text  # no table of autocannon's, or one that people made of several
    side, start = heading["side"], len(heading["before"])
    lines = text.split("\n")
    at = text.count("\n", 0, heading.start())
    edge = _MARKDOWN_EDGE
    if side[0] not in edge:
        edge = frozenset(side).union(*(set(line[start:].strip()) for line in lines[max(at - 1, 0) : at]))
    if any(sign.isalnum() and sign.isascii() for sign in edge):
        return text  # no edge stands above: these are words
    rows = [line[start:].startswith((side + " ", side + "\t")) for line in lines]
    rows.append(False)
    for number, line in enumerate(lines):
        content = line[start:].strip()
        if rows[number]:
            rest = line[start:].rstrip()
            cells = rest.removesuffix(side) if len(rest) > len(side) else rest
            lines[number] = line[:start] + cells.replace(side, SIDE) + (SIDE if cells != rest else "")
        elif content and all(not sign.isascii() or sign in edge for sign in content):
            above = number > 0 and rows[number - 1]
            lines[number] = line[:start] + (MIDDLE if rows[number + 1] else BOTTOM if above else TOP)
    return "\n".join(lines)
