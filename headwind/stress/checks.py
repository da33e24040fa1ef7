"""What this machine has and lacks for a load test that can be trusted."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from headwind.errors import MissingError
from headwind.stress import environment, generator

# Load by others above this share of the cores moves throughput visibly.
_BUSY_SHARE = 0.1
_STEAL_SHARE = 0.02
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was found, and the command that mends it where it is not "ok"."""

    name: str
    state: Literal["ok", "warning", "missing"]
    says: str
    mend: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def all_checks(connections: int) -> list[Check]:
    """Every check, the needed things first."""
    return list(_checks(connections))


def _checks(connections: int) -> Iterator[Check]:
    yield _python()
    yield _wrk()
    yield _lua()
    yield _docker()
    yield _open_files(connections)
    yield from _backlog(connections)
    yield from _ports(connections)
    yield _quiet()
    yield from _governor()
    yield from _quota()


def _python() -> Check:
    # An older Python cannot have installed the package, so there is nothing to compare with.
    return Check("python", "ok", platform.python_version())


def _wrk() -> Check:
    try:
        wrk = generator.find()
    except MissingError:
        return Check("wrk", "missing", "neither on PATH nor in a running Docker", generator.install_hint())
    return Check("wrk", "ok", f"{wrk.version} ({wrk.program})")


def _lua() -> Check:
    try:
        folder = generator.lua_folder()
    except MissingError as error:
        return Check("lua files", "missing", str(error), "pip install --force-reinstall headwind")
    return Check("lua files", "ok", str(folder))


def _docker() -> Check:
    if shutil.which("docker") is None:
        return Check("docker", "ok", "not installed; only `docker compose` runs need it")
    if generator.answers(["docker", "version"]):
        return Check("docker", "ok", "its engine answers")
    return Check("docker", "warning", "installed, but its engine does not answer", "docker info")


def _open_files(connections: int) -> Check:
    """A connection is a file for wrk and one for the server."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + 64
    if hard != resource.RLIM_INFINITY and hard < needed:
        says = f"at most {hard}, and {connections} connections need {needed}"
        return Check("open files", "missing", says, f"ulimit -n {needed}")
    return Check("open files", "ok", "no limit" if hard == resource.RLIM_INFINITY else f"up to {hard}")


def _backlog(connections: int) -> Iterator[Check]:
    path = Path("/proc/sys/net/core/somaxconn")
    if path.exists():
        limit = int(path.read_text())
        if limit < connections:
            mend = f"sudo sysctl -w net.core.somaxconn={max(4096, connections)}"
            yield Check(
                "accept queue", "warning", f"holds {limit}, and wrk opens {connections} at once", mend
            )
        else:
            yield Check("accept queue", "ok", f"holds {limit}")


def _ports(connections: int) -> Iterator[Check]:
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if path.exists():
        low, high = map(int, path.read_text().split())
        if high - low < 2 * connections:
            mend = 'sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"'
            yield Check("local ports", "warning", f"only {high - low} for {connections} connections", mend)
        else:
            yield Check("local ports", "ok", str(high - low))


def _quiet() -> Check:
    """Others' load and stolen time over half a second."""
    before, began = psutil.cpu_times(), time.monotonic()
    own = time.process_time()
    time.sleep(_LOOK_S)
    after = psutil.cpu_times()
    available = (time.monotonic() - began) * (psutil.cpu_count() or 1)
    steal = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    idle = after.idle - before.idle + getattr(after, "iowait", 0.0) - getattr(before, "iowait", 0.0)
    busy = max(0.0, available - idle - steal - (time.process_time() - own))
    if steal / available > _STEAL_SHARE:
        return Check(
            "quiet machine",
            "warning",
            f"the host takes {steal / available:.0%} of the CPU away",
            "repeat later",
        )
    if busy / available > _BUSY_SHARE:
        return Check(
            "quiet machine", "warning", f"others use {busy / available:.0%} of the CPU", "end them, or repeat"
        )
    return Check("quiet machine", "ok", f"others use {busy / available:.0%} of {psutil.cpu_count()} cores")


def _governor() -> Iterator[Check]:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if path.exists():
        governor = path.read_text().strip()
        if governor == "powersave":
            yield Check("cpu governor", "warning", governor, "sudo cpupower frequency-set -g performance")
        else:
            yield Check("cpu governor", "ok", governor)


def _quota() -> Iterator[Check]:
    quota = environment.cpu_quota()
    if quota is not None and quota < (os.cpu_count() or 1):
        says = f"this container may use {quota:g} of {os.cpu_count()} cores"
        yield Check("cpu quota", "warning", says, "set --workers to the cores that may be used")
