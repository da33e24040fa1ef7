"""`headwind` started as a user starts it, in a folder of its own, and what it left there."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.stress.servers import PROGRAM

ROOT = Path(__file__).parents[2]
QUICK = ["--threads", "1", "--connections", "4", "--duration", "1s", "--warmup", "0"]


def server(*options: str) -> str:
    """A command that starts the test server with these faults."""
    return shlex.join([sys.executable, str(PROGRAM), *options]) + " --port {port}"


class Headwind:
    """Starts `headwind` in a folder of its own and finds what it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports = folder / "reports"
        # Charts take seconds to draw, and most tests do not look at them.
        self.always = {"run": ["--no-page"], "doctor": []}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "headwind", *arguments, *self.always[arguments[0]]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Interrupt what a failed test left running: headwind ends its server and wrk then."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=60)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def left(self) -> Path:
        """The one run's folder that was written."""
        (only,) = (path for path in self.reports.iterdir() if path.is_dir())
        return only

    def json(self, name: str) -> Any:
        return json.loads((self.left() / name).read_text())


def ours(folder: Path) -> list[str]:
    """Command lines of processes that work in a test's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(shlex.join(process.cmdline()))
    return found


def until(holds: Callable[[], object], patience_s: float = 15) -> bool:
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def one_sentence(text: str) -> str:
    """A failure is said in one line on stderr."""
    assert "Traceback" not in text
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("headwind: ")
    return lines[0]


def wrk_is_loading(folder: Path) -> bool:
    return any("/wrk -t" in line or line.startswith("wrk -t") for line in ours(folder))
