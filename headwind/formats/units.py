"""Numbers as load tools print them, into SI units: "309.13ms" -> 0.30913, "0.85k" -> 850.0, "381.17KB" -> 390318.08.

Each function takes one token, without surrounding space, and returns None where it is not of that kind: the caller
then knows that the text does not say, instead of getting a number in a wrong unit.
"""

from __future__ import annotations

import math
import re

_SECONDS = {
    "ns": 1e9,
    "us": 1e6,
    "µs": 1e6,  # U+00B5, micro sign
    "μs": 1e6,  # U+03BC, Greek mu
    "usec": 1e6,
    "ms": 1e3,
    "msec": 1e3,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "m": 1 / 60,
    "min": 1 / 60,
    "h": 1 / 3600,
}  # units in one second: dividing by a power of ten rounds once, multiplying by 1e-6 rounds twice
_THOUSANDS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BYTES = {
    "B": 1.0,
    "KB": 1024.0,
    "MB": 1024.0**2,
    "GB": 1024.0**3,
    "TB": 1024.0**4,
    "PB": 1024.0**5,
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_WITH_UNIT = re.compile(rf"({_NUMBER})\s?([A-Za-zµμ]*)")


def _split(token: str) -> tuple[float, str] | None:
    match = _WITH_UNIT.fullmatch(token)
    if match is None:
        return None
    number = float(match[1])
    return (number, match[2]) if math.isfinite(number) else None


def seconds(token: str) -> float | None:
    """A duration in seconds: ns, us, ms, s, m (minutes), h; a bare number has no unit and is None."""
    parts = _split(token)
    if parts is None or parts[1] not in _SECONDS:
        return None
    return parts[0] / _SECONDS[parts[1]]


def count(token: str) -> float | None:
    """A count or a rate with wrk's steps of a thousand: none, k, M, G, T, P."""
    parts = _split(token)
    if parts is None or parts[1] not in _THOUSANDS:
        return None
    return _scaled(parts[0], _THOUSANDS[parts[1]])


def size(token: str) -> float | None:
    """Bytes with wrk's steps of 1024: B, KB, MB, GB, TB, PB."""
    parts = _split(token)
    if parts is None or parts[1] not in _BYTES:
        return None
    return _scaled(parts[0], _BYTES[parts[1]])


def share(token: str) -> float | None:
    """A percentage as a share: "71.26%" -> 0.7126."""
    if not token.endswith("%"):
        return None
    parts = _split(token[:-1])
    # Rounding takes away the binary tail of the division (71.26 / 100 = 0.7126000000000001).
    return round(parts[0] / 100, 8) if parts and not parts[1] else None


def whole(token: str) -> int | None:
    """A whole number without a unit, commas between thousands allowed; None above 2**63 (a broken counter)."""
    if re.fullmatch(r"[0-9]{1,19}|[0-9]{1,3}(?:,[0-9]{3}){1,6}", token) is None:
        return None
    number = int(token.replace(",", ""))
    return number if number < 2**63 else None


def _scaled(number: float, factor: float) -> float | None:
    product = number * factor
    if not math.isfinite(product):
        return None
    # 21.25 * 1000 and the like are exact in decimal; the binary tail (0.57k -> 569.9999999999999) is not in the text.
    return round(product, 6)
