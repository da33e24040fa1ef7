"""Gathering: flights that arrive in the same turn of the event loop become one batch.

One flight costs XGBoost nearly as much alone as within fifty, so requests that wait together are predicted together,
here or by a model worker behind a queue.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from service.catalogue import Row
from service.metrics import Metrics
from service.settings import Settings


class Overloaded(Exception):
    """No capacity for this flight now; ask again after `retry_after_s` seconds. `waited_s` is 0 for what was refused at
    once, else how long it waited before it was given up."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.waited_s = 0.0


class Predictor(Protocol):
    """What the routes need: futures of basis points."""

    def submit(self, row: Row) -> asyncio.Future[int]: ...

    def depth(self) -> int: ...

    async def predict(self, rows: Sequence[Row]) -> list[int]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ready(self) -> str | None: ...


class Turn:
    """The flights of one turn of the loop; `lane` counts those that are a fast-lane request each."""

    __slots__ = ("ahead", "futures", "lane", "opened_s", "rows")

    def __init__(self, opened_s: float) -> None:
        self.opened_s = opened_s
        self.rows: list[Row] = []
        self.futures: list[asyncio.Future[int]] = []
        self.lane = 0
        self.ahead = 0  # behind a queue: the unanswered flights when it was sent, its own included

    def split(self, size: int) -> "Turn":
        """Take the first `size` flights out."""
        first = Turn(self.opened_s)
        first.rows, self.rows = self.rows[:size], self.rows[size:]
        first.futures, self.futures = self.futures[:size], self.futures[size:]
        first.lane = min(self.lane, len(first.rows))
        self.lane -= first.lane
        return first

    def join(self, later: "Turn") -> None:
        """Append the flights of a later turn."""
        self.rows += later.rows
        self.futures += later.futures
        self.lane += later.lane


class Gatherer(ABC):
    """Collects flights into turns and hands each turn to `dispatch`. Not thread-safe: everything happens on the loop
    that `start` ran on."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._max_wait_s = settings.max_wait_ms / 1000
        self._deadline_s = settings.deadline_ms / 1000
        self._batch_wait_s = settings.batch_wait_ms / 1000
        self._max_batch = settings.max_batch
        self._turn: Turn | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._queued = 0
        self._loop: asyncio.AbstractEventLoop

    @abstractmethod
    def refuse_over_capacity(self, rows: int) -> None:
        """Raise `Overloaded` if `rows` more flights would wait too long; one list alone never does."""

    @abstractmethod
    def dispatch(self, turn: Turn) -> None:
        """Have `turn` predicted; exactly one of `settle` and `fail` must be called for all of its flights."""

    async def start(self) -> None:
        """Called on the loop that everything else happens on."""
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:  # noqa: B027 (nothing to do is a fine way to stop)
        """Called when no request is in flight any more."""

    def ready(self) -> str | None:
        """None if able to serve, else why not."""
        return None

    def depth(self) -> int:
        """Flights that wait or are being predicted."""
        return self._queued

    def submit(self, row: Row) -> asyncio.Future[int]:
        """One fast-lane request: the future of its probability in basis points; raises `Overloaded`."""
        self.refuse_over_capacity(1)
        future = self._loop.create_future()
        turn = self._turn or self._open()
        turn.rows.append(row)
        turn.futures.append(future)
        turn.lane += 1
        self._queued += 1
        if self._timer is not None:
            self._close_full(turn)
        return future

    async def predict(self, rows: Sequence[Row]) -> list[int]:
        """Probabilities of `rows` in order, batched with whatever else arrives; raises `Overloaded`.

        A list is accepted whole or not at all, and one longer than the limit is accepted by an idle worker.
        """
        self.refuse_over_capacity(len(rows))
        turn = self._turn or self._open()
        futures = [self._loop.create_future() for _ in rows]
        turn.rows.extend(rows)
        turn.futures.extend(futures)
        self._queued += len(rows)
        if self._timer is not None:
            self._close_full(turn)
        return list(await asyncio.gather(*futures))

    def _open(self) -> Turn:
        self._turn = turn = Turn(self._loop.time())
        if self._batch_wait_s:
            self._timer = self._loop.call_later(self._batch_wait_s, self._close)
        else:
            self._loop.call_soon(self._close)
        return turn

    def _close(self) -> None:
        turn, self._turn, self._timer = self._turn, None, None
        assert turn is not None
        self.dispatch(turn)

    def _close_full(self, turn: Turn) -> None:
        """A batch that is full waits for no more company, but for the loop's next turn as any other."""
        if self._timer is not None and len(turn.rows) >= self._max_batch:
            self._timer.cancel()
            self._turn = self._timer = None
            self._loop.call_soon(self.dispatch, turn)

    def settle(self, turn: Turn, answers: Sequence[int]) -> None:
        """Hand the answers out and count the batch."""
        self._queued -= len(turn.rows)
        for future, answer in zip(turn.futures, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        self._metrics.batch(len(turn.rows))
        if turn.lane:
            self._metrics.answered(200, turn.lane, self._loop.time() - turn.opened_s)

    def fail(self, turn: Turn, error: Exception) -> None:
        """Every flight of `turn` fails with `error`."""
        self._queued -= len(turn.rows)
        if isinstance(error, Overloaded):
            error.waited_s = self._loop.time() - turn.opened_s
        for future in turn.futures:
            if not future.done():
                future.set_exception(error)

    def expire(self, turn: Turn) -> None:
        """Every flight of `turn` is given up: its deadline has passed."""
        self._metrics.expired(len(turn.rows))
        self.fail(turn, Overloaded("The flight's turn did not come in time; try again shortly."))
