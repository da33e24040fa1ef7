"""A small HTTP/1.1 client with exact times, run as its own process: `python -m headwind.stress.prober < plan`.

It is a process of its own so that neither the load generator's nor the sampler's work delays it; what still delays
it is measured (`lag_s`: how long after its due time a request was sent) and reported with the answers.
All times are seconds of the machine's monotonic clock, so they can be laid beside the sampler's.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import os
import random
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

READ_SIZE = 1 << 16


@dataclass(slots=True)
class Plan:
    """What to send. `mode`: `closed` (one after the other on one connection), `jitter` (an independent random
    schedule, each on a connection of its own, kinds in turn), `burst` (`count` at once), `pairs` (two requests, the
    second `offset_s` after the first, repeated `count` times with a pause)."""

    host: str
    port: int
    requests: dict[str, list[str]]  # kind -> the bytes to send (several: in turn), base64
    mode: str
    duration_s: float = 2.0
    rate_per_s: float = 20.0
    count: int = 0
    offset_s: float = 0.0
    timeout_s: float = 10.0
    seed: int = 1
    tls: bool = False
    server_name: str = ""


@dataclass(slots=True)
class Answer:
    """One exchange; `done_s` None: no whole answer within the timeout."""

    kind: str
    due_s: float
    sent_s: float
    connect_s: float | None = None  # how long the connection took, where one was opened for this request
    done_s: float | None = None
    status: int | None = None
    closed: bool = False  # the server ended the connection after this answer
    retry_after: bool = False
    size: int = 0
    group: int = 0


@dataclass(slots=True)
class Exchange:
    """One connection and the request under way on it."""

    sock: socket.socket
    answer: Answer
    payload: bytes
    connected: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    body_end: int | None = None
    chunked: bool = False
    head_end: int = -1


class Prober:
    """Runs a plan with one `select` loop; `answers` in order of completion."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.payloads = {
            kind: itertools.cycle([base64.b64decode(text) for text in texts])
            for kind, texts in plan.requests.items()
        }
        self.kinds = list(self.payloads)
        self.selector = selectors.DefaultSelector()
        self.answers: list[Answer] = []
        self.due: list[tuple[float, int, str, int]] = []
        self.order = itertools.count()
        self.address = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)[0]
        self.context = _tls_context() if plan.tls else None
        self.after: Callable[[Exchange], None] = self._finish

    def schedule(self, due_s: float, kind: str, group: int = 0) -> None:
        heapq.heappush(self.due, (due_s, next(self.order), kind, group))

    def run(self) -> list[Answer]:
        """Send all that is due until nothing is scheduled or under way."""
        while self.due or len(self.selector.get_map()):
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                due_s, _, kind, group = heapq.heappop(self.due)
                self._open(due_s, kind, group)
                now = time.monotonic()
            self._expire(now)
            wait = min(0.05, max(0.0, self.due[0][0] - now)) if self.due else 0.05
            for key, _ in self.selector.select(wait):
                self._advance(key.data)
        return self.answers

    def _open(self, due_s: float, kind: str, group: int) -> None:
        family, kind_of, protocol, _, address = self.address
        sock = socket.socket(family, kind_of, protocol)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = Answer(kind, due_s, time.monotonic(), group=group)
        sock.connect_ex(address)
        if self.context is not None:
            sock = self.context.wrap_socket(
                sock, server_hostname=self.plan.server_name or self.plan.host, do_handshake_on_connect=False
            )
        exchange = Exchange(sock, answer, next(self.payloads[kind]))
        self.selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, exchange)

    def _advance(self, exchange: Exchange) -> None:
        try:
            if not exchange.connected and not self._connect(exchange):
                return
            data = exchange.sock.recv(READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self._fail(exchange)
            return
        if data:
            exchange.buffer += data
            if self._whole(exchange):
                self._complete(exchange)
        elif exchange.head_end >= 0 and exchange.body_end is None and not exchange.chunked:
            exchange.answer.closed = True  # a body that ends with the connection
            self._complete(exchange)
        else:
            self._fail(exchange)

    def _connect(self, exchange: Exchange) -> bool:
        error = exchange.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        if isinstance(exchange.sock, ssl.SSLSocket):
            if exchange.sock.fileno() < 0:
                raise OSError("closed")
            exchange.sock.do_handshake()
        exchange.connected = True
        exchange.answer.connect_s = time.monotonic() - exchange.answer.sent_s
        exchange.sock.send(exchange.payload)
        self.selector.modify(exchange.sock, selectors.EVENT_READ, exchange)
        return True

    def _whole(self, exchange: Exchange) -> bool:
        if exchange.head_end < 0:
            end = exchange.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            exchange.head_end = end + 4
            _read_head(exchange, bytes(exchange.buffer[:end]))
        if exchange.chunked:
            return exchange.buffer.endswith(b"0\r\n\r\n")
        return exchange.body_end is not None and len(exchange.buffer) >= exchange.body_end

    def _complete(self, exchange: Exchange) -> None:
        exchange.answer.done_s = time.monotonic()
        exchange.answer.size = len(exchange.buffer)
        self.answers.append(exchange.answer)
        self.after(exchange)

    def _fail(self, exchange: Exchange) -> None:
        exchange.answer.closed = True
        self.answers.append(exchange.answer)
        self.after(exchange)

    def _finish(self, exchange: Exchange) -> None:
        self.selector.unregister(exchange.sock)
        exchange.sock.close()

    def _expire(self, now: float) -> None:
        for key in list(self.selector.get_map().values()):
            exchange: Exchange = key.data
            if now - exchange.answer.sent_s > self.plan.timeout_s:
                self.answers.append(exchange.answer)
                self._finish(exchange)

    def closed_loop(self, end_s: float) -> None:
        """After each answer send the next one on the same connection, until `end_s`."""

        def again(exchange: Exchange) -> None:
            failed = exchange.answer.done_s is None
            if time.monotonic() >= end_s:
                self._finish(exchange)
            elif exchange.answer.closed:
                self._finish(exchange)
                # After a failure wait a little: a server that refuses must not be hammered.
                self.schedule(time.monotonic() + (0.05 if failed else 0.0), exchange.answer.kind)
            else:
                self._resend(exchange)

        self.after = again
        self.schedule(time.monotonic(), self.kinds[0])

    def _resend(self, exchange: Exchange) -> None:
        now = time.monotonic()
        payload = next(self.payloads[exchange.answer.kind])
        fresh = Exchange(exchange.sock, Answer(exchange.answer.kind, now, now), payload, True)
        self.selector.modify(exchange.sock, selectors.EVENT_READ, fresh)
        try:
            exchange.sock.send(payload)
        except OSError:
            self._fail(fresh)


def _read_head(exchange: Exchange, head: bytes) -> None:
    lines = head.split(b"\r\n")
    words = lines[0].split()
    answer = exchange.answer
    answer.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else None
    keep = not lines[0].startswith(b"HTTP/1.0")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip().lower()
        if name == b"content-length" and value.isdigit():
            exchange.body_end = exchange.head_end + int(value)
        elif name == b"transfer-encoding" and b"chunked" in value:
            exchange.chunked = True
        elif name == b"connection":
            keep = b"close" not in value and (keep or b"keep-alive" in value)
        elif name == b"retry-after":
            answer.retry_after = True
    if answer.status in (204, 304):
        exchange.body_end = exchange.head_end
    answer.closed = not keep


def _tls_context() -> ssl.SSLContext:
    # A diagnosis is about time, not trust, and a local server's certificate is often self-signed.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _jitter(plan: Plan, start: float) -> Iterator[float]:
    chance = random.Random(plan.seed)
    due = start
    while True:
        # Uniform between half and one and a half intervals: independent of the server, never in step with it.
        due += chance.uniform(0.5, 1.5) / plan.rate_per_s
        if due >= start + plan.duration_s:
            return
        yield due


def execute(plan: Plan) -> dict[str, Any]:
    """Run `plan`; returns `answers` (fields of `Answer`) and `cpu_s`, the CPU time that this process used."""
    prober = Prober(plan)
    start = time.monotonic()
    if plan.mode == "closed":
        prober.closed_loop(start + plan.duration_s)
    elif plan.mode == "jitter":
        for number, due in enumerate(_jitter(plan, start)):
            prober.schedule(due, prober.kinds[number % len(prober.kinds)])
    elif plan.mode == "burst":
        for _ in range(plan.count):
            prober.schedule(start, prober.kinds[0])
    elif plan.mode == "pairs":
        for number in range(plan.count):
            at = start + number * (plan.duration_s / max(1, plan.count))
            prober.schedule(at, prober.kinds[0], number)
            prober.schedule(at + plan.offset_s, prober.kinds[0], number)
    else:
        raise ValueError(f"unknown mode {plan.mode!r}")
    answers = prober.run()
    return {"answers": [asdict(answer) for answer in answers], "cpu_s": time.process_time()}


def main() -> None:
    """Read a plan as JSON from stdin, write the outcome as JSON to stdout."""
    json.dump(execute(Plan(**json.load(sys.stdin))), sys.stdout)


if __name__ == "__main__":
    main()
