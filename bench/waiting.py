"""Connections that wait while a load runs, as the kernel counts bytes on the load generator's own sockets.

wrk counts a request that is never answered nowhere, so a connection that waits for the whole run leaves no trace in
what it prints. The kernel knows for each socket how much came in, and how long ago.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.servers import Load

LATE_S = 2.0
BEFORE_END_S = 0.5
"""How long before the end of a load its connections are looked at: afterwards they are closed."""

_RECEIVED = re.compile(r"\bbytes_received:(\d+)")
_SILENCE_MS = re.compile(r"\blastrcv:(\d+)")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of a load's connections: `silent` received nothing for over `LATE_S`, those `never_answered` included, which
    received nothing at all, or were never established."""

    connections: int
    silent: int
    never_answered: int


def read(printed: str, connections: int) -> Waiting:
    """What `ss -tiHO` printed of the established sockets of a load of so many `connections`."""
    sockets = printed.splitlines()
    missing = max(0, connections - len(sockets))
    nothing = [line for line in sockets if _RECEIVED.search(line) is None]
    late = [line for line in sockets if _silence_s(line) > LATE_S]
    return Waiting(len(sockets), len({*late, *nothing}) + missing, len(nothing) + missing)


def _silence_s(socket: str) -> float:
    found = _SILENCE_MS.search(socket)
    return int(found[1]) / 1000 if found else 0.0


def look(port: int, connections: int) -> Waiting:
    """The sockets that are connected to `port` now; raises `RuntimeError` where `ss` is missing or fails."""
    command = ["ss", "-tinHO", "state", "established", f"dport = :{port}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"ss cannot list the connections ({error}): install iproute2.") from None
    return read(done.stdout, connections)


def at_the_end(load: Callable[[], Load], port: int, connections: int, seconds: float) -> tuple[Load, Waiting]:
    """Run `load`, which takes `seconds`, and look at its connections shortly before it ends."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load)
        time.sleep(seconds - BEFORE_END_S)
        waiting = look(port, connections)
        return running.result(), waiting
