"""What a result depends on: machine, versions, limits, command lines without secrets, hashes of "
"what was sent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from headwind import __version__

SCHEMA = "headwind.environment/1"


def machine() -> dict[str, Any]:
    """The hardware and system as far as they can be read; None where this system does not say."""
    memory = psutil.virtual_memory()
    frequency = None
    # Many virtual machines and Apple's processors do not tell.
    with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
        frequency = psutil.cpu_freq()
    return {
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cpus": psutil.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else psutil.cpu_count(),
        "cpu_quota": cpu_quota(),
        "cpu_max_mhz": frequency.max or frequency.current if frequency else None,
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "load_average": list(os.getloadavg()),
        "open_files_limit": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "listen_backlog_limit": _number(Path("/proc/sys/net/core/somaxconn")),
        "virtualised": _virtualised(),
    }


def software() -> dict[str, Any]:
    """Versions of Headwind and Python, and the commit where the working directory is a checkout."""
    return {
        "headwind": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "commit": _commit(),
    }


def digest(file: Path) -> dict[str, Any]:
    """Name, size and SHA-256 of a file that decides what is sent."""
    data = file.read_bytes()
    return {"name": file.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _cpu_name() -> str | None:
    if sys.platform == "darwin":
        return _said(["sysctl", "-n", "machdep.cpu.brand_string"])
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def cpu_quota() -> float | None:
    """Cores that the control group allows; None without a limit, or where there are no control groups."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _virtualised() -> bool | None:
    try:
        return " hypervisor" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _commit() -> str | None:
    """The commit of the working directory, with "+" where it has changes."""
    commit = _said(["git", "rev-parse", "--short=12", "HEAD"])
    if commit is None:
        return None
    return commit + ("+" if _said(["git", "status", "--porcelain", "--untracked-files=no"]) else "")


def _said(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (result.stdout.strip() or None) if result.returncode == 0 else None
