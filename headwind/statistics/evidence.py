"""What one step of a capacity search tells of the capacity: pure likelihoods, in logs.

The objective allows a share of slow requests: 1 % slower than the limit for a p99. Around the capacity C the log of
the share is a straight line, in the rate where a queue is near saturation (its tail falls as exp(-2 (1 - load) wait /
(c² D)), Kingman 1962), in log(rate) where requests hardly meet; `steepness` is its slope d log(share) / d log(rate),
about 1 + 2 wait C in queues of c² = 1. Two kinds of step:

- `Slow`: the queue settles many times within a step, so slow requests are counted. They come in bursts, and so tell
  as much as fewer independent ones.
- `Wait`: near saturation a step has a few bursts or none, and no count says anything. Then the percentile of its waits
  is held against that of a reflected Brownian motion watched as long from empty (`reflected`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from headwind.statistics import reflected
from headwind.statistics.blocks import Floats

# Chosen by simulation on M/D/1 with seeds that the bench does not use.
BEND = 0.15  # the line may bend by so much of what it says at a distance
_WAIT_ERROR, _WAIT_BEND = 0.1, 0.25
SPOILT = 0.02  # the chance that something else made a step what it was
_DEGREES = 6  # of Student's t, for the same reason
_MOST, _LEAST = 0.999, 1e-9
_FEW_BURSTS = 3.0
_BURST, _ALONE = 2.5, 1.5
_CROSSINGS = 3.3
_LEAST_WAIT = 0.1  # of the unloaded time: a limit below it is held by luck


@dataclass(frozen=True, slots=True)
class Queue:
    """What is known of the server before the search: its unloaded response time and its closed loop's ceiling."""

    unloaded_s: float
    ceiling_per_s: float

    def wait_s(self, limit_s: float) -> float:
        """What a limit on the response time leaves for waiting."""
        return max(limit_s - self.unloaded_s, _LEAST_WAIT * self.unloaded_s)

    def crossing_s(self, limit_s: float) -> float:
        """How long a saturated queue takes to wander up to the limit: wait² / variance rate (D of Poisson arrivals)."""
        return self.wait_s(limit_s) ** 2 * self.ceiling_per_s

    def burst(self, rate_per_s: float, limit_s: float, percent: float) -> float:
        """Slow requests come together: variance / mean of their number. Fitted to M/D/1 from 2 to 98 % load."""
        tail = -math.log1p(-percent / 100)
        return _ALONE + _BURST * rate_per_s * self.crossing_s(limit_s) / tail

    def reached(self, limit_s: float, length_s: float) -> float:
        """The share of a settled queue's slow requests that a step from empty has. Fitted likewise."""
        return 1 / (1 + _CROSSINGS * self.crossing_s(limit_s) / length_s)

    def settles_slowly(self, limit_s: float, percent: float, length_s: float) -> bool:
        """Whether a step of `length_s` at the capacity has fewer than three bursts of slow requests."""
        allowed, tail = 1 - percent / 100, -math.log1p(-percent / 100)
        return length_s * allowed * tail < _FEW_BURSTS * _BURST * self.crossing_s(limit_s)


@dataclass(frozen=True, slots=True)
class Slow:
    """The `share` of a step's requests that were slow, of which the objective allows `allowed`.

    They tell as much as `independent` requests would; so short a step shows only `reached` of a settled queue's share.
    """

    share: float
    allowed: float
    independent: float
    reached: float = 1.0


@dataclass(frozen=True, slots=True)
class Wait:
    """The percentile of the waits that a step of `length_s` showed, of which its first share was left out."""

    seen_s: float
    limit_s: float
    percent: float
    length_s: float
    settling_share: float


def told_share(slow: Slow, excess: Floats) -> Floats:
    """Log likelihood of a share where the line says exp(excess) times what is allowed; 0 for the likeliest share."""
    with np.errstate(divide="ignore"):
        seen = np.log(slow.share / (slow.allowed * slow.reached))
    bent = BEND * np.abs(excess)
    excess = np.clip(seen, excess - bent, excess + bent)
    expected = np.clip(slow.allowed * slow.reached * np.exp(np.minimum(excess, 50)), _LEAST, _MOST)
    share = min(slow.share, _MOST)
    told = share * np.log(expected) + (1 - share) * np.log1p(-expected)
    most = special.xlogy(share, share) + special.xlog1py(1 - share, -share)
    return np.asarray(np.log((1 - SPOILT) * np.exp(slow.independent * (told - most)) + SPOILT))


def told_wait(wait: Wait, rate_per_s: float, capacity: Floats, steepness: Floats) -> Floats:
    """Log likelihood of the waits seen. Capacity and steepness say where the queue saturates, and how bursty it is."""
    tail = -math.log1p(-wait.percent / 100)
    saturation = capacity * (1 + tail / steepness)
    variance = 2 * wait.limit_s / steepness
    push = (1 - rate_per_s / saturation) * np.sqrt(wait.length_s / variance)
    mean, deviation = reflected.seen(wait.percent, push, wait.settling_share)
    bent = _WAIT_BEND * math.log(wait.limit_s / wait.seen_s)
    spread = np.sqrt(deviation**2 + _WAIT_ERROR**2 + bent**2)
    off = (math.log(wait.seen_s) - 0.5 * np.log(variance * wait.length_s) - mean) / spread
    return np.asarray(-np.log(spread) - (_DEGREES + 1) / 2 * np.log1p(off**2 / _DEGREES))
