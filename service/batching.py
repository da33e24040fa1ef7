"""Micro-batching: flights that arrive in the same turn of the event loop are predicted by one call.

One flight costs XGBoost nearly as much alone as within fifty, so requests that wait together are predicted together.
A call that is expected to take less than `INLINE_LIMIT_S` runs on the event loop; a longer one runs in a thread, so
that the loop goes on refusing and answering meanwhile. Work over capacity is refused at once.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from service.catalogue import Row
from service.metrics import Metrics
from service.settings import Settings

INLINE_LIMIT_S = 0.005
"""Longest model call that may block the event loop: beyond it refusals would come late too."""

LONGEST_CALL_S = 0.05
"""Calls of a slow model are cut to about this, so that a flight never waits long for a call already running."""

REMEMBERED_CALLS = 3
"""Calls whose fastest is the pace: a call that the machine held up says nothing about the model."""

FIXED_COST_ROWS = 8
"""A call's fixed cost counts as this many rows: one row alone must not look as if fifty cost fifty times as much."""


class Overloaded(Exception):
    """No capacity for this flight now; ask again after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Model(Protocol):
    """What batching needs of a model: basis points for rows, blocking."""

    def predict(self, rows: Sequence[Row]) -> list[int]: ...


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

    __slots__ = ("futures", "lane", "opened_s", "rows")

    def __init__(self, opened_s: float) -> None:
        self.opened_s = opened_s
        self.rows: list[Row] = []
        self.futures: list[asyncio.Future[int]] = []
        self.lane = 0

    def split(self, size: int) -> "Turn":
        """Take the first `size` flights out."""
        first = Turn(self.opened_s)
        first.rows, self.rows = self.rows[:size], self.rows[size:]
        first.futures, self.futures = self.futures[:size], self.futures[size:]
        first.lane = min(self.lane, len(first.rows))
        self.lane -= first.lane
        return first


class Pace:
    """Seconds a row costs, learned from the latest calls, and what follows from it."""

    def __init__(self, max_batch: int, max_queue: int, max_wait_s: float) -> None:
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._max_wait_s = max_wait_s
        self._latest: deque[float] = deque(maxlen=REMEMBERED_CALLS)
        self.row_s = 0.0
        self.batch = max_batch
        self.queue = max_queue

    def saw(self, rows: int, seconds: float) -> None:
        """Learn from a call with `rows` rows. `batch` is then the rows of the next call, `queue` the rows that may
        wait: as many as are done within the longest wait."""
        if rows < FIXED_COST_ROWS:
            # A small call is mostly fixed cost: it may raise the estimate but says nothing that could lower it.
            self._latest.append(max(seconds / FIXED_COST_ROWS, self.row_s))
        else:
            self._latest.append(seconds / rows)
        self.row_s = max(min(self._latest), 1e-9)
        self.batch = max(1, min(self._max_batch, int(LONGEST_CALL_S / self.row_s)))
        self.queue = max(1, min(self._max_queue, int(self._max_wait_s / self.row_s)))

    def blocks(self, rows: int) -> bool:
        """Whether a call with `rows` rows would block the event loop for too long."""
        return self.row_s * rows > INLINE_LIMIT_S


class Batcher:
    """Runs a model in this process. Not thread-safe: everything happens on the loop that `start` ran on."""

    def __init__(self, model: Model, settings: Settings, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._max_wait_s = settings.max_wait_ms / 1000
        self._deadline_s = settings.deadline_ms / 1000
        self._batch_wait_s = settings.batch_wait_ms / 1000
        self._turn: Turn | None = None
        self._backlog: deque[Turn] = deque()
        self._queued = 0
        self._running = False
        self._thread: ThreadPoolExecutor | None = None
        self.pace = Pace(settings.max_batch, settings.max_queue, self._max_wait_s)
        self._loop: asyncio.AbstractEventLoop

    async def start(self) -> None:
        """Warm the model up and learn its pace before the first request depends on it."""
        self._loop = asyncio.get_running_loop()
        row: Row = (0, 0, 0, 0, 0, 0, 1)
        self._model.predict([row])
        for rows in (8, 16, 32):
            begun = self._loop.time()
            self._model.predict([row] * rows)
            seconds = self._loop.time() - begun
            self.pace.saw(rows, seconds)

    async def stop(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def ready(self) -> str | None:
        """None if able to serve, else why not."""
        return None

    def depth(self) -> int:
        """Flights that wait or are being predicted."""
        return self._queued

    def submit(self, row: Row) -> asyncio.Future[int]:
        """One fast-lane request: the future of its probability in basis points; raises `Overloaded`."""
        if self._queued >= self.pace.queue:
            self._refuse()
        future = self._loop.create_future()
        turn = self._turn or self._open()
        turn.rows.append(row)
        turn.futures.append(future)
        turn.lane += 1
        self._queued += 1
        return future

    async def predict(self, rows: Sequence[Row]) -> list[int]:
        """Probabilities of `rows` in order, batched with whatever else arrives; raises `Overloaded`.

        A list is accepted whole or not at all, and one longer than the limit is accepted by an idle worker.
        """
        if self._queued and self._queued + len(rows) > self.pace.queue:
            self._refuse()
        turn = self._turn or self._open()
        futures = [self._loop.create_future() for _ in rows]
        turn.rows.extend(rows)
        turn.futures.extend(futures)
        self._queued += len(rows)
        return list(await asyncio.gather(*futures))

    def _refuse(self) -> None:
        raise Overloaded("All capacity is taken; try again shortly.", max(1, math.ceil(self._max_wait_s)))

    def _open(self) -> Turn:
        self._turn = turn = Turn(self._loop.time())
        if self._batch_wait_s:
            self._loop.call_later(self._batch_wait_s, self._close)
        else:
            self._loop.call_soon(self._close)
        return turn

    def _close(self) -> None:
        turn, self._turn = self._turn, None
        assert turn is not None
        self._backlog.append(turn)
        if not self._running:
            self._work()

    def _work(self) -> None:
        """Predict what waits: here while the model is fast, else one call in the thread."""
        while self._backlog:
            turn = self._take()
            if turn is None:
                continue
            if self.pace.blocks(len(turn.rows)):
                self._running = True
                if self._thread is None:
                    self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
                call = self._loop.run_in_executor(self._thread, self._timed, turn.rows)
                call.add_done_callback(lambda call, turn=turn: self._finished(call, turn))  # type: ignore[misc]
                return
            self._settle(turn, lambda turn=turn: self._timed(turn.rows))  # type: ignore[misc]

    def _take(self) -> Turn | None:
        """The next call's flights, from as many turns as fit; None where the oldest turn's deadline has passed."""
        turn, size = self._backlog.popleft(), self.pace.batch
        if self._loop.time() - turn.opened_s > self._deadline_s:
            self._queued -= len(turn.rows)
            self._metrics.expired(len(turn.rows))
            late = Overloaded("The flight's turn did not come in time; try again shortly.")
            for future in turn.futures:
                if not future.done():
                    future.set_exception(late)
            return None
        if len(turn.rows) > size:
            first = turn.split(size)
            self._backlog.appendleft(turn)
            return first
        while self._backlog and len(turn.rows) + len(self._backlog[0].rows) <= size:
            more = self._backlog.popleft()
            turn.rows += more.rows
            turn.futures += more.futures
            turn.lane += more.lane
        return turn

    def _timed(self, rows: list[Row]) -> tuple[list[int], float]:
        begun = self._loop.time()
        return self._model.predict(rows), self._loop.time() - begun

    def _finished(self, call: "asyncio.Future[tuple[list[int], float]]", turn: Turn) -> None:
        self._running = False
        if call.cancelled():
            return
        self._settle(turn, call.result)
        self._work()

    def _settle(self, turn: Turn, outcome: Callable[[], tuple[list[int], float]]) -> None:
        """Hand the answers out, count the batch, and learn from how long it took."""
        self._queued -= len(turn.rows)
        try:
            answers, seconds = outcome()
        except Exception as error:
            for future in turn.futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, answer in zip(turn.futures, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        self._metrics.batch(len(turn.rows))
        if turn.lane:
            self._metrics.answered(200, turn.lane, self._loop.time() - turn.opened_s)
        self.pace.saw(len(turn.rows), seconds)
