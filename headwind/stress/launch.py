"""Start the user's server on a free port, wait until it serves, stop it with all its children."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from headwind.errors import HeadwindError
from headwind.stress import proc
from headwind.stress.interrupt import Interrupt
from headwind.stress.server import Server, locate
from headwind.stress.threads import ProcessContext, state_of

START_TIMEOUT_S = 90.0
QUIET_S = 0.3
QUIET_TIMEOUT_S = 8.0
STOP_TIMEOUT_S = 5.0


class Launched:
    """A server that Headwind started, in a session of its own; a context manager that stops it."""

    def __init__(
        self, command: str, port: int, interrupt: Interrupt, environment: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._interrupt = interrupt
        # Nothing that was here before is ever taken for ours, nor signalled.
        self._before = set(proc.parents())
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="headwind-server-")  # noqa: SIM115
        line = command.replace("{port}", str(port)).replace("{workers}", str(os.cpu_count() or 1))
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self.server = Server(port, {self.process.pid})
        self._started = {self.process.pid}  # what stop() ends; a diagnosis may count more to the server

    def __enter__(self) -> Launched:
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def output(self) -> str:
        """The last lines that the server wrote."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 4000))
        return self._log.read().decode(errors="replace")

    def wait(self) -> None:
        """Until it listens and its workers have come to rest; no request is sent, so that the first is ours."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not proc.listeners(self.port):
            if self.process.poll() is not None:
                last = " | ".join(self.output().strip().splitlines()[-3:])
                raise HeadwindError(
                    f"the server ended with code {self.process.returncode} before it listened on "
                    f"port {self.port}: "
                    f"{last or 'it wrote nothing'}; does the command take {{port}}?"
                )
            if time.monotonic() > deadline:
                raise HeadwindError(
                    f"the server did not listen on port {self.port} within {START_TIMEOUT_S:.0f} s: "
                    "does the command take {port}?"
                )
            self._pause(0.02)
        if not self.server.refresh() & set(proc.inode_owners(proc.listeners(self.port))):
            # Somebody else opened the port for it, as Docker does.
            while time.monotonic() < deadline:
                found = locate(self.port)
                if found.roots and not found.roots & self._before:
                    self.server.port, self.server.roots = found.port, found.roots
                    self._started |= found.roots
                    break
                self._pause(0.1)
        self._settle()

    def _settle(self) -> None:
        """Wait until the workers use no CPU and their main threads wait for connections."""
        deadline = time.monotonic() + QUIET_TIMEOUT_S
        quiet_since = time.monotonic()
        previous = -1.0
        while time.monotonic() < deadline:
            pids = self.server.refresh()
            used = sum(values.cpu_s for pid in pids if (values := proc.stat(f"/proc/{pid}")))
            if used - previous > 0.011 or not self._at_rest():
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= QUIET_S:
                return
            previous = used
            self._pause(0.05)

    def _pause(self, seconds: float) -> None:
        if self._interrupt.wait(seconds):
            raise KeyboardInterrupt

    def _at_rest(self) -> bool:
        workers = self.server.workers()
        sockets = proc.sockets(self.process.pid)
        for pid in workers:
            context = ProcessContext(pid, frozenset({self.port}), sockets)
            if state_of(context, pid) in ("run", "file", "child", ""):
                return False
        return bool(workers)

    def stop(self) -> None:
        """SIGTERM to the whole session, SIGKILL after five seconds to whatever is left."""
        pids = (proc.tree(self._started) | {self.process.pid}) - self._before
        self._signal(signal.SIGTERM, pids)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline and (self.process.poll() is None or self._alive(pids)):
            time.sleep(0.02)
        self._signal(signal.SIGKILL, self._alive(pids))
        self.process.wait()
        self._log.close()

    def _alive(self, pids: set[int]) -> set[int]:
        return pids & proc.parents().keys() - {os.getpid()}

    def _signal(self, number: signal.Signals, pids: set[int]) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
