# Strings instead of Path objects: there are thousands of reads a second.
# ruff: noqa: PTH115, PTH123, PTH208
"""Readers of Linux's /proc and cgroups: one file each, values in SI units, None where it cannot be read.

Formats are those of proc(5), cgroups(7) and the kernel's Documentation/admin-guide. Nothing here needs root for the
user's own processes, except where a docstring says so.
"""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LISTEN, ESTABLISHED = 0x0A, 0x01


def read_text(path: str | Path) -> str | None:
    """A file of the kernel as text; None where it is gone or may not be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Stat:
    """`/proc/<pid>/stat`: CPU seconds since the process began, its parent, threads, resident bytes, state letter."""

    name: str
    state: str
    parent: int
    cpu_s: float
    threads: int
    rss_bytes: int
    vm_bytes: int
    nice: int


def stat(path: str) -> Stat | None:
    """Of a process (`/proc/7`) or a thread (`/proc/7/task/9`)."""
    text = read_text(f"{path}/stat")
    if not text:
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    rest = text[text.rindex(")") + 2 :].split()
    return Stat(
        name,
        rest[0],
        int(rest[1]),
        (int(rest[11]) + int(rest[12])) / TICK,
        int(rest[17]),
        int(rest[21]) * PAGE,
        int(rest[20]),
        int(rest[16]),
    )


def schedstat(path: str) -> tuple[float, float, int] | None:
    """(seconds on a CPU, seconds runnable but waiting for one, how often it was put on a CPU) of one thread; for a
    process: of its main thread."""
    text = read_text(f"{path}/schedstat")
    words = text.split() if text else []
    return (int(words[0]) / 1e9, int(words[1]) / 1e9, int(words[2])) if len(words) >= 3 else None


def threads(pid: int) -> list[int]:
    """The thread ids of a process; none when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def parents() -> dict[int, int]:
    """pid -> parent's pid of every process here."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            values = stat(f"/proc/{entry}")
            if values is not None and values.state not in "ZX":
                found[int(entry)] = values.parent
    return found


def tree(roots: set[int], up: dict[int, int] | None = None) -> set[int]:
    """`roots` and all their living descendants."""
    up = parents() if up is None else up
    found = {pid for pid in roots if pid in up}
    while more := {pid for pid, parent in up.items() if parent in found and pid not in found}:
        found |= more
    return found


def host_cpu() -> tuple[float, float, float, float]:
    """(busy, of it niced, idle, steal) CPU seconds of all cores since boot; waiting for a disk counts as idle."""
    words = (read_text("/proc/stat") or "cpu 0 0 0 0 0 0 0 0").split("\n")[0].split()[1:]
    user, nice, system, idle, waiting, hard, soft, steal = (int(word) / TICK for word in words[:8])
    return user + nice + system + hard + soft, nice, idle + waiting, steal


def has_autogroups() -> bool:
    """Whether the scheduler shares the CPU between sessions instead of processes (sched(7), autogroups)."""
    return (read_text("/proc/sys/kernel/sched_autogroup_enabled") or "0").strip() == "1"


def processes_created() -> int | None:
    """Processes and threads created on this machine since boot."""
    match = re.search(r"^processes (\d+)", read_text("/proc/stat") or "", re.M)
    return int(match[1]) if match else None


def status_field(pid: int, name: str) -> int | None:
    """The number in the line `name:` of `/proc/<pid>/status`; None where there is none."""
    match = re.search(rf"^{name}:\s+(\d+)", read_text(f"/proc/{pid}/status") or "", re.M)
    return int(match[1]) if match else None


def io_bytes(pid: int) -> tuple[int, int] | None:
    """(bytes through read(), bytes through write()); Python's sockets use recv and send, which do not count here."""
    text = read_text(f"/proc/{pid}/io")
    if not text:
        return None
    values = dict(line.split(": ") for line in text.splitlines())
    return int(values["rchar"]), int(values["wchar"])


def fd_targets(pid: int) -> dict[int, str]:
    """fd -> what it is (`socket:[12]`, `/path`); empty where the process belongs to another user."""
    found = {}
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def fd_limit(pid: int) -> int | None:
    """The soft limit of open files."""
    try:
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except (OSError, ValueError):
        match = re.search(r"^Max open files\s+(\d+)", read_text(f"/proc/{pid}/limits") or "", re.M)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Socket:
    """One row of /proc/net/tcp: addresses as hexadecimal text, ports as numbers, queues in bytes (or, for a
    listening socket, connections waiting to be accepted)."""

    inode: int
    local: str
    local_port: int
    remote: str
    remote_port: int
    state: int
    receive_queue: int


def sockets(pid: int | str = "self") -> dict[int, Socket]:
    """inode -> TCP socket, of all in the network namespace of `pid`, those in TIME_WAIT left out: nobody holds them,
    and there can be tens of thousands."""
    found: dict[int, Socket] = {}
    for table in ("tcp", "tcp6"):
        for line in (read_text(f"/proc/{pid}/net/{table}") or "").splitlines()[1:]:
            if " 06 " in line:
                continue
            words = line.split()
            local, _, local_port = words[1].rpartition(":")
            remote, _, remote_port = words[2].rpartition(":")
            inode = int(words[9])
            queue = int(words[4].partition(":")[2], 16)
            found[inode or -len(found) - 1] = Socket(
                inode, local, int(local_port, 16), remote, int(remote_port, 16), int(words[3], 16), queue
            )
    return found


