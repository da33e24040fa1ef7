"""Is what is in flight still growing? A step of a capacity search may be judged only once it is not.

The requests in flight (due, not yet answered) are averaged over slices of time and tested for an upward trend by
Mann-Kendall (Mann 1945): a rank test, so a single burst decides nothing. A queue near its limit wanders for long, so
a significant trend first lengthens the step; it fails the step only when the step may not grow any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

SLICES = 10
LEVEL = 0.02  # a false alarm costs a step of up to 45 s, and a search has some ten steps


@dataclass(frozen=True, slots=True)
class Trend:
    """`slope_per_s`: growth per second by Theil-Sen (1968); `probability`: one-sided, of so much by chance alone."""

    slope_per_s: float
    probability: float

    @property
    def growing(self) -> bool:
        return self.slope_per_s > 0 and self.probability < LEVEL


def trend(times_s: ArrayLike, values: ArrayLike) -> Trend:
    """The upward trend of `values` over time. Fewer than four points prove nothing: probability 1."""
    time, value = np.asarray(times_s, float), np.asarray(values, float)
    count = len(value)
    if count < 4:
        return Trend(0.0, 1.0)
    later, earlier = np.tril_indices(count, -1)
    rise = value[later] - value[earlier]
    slope = float(np.median(rise / (time[later] - time[earlier])))
    score = float(np.sign(rise).sum())
    _, ties = np.unique(value, return_counts=True)
    variance = (
        count * (count - 1) * (2 * count + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())
    ) / 18
    if variance <= 0 or score <= 0:
        return Trend(slope, 1.0)
    return Trend(slope, float(special.ndtr(-(score - 1) / math.sqrt(variance))))


def in_flight(
    due_s: ArrayLike, done_s: ArrayLike, start_s: float, end_s: float, slices: int = SLICES
) -> tuple[list[float], list[float]]:
    """Middles of the slices of [start, end] and the mean number of requests in flight in each (by Little's law)."""
    edges = np.linspace(start_s, end_s, slices + 1)
    due, done = np.asarray(due_s, float), np.asarray(done_s, float)
    # The integral of what is in flight up to t: each request contributes its time since due, until it is done.
    order_due, order_done = np.sort(due), np.sort(done)
    integral = _elapsed(order_due, edges) - _elapsed(order_done, edges)
    means = np.diff(integral) / np.diff(edges)
    return ((edges[:-1] + edges[1:]) / 2).tolist(), means.tolist()


def _elapsed(ordered: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over all events before each edge of (edge - event)."""
    before = np.searchsorted(ordered, edges)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    return np.asarray(before * edges - total[before])
