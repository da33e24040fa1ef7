"""What the totals of a report prove, and about what they agree."""

from __future__ import annotations

import re

from headwind.formats import units

LONGER = 1.1  # a run that took so many times its planned duration was none of that plan
LONGER_S = 2.0
# "1 234", "1'234": groups of thousands as some languages write them, or a prefix of the line ("12 " of its number).
# Behind a colon, a dot or a comma stands the rest of a time, and more than three digits are no group.
_GROUPS = re.compile(r"(?<![\w.:,/+-])[0-9]{1,3}(?:([ '\u2019])[0-9]{3})*(?:(?(1)\1|[ '\u2019]))\Z")
_LONGEST = 28  # characters: groups of a number of 64 bits


def groups_before(text: str, start: int, figure: str) -> str | None:
    """The digits that may be the first ones of a figure of three digits at `start`; None where none are."""
    if len(figure) != 3 or not figure.isdecimal():
        return None
    match = _GROUPS.search(text, max(0, start - _LONGEST), start)
    return re.sub(r"\D", "", match[0]) if match else None


def whole_count(groups: str, figure: str, duration_s: float | None, per_second: float | None) -> str | None:
    """The figure, with the groups before it or without them, as the rate proves; None where it does not."""
    if not duration_s or per_second is None:
        return None
    fitting = [
        digits for digits in (figure, groups + figure) if totals_agree(int(digits), duration_s, per_second)
    ]
    return fitting[0] if len(fitting) == 1 else None


def totals_agree(requests: int, duration_s: float, requests_per_s: float) -> bool:
    """requests / duration against Requests/sec, each within what it is printed to; wrk computes one from the other."""
    unit_s = 60.0 if duration_s >= 51 else 1.0 if duration_s >= 1 else 1e-3
    half_s = 0.0051 * unit_s
    fastest = requests / max(duration_s - half_s, 1e-9) + 0.0051
    slowest = requests / (duration_s + half_s) - 0.0051
    return slowest <= requests_per_s <= fastest


def fits(planned: str | None, runtime: str | None) -> bool:
    """Whether a run time may be of a load as long as its header says, uninterrupted; true where one is unknown."""
    planned_s = units.seconds(planned) if planned else None
    runtime_s = units.seconds(runtime) if runtime else None
    if planned_s is None or runtime_s is None:
        return True
    # Minutes are rounded: one is 51 to 89 s.
    half_s = 0.0 if (planned or "").endswith("s") else 31.0
    return (
        planned_s - half_s - 0.1 <= runtime_s / 0.98 and runtime_s <= (planned_s + half_s) * LONGER + LONGER_S
    )
