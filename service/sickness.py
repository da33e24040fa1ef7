"""Makes the service ill on purpose, for teaching and tests: `SICK=threadpool make serve`. Loaded only when SICK is set.

Each illness is planted in front of `POST /v1/prediction`; other paths stay healthy. `docs/illnesses/` shows for each
what the plain numbers suggest, and how `headwind diagnose` proves what is really wrong.
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.artifact import ARTIFACT
from service.fast_lane import PATH
from service.settings import SettingsError

# Runs before each prediction; True: the request was answered here and goes no further.
Before = Callable[[Scope, Receive, Send], Awaitable[bool]]
_tasks: set[asyncio.Task[None]] = set()


def _steps(work: Callable[[], None]) -> Before:
    """An illness that does `work` on one of AnyIO's threads, as a `def` handler in FastAPI would."""

    async def before(_scope: Scope, _receive: Receive, _send: Send) -> bool:
        from anyio.to_thread import run_sync

        await run_sync(work)
        return False

    return before


def _inline(work: Callable[[], Awaitable[None] | None]) -> Before:
    """An illness that does `work` on the event loop."""

    async def before(_scope: Scope, _receive: Receive, _send: Send) -> bool:
        waiting = work()
        if waiting is not None:
            await waiting
        return False

    return before


def threadpool() -> Before:
    """40 threads that each wait 100 ms: 400 a second, whatever the load."""
    return _steps(lambda: time.sleep(0.1))


def blocking() -> Before:
    """A sleep of 10 ms on the event loop: nobody else is served meanwhile."""
    return _inline(lambda: time.sleep(0.01))


def lock() -> Before:
    """One lock around 5 ms: 200 a second, with 40 threads and two idle cores."""
    guard = threading.Lock()

    def work() -> None:
        with guard:
            time.sleep(0.005)

    return _steps(work)


def pool() -> Before:
    """Ten connections for all requests, each held for 50 ms."""
    permits = asyncio.Semaphore(10)

    async def work() -> None:
        async with permits:
            await asyncio.sleep(0.05)

    return _inline(work)


def delay() -> Before:
    """200 ms of waiting without any limit."""
    return _inline(lambda: asyncio.sleep(0.2))


def reload() -> Before:
    """The model's file is read and hashed in every request."""
    import hashlib

    def work() -> None:
        for _ in range(3):
            hashlib.sha256(Path(ARTIFACT).read_bytes()).digest()

    return _inline(work)


def cpu() -> Before:
    """3 ms of computing in Python."""

    def work() -> None:
        end = time.thread_time() + 0.003
        while time.thread_time() < end:
            sum(range(100))

    return _inline(work)


def batch() -> Before:
    """Every request waits for the next full 50 ms, with all others."""

    async def work() -> None:
        await asyncio.sleep(0.05 - time.monotonic() % 0.05)

    return _inline(work)


def collect() -> Before:
    """Half a million objects and a full collection every 300 requests."""
    gc.disable()  # or building the heap would itself be full of collections
    heap = [{"number": number, "text": [str(number)]} for number in range(500_000)]
    gc.enable()
    count = 0

    def work() -> None:
        nonlocal count
        count += 1
        if count % 300 == 0:
            gc.unfreeze()
            gc.collect()
        assert heap

    return _inline(work)


def pause() -> Before:
    """A refresh of 300 ms on the event loop every 1.5 s."""

    async def refresh() -> None:
        while True:
            await asyncio.sleep(1.2)
            time.sleep(0.3)

    async def before(_scope: Scope, _receive: Receive, _send: Send) -> bool:
        if not _tasks:
            _tasks.add(asyncio.create_task(refresh()))
        return False

    return before


def leak() -> Before:
    """20 kB kept for ever of every request."""
    kept: list[bytes] = []
    return _inline(lambda: kept.append(os.urandom(20_000)))


def log() -> Before:
    """Every request waits until its line is on the disk, 5 ms each."""
    file = open(os.devnull, "wb")  # noqa: SIM115, PTH123 (kept open as a log is)
    read_end, write_end = os.pipe()
    guard = threading.Lock()

    def drain() -> None:
        while True:
            file.write(os.read(read_end, 4096))
            time.sleep(0.01)

    threading.Thread(target=drain, daemon=True).start()

    def work() -> None:
        with guard:
            os.write(write_end, b"one more request" * 150 + b"\n")

    return _steps(work)


def rate() -> Before:
    """More than 100 a second are answered 429."""
    allowed, at = 100.0, time.monotonic()

    async def before(scope: Scope, receive: Receive, send: Send) -> bool:
        nonlocal allowed, at
        now = time.monotonic()
        allowed, at = min(100.0, allowed + 100 * (now - at)), now
        if allowed < 1:
            refusal = JSONResponse({"detail": "too many requests"}, 429, {"retry-after": "1"})
            await refusal(scope, receive, send)
            return True
        allowed -= 1
        return False

    return before


def drift() -> Before:
    """A list that every request searches, and makes longer."""
    seen: list[float] = []

    def work() -> None:
        if time.monotonic() not in seen:
            seen.extend([time.monotonic()] * 5)

    return _inline(work)


def cold() -> Before:
    """The first request of each worker takes 1.5 s."""
    warm = False

    def work() -> None:
        nonlocal warm
        if not warm:
            time.sleep(1.5)
            warm = True

    return _inline(work)


def kinds() -> Before:
    """Every tenth request takes 300 ms, the others 5."""
    count = 0

    async def work() -> None:
        nonlocal count
        count += 1
        await asyncio.sleep(0.005 if count % 10 else 0.3)

    return _inline(work)


ILLNESSES: dict[str, Callable[[], Before]] = {
    build.__name__: build
    for build in (
        *(threadpool, blocking, lock, pool, delay, reload, cpu, batch),
        *(collect, pause, leak, log, rate, drift, cold, kinds),
    )
}


def check(name: str) -> None:
    """Raises SettingsError for a name that is no illness."""
    if name not in ILLNESSES:
        raise SettingsError(f"SICK={name} is no illness; there are {', '.join(ILLNESSES)}.")


def infect(app: ASGIApp, name: str) -> ASGIApp:
    """`app` with one illness; raises SettingsError for a name that is none."""
    check(name)
    before = ILLNESSES[name]()

    async def ill(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and await before(scope, receive, send):
            return
        await app(scope, receive, send)

    return ill