def address(text: str) -> str:
    """An IPv4 or IPv6 address of /proc/net/tcp as people write it (words there are little-endian)."""
    import ipaddress

    raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    return str(ipaddress.ip_address(raw))


def inode_owners(inodes: set[int], pids: set[int] | None = None) -> dict[int, set[int]]:
    """pid -> the sockets of `inodes` that it holds; looks at all processes whose fds may be read, or at `pids`."""
    owners: dict[int, set[int]] = {}
    for pid in pids if pids is not None else {int(name) for name in os.listdir("/proc") if name.isdigit()}:
        for target in fd_targets(pid).values():
            if target.startswith("socket:[") and (inode := int(target[8:-1])) in inodes:
                owners.setdefault(pid, set()).add(inode)
    return owners


def listeners(port: int, netns_pid: int | str = "self") -> set[int]:
    """Inodes of the sockets that listen on `port`."""
    return {
        inode
        for inode, row in sockets(netns_pid).items()
        if row.state == LISTEN and row.local_port == port and inode > 0
    }


def tcp_counters(pid: int | str) -> dict[str, int]:
    """SNMP and TcpExt counters of the network namespace of `pid`."""
    found: dict[str, int] = {}
    for table in ("snmp", "netstat"):
        lines = (read_text(f"/proc/{pid}/net/{table}") or "").splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            if names.startswith(("Tcp:", "TcpExt:")):
                found.update(zip(names.split()[1:], map(int, values.split()[1:]), strict=False))
    return found


def cgroup_files(pid: int, controller: str, name: str) -> list[Path]:
    """`name` (such as cpu.stat) in the cgroup of `pid` for `controller` and in all its parents, v2 before v1."""
    found = []
    for line in (read_text(f"/proc/{pid}/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = (
            [Path("/sys/fs/cgroup") / controllers, Path("/sys/fs/cgroup") / controller]
            if controllers
            else [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
        )
        for mount in mounts:
            folder = mount / path.lstrip("/")
            chain = [folder, *[parent for parent in folder.parents if mount in (parent, *parent.parents)]]
            found += [
                file for file in (step / name for step in chain) if file.is_file() and file not in found
            ]
    return found


def throttling(pid: int) -> tuple[int, float] | None:
    """(periods throttled, seconds throttled), the largest of the cgroup of `pid` and its parents."""
    best: tuple[int, float] | None = None
    for file in cgroup_files(pid, "cpu", "cpu.stat"):
        values = dict(line.split() for line in (read_text(file) or "").splitlines())
        if "nr_throttled" not in values:
            continue
        seconds = (
            int(values["throttled_usec"]) / 1e6
            if "throttled_usec" in values
            else int(values.get("throttled_time", 0)) / 1e9
        )
        best = max(best or (0, 0.0), (int(values["nr_throttled"]), seconds))
    return best


def cpu_quota(pid: int) -> float | None:
    """The smallest CPU quota over `pid`, in cores; None without one."""
    quotas = []
    for file in cgroup_files(pid, "cpu", "cpu.max"):
        words = (read_text(file) or "max 1").split()
        if words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
    for file in cgroup_files(pid, "cpu", "cpu.cfs_quota_us"):
        quota = int(read_text(file) or -1)
        period = int(read_text(file.with_name("cpu.cfs_period_us")) or 100_000)
        if quota > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def oom_kills(pid: int) -> int | None:
    """OOM kills in the memory cgroup of `pid` and its parents (the largest count); of the whole machine only where no
    cgroup counts them: others' kills are not this server's."""
    counts = []
    for name in ("memory.events", "memory.oom_control"):
        for file in cgroup_files(pid, "memory", name):
            match = re.search(r"^oom_kill (\d+)", read_text(file) or "", re.M)
            counts += [int(match[1])] if match else []
    if not counts:
        match = re.search(r"^oom_kill (\d+)", read_text("/proc/vmstat") or "", re.M)
        counts += [int(match[1])] if match else []
    return max(counts, default=None)


def memory_limit(pid: int) -> int | None:
    """The smallest limit of a cgroup over the memory of `pid`; None without one."""
    limits = []
    for name in ("memory.max", "memory.limit_in_bytes"):
        for file in cgroup_files(pid, "memory", name):
            text = (read_text(file) or "max").strip()
            if text.isdigit() and int(text) < 1 << 50:
                limits.append(int(text))
    return min(limits, default=None)


def address_limit(pid: int) -> int | None:
    """The limit of the address space of `pid` (ulimit -v); None without one."""
    try:
        soft = resource.prlimit(pid, resource.RLIMIT_AS)[0]
    except (OSError, ValueError):
        return None
    return None if soft == resource.RLIM_INFINITY else soft


def pressure_cpu_s() -> float | None:
    """PSI: seconds since boot in which some task waited for a CPU."""
    match = re.search(r"^some .*total=(\d+)", read_text("/proc/pressure/cpu") or "", re.M)
    return int(match[1]) / 1e6 if match else None
