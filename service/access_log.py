"""The access log, when it is switched on: one JSON object a line on stdout, never a body.

`answered` lines carry status and duration. With ACCESS_LOG=all an `accepted` line is written before a request is
worked on: what was accepted and never answered can then be told afterwards.
"""

import json
import os
import sys
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from service.middleware import Watched


class AccessLog:
    """ASGI around `app` that writes a line for every answer, and for every accepted request if asked."""

    def __init__(self, app: ASGIApp, accepted: bool) -> None:
        self._app = app
        self._accepted = accepted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = time.perf_counter()
        request = {
            "method": scope["method"],
            "path": scope["path"],
            "client": scope["client"][0] if scope.get("client") else None,
            "request_id": _request_id(scope),
            "pid": os.getpid(),
        }
        if self._accepted:
            _write({"event": "accepted", "at_s": time.time(), **request})
        watched = Watched(send)
        try:
            await self._app(scope, receive, watched)
        finally:
            duration_s = round(time.perf_counter() - begun, 6)
            event = {"event": "answered", "at_s": time.time(), **request}
            _write({**event, "status": watched.status, "duration_s": duration_s})


def _request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value[:200].decode("latin-1"))
    return None


def _write(line: dict[str, object]) -> None:
    # One write a line, so that lines of several workers do not mix.
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()
