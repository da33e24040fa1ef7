"""Connections that a load leaves waiting are counted: wrk itself counts them nowhere."""

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator

import pytest

from bench.waiting import Waiting, look, read

ANSWERED = "0 0 127.0.0.1:1 127.0.0.1:80 bbr bytes_acked:1 bytes_received:5 lastsnd:9 lastrcv:{} lastack:9"
NEVER = "0 0 127.0.0.1:2 127.0.0.1:80 bbr bytes_acked:1 segs_out:2 lastsnd:9 lastrcv:9000 lastack:9"
JUST_NOW = "0 0 127.0.0.1:3 127.0.0.1:80 bbr bytes_received:5 segs_out:2"


def test_who_received_nothing_lately_or_ever_is_told_apart_from_who_did() -> None:
    lines = [ANSWERED.format(1999), ANSWERED.format(2001), NEVER, JUST_NOW]
    assert read("\n".join(lines), 4) == Waiting(connections=4, silent=2, never_answered=1)


def test_a_connection_that_was_never_established_was_never_answered() -> None:
    assert read(JUST_NOW, 3) == Waiting(connections=1, silent=2, never_answered=2)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss (iproute2) is not installed")
def test_the_kernel_tells_which_sockets_were_answered(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        ours = [stack.enter_context(listener.accept()[0]) for _ in range(3)]
        ours[0].sendall(b"an answer")
        limit = time.monotonic() + 5
        while (seen := look(port, 3)).never_answered == 3 and time.monotonic() < limit:
            time.sleep(0.01)
    assert (seen.connections, seen.never_answered) == (3, 2)
