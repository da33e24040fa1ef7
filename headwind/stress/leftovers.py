"""Processes that a killed experiment left running: found again by a mark in the environment that they inherited.

A SIGKILL of Headwind stops neither its server nor its wrk. They would take processor time from the trials that
`--resume` adds, and hold a port that was asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from headwind.errors import UsageError

MARK = "HEADWIND_EXPERIMENT"
LOCK = "running.lock"
_PATIENCE_S = 5.0


@contextlib.contextmanager
def only_one(into: Path) -> Iterator[int]:
    """Hold an experiment's folder; gives how many processes of a killed sitting were ended.

    Whatever is started inside the block carries the folder's mark. Raises UsageError where another Headwind is at work
    in the folder.
    """
    mark = str(into.resolve())
    with (into / LOCK).open("w") as lock:
        try:
            # A lock of the kernel's: it goes with the process, however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another headwind is at work in {into}; wait for its end, or stop it."
            ) from None
        ended = _end(mark)
        before = os.environ.get(MARK)
        os.environ[MARK] = mark
        try:
            yield ended
        finally:
            if before is None:
                del os.environ[MARK]
            else:
                os.environ[MARK] = before


def _end(mark: str) -> int:
    """SIGTERM to every process with the mark, after some seconds SIGKILL; how many there were."""
    found = []
    for process in psutil.process_iter():
        # A process of another user shows no environment, and is none of ours.
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=_PATIENCE_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_PATIENCE_S)
    return len(found)
