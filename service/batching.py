"""Prediction in the API's own process, in batches.

A call that is expected to take less than `INLINE_LIMIT_S` runs on the event loop; a longer one runs in a thread, so
that the loop goes on refusing and answering meanwhile. Work over capacity is refused at once.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from service.catalogue import Row
from service.gathering import Gatherer, Overloaded, Turn
from service.metrics import Metrics
from service.settings import Settings

INLINE_LIMIT_S = 0.005
"""Longest model call that may block the event loop: beyond it refusals would come late too."""

LONGEST_CALL_S = 0.05
"""Calls of a slow model are cut to about this, so that a flight never waits long for a call already running."""

SWEEP_S = 0.02
"""How often deadlines are looked at while a call runs in the thread: a longer call than this is late by as much."""

REMEMBERED_CALLS = 3
"""Calls whose fastest is the pace: a call that the machine held up says nothing about the model."""

FIXED_COST_ROWS = 8
"""A call's fixed cost counts as this many rows: one row alone must not look as if fifty cost fifty times as much."""


class Model(Protocol):
    """What batching needs of a model: basis points for rows, blocking."""

    def predict(self, rows: Sequence[Row]) -> list[int]: ...


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
            # A small call is mostly fixed cost, so all it says is between which bounds the pace lies. The upper one
            # matters after calls that the machine held up: a pace so slow allows small calls only.
            self._latest.append(min(max(seconds / FIXED_COST_ROWS, self.row_s), seconds / rows))
        else:
            self._latest.append(seconds / rows)
        self.row_s = max(min(self._latest), 1e-9)
        self.batch = max(1, min(self._max_batch, int(LONGEST_CALL_S / self.row_s)))
        self.queue = max(1, min(self._max_queue, int(self._max_wait_s / self.row_s)))

    def blocks(self, rows: int) -> bool:
        """Whether a call with `rows` rows would block the event loop for too long."""
        return self.row_s * rows > INLINE_LIMIT_S


class Batcher(Gatherer):
    """Runs a model in this process."""

    def __init__(self, model: Model, settings: Settings, metrics: Metrics) -> None:
        super().__init__(settings, metrics)
        self._model = model
        self._backlog: deque[Turn] = deque()
        self._called: Turn | None = None
        self._sweeping = False
        self._running = False
        self._began_s = 0.0
        self._thread: ThreadPoolExecutor | None = None
        self.pace = Pace(settings.max_batch, settings.max_queue, self._max_wait_s)

    async def start(self) -> None:
        """Warm the model up and learn its pace before the first request depends on it."""
        await super().start()
        row: Row = (0, 0, 0, 0, 0, 0, 1)
        self._model.predict([row])
        for rows in (8, 16, 32):
            _, seconds = self._timed([row] * rows)
            self.pace.saw(rows, seconds)

    async def stop(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def refuse_over_capacity(self, rows: int) -> None:
        over = self._queued and self._queued + rows > self.pace.queue
        stuck = self._running and self._loop.time() - self._began_s > self._max_wait_s + LONGEST_CALL_S
        if over or stuck:
            raise Overloaded("All capacity is taken; try again shortly.", max(1, math.ceil(self._max_wait_s)))

    def dispatch(self, turn: Turn) -> None:
        self._backlog.append(turn)
        if not self._running:
            self._work()

    def _work(self) -> None:
        """Predict what waits: here while calls are short, else one call in the thread."""
        while self._backlog:
            turn = self._take()
            if turn is None:
                continue
            if self.pace.blocks(len(turn.rows)):
                self._running, self._called, self._began_s = True, turn, self._loop.time()
                if self._thread is None:
                    self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
                call = self._loop.run_in_executor(self._thread, self._timed, turn.rows)
                call.add_done_callback(lambda call, turn=turn: self._finished(call, turn))  # type: ignore[misc]
                if not self._sweeping:
                    self._sweeping = True
                    self._loop.call_later(SWEEP_S, self._sweep)
                return
            try:
                answers, seconds = self._timed(turn.rows)
            except Exception as error:
                self.fail(turn, error)
            else:
                self._learn(turn, answers, seconds)

    def _take(self) -> Turn | None:
        """The next call's flights, from as many turns as fit; None where the oldest turn's deadline has passed."""
        turn, size = self._backlog.popleft(), self.pace.batch
        if self._loop.time() - turn.opened_s > self._deadline_s:
            self.expire(turn)
            return None
        if len(turn.rows) > size:
            first = turn.split(size)
            self._backlog.appendleft(turn)
            return first
        while self._backlog and len(turn.rows) + len(self._backlog[0].rows) <= size:
            turn.join(self._backlog.popleft())
        return turn

    def _timed(self, rows: list[Row]) -> tuple[list[int], float]:
        begun = self._loop.time()
        return self._model.predict(rows), self._loop.time() - begun

    def _finished(self, call: "asyncio.Future[tuple[list[int], float]]", turn: Turn) -> None:
        """Back on the loop after a call in the thread."""
        self._running = False
        given_up, self._called = self._called is None, None
        if call.cancelled():
            return
        if given_up:
            if call.exception() is None:
                self.pace.saw(len(turn.rows), call.result()[1])
        elif error := call.exception():
            self.fail(turn, error if isinstance(error, Exception) else RuntimeError(repr(error)))
        else:
            self._learn(turn, *call.result())
        self._work()

    def _sweep(self) -> None:
        """While a call runs in the thread: give up what has passed its deadline, waiting or inside the call."""
        self._sweeping = self._running
        if not self._running:
            return
        limit_s = self._loop.time() - self._deadline_s
        if self._called is not None and self._called.opened_s < limit_s:
            self.expire(self._called)
            self._called = None
        while self._backlog and self._backlog[0].opened_s < limit_s:
            self.expire(self._backlog.popleft())
        self._loop.call_later(SWEEP_S, self._sweep)

    def _learn(self, turn: Turn, answers: list[int], seconds: float) -> None:
        self.pace.saw(len(turn.rows), seconds)
        self.settle(turn, answers)
