# Strings instead of Path objects: there are thousands of reads a second.
# ruff: noqa: PTH115
"""What a thread is doing right now, from /proc/<pid>/task/<tid>/syscall, or from `wchan` where that is not allowed.

`syscall` holds the number and arguments of the call that a thread waits in (proc(5)); it may be read for processes
that the reader may trace: one's own children, and all of one's own where kernel.yama.ptrace_scope is 0.
"""

from __future__ import annotations

import os
import platform
import struct
from dataclasses import dataclass, field

from headwind.stress import proc

# Calls by what waiting in them means; numbers from the kernel's syscall tables.
_X86_64 = {
    "fd_read": (0, 17, 19, 45, 47, 295),
    "fd_write": (1, 18, 20, 44, 46, 40, 296),
    "poll": (7, 271),
    "select": (23, 270),
    "epoll": (232, 281, 441, 426),
    "accept": (43, 288),
    "connect": (42,),
    "sleep": (35, 230),
    "futex": (202, 455, 449),
    "semaphore": (65, 220, 69, 71, 242, 243),
    "flush": (74, 75, 162, 306, 277),
    "flock": (73, 72),
    "child": (61, 247),
}
_AARCH64 = {
    "fd_read": (63, 65, 67, 69, 207, 212),
    "fd_write": (64, 66, 68, 70, 71, 206, 211),
    "poll": (73,),
    "select": (72,),
    "epoll": (22, 441, 426),
    "accept": (202, 242),
    "connect": (203,),
    "sleep": (101, 115),
    "futex": (98, 455, 449),
    "semaphore": (192, 193, 188, 189, 182, 183),
    "flush": (81, 82, 83, 84, 267),
    "flock": (25, 32),
    "child": (95, 260),
}
_TABLE = {
    number: group
    for group, numbers in (_AARCH64 if platform.machine() in ("aarch64", "arm64") else _X86_64).items()
    for number in numbers
}
_LOCKING_FCNTL = (
    6,
    7,
    37,
    38,
    16,
)  # F_SETLK.., F_SETLKW, F_OFD_SETLKW: the waiting ones among fcntl's commands
_WCHAN = (
    ("ep_poll", "loop"),
    ("do_epoll", "loop"),
    ("nanosleep", "sleep"),
    ("futex", "lock"),
    ("accept", "idle"),
    ("wait_for_connect", "idle"),
    ("pipe_write", "log"),
    ("sk_wait_data", "outbound"),
    ("wait_woken", "outbound"),
    ("flock", "file_lock"),
    ("locks_lock", "file_lock"),
    ("poll_schedule", "idle"),
    ("do_wait", "child"),
)


@dataclass(slots=True)
class ProcessContext:
    """What is needed to name the fds of one process; made afresh now and then."""

    pid: int
    ports: frozenset[int]  # of the server
    sockets: dict[int, proc.Socket]
    fds: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fds = proc.fd_targets(self.pid)

    @property
    def has_event_loop(self) -> bool:
        return any("eventpoll" in target or "io_uring" in target for target in self.fds.values())

    def socket_of(self, fd: int) -> proc.Socket | None:
        target = self.fds.get(fd)
        if target is None:
            try:
                target = self.fds[fd] = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except OSError:
                return None
        return self.sockets.get(int(target[8:-1])) if target.startswith("socket:[") else None

    def kind_of(self, fd: int) -> str:
        """client, listen, outbound, socket (not known yet), pipe, file or other."""
        row = self.socket_of(fd)
        target = self.fds.get(fd, "")
        if row is not None:
            if row.state == proc.LISTEN:
                return "listen"
            return "client" if row.local_port in self.ports else "outbound"
        if target.startswith("socket:["):
            return "socket"
        if target.startswith("pipe:[") or target.startswith(("/dev/pts", "/dev/tty", "/dev/console")):
            return "pipe"
        return "file" if target.startswith("/") else "other"


def state_of(context: ProcessContext, tid: int) -> str:
    """The state of one thread, by the names of `headwind.analysis.diagnosis.observations`; "" when
    it is gone."""
    base = f"/proc/{context.pid}/task/{tid}"
    text = proc.read_text(f"{base}/syscall")
    if text is None:
        return _by_wchan(base)
    words = text.split()
    if not words:
        return ""
    if words[0] == "running":
        return _running(base)
    number = int(words[0])
    if number < 0:
        return _running(base)  # in the kernel without a call: a page fault, or stopped by a signal
    arguments = [int(word, 16) for word in words[1:7]]
    return _by_call(context, base, _TABLE.get(number, ""), number, arguments)


def _running(base: str) -> str:
    values = proc.stat(base)
    if values is None:
        return ""
    return {"R": "run", "D": "file", "T": "stopped", "t": "stopped"}.get(values.state, "run")


def _by_call(context: ProcessContext, base: str, group: str, number: int, arguments: list[int]) -> str:
    if group == "futex":
        return "timed_lock" if arguments[3] else "lock"
    if group in ("fd_read", "fd_write"):
        return _by_fd(context.kind_of(arguments[0]), group == "fd_write")
    if group == "poll":
        return _poll(context, arguments)
    if group == "select":
        # select() without descriptors is how some runtimes sleep.
        return "sleep" if arguments[0] == 0 else "idle"
    if group == "flock":
        waiting = number in (73, 32) or arguments[1] in _LOCKING_FCNTL
        return "file_lock" if waiting else "other"
    plain = {
        "epoll": "loop",
        "accept": "idle",
        "connect": "outbound",
        "sleep": "sleep",
        "semaphore": "lock",
        "flush": "log",
        "child": "child",
    }
    if group:
        return plain[group]
    return {"stopped": "stopped", "file": "file", "run": "run"}.get(_running(base), "other")


def _by_fd(kind: str, writing: bool) -> str:
    if kind == "client":
        return "client"
    if kind in ("outbound", "socket"):
        return "outbound"
    if kind == "listen":
        return "idle"
    if kind == "pipe":
        return "log" if writing else "child"
    return "file"


def _poll(context: ProcessContext, arguments: list[int]) -> str:
    """poll() on one descriptor is how Python's sockets with a time limit wait; on several it is a loop."""
    if arguments[1] == 0:
        return "sleep"
    if arguments[1] > 1:
        return "idle"
    try:
        memory = os.open(f"/proc/{context.pid}/mem", os.O_RDONLY)
        try:
            fd, events = struct.unpack("ih", os.pread(memory, 6, arguments[0]))
        finally:
            os.close(memory)
    except OSError:
        return "idle"
    kind = context.kind_of(fd)
    if kind in ("listen", "other"):
        return "idle"
    return _by_fd(kind, bool(events & 4))


def _by_wchan(base: str) -> str:
    values = proc.stat(base)
    if values is None:
        return ""
    if values.state in "RDTt":
        return _running(base)
    where = proc.read_text(f"{base}/wchan") or ""
    for part, state in _WCHAN:
        if part in where:
            return state
    return "other"
