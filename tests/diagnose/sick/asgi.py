"""An ASGI service with one illness, chosen by SICK=name: `uvicorn tests.diagnose.sick.asgi:app`.

Every illness is planted in `GET /work`; nothing here is known to the diagnosis.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

SICK = os.environ.get("SICK", "healthy_async")
Handler = Callable[..., Any]
startup: list[Callable[[], Awaitable[None]]] = []
background: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    for begin in startup:
        background.add(asyncio.create_task(begin()))  # type: ignore[arg-type]
    yield
    for task in background:
        task.cancel()


app = FastAPI(lifespan=lifespan)
illnesses: dict[str, Callable[[], Handler]] = {}


def illness(build: Callable[[], Handler]) -> Callable[[], Handler]:
    illnesses[build.__name__] = build
    return build


def burn(seconds: float) -> float:
    """Use `seconds` of this thread's CPU, in pure Python."""
    end = time.thread_time() + seconds
    value = 0.0
    while time.thread_time() < end:
        for i in range(200):
            value += i * i % 7
    return value


@illness
def healthy_async() -> Handler:
    async def work() -> dict[str, bool]:
        return {"ok": True}

    return work


@illness
def healthy_sync() -> Handler:
    def work() -> dict[str, bool]:
        return {"ok": True}

    return work


@illness
def cpu() -> Handler:
    async def work() -> dict[str, float]:
        return {"value": burn(0.003)}

    return work


@illness
def cpu_sync() -> Handler:
    def work() -> dict[str, float]:
        return {"value": burn(0.003)}

    return work


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
def repeated_file() -> Handler:
    handle, path = tempfile.mkstemp(suffix=".json")
    with os.fdopen(handle, "w") as file:
        json.dump({f"name{i}": list(range(8)) for i in range(3000)}, file)

    def work() -> dict[str, int]:
        with Path(path).open() as file:
            model = json.load(file)
        return {"size": len(model)}

    return work


@illness
def repeated_compile() -> Handler:
    words = [f"(?:alpha{i}|beta{i}+)" for i in range(40)]

    async def work() -> dict[str, bool]:
        re.purge()
        return {"found": re.compile("|".join(words)).search("zeta") is not None}

    return work


@illness
def oversubscription() -> Handler:
    import numpy as np

    left = np.random.default_rng(1).random((400, 400))

    def work() -> dict[str, float]:
        return {"value": float((left @ left)[0, 0])}

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
def gc_heap() -> Handler:
    """A cache whose entries live long and are replaced all the time, so that the whole heap is looked through often."""

    class Entry:
        def __init__(self, number: int) -> None:
            self.values = [number]
            self.more = {"number": number}

    cache = {number: Entry(number) for number in range(300_000)}
    at = 0

    async def work() -> dict[str, int]:
        nonlocal at
        for _ in range(500):
            cache[at % 300_000] = Entry(at)
            at += 1
        return {"size": len(cache)}

    return work


@illness
def gc_collect() -> Handler:
    heap = [{"i": i, "l": [i]} for i in range(400_000)]
    count = 0

    async def work() -> dict[str, int]:
        nonlocal count
        count += 1
        if count % 300 == 0:
            gc.collect()
        return {"size": len(heap)}

    return work


@illness
def periodic() -> Handler:
    async def job() -> None:
        while True:
            await asyncio.sleep(1.2)
            time.sleep(0.3)

    startup.append(job)
    return healthy_async()


@illness
def periodic_cpu() -> Handler:
    async def job() -> None:
        while True:
            await asyncio.sleep(1.2)
            burn(0.3)

    startup.append(job)
    return healthy_async()


@illness
def leak() -> Handler:
    kept: list[bytes] = []

    async def work() -> dict[str, int]:
        kept.append(os.urandom(20_000))
        return {"kept": len(kept)}

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
def errors() -> Handler:
    count = 0

    async def work(response: Response) -> dict[str, bool]:
        nonlocal count
        count += 1
        if count % 4 == 0:
            response.status_code = 500
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


@illness
def two_kinds() -> Handler:
    count = 0

    async def work() -> dict[str, bool]:
        nonlocal count
        count += 1
        await asyncio.sleep(0.3 if count % 10 == 0 else 0.005)
        return {"ok": True}

    return work


@illness
def drift() -> Handler:
    count = 0

    async def work() -> dict[str, bool]:
        nonlocal count
        count += 1
        burn(0.0002 + count * 2e-7)
        return {"ok": True}

    return work


@illness
def cold() -> Handler:
    loaded = False

    async def work() -> dict[str, bool]:
        nonlocal loaded
        if not loaded:
            burn(1.5)
            loaded = True
        return {"ok": True}

    return work


@illness
def restarts() -> Handler:
    count = 0

    async def work(request: Request) -> dict[str, bool]:
        nonlocal count
        count += 1
        if count > 800:
            os._exit(1)
        return {"ok": True}

    return work


@illness
def two_at_once() -> Handler:
    """A thread pool and a leak."""
    kept: list[bytes] = []

    def work() -> dict[str, bool]:
        kept.append(os.urandom(50_000))
        time.sleep(0.05)
        return {"ok": True}

    return work


app.get("/work")(illnesses[SICK]())
