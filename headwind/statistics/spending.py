"""How much of the error rate each interim look may spend, so that looking after every block stays honest.

Looking eight times at 5 % each finds "differences" between equal configurations in some 18 % of experiments. Alpha
spending (Lan & DeMets 1983, "Discrete sequential boundaries for clinical trials") fixes beforehand how much may have
been spent once a share t of the planned blocks is in: here alpha * t^4 (Kim & DeMets 1987), between O'Brien-Fleming,
which hardly ever stops early, and Pocock, which pays dearly at the end.

The critical values are found by simulation: the very statistic, outlier rule included, is computed at every look on
trials of equal configurations with normal noise. It depends on neither their mean nor their variance (it is pivotal),
so the simulation needs no knowledge of the machine, and small samples need no approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwind.statistics.blocks import Floats, fit

POWER = 4.0
PATHS = 100_000  # simulated paths of one pair's statistic; pairs of one experiment are exchangeable and pool
SEED = 20110


def spent(alpha: float, share: float) -> float:
    """The error rate that may be spent once `share` (0..1) of the planned blocks is in."""
    return float(alpha * min(1.0, share) ** POWER)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Critical values of |t| at each look: `going_on` if more blocks may follow, `ending` if this look is the last.

    A look that ends the experiment because the clock, which knows no result, ran out may spend all that is left.
    """

    going_on: tuple[float, ...]
    ending: tuple[float, ...]

    def to_json(self) -> dict[str, list[float]]:
        return {"going_on": list(self.going_on), "ending": list(self.ending)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Boundary:
        return cls(tuple(data["going_on"]), tuple(data["ending"]))


def null_paths(configurations: int, looks: Sequence[int], set_aside_level: float, paths: int) -> Floats:
    """|t| of each pair at each look for equal configurations with normal noise: shape (repetitions, looks, pairs)."""
    first, second = np.triu_indices(configurations, 1)
    repetitions = max(1000, paths // len(first))
    generator = np.random.default_rng(SEED)
    result = []
    for start in range(0, repetitions, 20_000):  # in slices that stay in the processor's cache
        size = min(20_000, repetitions - start)
        logs = generator.standard_normal((size, looks[-1], configurations))
        at_looks = []
        for look in looks:
            estimate, error = fit(logs[:, :look], set_aside_level=set_aside_level).differences(first, second)
            with np.errstate(divide="ignore", invalid="ignore"):
                at_looks.append(np.nan_to_num(np.abs(estimate / error), nan=0.0))
        result.append(np.stack(at_looks, axis=1))
    return np.concatenate(result)


def boundary(paths: Floats, alpha: float, shares: Sequence[float]) -> Boundary:
    """Critical values for one hypothesis at two-sided level `alpha`; `paths` as `null_paths` gives them."""
    total = paths.shape[0] * paths.shape[2]
    alive = np.ones((paths.shape[0], paths.shape[2]), bool)
    crossed = 0
    going_on, ending = [], []
    for index, share in enumerate(shares):
        values = paths[:, index][alive]
        ending.append(_critical(values, round(alpha * total) - crossed))
        critical = _critical(values, round(spent(alpha, share) * total) - crossed)
        going_on.append(critical)
        alive &= paths[:, index] <= critical
        crossed = total - int(alive.sum())
    return Boundary(tuple(going_on), tuple(ending))


def _critical(values: Floats, crossings: int) -> float:
    """The value that `crossings` of the values exceed."""
    if crossings <= 0 or len(values) == 0:
        return float("inf")
    place = max(0, len(values) - 1 - crossings)
    return float(np.partition(values, place)[place])
