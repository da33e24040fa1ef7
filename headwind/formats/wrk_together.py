"""Whose report is whose, where a load began before the one before it had reported.

wrk prints its header when it starts and its report when it ends. Two of them on one terminal print header, header,
report, report, and the reports come in the order of their ends, which the headers do not tell. A report then gets what
all headers that wait say alike, and more only where its run time fits the planned duration of one of them alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headwind.formats import units
from headwind.formats.wrk_draft import MAX_GAP, Draft, accepts, is_near
from headwind.formats.wrk_lines import Item
from headwind.formats.wrk_totals import LONGER, LONGER_S, fits

# What a shell, a script or wrk says where a load ended without its report.
_ENDED = re.compile(
    r"\^C|\b(?:[Tt]erminated|[Kk]illed|Hangup|Aborted|PANIC)\b|[Ss]egmentation fault|core dumped|[Aa]ssertion"
    r"|[Ee]xit(?:ed)?(?: with)?(?: code| status)?[: ]+[0-9]"
)
_JOB = re.compile(
    r"\[[0-9]+\] *[+-]?"
)  # a shell's line on a job in the background, which may quote its command
_BACKGROUND = re.compile(r"&\s*$")
_NEXT_LINES = 1  # so close stand the headers of loads that began at once, before their threads lines
_OF_A_REPORT = frozenset(
    {"threads", "stats", "latency", "rate", "distribution", "percent", "spectrum", "summary"}
    | {"requests", "socket", "status", "per_second", "transfer"}
)


def is_waiting(draft: Draft | None) -> bool:
    """Whether a header came that stands for itself, and nothing of its report."""
    return draft is not None and draft.has_header and draft.header_alone and not draft.has_results


def is_job(line: str) -> bool:
    """Whether a line is a shell's on a job in the background: a command in it begins no report."""
    return _JOB.match(line.lstrip()) is not None


def note_end(draft: Draft, line: str) -> None:
    """Remember that a line behind a waiting header shows that its load is over."""
    draft.over = draft.over or _ENDED.search(line) is not None


def note_command(draft: Draft, line: str) -> None:
    """Remember that a command was typed behind a waiting header whose own one was not sent to the background."""
    if draft.command is not None and not _BACKGROUND.search(draft.command) and not line.startswith("+ "):
        draft.over = True


def is_over(header: Draft, place: int) -> bool:
    """Whether a header that waits is none of a load that still runs when the next header comes at a place."""
    return header.over or place - header.place > MAX_GAP


def shared(headers: Sequence[Draft]) -> Draft:
    """A header with what all of some headers say, in the place of the first."""
    alike = _header_of(headers[0])
    for name in ("planned", "making", "url", "threads", "connections", "command"):
        if any(getattr(header, name) != getattr(alike, name) for header in headers):
            setattr(alike, name, None)
            alike.header_unclear = alike.header_unclear or name != "command"
    return alike


def outlasts(header: Draft, elapsed_s: float) -> bool:
    """Whether the load of a header was planned for longer than so many seconds."""
    planned_s = units.seconds(header.planned) if header.planned else None
    return planned_s is not None and planned_s > LONGER * elapsed_s + LONGER_S


def _header_of(draft: Draft) -> Draft:
    return Draft(
        draft.first_line,
        draft.header_line or draft.first_line,
        draft.place,
        planned=draft.planned,
        making=draft.making,
        url=draft.url,
        threads=draft.threads,
        connections=draft.connections,
        has_header=True,
        header_alone=True,
        has_threads=draft.has_threads,
        header_unclear=draft.header_unclear,
        calibrations=draft.calibrations,
        command=draft.command,
    )


def without_echo(held: Sequence[Draft], draft: Draft) -> list[Draft]:
    """The headers that wait, without one that has no threads line and is not of a load that began at once: a script
    said it before wrk."""
    return [
        header
        for header in held
        if header.has_threads
        or header.calibrations
        or header.header_text is draft.header_text  # beside it
        or (
            draft.place - header.place <= _NEXT_LINES
            and (header.url, header.planned) != (draft.url, draft.planned)
        )
    ]


