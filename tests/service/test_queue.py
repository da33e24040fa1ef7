"""Queue mode with a real Redis, real model workers and a real gunicorn."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_client

from service import wire
from service.artifact import ARTIFACT
from service.gathering import Turn
from service.metrics import Metrics
from service.model import load_model
from service.model_worker import ModelWorker
from service.queueing import QueuePredictor
from service.schemas import Flight
from service.settings import Settings
from tests.service.fakes import FailsOnPairs, fresh_app, loader
from tests.service.running import FLIGHT, PREDICT, ROOT, Server, free_port, serving, started
from tests.service.test_server import BODY, connected, read_response, request

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


class Redis:
    """A redis-server on a port of its own; it can be ended and started again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.start()

    def start(self) -> None:
        command = [
            "redis-server",
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError("redis-server does not start")

    def wait_for_consumers(self, count: int) -> None:
        """Until so many model workers have asked for work."""
        stream = wire.work_stream(load_model(ARTIFACT).id)
        limit = time.monotonic() + 30
        with redis_client.Redis.from_url(self.url) as client:
            while time.monotonic() < limit:
                with contextlib.suppress(redis_client.ResponseError):
                    if len(client.xinfo_consumers(stream, wire.GROUP)) >= count:
                        return
                time.sleep(0.05)
        raise AssertionError(f"{count} model workers did not start")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis() -> Iterator[Redis]:
    running = Redis(free_port())
    yield running
    running.end()


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def model_worker(redis: Redis) -> Iterator[Start]:
    """Starts model workers; all are ended afterwards."""
    started = []

    def start(code: str = WORKER, **settings: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": redis.url, **settings}
        started.append(
            subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


WORKER = "from service.model_worker import main; raise SystemExit(main())"
FAKE = """
import sys
sys.modules["sklearn"] = None  # XGBoost would import it, for seconds
from tests.service.fakes import {0}
raise SystemExit({0}())
"""
SLOW, FAILING = FAKE.format("slow_worker"), FAKE.format("failing_worker")


def eventually(server: Server, status: int, limit_s: float = 20) -> None:
    limit = time.monotonic() + limit_s
    while (answered := server.predict()[0]) != status:
        assert time.monotonic() < limit, f"still {answered}, not {status}"
        time.sleep(0.05)


def test_queue_mode_answers_as_the_model_does_survives_redis_and_says_when_nobody_works(
    tmp_path: Path, redis: Redis, model_worker: Start
) -> None:
    with serving(
        tmp_path, SERVING="queue", REDIS_URL=redis.url, DEADLINE_MS="4000", wait="/health"
    ) as server:
        limit = time.monotonic() + 20
        while (refusal := server.predict()) == (503, {"detail": "The queue is not connected yet."}):
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert refusal == (503, {"detail": "No model worker is running; start one."})
        assert server.ask("GET", "/ready")[0] == 503
        begun = time.monotonic()
        refused = server.ask("POST", "/v1/predictions", b"[" + BODY + b"]")
        assert (refused[0], refused[1]["retry-after"]) == (503, "1")
        assert time.monotonic() - begun < 2, "refused at once, not at its deadline"
        worker = model_worker()
        eventually(server, 200)
        model = load_model(ARTIFACT)
        for line in (ROOT / "wrk" / "flights.jsonl").read_text().splitlines()[:30]:
            (expected,) = model.predict([model.encode(Flight(**json.loads(line)))])
            status, answer = server.predict(json.loads(line))
            assert (status, answer["probability"]) == (200, expected / 10_000)
        lines = (ROOT / "wrk" / "flights.jsonl").read_text().splitlines()[:1000]
        many = server.ask("POST", "/v1/predictions", ("[" + ",".join(lines) + "]").encode())
        assert many[0] == 200
        assert len(json.loads(many[2])) == 1000

        server.process.send_signal(signal.SIGHUP)
        until, statuses = time.monotonic() + 4, set()
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionError, http.client.HTTPException):
                statuses.add(server.predict()[0])
        assert statuses == {200}, "a reload refuses nothing"

        redis.end()
        begun = time.monotonic()
        status, headers, body = server.ask("POST", PREDICT, BODY)
        assert time.monotonic() - begun < 2, "nobody waits for the deadline"
        assert (status, headers["retry-after"]) == (503, "1")
        assert b"queue is away" in body
        assert server.ask("GET", "/ready")[0] == 503
        assert server.ask("GET", "/health")[0] == 200
        redis.start()
        eventually(server, 200)

        worker.terminate()
        assert worker.wait(10) == 0
        eventually(server, 503)
        model_worker()
        eventually(server, 200)


def test_a_killed_model_worker_loses_no_request(tmp_path: Path, redis: Redis, model_worker: Start) -> None:
    settings = {"DEADLINE_MS": "6000", "MAX_WAIT_MS": "6000", "MAX_BATCH": "20"}
    victim, _ = model_worker(SLOW, **settings), model_worker(SLOW, **settings)
    redis.wait_for_consumers(2)
    with (
        serving(tmp_path, SERVING="queue", REDIS_URL=redis.url, **settings) as server,
        contextlib.ExitStack() as stack,
    ):
        connections = [stack.enter_context(connected(server)) for _ in range(200)]
        for connection in connections:
            connection.sendall(request())
        time.sleep(0.15)
        victim.kill()
        model_worker(SLOW, **settings)
        statuses = [int(read_response(connection)[9:12]) for connection in connections]
        assert statuses == [200] * 200


async def test_a_model_that_fails_is_500_as_in_process_and_its_worker_goes_on(
    redis: Redis, model_worker: Start
) -> None:
    model_worker(FAILING)
    redis.wait_for_consumers(1)
    behind, inside = {"serving": "queue", "redis_url": redis.url}, {"load": loader(FailsOnPairs)}
    for settings in (behind, inside):
        async with started(fresh_app(**settings)) as client:
            failed = await client.post("/v1/predictions", json=[FLIGHT] * 2)
            assert (failed.status_code, failed.text) == (500, "Internal Server Error")
            assert (await client.post(PREDICT, json=FLIGHT)).status_code == 200


def test_work_is_cut_so_that_workers_can_share_it() -> None:
    predictor = QueuePredictor("model", Settings(), Metrics(1))
    turn = Turn(0.0)
    turn.rows = [(0, 0, 0, 0, 0, 0, 1)] * 100
    assert [len(one.rows) for one in predictor._packed([turn])] == [32, 32, 32, 4]


def test_a_model_worker_takes_what_one_call_of_its_model_does_in_time() -> None:
    with redis_client.Redis() as unused:
        worker = ModelWorker(load_model(ARTIFACT), unused, Settings())
        for _ in range(3):
            worker._pace.saw(32, 0.064)
        assert worker._entries() == 1, "2 ms a flight: 25 in 50 ms, less than one entry"
        worker._pace.saw(32, 0.0001)
        assert worker._entries() == 256 // wire.ENTRY_ROWS


def test_work_that_nobody_takes_is_503_at_its_deadline(
    tmp_path: Path, redis: Redis, model_worker: Start
) -> None:
    victim = model_worker(SLOW, DEADLINE_MS="500")
    with serving(tmp_path, SERVING="queue", REDIS_URL=redis.url, DEADLINE_MS="500") as server:
        victim.kill()
        begun = time.monotonic()
        assert server.predict()[0] == 503
        assert time.monotonic() - begun < 2.5, "the alive key alone would hold for 3"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("REDIS_URL", "localhost", "REDIS_URL must be a URL that begins with redis://"),
        ("HEARTBEAT_FILE", "/no/folder/file", "HEARTBEAT_FILE='/no/folder/file' cannot be written"),
    ],
)
def test_a_model_worker_refuses_a_wrong_setting_with_one_sentence(
    name: str, value: str, sentence: str
) -> None:
    command = [sys.executable, "-m", "service.model_worker"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), name: value}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_what_goes_over_the_wire_comes_out_again() -> None:
    rows = [(1, 2, 3, 40_000, 5, 6, 7), (0, 0, 0, 0, 0, 0, 1)]
    packed = {name.encode(): value for name, value in wire.pack_work("me", 2**40, rows).items()}
    asker, number, back = wire.unpack_work(packed)
    assert (asker, back) == ("me", rows)
    assert wire.unpack_answer(wire.pack_answer(number, [0, 10_000])) == (2**40, [0, 10_000])
    with pytest.raises(ValueError, match="cut"):
        wire.unpack_work({b"asker": b"me", b"number": number, b"rows": b"\0\0\0\0"})
