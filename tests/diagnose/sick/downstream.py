"""A downstream server: `python downstream.py PORT SECONDS LIMIT`; LIMIT 0 is unlimited."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def main(port: int, seconds: float, limit: int) -> None:
    permits = asyncio.Semaphore(limit or 1_000_000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                async with permits:
                    await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
