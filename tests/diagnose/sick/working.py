"""Servers that compute, well or ill, and those that change while they run."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import tempfile
import time
from pathlib import Path

from fastapi import Request, Response

from tests.diagnose.sick.planting import Handler, burn, illness, startup


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
