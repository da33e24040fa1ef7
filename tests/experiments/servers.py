"""Starts `serial_server.py` as a process on a free port."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.stress.servers import running

PROGRAM = Path(__file__).with_name("serial_server.py")


def serial(*options: str) -> contextlib.AbstractContextManager[str]:
    """The base URL of a serial server that runs for the length of the block."""
    return running(PROGRAM, *options)
