"""How an illness is planted: a function that builds the handler of `GET /work`, known by its name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

Handler = Callable[..., Any]
startup: list[Callable[[], Awaitable[None]]] = []  # what runs beside the requests from the start
background: set[asyncio.Task[None]] = set()
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
