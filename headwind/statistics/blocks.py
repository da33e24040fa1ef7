"""The additive model of a blocked experiment: log(value) = configuration + block + noise, by least squares.

A block runs every configuration once, in shuffled order, so a slow drift of the machine moves a whole block and
drops out of the differences inside it. The noise variance is pooled over all configurations: with 3 of them, 4
blocks give 6 degrees of freedom, where each pair alone would have 3.

A stray trial (a neighbour's backup, a cold disk) is set aside only if it is an outlier by its externally studentised
residual, tested at 0.2 % over all trials (Grubbs 1969; repeated as by Rosner 1983, "Percentage points for a generalized
ESD many-outlier procedure"). It stays in the record and is named in the report; the rest of its block still counts.

All arrays have any number of leading axes, so one call fits one experiment or two thousand simulated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SET_ASIDE_LEVEL = (
    0.002  # of wrongly setting a trial aside; found best for power by simulation (bench/statistics.py)
)
CELLS_PER_SET_ASIDE = 10  # more than one in ten is no longer stray: it is how the server behaves
_FULL_LEVERAGE = 1e-9


@dataclass(frozen=True, slots=True)
class Fit:
    """Effects of K configurations on the log scale (they sum to 0), shape (..., K).

    `covariance` times `variance` is the effects' covariance, shapes (..., K, K) and (...);
    `degrees` of freedom (...) and the mask of trials `set_aside`, (..., blocks, K).
    """

    effects: Floats
    covariance: Floats
    variance: Floats
    degrees: Floats
    set_aside: Bools

    def differences(self, first: NDArray[Any], second: NDArray[Any]) -> tuple[Floats, Floats]:
        """log(first / second) and its standard error, for arrays of configuration indices, shapes (..., pairs)."""
        cov = self.covariance
        spread = cov[..., first, first] + cov[..., second, second] - 2 * cov[..., first, second]
        error = np.sqrt(np.maximum(self.variance[..., None] * spread, 0.0))
        return self.effects[..., first] - self.effects[..., second], error


def checked(logs: ArrayLike, configurations: int) -> Floats:
    """The logs as an array (..., blocks, K). Raises ValueError for another shape, and for infinities."""
    array = np.asarray(logs, float)
    if array.ndim < 2 or array.shape[-1] != configurations:
        raise ValueError(
            f"logs are an array (..., blocks, {configurations}), a column a configuration, not {array.shape}"
        )
    if np.isinf(array).any():
        raise ValueError(
            "a log is infinite: a rate of 0 has none; give NaN for a trial that is missing, and half an answer in its "
            "time for one that answered nothing"
        )
    return array


def fit(logs: Floats, *, set_aside_level: float = SET_ASIDE_LEVEL) -> Fit:
    """Fit (..., blocks, K) natural logs; NaN is a trial that is missing. `set_aside_level` 0 keeps every trial.

    With fewer observations than parameters the variance is NaN and `degrees` is 0 or less: nothing can be claimed.
    """
    observed = np.isfinite(logs)
    values = np.where(observed, logs, 0.0)
    kept = observed.copy()
    result, residuals, leverage = _least_squares(values, kept)
    if set_aside_level <= 0:
        return _with_set_aside(result, observed & ~kept)
    cells = observed.sum((-2, -1))
    limit = np.maximum(1, cells // CELLS_PER_SET_ASIDE)
    for _ in range(int(limit.max(initial=0))):
        worst, is_stray = _stray(result, residuals, leverage, kept, set_aside_level)
        is_stray &= (observed & ~kept).sum((-2, -1)) < limit
        if not is_stray.any():
            break
        kept &= ~(worst & is_stray[..., None, None])
        result, residuals, leverage = _least_squares(values, kept)
    return _with_set_aside(result, observed & ~kept)


def _with_set_aside(result: Fit, set_aside: Bools) -> Fit:
    return Fit(result.effects, result.covariance, result.variance, result.degrees, set_aside)


def _least_squares(values: Floats, kept: Bools) -> tuple[Fit, Floats, Floats]:
    """The two-way fit with weights 0 or 1: blocks eliminated first, leaving a K by K system (Searle 1971, ch. 7)."""
    weight = kept.astype(float)
    configurations = values.shape[-1]
    block_size = weight.sum(-1)
    share = weight / np.maximum(block_size, 1.0)[..., None]  # the row each trial's block mean is made of
    block_mean = (share * values).sum(-1)
    centred = weight * (values - block_mean[..., None])
    information = -np.einsum("...bi,...bj->...ij", weight, share)
    diagonal = np.arange(configurations)
    information[..., diagonal, diagonal] += weight.sum(-2)
    # Adding J/K makes the singular system regular and takes the solution whose effects sum to zero.
    mean_matrix = np.full((configurations, configurations), 1.0 / configurations)
    lonely = np.abs(information[..., diagonal, diagonal]) < _FULL_LEVERAGE
    information[..., diagonal, diagonal] += lonely  # a configuration never compared: solvable, then unknown
    covariance = np.linalg.inv(information + mean_matrix) - mean_matrix
    effects = np.einsum("...ij,...j->...i", covariance, centred.sum(-2))
    fitted = effects[..., None, :] - np.einsum("...bk,...k->...b", share, effects)[..., None]
    residuals = weight * (centred - fitted)
    offset = np.eye(configurations) - share[..., None, :]
    leverage = np.einsum("...bci,...ij,...bcj->...bc", offset, covariance, offset)
    leverage = leverage + 1.0 / np.maximum(block_size, 1.0)[..., None]
    blocks = (block_size > 0).sum(-1)
    degrees = weight.sum((-2, -1)) - blocks - (configurations - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(degrees > 0, (residuals**2).sum((-2, -1)) / degrees, np.nan)
    effects = np.where(lonely, np.nan, effects)
    return Fit(effects, covariance, variance, degrees, ~kept), residuals, leverage


def _stray(
    result: Fit, residuals: Floats, leverage: Floats, kept: Bools, level: float
) -> tuple[Bools, Bools]:
    """The trial with the largest externally studentised residual, and whether it is an outlier at `level`."""
    degrees = result.degrees - 1
    room = np.where(kept, 1 - leverage, 0.0)
    testable = room > _FULL_LEVERAGE
    squares = result.variance * result.degrees
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(testable, residuals**2 / room, 0.0)
        rest = np.maximum(squares[..., None, None] - own, 1e-300)
        studentised = np.sqrt(own * np.maximum(degrees, 0)[..., None, None] / rest)
    studentised = np.nan_to_num(studentised, nan=0.0)
    flat = studentised.reshape(*studentised.shape[:-2], -1)
    at = flat.argmax(-1)
    largest = np.take_along_axis(flat, at[..., None], -1)[..., 0]
    # With two configurations both residuals of a block are the same number: one test a block, not two.
    tests = testable.sum((-2, -1)) / (2 if residuals.shape[-1] == 2 else 1)
    probability = 2 * special.stdtr(np.maximum(degrees, 1), -largest) * tests
    worst = (np.arange(flat.shape[-1]) == at[..., None]).reshape(kept.shape)
    return worst, (degrees >= 1) & (probability < level)
