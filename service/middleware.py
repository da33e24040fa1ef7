"""Plain ASGI around FastAPI: the body limit, counting requests, and what these and others of their kind share."""

import asyncio
import contextlib
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import too_large_response
from service.metrics import Metrics

LINGER_S = 0.5
"""Silence after which a client whose body was refused has stopped sending. How long it may go on sending is limited by
REQUEST_TIMEOUT_S, as for any body."""


class Watched:
    """`send` that remembers the status it passed on, and when; both are None before an answer begins."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.answered_at_s: float | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answered_at_s = time.perf_counter()
        await self._send(message)


def replay(messages: list[Message], receive: Receive) -> Receive:
    """`receive` that first gives back what was already read."""

    async def replayed() -> Message:
        return messages.pop(0) if messages else await receive()

    return replayed


class BodyLimit:
    """Answers 413 as soon as a body is known to be too large, by its announced or its received length."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if _announced_bytes(scope) > self._max_body_bytes:
            return await self._refuse(receive, send)
        messages: list[Message] = []
        received = 0
        while True:
            message = await receive()
            messages.append(message)
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                return await self._refuse(receive, send)
            if not message.get("more_body", False):
                break
        return await self._app(scope, replay(messages, receive), send)

    async def _refuse(self, receive: Receive, send: Send) -> None:
        """Answer at once, then drop what still comes until the client is done or silent: closing a connection with
        bytes unread resets it, and a client that was still sending might never see the answer."""
        response = too_large_response(self._max_body_bytes)
        headers = response.raw_headers
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
        with contextlib.suppress(TimeoutError):
            while (await asyncio.wait_for(receive(), LINGER_S)).get("more_body", False):
                pass
        await send({"type": "http.response.body"})


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return length(value)
    return 0


def length(value: bytes) -> int:
    """What a content-length says; 0 where it is no number."""
    return int(value) if value.isdigit() else 0


class CountRequests:
    """Counts each request of `app` by status, with the time it took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = time.perf_counter()
        watched = Watched(send)
        try:
            await self._app(scope, receive, watched)
        finally:
            answered_at_s = watched.answered_at_s or time.perf_counter()
            self._metrics.answered(watched.status or 500, 1, answered_at_s - begun)
