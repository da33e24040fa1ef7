"""A small HTTP/1.1 server with planted faults, run as a process: what the runner and the Lua are tried against.

It keeps connections alive, answers any method and path with JSON, and can log each request (its bytes, and how
long it took from the arrival of its bytes to the writing of the answer).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO


class Server:
    """Counts requests and answers them as the options say."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.answered = 0
        self.loaded_at: float | None = None
        self.log: IO[str] | None = Path(options.log).open("w", buffering=1 << 20) if options.log else None  # noqa: SIM115

    async def read_request(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = await reader.readexactly(length)
        return head.decode("latin-1"), body

    async def stall(self) -> None:
        """Hold back every answer for a while, once, as a lock or a checkpoint does."""
        options = self.options
        if self.loaded_at is None:
            self.loaded_at = time.perf_counter()
        since = time.perf_counter() - self.loaded_at
        if options.stall_after <= since < options.stall_after + options.stall:
            await asyncio.sleep(options.stall_after + options.stall - since)

    def status(self, path: str) -> int:
        if path == "/missing":
            return 404
        if self.options.fail_every and self.answered % self.options.fail_every == 0:
            return 503
        return 200

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head, body = await self.read_request(reader)
                arrived = time.perf_counter()
                if self.options.talk:
                    print(head, flush=True)
                await self.answer(head, body, writer)
                if self.log:
                    row = {"head": head, "body": body.decode("latin-1"), "s": time.perf_counter() - arrived}
                    self.log.write(json.dumps(row) + "\n")
        writer.close()

    async def answer(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        options = self.options
        path = head.split(" ", 2)[1]
        if options.hang and path != "/ready":
            await asyncio.sleep(3600)
        if options.delay:
            await asyncio.sleep(options.delay)
        if path != "/ready":
            await self.stall()
        self.answered += 1
        if options.die_after and self.answered > options.die_after:
            print("planted death", file=sys.stderr, flush=True)
            os._exit(3)
        text = b'{"delayed": false, "probability": 0.1234}'
        if path == "/ready" and options.cached:
            text = b'{"status": "ok", "cache": "on"}'
        writer.write(
            b"HTTP/1.1 %d Planted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (self.status(path), len(text), text)
        )
        await writer.drain()


async def main(options: argparse.Namespace) -> None:
    server = Server(options)
    await asyncio.sleep(options.start_delay)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", options.port, backlog=1024)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if not options.stubborn:
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("listening on", listener.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    if server.log:
        server.log.close()
    os._exit(0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", help="write one JSON line per request to this file")
    parser.add_argument("--delay", type=float, default=0, help="seconds each answer takes")
    parser.add_argument("--stall", type=float, default=0, help="seconds of one stop of all answers")
    parser.add_argument("--stall-after", type=float, default=1, help="seconds of load before it")
    parser.add_argument("--fail-every", type=int, default=0, help="every n-th answer is a 503")
    parser.add_argument("--hang", action="store_true", help="never answer (but be ready)")
    parser.add_argument("--die-after", type=int, default=0, help="exit with code 3 after n answers")
    parser.add_argument("--start-delay", type=float, default=0, help="seconds before listening")
    parser.add_argument("--cached", action="store_true", help="say on /ready that a cache is on")
    parser.add_argument("--talk", action="store_true", help="print the head of every request")
    parser.add_argument("--stubborn", action="store_true", help="ignore SIGTERM")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(parse()))
