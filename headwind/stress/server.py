"""The server under diagnosis as the kernel shows it: which processes it has and which of them serve clients."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from headwind.stress import proc
from headwind.stress.sockdiag import listening


@dataclass(slots=True)
class Server:
    """`roots`: the processes that were started, given or found at the port; all their descendants belong to it.
    `behind`: the ports at which the processes behind a proxy serve what it passes on."""

    port: int
    roots: set[int]
    pids: set[int] = field(default_factory=set)
    up: dict[int, int] = field(default_factory=dict)
    behind: set[int] = field(default_factory=set)

    @property
    def ports(self) -> frozenset[int]:
        """Where the processes that do the work take connections."""
        return frozenset(self.behind or {self.port})

    @property
    def netns(self) -> int | str:
        """A pid whose view of the network is the server's; "self" while none is readable."""
        for pid in sorted(self.pids or self.roots):
            if proc.read_text(f"/proc/{pid}/net/snmp"):
                return pid
        return "self"

    def accept_drops(self) -> int:
        """Connections dropped at the server's listening sockets; where these are in another network namespace, the
        overflows of all sockets there."""
        rows = listening(self.port) if _namespace(self.netns) == _namespace("self") else []
        if rows and all(row.drops is not None for row in rows):
            return sum(row.drops or 0 for row in rows)
        return proc.tcp_counters(self.netns).get("ListenOverflows", 0)

    def refresh(self) -> set[int]:
        """Look for the server's processes again; returns them."""
        self.up = proc.parents()
        self.pids = proc.tree(self.roots, self.up)
        return self.pids

    def holders(self) -> set[int]:
        """Those of its processes that hold a socket listening on its ports."""
        inodes = set().union(*(proc.listeners(port, self.netns) for port in self.ports))
        return set(proc.inode_owners(inodes, self.pids))

    def workers(self, clients: dict[int, int] | None = None) -> set[int]:
        """The processes that serve clients: holders of the listening socket that are not masters of other holders.

        `clients` (pid -> established client sockets) also tells a worker from a pool process that it forked, which
        inherits the listening socket but serves no client. Where those who listen only hand connections on (Node's
        cluster), the processes that got them serve.
        """
        clients = clients or {}
        holders = self.holders() or {pid for pid, count in clients.items() if count} or set(self.pids)
        handed_on = {pid for pid, count in clients.items() if count and pid not in holders}
        if sum(clients.get(pid, 0) for pid in holders) < 0.3 * sum(clients[pid] for pid in handed_on):
            return handed_on
        masters = {self.up.get(pid, 0) for pid in holders} & holders
        serving = {pid for pid in holders if clients.get(pid, 0) > 0}
        forked = {pid for pid in holders if self.up.get(pid, 0) in serving}
        busy_masters = {pid for pid in masters if clients.get(pid, 0) > 0}
        return (holders - masters - forked) | (busy_masters & serving) or holders

    def cpus(self) -> int:
        """On how many CPUs the server may run."""
        for pid in self.workers() or self.pids:
            try:
                return len(os.sched_getaffinity(pid))
            except OSError:
                continue
        return os.cpu_count() or 1

    def is_python(self) -> bool:
        """Whether its workers run CPython."""
        for pid in self.workers() or self.pids:
            try:
                if Path(f"/proc/{pid}/exe").readlink().name.startswith("python"):
                    return True
            except OSError:
                continue
        return False


def locate(port: int) -> Server:
    """The server that listens on `port` here; without processes where they belong to another user or machine.

    Docker's own proxy at a published port is not the server: the process in the container behind it is.
    """
    holders = set(proc.inode_owners(proc.listeners(port)))
    for pid in holders:
        behind = _behind_docker(pid)
        if behind is not None:
            return behind
    up = proc.parents()
    return Server(port, {pid for pid in holders if up.get(pid) not in holders})


def given(port: int, pid: int) -> Server:
    """The server of process `pid`, reached at `port`; in a container it may listen at another port there."""
    server = Server(port, {pid})
    if in_own_network(pid) and not proc.listeners(port, pid):
        server.port = next(iter(ports_of(pid)), port)
    return server


def in_own_network(pid: int) -> bool:
    """Whether `pid` has a network namespace other than ours, as a process in a container has."""
    there = _namespace(pid)
    return there is not None and there != _namespace("self")


def _behind_docker(pid: int) -> Server | None:
    words = (proc.read_text(f"/proc/{pid}/cmdline") or "").split("\0")
    if not words[0].endswith("docker-proxy"):
        return None
    given = dict(zip(words[1::2], words[2::2], strict=False))
    address, port = given.get("-container-ip", ""), int(given.get("-container-port", "0"))
    seen = {_namespace("self")}
    for other in sorted(proc.parents()):
        namespace = _namespace(other)
        if namespace is None or namespace in seen:
            continue
        seen.add(namespace)
        if f" {address}\n" in (proc.read_text(f"/proc/{other}/net/fib_trie") or ""):
            up = proc.parents()
            holders = set(proc.inode_owners(proc.listeners(port, other)))
            return Server(port, {found for found in holders if up.get(found) not in holders})
    return Server(port, set())


def _namespace(pid: int | str) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def ports_of(pid: int) -> list[int]:
    """The ports on which `pid` and its descendants listen, in order."""
    pids = proc.tree({pid})
    rows = proc.sockets(pid)
    listening = {inode for inode, row in rows.items() if row.state == proc.LISTEN and inode > 0}
    held = set().union(*proc.inode_owners(listening, pids).values()) if listening else set()
    return sorted({rows[inode].local_port for inode in held})
