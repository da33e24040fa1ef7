"""The service as tests run it: its app inside this process, or gunicorn as a real server."""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

ROOT = Path(__file__).parents[2]
PREDICT = "/v1/prediction"
FLIGHT = {"airline": "UA", "origin": "EWR", "destination": "IAH", "departure": "2013-07-04T17:05"}


class Direct(httpx.AsyncBaseTransport):
    """Calls the app as uvicorn does when a request came in one piece: the body is one message. (httpx's own
    transport sends an empty last message, which the fast lane leaves to the ordinary route.)"""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        chunks = [chunk async for chunk in request.stream] or [b""]
        messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
            for place, chunk in enumerate(chunks)
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 1),
            "server": ("service", 80),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        try:
            await self._app(scope, receive, send)
        except Exception:
            if not sent:
                return httpx.Response(500, text="Internal Server Error")
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


@contextlib.asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app's lifespan around a client that calls it directly."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put)

    lifespan = asyncio.create_task(live())
    await inbox.put({"type": "lifespan.startup"})
    answer = await outbox.get()
    assert answer["type"] == "lifespan.startup.complete", answer
    try:
        async with httpx.AsyncClient(transport=Direct(app), base_url="http://service") as client:
            yield client
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await lifespan


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A gunicorn that serves on 127.0.0.1:`port`; everything it printed is in `log`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of one request on its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            if body is not None:
                headers.setdefault("content-type", "application/json")
            connection.request(
                method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
            )
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def predict(self, flight: dict[str, str] | None = None) -> tuple[int, Any]:
        status, _, body = self.ask("POST", PREDICT, json.dumps(flight or FLIGHT).encode())
        return status, json.loads(body)

    def workers(self) -> list[int]:
        """Process ids of the workers, as the kernel knows them."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name with labels."""
        text = self.ask("GET", "/metrics")[2].decode()
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def wait_until_ready(self, limit_s: float = 30, path: str = "/ready") -> None:
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the server ended with {self.process.returncode}:\n{self.log.read_text()}"
                )
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", path)[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"not ready within {limit_s} s:\n{self.log.read_text()}")

    def accepted(self) -> int:
        """How many requests the log says the server accepted; it needs ACCESS_LOG=all."""
        return self.log.read_bytes().count(b'{"event":"accepted"')

    def wait_until_accepted(self, count: int) -> None:
        limit = time.monotonic() + 10
        while self.accepted() < count:
            assert time.monotonic() < limit, "not accepted"
            time.sleep(0.001)

    def stop(self) -> int:
        """SIGTERM, then the exit code; SIGKILL if it does not end."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        return self.process.returncode


def gunicorn(port: int, log: Path, app: str = "service.app:app", **settings: str) -> subprocess.Popen[bytes]:
    """Start gunicorn as production does, with `settings` in the environment."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port), "WORKERS": "1", **settings}
    command = [sys.executable, "-m", "gunicorn", "-c", "service/gunicorn.conf.py", app]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def serving(
    folder: Path, app: str = "service.app:app", wait: str = "/ready", **settings: str
) -> Iterator[Server]:
    """A server on a free port once it answers `wait` with 200; stopped afterwards."""
    port = free_port()
    log = folder / f"server-{port}.log"
    server = Server(gunicorn(port, log, app, **settings), port, log, settings)
    try:
        server.wait_until_ready(path=wait)
        yield server
    finally:
        server.stop()
