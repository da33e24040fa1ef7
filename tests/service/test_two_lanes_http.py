"""Both lanes answer the same raw bytes alike, over real connections: lengths that lie, chunks, pipelines."""

import asyncio
import contextlib
import random
import re
from collections.abc import Iterator

import pytest

from bench.raw_http import GOOD, request
from tests.service.running import Server, serving

RANDOM_REQUESTS = 200
AT_ONCE = 100
HEAD = b"POST /v1/prediction%b HTTP/1.%d\r\nHost: x\r\nContent-Type: application/json\r\n"


def post(body: bytes = GOOD, *, query: bytes = b"", version: int = 1, more: bytes = b"") -> bytes:
    return HEAD % (query, version) + b"Content-Length: %d\r\n%b\r\n" % (len(body), more) + body


def chunked(*chunks: bytes) -> bytes:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD % (b"", 1) + b"Transfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\n\r\n"


REQUESTS = [
    post(),
    post(query=b"?x=1"),
    post(query=b"/"),
    post(version=0),
    post(more=b"Connection: close\r\n"),
    post(more=b"Expect: 100-continue\r\n"),
    post(b""),
    post(b" " * 262_144),
    post(b" " * 262_145),
    post().replace(b"POST", b"GET"),
    post().replace(b"POST", b"HEAD"),
    post().replace(b"application/json", b"text/plain"),
    post() * 3,
    post(b"{}") + post() + post(b"[]"),
    chunked(GOOD),
    chunked(GOOD[:10], GOOD[10:]),
    chunked(b" " * 200_000, b" " * 200_000),
    chunked(),
]


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    folder = tmp_path_factory.mktemp("lanes")
    # A slow machine must not make one of them refuse, or cut off, what the other answers.
    limits = {"KEEPALIVE_S": "1", "REQUEST_TIMEOUT_S": "3", "MAX_WAIT_MS": "60000", "DEADLINE_MS": "60000"}
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(serving(folder, FAST_LANE=lane, **limits)) for lane in ("on", "off")]


async def answer(server: Server, sent: bytes) -> list[bytes] | None:
    """Every response in order, without its date; None where the connection was reset, which may drop some of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(60):
            received = await reader.read(-1)
    except ConnectionError:
        return None
    finally:
        writer.close()
    return re.sub(rb"\r\ndate: [^\r]+", b"", received).split(b"HTTP/1.1 ")


async def both(
    lanes: list[Server], sent: bytes, at_once: asyncio.Semaphore
) -> tuple[list[bytes] | None, list[bytes] | None]:
    async with at_once:
        fast, ordinary = await asyncio.gather(*(answer(server, sent) for server in lanes))
    return fast, ordinary


async def test_the_lanes_answer_the_same_bytes_alike(lanes: list[Server]) -> None:
    at_once = asyncio.Semaphore(AT_ONCE)
    answered = await asyncio.gather(*(both(lanes, sent, at_once) for sent in REQUESTS))
    for sent, answers in zip(REQUESTS, answered, strict=True):
        assert answers[0] == answers[1], sent[:200]
        assert answers[0] is not None, sent[:200]


async def test_the_lanes_answer_random_raw_requests_alike(lanes: list[Server]) -> None:
    sent = [request(random.Random(seed)) for seed in range(RANDOM_REQUESTS)]
    # What is counted while it is asked for is never the same twice.
    sent = [one for one in sent if b"/metrics" not in one]
    at_once = asyncio.Semaphore(AT_ONCE)
    answers = await asyncio.gather(*(both(lanes, one, at_once) for one in sent))
    told = [(one, fast, slow) for one, (fast, slow) in zip(sent, answers, strict=True) if fast and slow]
    assert len(told) > 0.8 * len(sent), "hardly any is reset"
    for one, fast, slow in told:
        assert fast == slow, one[:300]
