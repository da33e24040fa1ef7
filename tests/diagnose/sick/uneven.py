"""Two processes that share a listening socket; one of them is slow to accept: `python uneven.py PORT`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from contextlib import suppress


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = head.startswith(b"GET /work ")
            if found:
                burn(0.003)
            status = b"200 OK" if found else b"404 Not Found"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
    writer.close()


async def main(listener: socket.socket, slow: bool) -> None:
    if not slow:
        server = await asyncio.start_server(serve, sock=listener, backlog=2048)
        await server.serve_forever()
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(1.0)
        connection, _ = await loop.sock_accept(listener)
        await loop.connect_accepted_socket(protocol, connection)


def protocol() -> asyncio.StreamReaderProtocol:
    return asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)


if __name__ == "__main__":
    shared = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=2048)
    shared.setblocking(False)
    child = os.fork() == 0
    asyncio.run(main(shared, slow=child))
