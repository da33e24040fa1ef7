"""Queue mode where the connections to Redis go dead without being closed, as a cut network leaves them."""

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.running import free_port, serving
from tests.service.test_queue import Redis, Start, eventually, model_worker, redis

__all__ = ["model_worker", "redis"]

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


class Cable:
    """A TCP proxy in a thread; `cut` leaves the connections that are there open and carries nothing over them."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._target_port = target_port
        self._alive: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        listener = self._loop.run_until_complete(asyncio.start_server(self._join, "127.0.0.1", self.port))
        self._loop.run_forever()
        listener.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers += [writer, other_writer]
        self._alive += [
            asyncio.create_task(self._carry(reader, other_writer)),
            asyncio.create_task(self._carry(other_reader, writer)),
        ]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._alive])

    @contextlib.contextmanager
    def laid(self) -> Iterator["Cable"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def test_connections_that_went_dead_unnoticed_are_replaced(
    tmp_path: Path, redis: Redis, model_worker: Start
) -> None:
    model_worker()
    with Cable(redis.port).laid() as cable:
        settings = {"REDIS_URL": f"redis://127.0.0.1:{cable.port}/0", "DEADLINE_MS": "1000"}
        with serving(tmp_path, SERVING="queue", **settings) as server:
            assert server.predict()[0] == 200
            cable.cut()
            eventually(server, 503)
            eventually(server, 200)
            assert [server.predict()[0] for _ in range(10)] == [200] * 10
            assert "SERVING=queue: The queue is away" in server.log.read_text()
