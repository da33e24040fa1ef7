"""A WSGI service with one illness: `SICK=name gunicorn tests.diagnose.sick.wsgi:app`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

SICK = os.environ.get("SICK", "healthy")
kept: list[bytes] = []


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(i * i for i in range(200))


def app(environ: dict[str, object], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/work":
        start("404 Not Found", [("Content-Length", "0")])
        return []
    if SICK == "wait":
        time.sleep(0.05)
    elif SICK == "cpu":
        burn(0.003)
    elif SICK == "leak":
        kept.append(os.urandom(30_000))
    elif SICK == "imbalance":
        pass
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", "12")])
    return [b'{"ok": true}']
