"""At a terminal: progress on one line that goes away, and a question before another machine is loaded."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.stress.tool import QUICK, ROOT, server

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


def at_terminal(folder: Path, answer: str, *arguments: str) -> tuple[int, str, str]:
    """Run headwind with a terminal for stdin and stderr: exit code, stdout, and what the terminal showed."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        # A terminal whose other end is closed reads as an error on Linux, as an end elsewhere.
        try:
            while data := os.read(ours, 4096):
                shown.append(data)
        except OSError:
            pass

    process = subprocess.Popen(
        [sys.executable, "-m", "headwind", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(theirs)
    reader = threading.Thread(target=read)
    reader.start()
    os.write(ours, answer.encode())
    out, _ = process.communicate(timeout=60)
    reader.join(10)
    os.close(ours)
    return process.returncode, out.decode(), b"".join(shown).decode()


def test_progress_is_one_line_that_goes_away(tmp_path: Path) -> None:
    code, out, shown = at_terminal(
        tmp_path, "", "run", "--command", server(), *QUICK, "--duration", "2s", "--no-page"
    )
    assert code == 0
    assert "starting the server" in shown
    assert "of 2 s · server" in shown
    assert "\n" not in shown.strip()
    assert shown.endswith("\r\x1b[K")
    assert "\x1b[K" not in out
    assert "of 2 s · server" not in out


@pytest.mark.parametrize("answer", ["\n", "n\n"])
def test_another_machine_is_asked_for_and_left_alone_without_a_yes(tmp_path: Path, answer: str) -> None:
    code, _, shown = at_terminal(tmp_path, answer, "run", "--url", "http://192.0.2.1:9/", *QUICK)
    assert code == 2
    assert "192.0.2.1 is not this machine: 4 connections for 1 s. Are you allowed to load it? [y/N]" in shown
    assert "were not agreed to" in shown
