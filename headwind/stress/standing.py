"""A server that stands for a whole experiment: started once, warmed up by the first load, stopped at the end."""

from __future__ import annotations

import contextlib
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from headwind.stress import target
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan

_IDLE_PATIENCE_S = 10.0


@contextlib.contextmanager
def standing(plan: Plan, into: Path, interrupt: Interrupt) -> Iterator[Plan]:
    """The plan of loads on the server that runs inside the block; started here where the plan has a command.

    Raises UsageError where the port is taken, MissingError where the server never becomes ready.
    """
    if plan.command is None:
        yield plan
        return
    named = None if "{port}" in plan.url else urllib.parse.urlsplit(plan.url).port
    port = plan.port or named or target.free_port()
    target.refuse_taken(port)
    url = plan.url.replace("{port}", str(port))
    command = plan.command.replace("{port}", str(port)).replace("{workers}", str(plan.workers))
    server = target.Server(command, into / "server.log", workers=plan.workers, environment=plan.environment)
    try:
        target.wait_ready(url, interrupt, patience_s=plan.ready_timeout_s, ready=plan.ready, server=server)
        yield replace(plan, url=url, command=None, port=None)
    finally:
        server.stop()


def drain(url: str, path: str, usual_s: float, interrupt: Interrupt) -> None:
    """Wait until one request alone is answered about as fast as on an idle server: what an overload left is gone."""
    end = time.monotonic() + _IDLE_PATIENCE_S
    while time.monotonic() < end and not interrupt.requested:
        began = time.monotonic()
        with contextlib.suppress(TimeoutError, ConnectionError):
            target.ask(url, _IDLE_PATIENCE_S, path)
            if time.monotonic() - began < max(0.05, 3 * usual_s):
                return
        interrupt.wait(0.05)
