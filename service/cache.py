"""A cache of answers, only where CACHE_ENTRIES switches it on: a load test of a cache measures no model."""

import asyncio
from collections.abc import Sequence

from service.catalogue import Row
from service.gathering import Gatherer
from service.metrics import Metrics


class Cached:
    """Remembers the answers of `inner`, the oldest forgotten first."""

    def __init__(self, inner: Gatherer, entries: int, metrics: Metrics) -> None:
        self._inner = inner
        self._entries = entries
        self._metrics = metrics
        self._known: dict[Row, int] = {}
        self.start, self.stop = inner.start, inner.stop
        self.ready, self.depth = inner.ready, inner.depth

    def submit(self, row: Row) -> asyncio.Future[int]:
        """As `Gatherer.submit`."""
        known = self._known.get(row)
        if known is None:
            future = self._inner.submit(row)
            future.add_done_callback(lambda future: self._remember(row, future))
            return future
        self._metrics.cache_hit()
        self._metrics.answered(200, 1, 0.0)
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answered.set_result(known)
        return answered

    async def predict(self, rows: Sequence[Row]) -> list[int]:
        """As `Gatherer.predict`; only what is not known is predicted."""
        missing = [row for row in dict.fromkeys(rows) if row not in self._known]
        found = {row: self._known[row] for row in rows if row in self._known}
        for _ in range(len(rows) - len(missing)):
            self._metrics.cache_hit()
        if missing:
            found |= zip(missing, await self._inner.predict(missing), strict=True)
            for row in missing:
                self._keep(row, found[row])
        return [found[row] for row in rows]

    def _remember(self, row: Row, future: asyncio.Future[int]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._keep(row, future.result())

    def _keep(self, row: Row, answer: int) -> None:
        self._known[row] = answer
        if len(self._known) > self._entries:
            del self._known[next(iter(self._known))]
