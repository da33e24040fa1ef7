"""An asyncio HTTP client for measuring: keeps connections open, sends at a rate or as fast as answered, and knows
for every request what became of it. One core of Python sends some thousands of requests per second."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """One request: `status` is None if the connection failed; `sent` tells whether all its bytes were handed over."""

    request_id: str
    due_s: float
    done_s: float = 0.0
    status: int | None = None
    sent: bool = False

    @property
    def latency_s(self) -> float:
        """From the moment it was due, as users wait."""
        return self.done_s - self.due_s


class _Answers(asyncio.Protocol):
    """Reads responses that have a content-length; one at a time, as one request is sent at a time."""

    def __init__(self) -> None:
        self.waiting: asyncio.Future[bytes] | None = None
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, gap, body = self._data.partition(b"\r\n\r\n")
        if not gap or len(body) < int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self._data = b""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionResetError("closed by the server"))


@dataclass
class Connection:
    """One keep-alive connection, opened again when it breaks."""

    port: int
    path: str
    transport: asyncio.Transport | None = None
    answers: _Answers | None = None

    async def open(self) -> None:
        """Connect; raises `OSError`."""
        loop = asyncio.get_running_loop()
        self.transport, self.answers = await loop.create_connection(_Answers, "127.0.0.1", self.port)

    async def ask(self, body: bytes, outcome: Outcome) -> None:
        """Send one request and note in `outcome` what became of it; never raises for a broken connection."""
        try:
            if self.transport is None or self.transport.is_closing():
                await self.open()
            assert self.transport is not None
            assert self.answers is not None
            self.answers.waiting = asyncio.get_running_loop().create_future()
            self.transport.write(
                b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: %b\r\n"
                b"Content-Length: %d\r\n\r\n%b"
                % (self.path.encode(), outcome.request_id.encode(), len(body), body)
            )
            outcome.sent = True
            head = await self.answers.waiting
            outcome.status = int(head[9:12])
            if b"connection: close" in head:
                self.close()
        except OSError:
            self.close()
        outcome.done_s = time.perf_counter()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
        self.transport = self.answers = None


@dataclass
class Schedule:
    """Requests due at a constant rate from `begun_s` on, for whichever connection is free."""

    rate_per_s: float
    seconds: float
    begun_s: float
    outcomes: list[Outcome] = field(default_factory=list)

    def next(self) -> Outcome | None:
        number = len(self.outcomes)
        due_s = self.begun_s + number / self.rate_per_s
        if due_s > self.begun_s + self.seconds:
            return None
        self.outcomes.append(Outcome(f"r{number}", due_s))
        return self.outcomes[-1]


async def offer(
    port: int, bodies: list[bytes], rate_per_s: float, seconds: float, connections: int
) -> list[Outcome]:
    """Offer `rate_per_s` for `seconds` over `connections`; what is due while all are busy is sent late, and its
    latency counts from when it was due."""
    pool = [Connection(port, "/v1/prediction") for _ in range(connections)]
    for connection in pool:
        await connection.open()
    schedule = Schedule(rate_per_s, seconds, time.perf_counter() + 0.1)

    async def work(connection: Connection) -> None:
        while (outcome := schedule.next()) is not None:
            wait_s = outcome.due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await connection.ask(bodies[len(schedule.outcomes) % len(bodies)], outcome)
            if outcome.status is None:
                await asyncio.sleep(0.01)
        connection.close()

    await asyncio.gather(*(work(connection) for connection in pool))
    return schedule.outcomes


async def press(port: int, bodies: list[bytes], stop: asyncio.Event, connections: int) -> list[Outcome]:
    """Each of `connections` asks again as soon as it is answered, until `stop`."""
    outcomes: list[Outcome] = []

    async def work() -> None:
        connection = Connection(port, "/v1/prediction")
        while not stop.is_set():
            outcome = Outcome(f"r{len(outcomes)}", time.perf_counter())
            outcomes.append(outcome)
            await connection.ask(bodies[len(outcomes) % len(bodies)], outcome)
            if outcome.status is None:
                await asyncio.sleep(0.01)
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return outcomes
