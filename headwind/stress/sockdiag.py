"""The listening socket's own counters, by the kernel's sock_diag interface (sock_diag(7)), which needs no root.

/proc/net/netstat counts overflows of all sockets of a network namespace; here they are one socket's alone.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_DONE, _ERROR = 3, 2
_TCP = 6
_LISTEN_STATES = 1 << 10
_SKMEMINFO = 7  # INET_DIAG_SKMEMINFO
_DROPS = 8  # SK_MEMINFO_DROPS
_HEADER = struct.Struct("=IHHII")
_MESSAGE_SIZE = 72  # struct inet_diag_msg


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket: connections waiting to be accepted, how many may wait, and how many were dropped."""

    inode: int
    port: int
    waiting: int
    backlog: int
    drops: int | None


def listening(port: int) -> list[Listener]:
    """The sockets that listen on `port` in our network namespace; empty where the kernel does not answer."""
    found: list[Listener] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            found += [row for row in _dump(family) if row.port == port]
        except OSError:
            continue
    return found


def _dump(family: int) -> list[Listener]:
    request = struct.pack("=BBBBI", family, _TCP, 1 << (_SKMEMINFO - 1), 0, _LISTEN_STATES) + bytes(48)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 1, 0)
    found: list[Listener] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(1.0)
        link.send(header + request)
        while True:
            data = link.recv(1 << 16)
            at = 0
            while at + _HEADER.size <= len(data):
                size, kind, *_ = _HEADER.unpack_from(data, at)
                if kind in (_DONE, _ERROR) or size < _HEADER.size:
                    return found
                found.append(_read(data[at + _HEADER.size : at + size]))
                at += (size + 3) & ~3


def _read(message: bytes) -> Listener:
    """struct inet_diag_msg: family, state, timer, retrans, id (ports first, big-endian), ..., queues, uid, inode."""
    port = struct.unpack_from("!H", message, 4)[0]
    waiting, backlog, _, inode = struct.unpack_from("=IIII", message, 56)
    drops = None
    at = _MESSAGE_SIZE
    while at + 4 <= len(message):
        size, kind = struct.unpack_from("=HH", message, at)
        if size < 4:
            break
        if kind == _SKMEMINFO and size >= 4 + 4 * (_DROPS + 1):
            drops = struct.unpack_from("=I", message, at + 4 + 4 * _DROPS)[0]
        at += (size + 3) & ~3
    return Listener(inode, port, waiting, backlog, drops)
