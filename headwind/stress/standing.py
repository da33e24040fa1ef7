"""A server that stands for a whole experiment: started once, warmed up by the first load, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from headwind.errors import MissingError
from headwind.stress import privacy, target
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan

_IDLE_PATIENCE_S = 10.0
LAST_BREATH_S = 0.3  # between the moment a server stops answering and its end as a process


@dataclass(frozen=True, slots=True)
class Stood:
    """A server that stands: the plan of loads on it, and the process where it was started here."""

    plan: Plan
    server: target.Server | None = None
    secrets: frozenset[str] = frozenset()

    def died(self) -> str | None:
        """A clause saying how the server that was started here ended, with its last words; None while it runs."""
        death = self.server.died() if self.server else None
        return privacy.mask(death, self.secrets) if death else None


@contextlib.contextmanager
def standing(plan: Plan, into: Path, interrupt: Interrupt) -> Iterator[Stood]:
    """The server that runs inside the block, with the plan of loads on it; started here where the plan has a command.

    Raises UsageError where the port is taken or a header names an unset variable, MissingError where the server never
    becomes ready, or where a load inside the block failed because it died.
    """
    if plan.command is None:
        yield Stood(plan)
        return
    named = None if "{port}" in plan.url else urllib.parse.urlsplit(plan.url).port
    port = plan.port or named or target.free_port()
    target.refuse_taken(port)
    url = plan.url.replace("{port}", str(port))
    command = plan.command.replace("{port}", str(port)).replace("{workers}", str(plan.workers))
    urls = [url, *(traffic.path or "" for traffic in plan.traffic)]
    secrets: frozenset[str] = frozenset().union(
        *(privacy.secrets_of(one, plan.headers, os.environ) for one in urls)
    )
    server = target.Server(command, into / "server.log", workers=plan.workers, environment=plan.environment)
    stood = Stood(replace(plan, url=url, command=None, port=None), server, secrets)
    try:
        target.wait_ready(url, interrupt, patience_s=plan.ready_timeout_s, ready=plan.ready, server=server)
        yield stood
    except MissingError:
        # What failed was a load; why it did may be that the server is gone, or just going.
        interrupt.wait(LAST_BREATH_S)
        if death := stood.died():
            raise MissingError(f"{death}; all its output is in {server.log}.") from None
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
