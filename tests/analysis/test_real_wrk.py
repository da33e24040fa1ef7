"""Real wrk against servers whose limits are known: what is said of saturation, delay and late answers holds."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from headwind.formats import read_text
from headwind.report import document
from headwind.run import Run

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed"),
]
Work = Callable[[int], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def server(make: Callable[[], Work]) -> Iterator[str]:
    """A keep-alive HTTP server that awaits `work(number of the request)` before each answer."""
    began = threading.Event()
    told: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        work, count, stop = make(), 0, asyncio.Event()

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    count += 1
                    await work(count)
                    writer.write(ANSWER)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        listening = await asyncio.start_server(connection, "127.0.0.1", 0)
        async with listening:
            told.append((listening.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
            began.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert began.wait(10)
    port, loop, stop = told[0]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def one_at_a_time(service_s: float) -> Callable[[], Work]:
    """Each request is served for `service_s` after the one before it: a saturated server, exact on a busy machine."""

    def make() -> Work:
        free_at = 0.0

        async def work(_number: int) -> None:
            nonlocal free_at
            now = asyncio.get_running_loop().time()
            free_at = max(free_at, now) + service_s
            await asyncio.sleep(free_at - now)

        return work

    return make


def delayed(delay_s: Callable[[int], float]) -> Callable[[], Work]:
    """Every request waits for itself, as many at once as come: pure delay."""

    def make() -> Work:
        async def work(number: int) -> None:
            await asyncio.sleep(delay_s(number))

        return work

    return make


def wrk(url: str, connections: int, duration_s: int, *, timeout_s: int = 2) -> Run:
    command = ["wrk", "-t2", f"-c{connections}", f"-d{duration_s}s", "--timeout", f"{timeout_s}s", url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    (run,) = read_text(printed, "wrk", timeout_s=timeout_s)
    return run


def codes(*runs: Run) -> list[str]:
    return [row["code"] for row in document.build(list(runs), source="wrk")["findings"]]


def test_a_serial_server_is_likely_saturated_and_half_the_connections_show_it() -> None:
    with server(one_at_a_time(0.05)) as url:
        full = wrk(url, 16, 2)
    with server(one_at_a_time(0.05)) as url:  # a fresh one: the first still works off what was cut off
        half = replace(wrk(url, 8, 2), url=full.url)
    assert "saturation_likely" in codes(full)
    assert "saturated_across_loads" in codes(half, full)


def test_pure_delay_looks_alike_alone_and_is_told_apart_by_the_second_load() -> None:
    with server(delayed(lambda _: 0.55)) as url:  # 5.4 rounds in 3 s: a little more or less still ends five
        full, half = wrk(url, 64, 3), wrk(url, 32, 3)
    assert "saturation_likely" in codes(full)
    both = codes(half, full)
    assert "not_saturated" in both
    assert "saturated_across_loads" not in both


def test_a_quick_server_is_not_called_saturated() -> None:
    with server(delayed(lambda _: 0.05)) as url:
        run = wrk(url, 32, 1)
    assert not {"saturation_likely", "late_answers", "mean_understated", "error_answers"} & set(codes(run))


def test_late_answers_are_counted_and_the_mean_is_littles() -> None:
    """One answer in four takes 1.4 s, wrk's timeout is 1 s: the printed mean is of the quick ones only."""
    with server(delayed(lambda number: 1.4 if number % 4 == 0 else 0.2)) as url:
        run = wrk(url, 40, 6, timeout_s=1)
    assert run.latency is not None
    assert run.latency.mean_s is not None
    assert run.latency.mean_s < 0.35
    found = {row["code"]: row for row in document.build([run], source="wrk")["findings"]}
    told = {row["name"]: row["value"] for row in found["mean_understated"]["evidence"]}
    # The true mean is 0.2 * 3/4 + 1.4 / 4 = 0.5 s; cut-off requests at the end are mostly slow ones.
    assert told["mean time per request, at least"] <= 0.56
    assert told["mean time per request, at most"] >= 0.45
    share = found["late_answers"]["evidence"][2]["value"]
    assert share == pytest.approx(0.25, abs=0.06)
