"""A server that stands for a whole experiment: started once, warmed up by the first load, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from headwind.errors import MissingError
from headwind.stress import privacy, target
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan

_IDLE_PATIENCE_S = 10.0
_LAST_BREATH_S = 0.3


@contextlib.contextmanager
def standing(plan: Plan, into: Path, interrupt: Interrupt) -> Iterator[Plan]:
    """The plan of loads on the server that runs inside the block; started here where the plan has a command.

    Raises UsageError where the port is taken or a header names an unset variable, MissingError where the server never
    becomes ready, or where a load inside the block failed because it died.
    """
    if plan.command is None:
        yield plan
        return
    named = None if "{port}" in plan.url else urllib.parse.urlsplit(plan.url).port
    port = plan.port or named or target.free_port()
    target.refuse_taken(port)
    url = plan.url.replace("{port}", str(port))
    command = plan.command.replace("{port}", str(port)).replace("{workers}", str(plan.workers))
    urls = [url, *(traffic.path or "" for traffic in plan.traffic)]
    secrets = set().union(*(privacy.secrets_of(one, plan.headers, os.environ) for one in urls))
    server = target.Server(command, into / "server.log", workers=plan.workers, environment=plan.environment)
    try:
        target.wait_ready(url, interrupt, patience_s=plan.ready_timeout_s, ready=plan.ready, server=server)
        yield replace(plan, url=url, command=None, port=None)
    except MissingError:
        # What failed was a load; why it did may be that the server is gone, or just going.
        interrupt.wait(_LAST_BREATH_S)
        if death := server.died():
            said = privacy.mask(death, secrets)
            raise MissingError(f"{said}; all its output is in {server.log}.") from None
        raise
    finally:
        server.stop()
        # A server may print what it was sent.
        privacy.mask_file(server.log, secrets)


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
