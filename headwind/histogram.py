"""An exact latency histogram in whole microseconds: as measured, with wrk's hidden correction undone or redone."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

REPORTED_PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)


def percentile_key(percent: float) -> str:
    """The key of a percentile in JSON: 50.0 -> "50", 99.9 -> "99.9"."""
    return f"{percent:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Latencies as measured: `counts[i]` responses took `values_us[i]` microseconds; values ascend, counts > 0.

    `late` responses came after `limit_us` (wrk's timeout) and are in no bucket: every percentile whose rank
    may fall among them is unknown, but above the limit. Values above the limit are there where histograms with
    different limits were merged: late responses lie anywhere among them, so their ranks are unknown too. A limit of
    None is above all values. `expected_interval_us` is wrk's E (0: nothing was corrected).
    """

    values_us: tuple[int, ...]
    counts: tuple[int, ...]
    late: int = 0
    limit_us: int | None = None
    expected_interval_us: int = 0

    @property
    def recorded(self) -> int:
        """Responses in the buckets."""
        return sum(self.counts)

    @property
    def total(self) -> int:
        """Responses recorded or late."""
        return self.recorded + self.late

    def ranked(self) -> list[int]:
        """How many responses took at most each of the first values, as far as that is known: up to the limit where
        any response was late, else of all values."""
        known = len(self.counts)
        if self.late and self.limit_us is not None:
            known = bisect_right(self.values_us, self.limit_us)
        return list(accumulate(self.counts[:known]))

    def percentile_s(self, percent: float) -> float | None:
        """The smallest latency, in seconds, that at least `percent` % of all responses, late ones included, did
        not exceed (nearest rank); None where that response may have been late or nothing was recorded."""
        at = bisect_left(ranked := self.ranked(), self._rank(percent))
        return self.values_us[at] / 1e6 if at < len(ranked) else None

    def mean_s(self) -> float | None:
        """Mean of the recorded responses in seconds (late ones are not in it)."""
        recorded = self.recorded
        if not recorded:
            return None
        total_us = sum(value * count for value, count in zip(self.values_us, self.counts, strict=True))
        return total_us / recorded / 1e6

    def percentiles_s(self, percents: Iterable[float] = REPORTED_PERCENTILES) -> dict[str, float | None]:
        """`percentile_s` of several at once, in one pass, by their keys ("99.9")."""
        asked = sorted(set(percents))
        ranked = self.ranked()
        found: dict[str, float | None] = {}
        for percent in asked:
            at = bisect_left(ranked, self._rank(percent))
            found[percentile_key(percent)] = self.values_us[at] / 1e6 if at < len(ranked) else None
        return found

    def over(self, threshold_s: float) -> int | None:
        """Responses that took longer than `threshold_s`, late ones included; None where the limit is unknown or below
        the threshold, so that a late one need not have."""
        threshold_us = threshold_s * 1e6
        if self.late and (self.limit_us is None or self.limit_us < threshold_us):
            return None
        first = bisect_right(self.values_us, threshold_us)
        return sum(self.counts[first:]) + self.late

    def _rank(self, percent: float) -> int:
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile lies between 0 and 100, not at {percent}")
        # The product is rounded first: 99.9 / 100 * 1000 is 999.0000000000001 in binary.
        return max(1, math.ceil(round(percent / 100 * self.total, 6)))

    def merge(self, *others: Histogram) -> Histogram:
        """All responses of several histograms, without loss. The limit is the smallest of the parts with late
        responses (a part that does not know its limit has them above its largest value): above it no rank is sure.
        The expected interval is kept where all parts share it; parts with different ones have no common correction."""
        counter: Counter[int] = Counter()
        parts = (self, *others)
        for part in parts:
            counter.update(dict(zip(part.values_us, part.counts, strict=True)))
        late = [part for part in parts if part.late] if others else []
        limits = [part.limit_us for part in late or parts if part.limit_us is not None]
        limits += [max(part.values_us, default=0) for part in late if part.limit_us is None]
        intervals = {part.expected_interval_us for part in parts}
        return from_counts(
            counter,
            late=sum(part.late for part in parts),
            limit_us=min(limits) if limits else None,
            expected_interval_us=intervals.pop() if len(intervals) == 1 else 0,
        )

    def to_json(self) -> dict[str, Any]:
        """Every bucket, and the summaries that a reader wants: latency as measured and as wrk corrected it."""
        return {
            "as_measured": self.as_measured(),
            "corrected": self.corrected(),
            "values_us": list(self.values_us),
            "counts": list(self.counts),
            "late": self.late,
            "limit_us": self.limit_us,
            "expected_interval_us": self.expected_interval_us,
        }

    def as_measured(self) -> dict[str, Any]:
        """Responses as they were: mean, min and max of the recorded ones, percentiles of all (None: late)."""
        return {
            "count": self.total,
            "mean_s": self.mean_s(),
            "min_s": self.values_us[0] / 1e6 if self.values_us else None,
            "max_s": self.values_us[-1] / 1e6 if self.values_us else None,
            "percentiles_s": self.percentiles_s(),
        }

    def corrected(self) -> dict[str, Any]:
        """The same with the samples that wrk adds for coordinated omission: what a client that sends every
        `expected_interval_us` would have seen. Late responses are not corrected: they only take the top ranks."""
        chains = _Chains(self)
        count = chains.count + self.late
        known_s = self.limit_us / 1e6 if self.late and self.limit_us is not None else math.inf
        percentiles = {}
        for percent in REPORTED_PERCENTILES:
            value = chains.value_at_s(max(1, math.ceil(round(percent / 100 * count, 6))))
            percentiles[percentile_key(percent)] = value if value is None or value <= known_s else None
        return {
            "count": count,
            "mean_s": chains.mean_s(),
            "min_s": self.values_us[0] / 1e6 if self.values_us else None,
            "max_s": self.values_us[-1] / 1e6 if self.values_us else None,
            "percentiles_s": percentiles,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Histogram:
        return cls(
            values_us=tuple(data["values_us"]),
            counts=tuple(data["counts"]),
            late=data["late"],
            limit_us=data["limit_us"],
            expected_interval_us=data["expected_interval_us"],
        )


def from_counts(
    counts: Mapping[int, int] | Iterable[tuple[int, int]],
    *,
    late: int = 0,
    limit_us: int | None = None,
    expected_interval_us: int = 0,
) -> Histogram:
    """A histogram of (microseconds, count) pairs in any order; zero counts are dropped."""
    pairs: Iterator[tuple[int, int]] = iter(counts.items() if isinstance(counts, Mapping) else counts)
    kept = sorted((value, count) for value, count in pairs if count)
    return Histogram(
        tuple(value for value, _ in kept),
        tuple(count for _, count in kept),
        late,
        limit_us,
        expected_interval_us,
    )


def undo_correction(printed: Mapping[int, int], expected_interval_us: int) -> dict[int, int]:
    """The responses that wrk measured, from the histogram its `done()` sees.

    wrk adds, for every value n >= 2E, synthetic samples at n-E, n-2E, ... while above E. Each added chain hangs
    on the bucket one E higher, so raw[v] = h[v] - h[v+E] for v > E, and h[v] elsewhere. Exact; `sum` of the
    result equals requests - timeouts (without pipelining). Raises ValueError where the input was not made so.
    """
    step = expected_interval_us
    if step <= 0:
        return dict(printed)
    raw = {}
    for value, count in printed.items():
        measured = count - printed.get(value + step, 0) if value > step else count
        if measured < 0:
            raise ValueError(
                f"{count} samples at {value} us but more at {value + step} us: not wrk's correction"
            )
        if measured:
            raw[value] = measured
    return raw


class _Chains:
    """wrk's correction without writing it out: a response of v us stands for samples at v, v-E, v-2E, ... above E.

    Their number and sum have closed forms, so a percentile is a binary search, whatever v / E is.
    """

    def __init__(self, histogram: Histogram) -> None:
        import numpy as np  # only here: small inputs should not wait for it

        self._np = np
        self._step = histogram.expected_interval_us
        self._values = np.asarray(histogram.values_us, dtype=np.int64)
        self._counts = np.asarray(histogram.counts, dtype=np.int64)
        step = self._step
        self._added = (
            np.maximum(0, (self._values - step - 1) // step) if step else np.zeros_like(self._values)
        )
        self.count = int((self._counts * (1 + self._added)).sum())

    def mean_s(self) -> float | None:
        if not self.count:
            return None
        added, step = self._added, self._step
        sums = self._values * (1 + added) - step * (added * (added + 1) // 2)
        return float((sums.astype(float) * self._counts).sum()) / self.count / 1e6

    def value_at_s(self, rank: int) -> float | None:
        """The value at a rank from 1, in seconds; None above the last."""
        if rank > self.count:
            return None
        low, high = int(self._values[0]), int(self._values[-1])
        # Synthetic samples may lie below the smallest response, down to just above E.
        low = min(low, self._step + 1) if self._step else low
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._up_to(middle) >= rank else (middle + 1, high)
        return low / 1e6

    def _up_to(self, value: int) -> int:
        """Samples of at most `value` us."""
        if not self._step:
            return int(self._counts[self._values <= value].sum())
        skipped = self._np.maximum(0, -((value - self._values) // self._step))
        return int((self._counts * self._np.maximum(0, 1 + self._added - skipped)).sum())
