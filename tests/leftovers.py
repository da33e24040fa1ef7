"""No process that a test started outlives the test suite: a pytest plugin.

Every process inherits an environment variable that names the session, also one whose parent is gone. A server that a
test forgot would go on taking memory, and processor time from the tests after it.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid

import psutil
import pytest

SESSION = "HEADWIND_TEST_SESSION"
GRACE_S = 5.0
"""How long a process may take to end after the last test: servers that were told to stop are on their way."""

_left = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Mark what will be started. The workers of pytest-xdist inherit their controller's mark."""
    if not hasattr(config, "workerinput"):
        os.environ[SESSION] = uuid.uuid4().hex


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what is left and fail."""
    if hasattr(session.config, "workerinput"):
        return
    limit = time.monotonic() + GRACE_S
    while (left := leftovers()) and time.monotonic() < limit:
        time.sleep(0.1)
    session.config.stash[_left] = [f"{starter} left running: {line}" for _, starter, line in left]
    for process, _, _ in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which test left what."""
    if left := config.stash.get(_left, []):
        terminalreporter.section("processes that outlived their test", red=True)
        for sentence in left:
            terminalreporter.line(sentence)


def leftovers() -> list[tuple[psutil.Process, str, str]]:
    """Processes of this session that still run: each with the test that started it and its command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get(SESSION) != os.environ[SESSION] or process.pid == os.getpid():
                continue
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            starter = environment.get("PYTEST_CURRENT_TEST", "a test").removesuffix(" (call)")
            found.append((process, starter, " ".join(process.cmdline())[:200]))
    return found
