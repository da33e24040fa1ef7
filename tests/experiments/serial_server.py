"""A serial HTTP server with a busy, constant service: the M/D/1 queue of the textbooks, run as a process.

It serves one request at a time, in the order in which they arrived over all connections. A service is the whole time
that a request keeps the server from the next one: while others wait, it begins where the one before ended, so reading
and sending are inside it. How long each really took is written down (a shared machine takes the processor away now and
then).
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import signal
import socket
import sys
import time
from collections import deque
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
CHUNK = 65536


class SerialServer:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.listener = socket.create_server(("127.0.0.1", options.port), backlog=options.backlog)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.waiting: deque[socket.socket] = deque()
        self.services: list[float] = []
        self.free_at: float | None = None  # when the last service ended, None after an idle time

    def listen(self, timeout_s: float | None) -> None:
        for key, _ in self.selector.select(timeout_s):
            if key.fileobj is self.listener:
                connection, _ = self.listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(connection, selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket):
                self.read(key.fileobj)

    def read(self, connection: socket.socket) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = connection.recv(CHUNK)
        if not data:
            self.drop(connection)
        # Requests without bodies: each ends with an empty line.
        self.waiting.extend([connection] * data.count(b"\r\n\r\n"))

    def drop(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        connection.close()

    def serve_one(self) -> None:
        connection = self.waiting.popleft()
        began = time.perf_counter() if self.free_at is None else self.free_at
        end = began + self.options.service
        while (now := time.perf_counter()) < end:
            pass
        self.free_at = now
        self.services.append(now - began)
        if self.options.close_every and len(self.services) % self.options.close_every == 0:
            if connection.fileno() >= 0:
                self.drop(connection)
        else:
            with contextlib.suppress(OSError):
                connection.send(ANSWER)

    def run(self) -> None:
        print("listening on", self.listener.getsockname()[1], flush=True)
        time.sleep(self.options.start_delay)
        while True:
            self.listen(0)
            if self.waiting:
                self.serve_one()
            else:
                self.free_at = None
                self.listen(None)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--service", type=float, default=0.002, help="busy seconds per request")
    parser.add_argument("--backlog", type=int, default=512)
    parser.add_argument(
        "--close-every", type=int, default=0, help="every n-th connection is closed unanswered"
    )
    parser.add_argument("--start-delay", type=float, default=0, help="seconds before the first accept")
    parser.add_argument("--log", help="write the services' seconds to this file at SIGTERM")
    return parser.parse_args()


def main() -> None:
    options = parse()
    server = SerialServer(options)

    def finish(_number: int, _frame: object) -> None:
        if options.log:
            Path(options.log).write_text("\n".join(map(repr, server.services)))
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    server.run()


if __name__ == "__main__":
    main()
