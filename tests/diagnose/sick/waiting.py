"""Illnesses whose requests wait: for each other, for something else, or for ever."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi import Response

from tests.diagnose.sick.planting import Handler, background, burn, illness


@illness
def delay() -> Handler:
    async def work() -> dict[str, bool]:
        await asyncio.sleep(0.2)
        return {"ok": True}

    return work


@illness
def threadpool() -> Handler:
    def work() -> dict[str, bool]:
        time.sleep(0.1)
        return {"ok": True}

    return work


@illness
def executor() -> Handler:
    pool = ThreadPoolExecutor(6)

    async def work() -> dict[str, bool]:
        await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.02)
        return {"ok": True}

    return work


@illness
def pool_async() -> Handler:
    permits = asyncio.Semaphore(10)

    async def work() -> dict[str, bool]:
        async with permits:
            await asyncio.sleep(0.05)
        return {"ok": True}

    return work


@illness
def pool_threads() -> Handler:
    permits = threading.Semaphore(10)

    def work() -> dict[str, bool]:
        with permits:
            time.sleep(0.05)
        return {"ok": True}

    return work


@illness
def pool_40() -> Handler:
    permits = asyncio.Semaphore(40)

    async def work() -> dict[str, bool]:
        async with permits:
            await asyncio.sleep(0.1)
        return {"ok": True}

    return work


@illness
def blocking() -> Handler:
    async def work() -> dict[str, bool]:
        time.sleep(0.01)
        return {"ok": True}

    return work


@illness
def lock_async() -> Handler:
    lock = asyncio.Lock()

    async def work() -> dict[str, bool]:
        async with lock:
            await asyncio.sleep(0.01)
        return {"ok": True}

    return work


@illness
def lock_threads() -> Handler:
    lock = threading.Lock()

    def work() -> dict[str, bool]:
        with lock:
            time.sleep(0.01)
        return {"ok": True}

    return work


@illness
def file_lock() -> Handler:
    import fcntl

    path = os.environ.get("SICK_FILE", f"{tempfile.gettempdir()}/sick.lock")

    def work() -> dict[str, bool]:
        with Path(path).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            time.sleep(0.01)
        return {"ok": True}

    return work


class Downstream:
    """Kept connections to the downstream, as an HTTP client library keeps them."""

    def __init__(self) -> None:
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self) -> bytes:
        if self.free:
            reader, writer = self.free.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["DOWNSTREAM"]))
        writer.write(b"GET / HTTP/1.1\r\nHost: downstream\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", head.lower())
        data = await reader.readexactly(int(size[1])) if size else b""
        self.free.append((reader, writer))
        return data


@illness
def downstream() -> Handler:
    """The downstream's own limit (set when it is started) decides."""
    client = Downstream()

    async def work() -> dict[str, int]:
        return {"size": len(await client.call())}

    return work


@illness
def downstream_pool() -> Handler:
    client, permits = Downstream(), asyncio.Semaphore(20)

    async def work() -> dict[str, int]:
        async with permits:
            return {"size": len(await client.call())}

    return work


@illness
def downstream_sync() -> Handler:
    import http.client

    local = threading.local()

    def work() -> dict[str, int]:
        if not hasattr(local, "client"):
            local.client = http.client.HTTPConnection("127.0.0.1", int(os.environ["DOWNSTREAM"]))
        local.client.request("GET", "/")
        return {"size": len(local.client.getresponse().read())}

    return work


@illness
def batch() -> Handler:
    waiting: list[asyncio.Future[int]] = []

    async def flush() -> None:
        await asyncio.sleep(0.05)
        batch = waiting[:]
        waiting.clear()
        burn(0.001 + 0.00001 * len(batch))
        for future in batch:
            if not future.done():
                future.set_result(len(batch))

    async def work() -> dict[str, int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiting.append(future)
        if len(waiting) == 1:
            task = asyncio.create_task(flush())
            background.add(task)
        return {"size": await future}

    return work


@illness
def log_pipe() -> Handler:
    read_end, write_end = os.pipe()

    def drain() -> None:
        while True:
            os.read(read_end, 4096)
            time.sleep(0.005)

    threading.Thread(target=drain, daemon=True).start()

    def work() -> dict[str, bool]:
        os.write(write_end, b"x" * 2000 + b"\n")
        return {"ok": True}

    return work


@illness
def log_fsync() -> Handler:
    import logging

    class Flushing(logging.FileHandler):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            assert self.stream is not None
            os.fsync(self.stream.fileno())
            time.sleep(0.004)  # a slow disk

    log = logging.getLogger("sick")
    log.addHandler(Flushing(tempfile.mkstemp(suffix=".log")[1]))
    log.setLevel("INFO")

    def work() -> dict[str, bool]:
        log.info("one more request")
        return {"ok": True}

    return work


@illness
def rate_429() -> Handler:
    tokens, last = 100.0, time.monotonic()

    async def work(response: Response) -> dict[str, bool]:
        nonlocal tokens, last
        now = time.monotonic()
        tokens, last = min(100.0, tokens + (now - last) * 100), now
        if tokens < 1:
            response.status_code = 429
            response.headers["Retry-After"] = "1"
            return {"ok": False}
        tokens -= 1
        return {"ok": True}

    return work


@illness
def rate_delay() -> Handler:
    due = time.monotonic()

    async def work() -> dict[str, bool]:
        nonlocal due
        due = max(due + 0.01, time.monotonic() - 0.2)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        return {"ok": True}

    return work


@illness
def hang() -> Handler:
    async def work() -> dict[str, bool]:
        await asyncio.sleep(3600)
        return {"ok": True}

    return work


@illness
def close() -> Handler:
    async def work(response: Response) -> dict[str, bool]:
        response.headers["Connection"] = "close"
        return {"ok": True}

    return work
