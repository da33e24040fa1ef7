"""Is what listens at the port only a proxy? Then the processes behind it are the server that is diagnosed.

A reverse proxy passes on what it does not know, so a path that no route has makes the processes behind it work. An API
that asks another server for its answers does not ask it about a 404.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headwind.stress import proc
from headwind.stress.server import Server, ports_of

LEAST_CPU_S = 0.03  # of the processes behind, while 404s were asked for; some ticks of 10 ms


def cpu_of(upstream: Mapping[int, set[int]]) -> dict[int, float]:
    """port -> CPU seconds so far of the processes that listen there, and of their descendants."""
    found = {}
    for port, owners in upstream.items():
        rows = [proc.stat(f"/proc/{pid}") for pid in proc.tree(set(owners))]
        found[port] = sum(row.cpu_s for row in rows if row is not None)
    return found


def passed_on(before: Mapping[int, float], after: Mapping[int, float], seconds: float) -> set[int]:
    """The ports whose processes worked while nothing but 404s was asked for: at least 3 % of a core."""
    return {
        port
        for port, used in after.items()
        if used - before.get(port, used) >= max(LEAST_CPU_S, 0.03 * seconds)
    }


def follow(server: Server, upstream: Mapping[int, set[int]], ports: set[int]) -> None:
    """Make the processes at `ports` the workers of `server`, beside the proxy itself.

    Their siblings, which run the same command at other ports, belong to them even if the proxy gives them nothing.
    """
    owners = set().union(*(upstream[port] for port in ports))
    commands = {_command(pid) for pid in owners}
    alike = {pid for pid in server.refresh() if _command(pid) in commands}
    server.behind = ports | {port for pid in alike for port in ports_of(pid)} - {server.port}
    server.roots |= owners
    server.refresh()


def _command(pid: int) -> str:
    """The command line without its numbers, such as ports."""
    return re.sub(r"\d+", "#", proc.read_text(f"/proc/{pid}/cmdline") or "")
