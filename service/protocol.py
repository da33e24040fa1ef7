"""uvicorn's HTTP protocol, with clients cut off that are too slow or send endless headers: uvicorn itself only limits
idle connections."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SWEEP_PERIOD_S = 0.5
MAX_HEAD_BYTES = 65536
"""Of a request line with its headers, beyond the piece in which they began: uvicorn itself would keep any number."""

_TOO_LONG = b'{"detail":"The request line and headers may have at most %d bytes."}' % MAX_HEAD_BYTES
_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_TOO_LONG), _TOO_LONG)
)


class GuardedProtocol(HttpToolsProtocol):
    """Closes a connection whose request is not complete `request_timeout_s` after it began, and one that takes
    none of its answer for as long. One sweep looks at all connections, so that a request costs no timer."""

    request_timeout_s = 10.0
    _sweeping: "asyncio.TimerHandle | None" = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # A connection is incomplete from the start: a client that connects and says nothing is slow too.
        self.incomplete_since_s: float | None = self.loop.time()
        self.write_paused_since_s: float | None = None
        self.in_head, self.head_bytes = False, 0
        if GuardedProtocol._sweeping is None:
            GuardedProtocol._sweeping = self.loop.call_later(SWEEP_PERIOD_S, self._sweep)

    def data_received(self, data: bytes) -> None:
        if self.incomplete_since_s is None and data[0] in b"\r\n" and not data.strip(b"\r\n"):
            # Empty lines between requests mean nothing, but uvicorn would stop counting how long it has been idle.
            return
        continued = self.in_head
        super().data_received(data)
        if self.in_head and continued:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
        else:
            self.head_bytes = 0

    def _refuse_head(self) -> None:
        """431, unless an answer to an earlier request is under way: then the connection only ends."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_REFUSAL)
        self.in_head = False
        self.transport.close()

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.in_head = True
        if self.incomplete_since_s is None:
            self.incomplete_since_s = self.loop.time()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.incomplete_since_s = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self.write_paused_since_s = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.write_paused_since_s = None

    def _sweep(self) -> None:
        """Close what is overdue among the connections of this worker."""
        overdue_s = self.loop.time() - self.request_timeout_s
        for connection in list(self.connections):
            if isinstance(connection, GuardedProtocol) and connection.overdue(overdue_s):
                connection.transport.abort()
        GuardedProtocol._sweeping = (
            self.loop.call_later(SWEEP_PERIOD_S, self._sweep) if self.connections else None
        )

    def overdue(self, since_s: float) -> bool:
        """Whether the client owes the rest of a request, or owes taking its answer, since before `since_s`."""
        return any(
            began is not None and began < since_s
            for began in (self.incomplete_since_s, self.write_paused_since_s)
        )


def guarded(request_timeout_s: float) -> type[GuardedProtocol]:
    """The protocol with its timeout, as uvicorn wants a class."""
    members: dict[str, Any] = {"request_timeout_s": request_timeout_s}
    return type("GuardedProtocol", (GuardedProtocol,), members)
