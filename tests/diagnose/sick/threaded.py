"""A thread per connection on the standard library, with one illness: `SICK=name python threaded.py PORT`."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

SICK = os.environ.get("SICK", "delay")
lock = threading.Lock()
permits = threading.Semaphore(8)


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(i * i for i in range(200))


def work() -> None:
    if SICK == "delay":
        time.sleep(0.1)
    elif SICK == "lock":
        with lock:
            time.sleep(0.005)
    elif SICK == "pool":
        with permits:
            time.sleep(0.05)
    elif SICK == "cpu":
        burn(0.003)
    elif SICK == "slow_accept":
        time.sleep(0.005)
    elif SICK == "single":
        time.sleep(0.01)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1" if SICK != "single" and os.environ.get("KEEP", "1") == "1" else "HTTP/1.0"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        work()
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Many(ThreadingHTTPServer):
    request_queue_size = int(os.environ.get("BACKLOG", "512"))
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, object]:
        if SICK == "slow_accept":
            time.sleep(0.05)
        return super().get_request()


if __name__ == "__main__":
    kind: type[HTTPServer] = HTTPServer if SICK == "single" else Many
    kind((os.environ.get("HOST", "127.0.0.1"), int(sys.argv[1])), Handler).serve_forever()
