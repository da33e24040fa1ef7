"""Starts `http_server.py` as a process on a free port."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAM = Path(__file__).with_name("http_server.py")


def serving(*options: str) -> contextlib.AbstractContextManager[str]:
    """The base URL of a server that runs for the length of the block."""
    return running(PROGRAM, *options)


@contextlib.contextmanager
def running(program: Path, *options: str) -> Iterator[str]:
    """The base URL of a program that prints its port as the last word of its first line."""
    process = subprocess.Popen([sys.executable, str(program), *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        port = process.stdout.readline().split()[-1]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
