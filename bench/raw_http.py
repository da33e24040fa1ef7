"""Mutated raw HTTP requests, and the judgement of what a server may do with them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

GOOD = b'{"airline":"UA","origin":"EWR","destination":"IAH","departure":"2013-07-04T17:05"}'
NUMBERS = (b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"-0", b"0x10", b"1e-400", b"true", b"null", b'""')
PATHS = (
    b"/v1/prediction",
    b"/v1/predictions",
    b"/",
    b"/ready",
    b"/metrics",
    b"/nothing",
    b"/%00",
    b"/v1/prediction?x=1",
)
METHODS = (b"POST",) * 8 + (b"GET", b"PUT", b"HEAD", b"OPTIONS", b"BREW")
ANSWER_LIMIT_S = 10.0


@dataclass(slots=True)
class Verdict:
    """What came back: counts by status, and each request that was answered wrongly or not at all."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, bytes]] = field(default_factory=list)


def body(random_: random.Random) -> bytes:
    """Good, broken, huge, deep, or of another kind."""
    kind = random_.randrange(9)
    if kind == 0:
        return GOOD
    if kind == 1:
        return (
            b'{"airline":' + random_.choice(NUMBERS) + b',"origin":"EWR","destination":"IAH","departure":1}'
        )
    if kind == 2:
        return random_.choice((b"[", b'{"a":', b"[[],")) * random_.randrange(1, 20_000)
    if kind == 3:
        return random_.randbytes(random_.randrange(300))
    if kind == 4:
        return b"[" + b",".join([GOOD] * random_.randrange(0, 1100)) + b"]"
    if kind == 5:
        return b" " * random_.choice((1, 70_000, 262_144, 262_145)) + GOOD
    mutated = bytearray(GOOD)
    for _ in range(random_.randrange(1, 5)):
        at = random_.randrange(len(mutated) + 1)
        mutated[at : at + random_.randrange(3)] = random_.choice(
            (random_.randbytes(1), b'"', b"\\u0000", b"\xff", b"{")
        )
    return bytes(mutated)


def head(random_: random.Random, length: int) -> bytes:
    """Request line and headers; lengths and encodings may lie."""
    lines = [
        random_.choice(METHODS)
        + b" "
        + random_.choice(PATHS if random_.random() < 0.4 else PATHS[:1])
        + b" HTTP/1.1"
    ]
    lines.append(b"Host: x")
    lines.append(
        b"Content-Type: "
        + random_.choice((b"application/json",) * 6 + (b"text/plain", b"application/x-json;a"))
    )
    lie = random_.random()
    if lie < 0.75:
        lines.append(b"Content-Length: %d" % length)
    elif lie < 0.85:
        lines.append(
            b"Content-Length: " + random_.choice((b"-1", b"abc", b"99999999999999999999", b"5", b"0", b"1 1"))
        )
    elif lie < 0.95:
        lines.append(b"Transfer-Encoding: chunked")
    if random_.random() < 0.1:
        lines.append(
            random_.choice(
                (
                    b"X: " + b"a" * 20_000,
                    b"X\x00Y: 1",
                    b": empty",
                    b"Expect: 100-continue",
                    b"Content-Length: 7",
                )
            )
        )
    return b"\r\n".join([*lines, b"", b""])


def request(random_: random.Random) -> bytes:
    """One to three pipelined requests; the last one may be cut."""
    sent = b""
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        payload = body(random_)
        sent += head(random_, len(payload)) + payload
    return sent[: random_.randrange(len(sent))] if random_.random() < 0.1 else sent


async def _exchange(port: int, sent: bytes, slowly: bool) -> bytes:
    """Everything the server answers until it closes: it cuts idle connections and unfinished requests off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if slowly:
            middle = len(sent) // 2
            writer.write(sent[:middle])
            await asyncio.sleep(0.05)
            writer.write(sent[middle:])
        else:
            writer.write(sent)
        return await reader.read(-1)
    except OSError:
        return b"closed"
    finally:
        writer.close()


async def judge(port: int, seed: int, verdict: Verdict) -> None:
    """One seeded exchange: no 5xx but 503, only whole statuses, an end within the limit."""
    random_ = random.Random(seed)
    sent = request(random_)
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            answer = await _exchange(port, sent, random_.random() < 0.1)
    except TimeoutError:
        verdict.faults.append(("no end within the limit", sent))
        return
    statuses = [part[:3].decode("latin-1") for part in answer.split(b"HTTP/1.1 ")[1:]]
    verdict.statuses.update(statuses or ["closed"])
    if wrong := [status for status in statuses if status.startswith("5") and status != "503"]:
        verdict.faults.append((f"answered {wrong[0]}", sent))


async def fuzz(port: int, count: int, seed: int, at_once: int = 300) -> Verdict:
    """`count` exchanges, `at_once` at a time; the server should have KEEPALIVE_S=1 and REQUEST_TIMEOUT_S=1."""
    verdict = Verdict()
    seeds = iter(range(seed, seed + count))

    async def work() -> None:
        for one in seeds:
            await judge(port, one, verdict)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return verdict
