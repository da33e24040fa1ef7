"""What a printer of a tool's format tells of its text, and what several printers need."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

Expected = dict[str, tuple[float | None, float]]


@dataclass
class Printed:
    """A text, and the Run's numbers: name -> (value, size of the last printed digit)."""

    text: str
    run: Expected = field(default_factory=dict)
    latency: Expected = field(default_factory=dict)
    percentiles: Expected = field(default_factory=dict)
    errors: dict[str, int | None] = field(default_factory=dict)
    codes: dict[str, int] | None = None
    warnings: set[str] = field(default_factory=set)


def go_duration(nanoseconds: int) -> str:
    """Go's Duration.String()."""
    if nanoseconds < 1000:
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    for unit, size in (("\u00b5s", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000:
            return _trimmed(nanoseconds, size) + unit
    hours, rest = divmod(nanoseconds, 3600 * 10**9)
    minutes, rest = divmod(rest, 60 * 10**9)
    text = _trimmed(rest, 10**9) + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + text


def _trimmed(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    decimals = f"{rest:0{len(str(size)) - 1}d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def latencies(rng: random.Random) -> list[int]:
    """Ascending nanoseconds for minimum, percentiles and maximum."""
    scale = rng.choice((1e4, 1e6, 1e8, 3e9))
    return sorted(round(rng.lognormvariate(0, 1) * scale) + 1 for _ in range(9))


def last_digit(text: str) -> float:
    return 0.01 * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}[text.lstrip("0123456789.")]
