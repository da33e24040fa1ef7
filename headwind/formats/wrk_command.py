"""What a command line in front of a report adds to it: wrk2's rate, and the timeout that wrk prints nowhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwind.formats import units
from headwind.formats.wrk_draft import Draft

_RATE = re.compile(r"(?:^|\s)(?:-R|--rate)[ =]?([0-9]+[kKMG]?)(?=\s|$)")
_TIMEOUT = re.compile(r"(?:^|\s)(?:-T|--timeout)[ =]?([0-9]+[smh]?)(?=\s|$)")
_THREADS = re.compile(r"(?:^|\s)(?:-t|--threads)[ =]?([0-9]+)(?=\s|$)")
_DURATION = re.compile(r"(?:^|\s)(?:-d|--duration)[ =]?([0-9]+[smh]?)(?=\s|$)")
_CONNECTIONS = re.compile(r"(?:^|\s)(?:-c|--connections)[ =]?([0-9]+)(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Command:
    """What of a command line wrk does not print again."""

    rate_per_s: float | None = None
    timeout_s: float | None = None


def understood(draft: Draft) -> Command:
    """The rate and the timeout of the command before a report; nothing where it contradicts the report, or where no
    URL shows that they belong together."""
    arguments, url = draft.command, draft.url
    if not arguments or not (url if draft.has_header else "://" in arguments):
        return Command()
    printed = ((_THREADS, draft.threads), (_CONNECTIONS, draft.connections))
    said = [(match[1], value) for shape, value in printed if (match := shape.search(arguments)) and value]
    if any(asked != value for asked, value in said) or not _lasts(arguments, draft.planned):
        return Command()
    # A URL that was cut off or stands in a variable: then threads and connections have to be the same.
    if url and not (url in arguments if "://" in arguments else len(said) == len(printed)):
        return Command()
    rate, timeout = _RATE.search(arguments), _TIMEOUT.search(arguments)
    return Command(
        units.count(rate[1]) if rate else None,
        _seconds(timeout[1]) if timeout else None,
    )


def _seconds(token: str) -> float | None:
    """wrk's options take seconds where no unit stands."""
    return units.seconds(token if token[-1:].isalpha() else f"{token}s")


def _lasts(arguments: str, planned: str | None) -> bool:
    """Whether a command may have asked for as long a run as a header says, which rounds to minutes from 51 s on."""
    match = _DURATION.search(arguments)
    asked_s = _seconds(match[1]) if match else None
    planned_s = units.seconds(planned) if planned else None
    if asked_s is None or planned_s is None or planned is None:
        return True
    half_s = {"s": 0.0, "m": 30.0}.get(planned[-1], 1800.0)
    return abs(asked_s - planned_s) <= half_s
