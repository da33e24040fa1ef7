"""Prediction by model workers behind Redis: `SERVING=queue`.

Batches go into a stream that the workers share; each answer comes back on this process's own channel. A batch that a
killed worker had taken is taken over by another one; what nobody answers within the deadline is given up with 503.
While Redis or the workers are away everything is refused at once, and a ping twice a second notices their return.
"""

import asyncio
import contextlib
import logging
import signal
import struct
import uuid

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service import wire
from service.batching import Pace
from service.gathering import Gatherer, Overloaded, Turn
from service.metrics import Metrics
from service.settings import Settings

START_S = 1.0
"""How long a start waits for Redis and a model worker before it goes on without them."""
PING_S = 0.5
SILENCE_S = 2.0
"""Nothing heard for so long, not even this process's own ping: the connection that answers come on is dead. Who only
reads from one is never told."""
SWEEP_S = 0.02
_AWAY = (RedisError, OSError, asyncio.TimeoutError)
_log = logging.getLogger("uvicorn.error")
"""The server's own log, as gunicorn and uvicorn set it up."""


class QueuePredictor(Gatherer):
    """Hands batches to model workers that serve the model `model_id`."""

    def __init__(self, model_id: str, settings: Settings, metrics: Metrics) -> None:
        super().__init__(settings, metrics)
        self._asker = uuid.uuid4().hex
        self._stream, self._alive = wire.work_stream(model_id), wire.alive_key(model_id)
        self._max_queue = settings.max_queue
        # Rows are the unanswered flights before an answer, seconds its time: what a flight waits for each before it.
        self._pace = Pace(settings.max_batch, settings.max_queue, self._max_wait_s)
        self._sent = 0
        self._reached = asyncio.Event()
        self._redis = redis.asyncio.Redis.from_url(
            settings.redis_url,
            socket_timeout=self._deadline_s,
            socket_connect_timeout=self._deadline_s,
            # Trying again here would only make requests wait: they are refused, and the ping notices the return.
            retry=Retry(NoBackoff(), 0),
        )
        self._outbox: list[Turn] = []
        self._pending: dict[int, Turn] = {}
        self._number = 0
        self._wake = asyncio.Event()
        self._missing: str | None = "The queue is not connected yet."
        self._listening = self._worker_lives = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await super().start()
        self._tasks = [
            asyncio.create_task(work)
            for work in (self._keep_connected(), self._send(), self._receive(), self._sweep())
        ]
        for task in self._tasks:
            task.add_done_callback(_ended)
        # A reload would else refuse for a moment what the worker before had served.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._reached.wait(), START_S)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(*_AWAY):
            await self._redis.aclose()

    def ready(self) -> str | None:
        return self._missing

    def refuse_over_capacity(self, rows: int) -> None:
        if self._missing:
            raise Overloaded(self._missing)
        most = min(self._max_queue, self._pace.queue)
        if self._queued and (self._queued + rows > most or self._oldest_wait_s() > self._max_wait_s):
            raise Overloaded("The model workers are at capacity; try again shortly.")

    def _oldest_wait_s(self) -> float:
        """How long the oldest unanswered batch has waited: what a flight accepted now would wait at least."""
        oldest = next(iter(self._pending.values()), None) or (self._outbox[0] if self._outbox else None)
        return self._loop.time() - oldest.opened_s if oldest else 0.0

    def dispatch(self, turn: Turn) -> None:
        self._outbox.append(turn)
        self._wake.set()

    async def _send(self) -> None:
        """Send what has gathered while the previous round trip was under way, as few entries as possible."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            turns, self._outbox = self._outbox, []
            pipeline = self._redis.pipeline(transaction=False)
            for turn in self._packed(turns):
                self._number += 1
                self._sent += len(turn.rows)
                turn.ahead = self._sent
                self._pending[self._number] = turn
                pipeline.xadd(self._stream, wire.pack_work(self._asker, self._number, turn.rows))
            try:
                await pipeline.execute()
            except _AWAY as error:
                self._lost(error)

    def _packed(self, turns: list[Turn]) -> list[Turn]:
        """The same flights in turns of at most ENTRY_ROWS, small enough to be shared out among workers."""
        packed: list[Turn] = []
        for turn in turns:
            while len(turn.rows) > wire.ENTRY_ROWS:
                packed.append(turn.split(wire.ENTRY_ROWS))
            if packed and len(packed[-1].rows) + len(turn.rows) <= wire.ENTRY_ROWS:
                packed[-1].join(turn)
            else:
                packed.append(turn)
        return packed

    async def _receive(self) -> None:
        """Settle the batches whose answers come in; connect again for as long as it takes."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as answers:
                    await answers.subscribe(wire.channel(self._asker))
                    await self._redis.publish(wire.channel(self._asker), wire.PING)
                    heard_s = self._loop.time()
                    while True:
                        message = await answers.get_message(timeout=PING_S)
                        if message is not None:
                            heard_s = self._loop.time()
                            self._listening = True
                            self._answered(message["data"])
                        elif self._loop.time() - heard_s > SILENCE_S:
                            raise ConnectionError("no ping comes back on the channel of the answers")
            except _AWAY as error:
                self._listening = False
                self._lost(error)
                await asyncio.sleep(PING_S)

    def _answered(self, message: bytes) -> None:
        if message == wire.PING:
            self._assess()
            return
        try:
            number, answers = wire.unpack_answer(message)
        except (ValueError, struct.error):
            return
        # None: it was given up, or a second worker answered a batch that the first had only been slow with.
        turn = self._pending.pop(number, None)
        if turn is None:
            return
        self._sent -= len(turn.rows)
        self._pace.saw(turn.ahead, self._loop.time() - turn.opened_s)
        if len(answers) != len(turn.rows):
            # 500, as where the model fails in this process: to ask again later would not help.
            self.fail(turn, RuntimeError("The model failed in a model worker, whose log says why."))
            return
        self.settle(turn, answers)

    async def _keep_connected(self) -> None:
        """Know whether Redis answers, here and on the channel of the answers, and a model worker lives."""
        while True:
            try:
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.exists(self._alive)
                pipeline.publish(wire.channel(self._asker), wire.PING)
                self._worker_lives = bool((await pipeline.execute())[0])
                self._assess()
            except _AWAY as error:
                self._lost(error)
            await asyncio.sleep(PING_S)

    def _lost(self, error: BaseException) -> None:
        """Redis is away: answers to what was sent may be lost with it, so nobody is kept waiting for them."""
        self._say("The queue is away; try again shortly.", error)
        turns = [*self._pending.values(), *self._outbox]
        self._pending.clear()
        self._sent = 0
        self._outbox.clear()
        for turn in turns:
            self.fail(turn, Overloaded("The queue is away; try again shortly."))

    def _assess(self) -> None:
        """Serve once a worker lives and answers are listened for: an answer that comes before is lost."""
        if not self._worker_lives:
            self._say("No model worker is running; start one.")
        elif self._listening:
            self._say(None)

    def _say(self, missing: str | None, error: BaseException | None = None) -> None:
        """Note what is missing, and log it when that changes."""
        if missing is None:
            self._reached.set()
        if missing != self._missing:
            self._missing = missing
            reason = f" ({error})" if error is not None else ""
            _log.warning("SERVING=queue: %s%s", missing or "Redis and a model worker answer.", reason)

    async def _sweep(self) -> None:
        """Give up what has passed its deadline."""
        while True:
            await asyncio.sleep(SWEEP_S)
            limit_s = self._loop.time() - self._deadline_s
            overdue = [number for number, turn in self._pending.items() if turn.opened_s < limit_s]
            for number in overdue:
                turn = self._pending.pop(number)
                self._sent -= len(turn.rows)
                self.expire(turn)


def _ended(task: "asyncio.Task[None]") -> None:
    """Without one of its tasks this process would refuse everything for good, so it stops, and is replaced."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("SERVING=queue: this worker stops, since it failed unexpectedly.", exc_info=error)
        signal.raise_signal(signal.SIGTERM)