@dataclass(slots=True)
class Together:
    """The loads that were under way at the same time, and how many of them have not reported."""

    left: list[Draft] = field(
        default_factory=list
    )  # headers of which some have no report; more than that if unclear
    _missing: int = 0  # reports still to come
    _last: Draft | None = None  # the last report
    _elapsed_s: float = 0.0  # run time of the reports that came
    _going_on: bool = False  # whether some of the loads outlast the one that begins now

    def begin(self, held: Sequence[Draft], draft: Draft) -> list[Draft]:
        """The first line of a report came after several headers: whose may it be? Those that had ended are returned."""
        alive = [header for header in held if not header.over]
        if alive:
            draft.rivals = [*alive, _header_of(draft)]
            if not all(header.has_threads for header in draft.rivals) or draft.loose_threads:
                for header in draft.rivals:
                    header.threads = header.connections = None
            self._missing = len(draft.rivals)
        return [header for header in held if header.over and header.has_threads]

    def adopt(self, draft: Draft, item: Item) -> None:
        """A report without a header of its own follows one whose header was one of several."""
        if self.left and self._last is not None and is_near(self._last, item.line, item.place):
            draft.rivals, self.left = self.left, []

    def mixes(self, draft: Draft, item: Item) -> bool:
        """Whether a line stands among those of a report that another load under way may have printed as well."""
        if not draft.rivals or self._missing < 2 or item.kind not in _OF_A_REPORT:
            return False
        if not is_near(draft, item.line, item.place) or (draft.has_per_second and draft.transfer is not None):
            return False
        again = (
            item.kind == "distribution" and bool(draft.distributions) and "Uncorrected" not in item.match[0]
        )
        if draft.has_results and (again or not accepts(draft, item)):
            draft.mixed = True
        if draft.mixed:
            draft.last_line, draft.place = item.line, item.place
        return draft.mixed

    def takes_threads(self, held: Sequence[Draft], draft: Draft, item: Item) -> bool:
        """Whether a threads line is one of as many as headers stand before it, in whatever order."""
        lacking = [header for header in held if not header.has_threads]
        if (
            item.kind != "threads"
            or not lacking
            or draft.has_results
            or not is_near(draft, item.line, item.place)
        ):
            return False
        draft.loose_threads.append((item.text("threads"), item.text("connections")))
        (lacking[0] if draft.has_threads else draft).has_threads = True
        draft.last_line, draft.place = item.line, item.place
        if len(lacking) == 1 and len(draft.loose_threads) > 1 and len(set(draft.loose_threads)) == 1:
            for header in (*held, draft):
                header.threads, header.connections = draft.loose_threads[0]
            draft.loose_threads.clear()
        return True

    def settle(self, draft: Draft) -> None:
        """Give a report the header that only it can have, or else what all of them say alike."""
        headers, draft.rivals = draft.rivals, []
        fitting = [header for header in headers if fits(header.planned, draft.runtime)]
        if len(headers) == 1 or (len(fitting) == 1 and not draft.interrupted and not draft.mixed):
            chosen = (fitting if len(headers) > 1 else headers)[0]
            self.left = [header for header in headers if header is not chosen]
        else:
            chosen, self.left = shared(headers), headers
        draft.planned, draft.making, draft.url = chosen.planned, chosen.making, chosen.url
        draft.threads, draft.connections, draft.command = chosen.threads, chosen.connections, chosen.command
        draft.header_unclear, draft.has_header, draft.has_threads = chosen.header_unclear, True, True
        self._missing -= 1
        self._last = draft
        self._elapsed_s += (units.seconds(draft.runtime) if draft.runtime else None) or 0.0
        if not self._missing:
            self.left = []
        if draft.mixed:
            self.left = [replace(header, mixed=True) for header in self.left]

    def give_back(self, draft: Draft) -> None:
        """What seemed to be a report was none."""
        self.left = draft.rivals

    def outlasting(self) -> list[Draft]:
        """A new load begins: the headers of those that must still be under way, which are no longer left."""
        if len(self.left) != self._missing:
            return []
        going_on = [header for header in self.left if outlasts(header, self._elapsed_s)]
        self.left = [header for header in self.left if not any(header is one for one in going_on)]
        self._missing, self._going_on = len(self.left), bool(going_on)
        return going_on

    def close(self) -> list[Draft]:
        """The headers without a report: their own where they are known, else what all of them say, as often as reports
        are missing."""
        left, missing = self.left, self._missing
        self.left, self._missing = [], 0
        if not self._going_on:
            self._elapsed_s = 0.0
        if len(left) > missing:
            alike = shared(left)
            return [
                replace(alike, first_line=header.first_line, last_line=header.last_line, mixed=header.mixed)
                for header in left[:missing]
            ]
        return left
