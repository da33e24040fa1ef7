"""An exact latency histogram in whole microseconds: as measured, with wrk's hidden correction undone or redone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

REPORTED_PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)


def percentile_key(percent: float) -> str:
    """The key of a percentile in JSON: 50.0 -> "50", 99.9 -> "99.9"."""
    return f"{percent:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Histogram:
    """Latencies as measured: `counts[i]` responses took `values_us[i]` microseconds; values ascend, counts > 0.

    `late` responses came after `limit_us` (wrk's timeout) and are in no bucket: every percentile whose rank
    falls among them is unknown, but above the limit. `expected_interval_us` is wrk's E (0: nothing was corrected).
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

    def percentile_s(self, percent: float) -> float | None:
        """The smallest latency, in seconds, that at least `percent` % of all responses, late ones included, did
        not exceed (nearest rank); None where that response was late or nothing was recorded."""
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile lies between 0 and 100, not at {percent}")
        # The product is rounded first: 99.9 / 100 * 1000 is 999.0000000000001 in binary.
        rank = max(1, math.ceil(round(percent / 100 * self.total, 6)))
        seen = 0
        for value, count in zip(self.values_us, self.counts, strict=True):
            seen += count
            if seen >= rank:
                return value / 1e6
        return None

    def mean_s(self) -> float | None:
        """Mean of the recorded responses in seconds (late ones are not in it)."""
        recorded = self.recorded
        if not recorded:
            return None
        total_us = sum(value * count for value, count in zip(self.values_us, self.counts, strict=True))
        return total_us / recorded / 1e6

    def merge(self, *others: Histogram) -> Histogram:
        """All responses of several histograms, without loss. The limit is the smallest: above it nothing is sure."""
        counter: Counter[int] = Counter()
        parts = (self, *others)
        for part in parts:
            counter.update(dict(zip(part.values_us, part.counts, strict=True)))
        limits = [part.limit_us for part in parts if part.limit_us is not None]
        return from_counts(
            counter, late=sum(part.late for part in parts), limit_us=min(limits) if limits else None
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "values_us": list(self.values_us),
            "counts": list(self.counts),
            "late": self.late,
            "limit_us": self.limit_us,
            "expected_interval_us": self.expected_interval_us,
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
