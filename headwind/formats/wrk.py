"""wrk 1.x to 4.2, wrk2 and forks, from anything people paste: logs, notebooks, READMEs, cut anywhere.

Most of a log is not wrk's. Lines are looked at from `MAX_GAP` before one that may begin a report until no report is
open any more; the rest is only searched for the next beginning, at the speed of a string search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from headwind.formats.wrk_assemble import Assembler
from headwind.formats.wrk_draft import MAX_GAP
from headwind.formats.wrk_fast import prefixed_report, whole_report
from headwind.formats.wrk_lines import BEGINNINGS, service
from headwind.run import Latency, Run

_EXACT = "headwind.wrk/1"
_REFERENCE = re.compile(r"&#([xX][0-9a-fA-F]{1,6}|[0-9]{1,7});")
_THREADS = re.compile(r" +[0-9]+ threads? and [0-9]+ conn")
_NEAR = 90  # characters: as long as a prefix may be that all lines of a report have
_TELLING = re.compile(r"wrk2?[^\n]{0,400}?[\s>](?:-R|--rate|-T|--timeout)")


def recognises(text: str) -> bool:
    """Whether a report of wrk may begin anywhere in the text; whether one does is for `read`."""
    return any(string in text for string in BEGINNINGS) or "\t" in text or "&" in text


def read(text: str, source: str) -> list[Run]:
    """All wrk and wrk2 runs of a cleaned text, in its order."""
    runs = sorted(scan(_with_whole_prefix(text)), key=lambda run: run.lines or (0, 0))
    with_header = [run for run in runs if run.connections is not None]
    return [run for run in runs if run.connections is not None or not _announces(run, with_header)]


def _with_whole_prefix(text: str) -> str:
    """The text with what a log that was cut inside its first prefix lost: "rk-1  | " before lines of "wrk-1"."""
    end = text.find("\n")
    first, second = text[: max(end, 0)], text[end + 1 : text.find("\n", end + 1)]
    name = service(second)
    if not first or not name or service(first) == name:
        return text
    prefix = second[: second.index("|") + 1]
    lost = next((at for at in range(1, len(prefix)) if first.startswith(prefix[at:])), 0)
    if not lost and first.lstrip().startswith("Running ") and _THREADS.match(second, len(prefix)):
        lost = len(prefix)  # with all of the prefix
    return prefix[:lost] + text


def _announces(fragment: Run, runs: Sequence[Run]) -> bool:
    """Whether a fragment without a header stands before a report that has its every figure: prose that repeats it."""
    return any(
        (fragment.lines or (0, 0)) < (run.lines or (0, 0))
        and fragment.latency is not None
        and run.latency is not None
        and _row(fragment.latency) == _row(run.latency)
        and fragment.requests in (None, run.requests)
        and fragment.requests_per_s in (None, run.requests_per_s)
        for run in runs
    )


def _row(latency: Latency) -> tuple[float | None, ...]:
    return latency.mean_s, latency.stdev_s, latency.max_s, latency.within_stdev


def scan(text: str) -> Iterator[Run]:
    """The runs of a cleaned text, each as soon as its end is known."""
    return Scanner().feed(text, last=True)


def _character(match: re.Match[str]) -> str:
    code = int(match[1][1:], 16) if match[1][0] in "xX" else int(match[1])
    return chr(code) if 32 < code < 127 else " "


class Scanner:
    """Reads a text that comes in chunks of whole lines; only the last one may end inside a line."""

    def __init__(self, *, fast: bool = True, first_line: int = 1) -> None:
        self._assembler = Assembler()
        self._fast = fast
        self._text = ""  # what is looked at: the end of the chunk before that may still matter, and the chunk
        self._position = 0
        self._number = first_line  # of the line that begins at the position
        self._hits: dict[str, int] = {}
        self._has_exact = False  # whether a line of exact figures stands in the chunk

    def feed(self, text: str, *, last: bool = False) -> Iterator[Run]:
        """The runs that end in this chunk of a cleaned text, in their order."""
        # Pastes from tables and editors have tabs where wrk has spaces.
        text = text.replace("\t", " ").replace("&nbsp;", " ")
        if "&#" in text:
            text = _REFERENCE.sub(_character, text)
        self._text = self._text[self._position :] + text
        self._position = 0
        self._hits = dict.fromkeys(BEGINNINGS, -1)
        self._has_exact = _EXACT in self._text
        fast_until = self._fast_until(last=last)
        while self._position < len(self._text):
            if not self._assembler.idle(self._number):
                # A header closes whatever is open, so the fast way can be taken here too.
                at_header = self._position < fast_until and self._at_header()
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
        """The run of the report whose header's line begins at `start`, read at once; None where it has to be read with
        care. Nothing that may begin a report stands between the position and `start`."""
        before = self._back(start, MAX_GAP)
        if self._text.find("wrk", before, start) >= 0 and _TELLING.search(self._text, before, start):
            self._advance(before)
            while self._position < start:
                self._line()
        number = self._number + self._text.count("\n", self._position, start)
        source = service(self._text[start : self._text.find("\n", start)])
        if self._assembler.waits(source):
            return None
        command = self._assembler.command_before(number, source)
        report = whole_report(self._text, start, number, command) or prefixed_report(
            self._text, start, number, command
        )
        if report is None:
            return None
        run, end, lines, keys = report
        if self._has_exact and self._text.find(_EXACT, end, self._forth(end, MAX_GAP)) >= 0:
            return None
        self._position, self._number = end, number + lines
        return [*self._assembler.pass_report(keys, lines, source), run]

    def _at_header(self) -> bool:
        """Whether the line at the position begins like a report, whatever stands before on it."""
        at = self._text.find("Running ", self._position, self._position + _NEAR)
        return at >= 0 and self._text.find("\n", self._position, at) < 0

    def _fast_until(self, *, last: bool) -> int:
        """Where a report must begin so that a line of exact figures behind it would be in sight."""
        if not self._fast:
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

    def _forth(self, end: int, lines: int) -> int:
        """The end of the line so many after the one that ends at `end`."""
        for _ in range(lines):
            end = self._text.find("\n", end) + 1 or len(self._text)
        return end

    def _advance(self, position: int) -> None:
        self._number += self._text.count("\n", self._position, position)
        self._position = position
