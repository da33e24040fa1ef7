"""The effect without the optimism of stopping early.

An experiment that stops at the first convincing look stops, more often than not, while luck exaggerates: for a true
10 % the mean reported would be some 10.5 %. The bias is estimated by running the very same rule on simulated trials
whose truth is what was estimated (Whitehead 1986, "On the bias of maximum likelihood estimation following a
sequential test"; by simulation as a parametric bootstrap), and subtracted; a second pass starts from the corrected
effects, since the bias at the truth differs from the bias at the exaggerated estimate.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headwind.statistics.blocks import Floats
from headwind.statistics.verdicts import Plan, replay

REPETITIONS = 2000
PASSES = 2


def stopping_bias(
    effects: Floats, noise: Floats, plan: Plan, generator: np.random.Generator, repetitions: int
) -> Floats:
    """Mean of (estimate at the stop - truth) of each configuration's effect, for truths (..., K) and noise (...)."""
    shape = (repetitions, *effects.shape[:-1], plan.blocks, plan.configurations)
    logs = effects[..., None, :] + noise[..., None, None] * generator.standard_normal(shape)
    # Setting aside is left out: it answers to outliers, and there are none here.
    outcome = replay(logs, replace(plan, set_aside_level=0.0))
    share = np.arange(plan.blocks)[:, None] < outcome.blocks[..., None, None]
    means = (logs * share).sum(-2) / outcome.blocks[..., None]
    means -= means.mean(-1, keepdims=True)
    return np.asarray(means.mean(0) - (effects - effects.mean(-1, keepdims=True)))


def without_optimism(
    effects: Floats,
    noise: Floats,
    plan: Plan,
    generator: np.random.Generator,
    *,
    repetitions: int = REPETITIONS,
    passes: int = PASSES,
) -> Floats:
    """Effects (..., K) on the log scale, corrected for the stopping rule; `noise` (...) is one trial's deviation."""
    observed = effects - effects.mean(-1, keepdims=True)
    corrected = observed
    for _ in range(passes):
        corrected = observed - stopping_bias(corrected, noise, plan, generator, repetitions)
    return np.asarray(corrected)
