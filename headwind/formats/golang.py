"""Durations as Go prints them (vegeta, k6, fortio), and as a wrong code page left them."""

from __future__ import annotations

import re

from headwind.formats.units import seconds

# U+00B5 in UTF-8 read as code page 437, as Latin-1, replaced, or gone.
_MANGLED_MICRO = re.compile(r"(?<=[0-9])(?:\u252c\u2561|\u00c2\u00b5|\u0412\u00b5|\ufffd{1,2}|\?)s")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")


def duration(token: str) -> float | None:
    """Seconds of "1m0.5s", "2h3m", "416.9µs", "0s"; None where it is no duration."""
    token = _MANGLED_MICRO.sub("us", token) if not token.isascii() or "?" in token else token
    single = seconds(token)
    if single is not None or len(token) > 40:
        return single
    total, position = 0.0, 0
    for match in _PART.finditer(token):
        part = seconds(match[0])
        if match.start() != position or part is None:
            return None
        total += part
        position = match.end()
    return round(total, 9) if position and position == len(token) else None
