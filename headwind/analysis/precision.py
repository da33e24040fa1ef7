"""How far a figure that another tool printed may lie from what it measured: rounding, and interpolation in buckets."""

from __future__ import annotations

import math
from collections.abc import Callable

from headwind.run import Run

# The upper ends of fortio's buckets in units of its resolution, 1 ms unless -r says otherwise.
_BUCKETS = (
    *range(12),
    *range(12, 20, 2),
    *range(20, 50, 5),
    *range(50, 100, 10),
    *range(100, 200, 20),
    *range(200, 500, 50),
    *range(500, 1000, 100),
    *(1000, 2000, 3000, 4000, 5000, 7500, 10_000, 20_000, 30_000, 40_000, 50_000, 75_000, 100_000),
)
_Widen = Callable[[float], tuple[float, float]]


def within(run: Run, value_s: float, *, percentile: bool) -> tuple[float, float, str]:
    """The range that the measured figure lies in, and why; the value itself where the tool printed it exactly."""
    for code, percentiles_only, widen, why in _ROUNDINGS:
        if (percentile or not percentiles_only) and any(warning.code == code for warning in run.warnings):
            low, high = widen(value_s)
            return max(0.0, low), high, why
    return value_s, value_s, ""


def _two_digits(value_s: float) -> tuple[float, float]:
    """Locust rounds below 100 ms to 1 ms, below 1 s to 10 ms, below 10 s to 100 ms, else to 1 s."""
    ms = round(value_s * 1e3, 6)
    below = 0.5 if ms <= 100 else 5 if ms <= 1000 else 50 if ms <= 10_000 else 500
    above = 0.5 if ms < 100 else 5 if ms < 1000 else 50 if ms < 10_000 else 500
    return (ms - below) / 1e3, (ms + above) / 1e3


def _bucket(value_s: float) -> tuple[float, float]:
    """The bucket of fortio's that the value was interpolated in."""
    ms = round(value_s * 1e3, 6)
    low = max((end for end in _BUCKETS if end < ms), default=0)
    high = min((end for end in _BUCKETS if end >= ms), default=math.inf)
    return low / 1e3, high / 1e3


def _by(slack_s: float) -> _Widen:
    return lambda value_s: (value_s - slack_s, value_s + slack_s)


# (code of the warning a run carries, whether it concerns percentiles only, from printed seconds to the true range, why)
_ROUNDINGS: tuple[tuple[str, bool, _Widen, str], ...] = (
    ("percentiles_two_digits", True, _two_digits, "rounded to two digits"),
    ("percentiles_interpolated", True, _bucket, "interpolated in a bucket"),
    ("whole_milliseconds", False, _by(0.001), "in whole milliseconds"),
    ("rounded", False, _by(0.000_05), "rounded to four decimals"),
)
