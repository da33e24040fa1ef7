"""How far a short look at a queue can be from the queue's own percentiles, where it takes long to settle.

Near saturation the wait of every work-conserving queue is a reflected Brownian motion (Kingman 1962; Iglehart & Whitt
1970) of drift load - 1 and variance rate c² / saturation rate; c² is 1 for Poisson arrivals and constant service.
Watched for T from empty, its waits, in standard deviations sqrt(variance rate * T) of the free motion, depend on one
number alone: the push to empty, (1 - load) * sqrt(T / variance rate). So one table by simulation serves every queue,
rate and length. A schedule whose number of arrivals is held is steadier than this, and a server's own noise is not:
the table keeps to the free motion, and errs towards wide intervals.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STRONGEST = 10.0  # beyond, the error falls as 1 / push and the bias as its square
_PUSHES = np.arange(-6.0, STRONGEST + 0.01, 0.5)
_PATHS, _MOMENTS, _SEED = 300, 2000, 1962


def seen(percent: float, push: Floats, settling_share: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of log(percentile of the waits / sqrt(variance rate * T)) in one look of length T.

    `push` is (1 - load) * sqrt(T / variance rate), negative above saturation; the look leaves out `settling_share`
    of T at its beginning.
    """
    means, deviations = _table(percent, settling_share)
    mean, deviation = np.interp(push, _PUSHES, means), np.interp(push, _PUSHES, deviations)
    tail = -np.log1p(-percent / 100)
    strong = np.maximum(push, STRONGEST)
    settled = np.log(tail / (2 * strong))
    bias = (means[-1] - np.log(tail / (2 * STRONGEST))) * (STRONGEST / strong) ** 2
    mean = np.where(push > STRONGEST, settled + bias, mean)
    deviation = np.where(push > STRONGEST, deviations[-1] * STRONGEST / strong, deviation)
    over = np.maximum(push / _PUSHES[0], 1.0)  # far above saturation the wait grows in proportion
    return np.asarray(mean + np.log(over)), np.asarray(deviation / over)


@lru_cache(maxsize=16)
def _table(percent: float, settling_share: float) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(_SEED)
    noise = generator.standard_normal((_PATHS, _MOMENTS)).cumsum(1) / np.sqrt(_MOMENTS)
    time = np.arange(1, _MOMENTS + 1) / _MOMENTS
    first = int(settling_share * _MOMENTS)
    logs = np.empty((len(_PUSHES), _PATHS))
    for index, push in enumerate(_PUSHES):
        free = noise - push * time
        waits = free - np.minimum(np.minimum.accumulate(free, axis=1), 0.0)
        logs[index] = np.log(np.maximum(np.quantile(waits[:, first:], percent / 100, axis=1), 1e-3))
    return logs.mean(1), logs.std(1)
