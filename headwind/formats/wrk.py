"""wrk 1.x to 4.2, wrk2 and forks, from anything people paste: logs, notebooks, READMEs, cut anywhere.

Most of a log is not wrk's. Lines are looked at from `MAX_GAP` before one that may begin a report until no report is
open any more; the rest is only searched for the next beginning, at the speed of a string search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwind.formats.wrk_assemble import Assembler
from headwind.formats.wrk_draft import MAX_GAP
from headwind.formats.wrk_fast import whole_report
from headwind.formats.wrk_lines import BEGINNINGS
from headwind.run import Run

_EXACT = "headwind.wrk/1"
_TELLING = re.compile(r"wrk2?[^\n]*?[\s>](?:-R|--rate|-T|--timeout)")


def recognises(text: str) -> bool:
    """Whether a report of wrk may begin anywhere in the text; whether one does is for `read`."""
    return any(string in text for string in BEGINNINGS) or "\t" in text or "&" in text


def read(text: str, source: str) -> list[Run]:
    """All wrk and wrk2 runs of a cleaned text, in its order."""
    return sorted(scan(text), key=lambda run: run.lines or (0, 0))


def scan(text: str) -> Iterator[Run]:
    """The runs of a cleaned text, each as soon as its end is known."""
    return Scanner().feed(text, last=True)


class Scanner:
    """Reads a text that comes in chunks of whole lines; only the last one may end inside a line."""

    def __init__(self, *, fast: bool = True, first_line: int = 1) -> None:
        self._assembler = Assembler()
        self._fast = fast
        self._text = ""  # what is looked at: the end of the chunk before that may still matter, and the chunk
        self._position = 0
        self._number = first_line  # of the line that begins at the position
        self._hits: dict[str, int] = {}

    def feed(self, text: str, *, last: bool = False) -> Iterator[Run]:
        """The runs that end in this chunk of a cleaned text, in their order."""
        # Pastes from tables and editors have tabs where wrk has spaces.
        text = text.replace("\t", " ").replace("&nbsp;", " ").replace("&#160;", " ")
        self._text = self._text[self._position :] + text
        self._position = 0
        self._hits = dict.fromkeys(BEGINNINGS, -1)
        fast_until = self._fast_until(last=last)
        while self._position < len(self._text):
            if not self._assembler.idle(self._number):
                # A header closes whatever is open, so the fast way can be taken here too.
                at_header = self._position < fast_until and self._text.startswith("Running ", self._position)
                yield from (at_header and self._whole_report(self._position)) or self._line()
                continue
            hit = self._next_hit()
            if hit < 0:
                break
            start = self._text.rfind("\n", self._position, hit) + 1 or self._position
            if start < fast_until and (found := self._whole_report(start)):
                yield from found
                continue
            self._advance(self._back(start, MAX_GAP))
            while self._position <= hit:
                yield from self._line()
        if last:
            self._advance(len(self._text))
            ends_cut = bool(self._text) and not self._text.endswith("\n")
            yield from self._assembler.close(self._number - (not ends_cut))
        elif self._assembler.idle(self._number):
            self._advance(self._back(len(self._text), MAX_GAP))

    def _line(self) -> list[Run]:
        """Give the line at the position to the assembler."""
        end = self._text.find("\n", self._position)
        cut = end < 0
        line = self._text[self._position :] if cut else self._text[self._position : end]
        runs = self._assembler.feed(self._number, line, cut=cut)
        self._position = len(self._text) if cut else end + 1
        self._number += not cut
        return runs

    def _whole_report(self, start: int) -> list[Run] | None:
        """The run of a report in wrk's plainest form, read at once, unless a command line before it adds to it."""
        before = self._back(start, MAX_GAP)
        if self._text.find("wrk", before, start) >= 0 and _TELLING.search(self._text, before, start):
            return None
        number = self._number + self._text.count("\n", self._position, start)
        report = whole_report(self._text, start, number)
        if report is None:
            return None
        run, self._position, lines, keys = report
        self._number = number + lines
        return [*self._assembler.pass_report(keys, lines), run]

    def _fast_until(self, *, last: bool) -> int:
        """Where a report must begin so that a line of exact figures behind it would be in sight."""
        if not self._fast or _EXACT in self._text:
            return 0
        return len(self._text) if last else self._back(len(self._text), 4 * MAX_GAP)

    def _next_hit(self) -> int:
        """Where the next string stands that may begin a report; -1 where there is none in the chunk."""
        nearest = -1
        for string, at in self._hits.items():
            if at < self._position and at != len(self._text):
                at = self._text.find(string, self._position)
                self._hits[string] = at = len(self._text) if at < 0 else at
            if at < len(self._text) and (nearest < 0 or at < nearest):
                nearest = at
        return nearest

    def _back(self, start: int, lines: int) -> int:
        """The beginning of the line so many before the one that begins at `start`, not before the position."""
        for _ in range(lines):
            if start <= self._position:
                break
            start = self._text.rfind("\n", self._position, start - 1) + 1
        return max(start, self._position)

    def _advance(self, position: int) -> None:
        self._number += self._text.count("\n", self._position, position)
        self._position = position
