"""Numbers as an engineer writes them: a value and its unit, no more digits than the source supports.

Every function takes SI units and gives "unknown" for `None`, so that a missing figure never looks like a zero.
"""

from __future__ import annotations

import math

UNKNOWN = "unknown"
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, whole numbers in full, thousands grouped: 61.82 -> "61.8", 50000 -> "50,000"."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return f"{value:,}"
    magnitude = abs(value)
    if digits == 3 and 0.9995 <= magnitude < 99.95 and not value.is_integer():
        # The common case first, without a logarithm; 9.995 already prints as the next power of ten.
        return f"{value:.1f}" if magnitude >= 9.995 else f"{value:.2f}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "without limit"
    if value.is_integer() or (digits == 3 and magnitude >= 99.95):
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(magnitude)))
    return f"{value:,.{decimals}f}"


def seconds(value: float | None) -> str:
    """A duration in the unit that keeps it readable: 0.00085 -> "850 us", 0.25 -> "250 ms", 3.2 -> "3.20 s"."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0 s"
    magnitude = abs(value)
    if magnitude < 0.9995e-3:
        return f"{number(round(value * 1e6, 3))} us"
    if magnitude < 0.9995:
        return f"{number(round(value * 1e3, 6))} ms"
    if magnitude < 120:
        return f"{number(value)} s"
    return f"{number(value / 60)} min"


def rate(value: float | None) -> str:
    """Per second: 61.82 -> "61.8/s"."""
    return UNKNOWN if value is None else f"{number(value)}/s"


def share(value: float | None) -> str:
    """A ratio from 0 to 1 as per cent: 0.21987 -> "22.0 %"; one answer in a million does not become 0."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    if percent == 0:
        return "0 %"
    if abs(percent) < 0.001:
        return "under 0.001 %"
    if 99.95 <= percent < 100:
        return f"{math.floor(percent * 1000) / 1000:.5g} %"
    return f"{number(percent)} %"


def counted(value: float, noun: str) -> str:
    """A count with its noun: 1 -> "1 connection", 200 -> "200 connections"."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def size(value: float | None) -> str:
    """Bytes, 1024-based as wrk and the kernel count: 390318 -> "381 KiB"."""
    if value is None:
        return UNKNOWN
    amount = float(value)
    unit = _BYTE_UNITS[0]
    for unit in _BYTE_UNITS:
        if abs(amount) < 1000 or unit == _BYTE_UNITS[-1]:
            break
        amount /= 1024
    return f"{number(amount)} {unit}"


def factor(value: float) -> str:
    """How many times: 17.93 -> "17.9"."""
    return number(value)


def cores(value: float | None) -> str:
    """CPU seconds per second: 1.62 -> "1.62 cores"."""
    if value is None:
        return UNKNOWN
    return f"{number(value)} core{'' if value == 1 else 's'}"


def measured(value: float | int | str | bool | None, unit: str) -> str:
    """A value with its SI unit, as evidence and gates carry it ("1": a count, "share": 0 to 1); text stays as it is."""
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit in _BY_UNIT:
        return _BY_UNIT[unit](value)
    return f"{number(value)} {unit}".rstrip()


_BY_UNIT = {"s": seconds, "1/s": rate, "1": number, "share": share, "bytes": size, "cores": cores}


_ACRONYMS = {"cpu": "CPU", "cpus": "CPUs", "gc": "GC", "rss": "RSS", "url": "URL", "oom": "OOM", "rps": "RPS"}


def label(name: str) -> str:
    """A code or key as words: "cpu_bound" -> "CPU bound", "memory_growth" -> "memory growth"."""
    return " ".join(_ACRONYMS.get(part, part) for part in name.split("_"))
