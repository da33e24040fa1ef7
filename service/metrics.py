"""Counters of all workers in one shared memory, a slot each, and their Prometheus text.

prometheus_client's multiprocess mode writes a file per pid and drops the pid of counters and histograms. Here the
master maps one anonymous memory before it forks, a worker adds to its own slot without a lock, and whichever worker is
asked reads all of them. A slot outlives its worker: a replacement goes on counting where the killed one ended.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SLOTS = 128
"""Workers that can be told apart: twice the largest WORKERS, since a reload runs old and new side by side."""

STATUSES = (200, 307, 400, 404, 405, 413, 422, 500, 503)
LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_STATUS_AT = {status: position for position, status in enumerate(STATUSES)}
_OTHER_STATUS = len(STATUSES)


class _Layout:
    """Positions of a slot's numbers; a histogram has a count a bound, one for what is above, and the sum."""

    status = 0
    latency = len(STATUSES) + 1
    batch = latency + len(LATENCY_BOUNDS_S) + 2
    lag = batch + len(BATCH_BOUNDS) + 2
    queue_depth = lag + len(LAG_BOUNDS_S) + 2
    lag_now = queue_depth + 1
    in_use = queue_depth + 2
    cache_hits = queue_depth + 3
    expired = queue_depth + 4
    width = queue_depth + 5


class Metrics:
    """One slot's counters; `slot` is set after the fork by the worker that owns it. `expected` is how many workers
    there are to be; None under a server that does not say when a worker listens."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._memory = memoryview(mmap.mmap(-1, slots * _Layout.width * 8)).cast("d")
        self.slots = slots
        self.expected: int | None = None
        self.enter(0)

    def enter(self, slot: int) -> None:
        """Count in `slot` from now on."""
        self.slot = slot
        start = slot * _Layout.width
        self._own = self._memory[start : start + _Layout.width]

    def begin(self) -> None:
        """Say that a worker lives in this slot."""
        self._own[_Layout.in_use] = os.getpid()

    def vacate(self, slot: int) -> None:
        """Say that the slot's worker is gone; its counts stay, its gauges do not."""
        start = slot * _Layout.width
        for position in (_Layout.in_use, _Layout.queue_depth, _Layout.lag_now):
            self._memory[start + position] = 0.0

    def alive(self) -> int:
        """Workers that live."""
        return sum(1 for pid in self._memory[_Layout.in_use :: _Layout.width].tolist() if pid)

    def answered(self, status: int, count: int, seconds: float) -> None:
        """`count` requests answered with `status`, each within `seconds` of its arrival."""
        own = self._own
        own[_STATUS_AT.get(status, _OTHER_STATUS)] += count
        own[_Layout.latency + bisect_left(LATENCY_BOUNDS_S, seconds)] += count
        own[_Layout.batch - 1] += seconds * count

    def batch(self, rows: int) -> None:
        """One call of the model with `rows` flights."""
        own = self._own
        own[_Layout.batch + bisect_left(BATCH_BOUNDS, rows)] += 1
        own[_Layout.lag - 1] += rows

    def loop_lag(self, seconds: float, queue_depth: int) -> None:
        """How much later than asked the event loop called back, and how many flights wait just now."""
        own = self._own
        own[_Layout.lag + bisect_left(LAG_BOUNDS_S, seconds)] += 1
        own[_Layout.queue_depth - 1] += seconds
        own[_Layout.lag_now] = seconds
        own[_Layout.queue_depth] = queue_depth

    def cache_hit(self) -> None:
        self._own[_Layout.cache_hits] += 1

    def expired(self, rows: int) -> None:
        """Flights that were accepted and whose deadline passed before the model took them."""
        self._own[_Layout.expired] += rows

    def numbers(self, slot: int) -> Sequence[float]:
        """A copy of a slot's numbers."""
        start = slot * _Layout.width
        return self._memory[start : start + _Layout.width].tolist()

    def text(self) -> bytes:
        """The exposition in Prometheus' text format 0.0.4."""
        registry = CollectorRegistry()
        registry.register(_Reader(self))
        return generate_latest(registry)


class _Reader(Collector):
    """Yields every metric twice: the total, and by worker slot under `..._worker_...`, so that a sum over either
    name counts nothing twice."""

    def __init__(self, metrics: Metrics) -> None:
        every = [metrics.numbers(slot) for slot in range(metrics.slots)]
        self._slots = {str(slot): numbers for slot, numbers in enumerate(every) if any(numbers)}
        self._total = [sum(column) for column in zip(*every, strict=True)]
        # The sum of several lags is none that anybody saw.
        self._total[_Layout.lag_now] = max(numbers[_Layout.lag_now] for numbers in every)

    def collect(self) -> Iterable[Metric]:
        yield from self._family("flight_delay", [], {(): self._total})
        by_worker: dict[tuple[str, ...], Sequence[float]] = {
            (slot,): own for slot, own in self._slots.items()
        }
        yield from self._family("flight_delay_worker", ["worker"], by_worker)
        alive = GaugeMetricFamily("flight_delay_workers", "Workers alive")
        alive.add_metric([], sum(1 for numbers in self._slots.values() if numbers[_Layout.in_use]))
        yield alive

    def _family(
        self, prefix: str, labels: list[str], rows: Mapping[tuple[str, ...], Sequence[float]]
    ) -> Iterator[Metric]:
        requests = CounterMetricFamily(f"{prefix}_requests", "Requests answered", labels=[*labels, "status"])
        hits = CounterMetricFamily(f"{prefix}_cache_hits", "Flights answered from memory", labels=labels)
        expired = CounterMetricFamily(
            f"{prefix}_expired", "Flights given up at their deadline", labels=labels
        )
        depth = GaugeMetricFamily(f"{prefix}_queue_depth", "Flights waiting for the model", labels=labels)
        lag_now = GaugeMetricFamily(
            f"{prefix}_loop_lag_latest_seconds", "Latest event-loop lag", labels=labels
        )
        for values, numbers in rows.items():
            for position, status in enumerate([*map(str, STATUSES), "other"]):
                if numbers[position]:
                    requests.add_metric([*values, status], numbers[position])
            hits.add_metric(list(values), numbers[_Layout.cache_hits])
            expired.add_metric(list(values), numbers[_Layout.expired])
            depth.add_metric(list(values), numbers[_Layout.queue_depth])
            lag_now.add_metric(list(values), numbers[_Layout.lag_now])
        yield from (requests, hits, expired, depth, lag_now)
        for name, text, start, bounds in (
            (
                "request_seconds",
                "Time from a request's arrival to its answer",
                _Layout.latency,
                LATENCY_BOUNDS_S,
            ),
            ("batch_flights", "Flights in one call of the model", _Layout.batch, BATCH_BOUNDS),
            ("loop_lag_seconds", "How late the event loop calls back", _Layout.lag, LAG_BOUNDS_S),
        ):
            histogram = HistogramMetricFamily(f"{prefix}_{name}", text, labels=labels)
            for values, numbers in rows.items():
                counts = numbers[start : start + len(bounds) + 1]
                running, buckets = 0.0, []
                for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
                    running += count
                    buckets.append((bound, running))
                histogram.add_metric(list(values), buckets, numbers[start + len(bounds) + 1])
            yield histogram


METRICS = Metrics()
"""The process's metrics: mapped at import, which gunicorn's master does before it forks."""
