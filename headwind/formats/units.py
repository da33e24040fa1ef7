"""Numbers as load tools print them, into SI units: "309.13ms" -> 0.30913, "0.85k" -> 850.0, "381.17KB" -> 390318.08.

Each function takes one token, without surrounding space, and returns None where it is not of that kind: the caller
then knows that the text does not say, instead of getting a number in a wrong unit.
"""

from __future__ import annotations

import re

LARGEST = 2.0**63  # no counter of a load tool holds more, and no reader of JSON need take it
_POWERS = {  # decimal exponent of units that are a power of ten of a second
    "ns": -9,
    "us": -6,
    "µs": -6,  # U+00B5, micro sign
    "μs": -6,  # U+03BC, Greek mu
    "usec": -6,
    "ms": -3,
    "msec": -3,
    "s": 0,
    "sec": 0,
    "secs": 0,
}
_SIXTIES = {"m": 60.0, "min": 60.0, "h": 3600.0}
_THOUSANDS = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15}
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
_WHOLE = re.compile(r"[0-9]{1,19}|[0-9]{1,3}(?:,[0-9]{3}){1,6}")


def _split(token: str) -> tuple[str, str] | None:
    match = _WITH_UNIT.fullmatch(token)
    return (match[1], match[2]) if match else None


def seconds(token: str) -> float | None:
    """A duration in seconds: ns, us, ms, s, m (minutes), h; a bare number has no unit and is None."""
    parts = _split(token)
    if parts is None:
        return None
    number, unit = parts
    if unit in _SIXTIES:
        return _scaled(number, _SIXTIES[unit])
    return _shifted(number, _POWERS[unit]) if unit in _POWERS else None


def count(token: str) -> float | None:
    """A count or a rate with wrk's steps of a thousand: none, k, M, G, T, P."""
    parts = _split(token)
    if parts is None or parts[1] not in _THOUSANDS:
        return None
    return _shifted(parts[0], _THOUSANDS[parts[1]])


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
    return _shifted(parts[0], -2) if parts and not parts[1] else None


def whole(token: str) -> int | None:
    """A whole number without a unit, commas between thousands allowed; None above 2**63 (a broken counter)."""
    if _WHOLE.fullmatch(token) is None:
        return None
    number = int(token.replace(",", ""))
    return number if number < 2**63 else None


def _shifted(number: str, exponent: int) -> float | None:
    """The decimal number times a power of ten, rounded once: 161.62us is 0.00016162, not 161.62 / 1e6."""
    value = float(f"{number}e{exponent}")
    return value if value < LARGEST else None


def _scaled(number: str, factor: float) -> float | None:
    # Rounding takes away the binary tail, which is not in the text (0.57 * 60 = 34.199999999999996).
    product = round(float(number) * factor, 6) if len(number) < 300 else LARGEST
    return product if product < LARGEST else None
