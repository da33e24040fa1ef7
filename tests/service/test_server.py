"""gunicorn as a real process: refusals at start, signals, slow clients, limits, logs."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from service.artifact import ARTIFACT
from service.model import load_model, pack
from service.protocol import MAX_HEAD_BYTES
from tests.service.running import FLIGHT, PREDICT, Server, free_port, gunicorn, serving

BODY = json.dumps(FLIGHT).encode()
SLOW_APP = "tests.service.fakes:slow_app()"


def request(body: bytes = BODY, path: str = PREDICT, more: str = "") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        more,
    ]
    return "\r\n".join([line for line in lines if line] + ["", ""]).encode() + body


@contextlib.contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield connection


def read_response(connection: socket.socket) -> bytes:
    """One response with a content-length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, WORKERS="2", REQUEST_TIMEOUT_S="1", KEEPALIVE_S="2") as running:
        yield running


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"WORKERS": "many"}, "WORKERS='many' must be a whole number from 1 to 64."),
        (
            {"MODEL_PATH": "/no/model"},
            "The model file /no/model cannot be read (No such file or directory): ",
        ),
        ({"MODEL_PATH": __file__}, f"The model file {__file__} is broken or of another kind "),
        ({"HOST": "192.0.2.1"}, "(Cannot assign requested address): set HOST to an address of this machine."),
        ({"SICK": "hypochondria"}, "SICK=hypochondria is no illness; there are "),
        ({"SERVING": "queue", "REDIS_URL": "localhost"}, "REDIS_URL must be a URL that begins with redis://"),
    ],
)
def test_a_wrong_start_ends_with_one_sentence(
    settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = gunicorn(free_port(), log, **settings)
    assert process.wait(30) != 0
    printed = log.read_text()
    assert sentence in printed
    assert "Traceback" not in printed
    assert len([line for line in printed.splitlines() if "[INFO]" not in line]) == 1


def test_a_taken_port_ends_the_start_with_one_sentence(server: Server, tmp_path: Path) -> None:
    process = gunicorn(server.port, tmp_path / "log")
    assert process.wait(30) != 0
    assert (
        f"Cannot listen on 127.0.0.1:{server.port} (Address already in use): set PORT"
        in (tmp_path / "log").read_text()
    )


def test_both_workers_are_counted_and_told_apart(server: Server) -> None:
    for _ in range(40):
        assert server.predict()[0] == 200
    samples = server.metrics()
    assert samples["flight_delay_workers"] == 2
    assert "flight_delay_loop_lag_seconds_count" in samples
    by_slot = [
        samples.get(f'flight_delay_worker_requests_total{{status="200",worker="{slot}"}}', 0)
        for slot in (0, 1)
    ]
    assert samples['flight_delay_requests_total{status="200"}'] >= 40
    assert abs(sum(by_slot) - samples['flight_delay_requests_total{status="200"}']) <= 1
    assert not any('worker="2"' in name for name in samples)


def test_a_connection_is_kept_for_many_requests_and_pipelined_ones_are_answered_in_order(
    server: Server,
) -> None:
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(request())
            assert read_response(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(request() + request(b"{}") + request())
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 3 or not answers.endswith(b"}"):
            answers += connection.recv(65536)
        statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"422", b"200"]


def test_an_idle_connection_is_closed_after_keepalive(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(request())
        read_response(connection)
        begun = time.monotonic()
        assert connection.recv(1) == b""
        assert 1 < time.monotonic() - begun < 8


def test_empty_lines_do_not_keep_an_idle_connection_open(server: Server) -> None:
    begun = time.monotonic()
    with connected(server) as connection:
        connection.sendall(request() + b"\r\n")
        assert read_response(connection).startswith(b"HTTP/1.1 200 ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            drip(connection, 10, b"\r\n")
    assert time.monotonic() - begun < 8


def test_empty_lines_before_a_request_are_passed_over(server: Server) -> None:
    with connected(server) as connection:
        for before in (b"\r\n", b"\r\n\r\n"):
            connection.sendall(before)
            time.sleep(0.05)
            connection.sendall(before + request())
            assert read_response(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"POST /v1/pred", request()[:-10], request(more="X-Long: x")[:40]])
def test_a_client_that_does_not_finish_its_request_is_cut_off(server: Server, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        begun = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert 0.9 < time.monotonic() - begun < 8, "the default is 10"


def drip(connection: socket.socket, limit_s: float, drop: bytes = b" ") -> None:
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        connection.sendall(drop)
        time.sleep(0.2)


def test_a_client_that_drips_its_body_is_cut_off_in_time(server: Server) -> None:
    begun = time.monotonic()
    with connected(server) as connection:
        connection.sendall(request()[:-20])
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            drip(connection, 10)
    assert time.monotonic() - begun < 8


def test_a_client_that_takes_nothing_of_its_answers_is_cut_off(server: Server) -> None:
    asked, begun = 1000, time.monotonic()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * asked)
        port = connection.getsockname()[1]
        for accepted_first in (True, False):
            while holds(server, port) != accepted_first:
                assert time.monotonic() - begun < 10, "not accepted, or still open"
                time.sleep(0.1)
        # What the kernel had taken over before still comes.
        taken = 0
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(1 << 20):
                taken += data.count(b"HTTP/1.1 200 ")
    assert 0 < taken < asked


def holds(server: Server, port: int) -> bool:
    """Whether a worker has a connection from that port of ours."""
    every = [one for pid in server.workers() for one in psutil.Process(pid).net_connections("tcp")]
    return any(one.raddr and one.raddr.port == port for one in every)


@pytest.fixture(scope="module", params=["on", "off"])
def either_lane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("lane"), FAST_LANE=request.param) as running:
        yield running


@pytest.mark.parametrize("more", ["", "Expect: 100-continue"])
@pytest.mark.parametrize("sent", [b"", b"{"])
def test_a_body_announced_over_the_limit_is_refused_before_it_is_sent(
    either_lane: Server, more: str, sent: bytes
) -> None:
    head = request(b" " * 300_000, more=more).partition(b"\r\n\r\n")[0]
    with connected(either_lane) as connection:
        connection.sendall(head + b"\r\n\r\n" + sent)
        assert read_response(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_a_client_that_sends_all_of_a_body_over_the_limit_before_it_reads_sees_the_answer(
    server: Server, size: int
) -> None:
    for _ in range(10):
        with connected(server) as connection:
            connection.sendall(request(b" " * size))
            assert read_response(connection).startswith(b"HTTP/1.1 413 ")
            assert connection.recv(1) == b""


def test_headers_without_end_are_refused(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        time.sleep(0.1)
        with contextlib.suppress(ConnectionError):
            for number in range(400):
                connection.sendall(b"X-%d: %b\r\n" % (number, b"x" * 1000))
                time.sleep(0.001)
            pytest.fail("400 KB of headers were taken")
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        time.sleep(0.1)
        connection.sendall(b"X-Long: " + b"x" * (MAX_HEAD_BYTES - 100))
        time.sleep(0.1)
        connection.sendall(b"x" * 200)
        assert read_response(connection).startswith(b"HTTP/1.1 431 ")


def test_a_killed_worker_is_replaced_and_its_slot_goes_on_counting(server: Server) -> None:
    before = server.workers()
    assert len(before) == 2
    counted = server.metrics()['flight_delay_requests_total{status="200"}']
    os.kill(before[0], signal.SIGKILL)
    limit = time.monotonic() + 10
    while time.monotonic() < limit and (
        len(set(server.workers()) - set(before)) < 1 or len(server.workers()) < 2
    ):
        time.sleep(0.05)
    assert len(set(server.workers()) - set(before)) == 1
    with contextlib.suppress(ConnectionError):
        server.predict()
    time.sleep(0.5)
    samples = server.metrics()
    assert samples['flight_delay_requests_total{status="200"}'] >= counted
    assert not any('worker="2"' in name for name in samples)


def served_model(server: Server) -> str:
    return str(json.loads(server.ask("GET", "/")[2])["model"]["id"])


def reload_and_wait(server: Server) -> None:
    before = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    limit = time.monotonic() + 20
    while time.monotonic() < limit and (before & set(server.workers()) or not server.workers()):
        time.sleep(0.05)
    server.wait_until_ready()


def test_a_reload_takes_a_new_model_and_refuses_a_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "flight-delay.model"
    path.write_bytes(ARTIFACT.read_bytes())

    with serving(tmp_path, MODEL_PATH=str(path)) as server:
        first = served_model(server)
        assert server.predict()[0] == 200
        counted = server.metrics()['flight_delay_requests_total{status="200"}']
        path.write_bytes(b"broken")
        reload_and_wait(server)
        assert served_model(server) == first
        assert "is broken or of another kind" in server.log.read_text()
        assert server.metrics()['flight_delay_requests_total{status="200"}'] > counted, "not begun again"
        model = load_model(ARTIFACT)
        path.write_bytes(pack(model._booster, replace(model.description, threshold_bp=1)))
        reload_and_wait(server)
        assert served_model(server) != first
        assert server.predict()[1]["delayed"] is True
        assert "Traceback" not in server.log.read_text()


def test_over_capacity_is_503_with_retry_after_at_once_and_a_stop_answers_what_was_accepted(
    tmp_path: Path,
) -> None:
    settings = {"MAX_WAIT_MS": "100", "ACCESS_LOG": "all"}
    with serving(tmp_path, SLOW_APP, **settings) as server, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(server)) for _ in range(300)]
        for connection in connections:
            connection.sendall(request())
        answers = [read_response(connection) for connection in connections]
        refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
        assert len(refused) > 100
        assert all(b"\r\nretry-after: 1\r\n" in answer for answer in refused)
        assert {answer[9:12] for answer in answers} == {b"200", b"503"}
        assert server.metrics()['flight_delay_requests_total{status="503"}'] == len(refused)

        waiting = connections[:20]
        before = server.accepted()
        for connection in waiting:
            connection.sendall(request())
        server.wait_until_accepted(before + 20)
        server.process.terminate()
        assert [read_response(connection)[9:12] for connection in waiting] == [b"200"] * 20
        assert server.process.wait(20) == 0


def lives(pid: int) -> bool:
    """An orphan that ended may stay a zombie where nobody collects it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends_within(pids: list[int], limit_s: float) -> bool:
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        if not any(lives(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def test_an_interrupted_master_stops_at_once_with_idle_connections_open_and_answers_what_was_accepted(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path, SLOW_APP, ACCESS_LOG="all") as server,
        connected(server) as idle,
        connected(server) as busy,
    ):
        idle.sendall(request())
        read_response(idle)
        many = b"[" + b",".join([BODY] * 200) + b"]"
        before = server.accepted()
        busy.sendall(request(many, "/v1/predictions"))
        server.wait_until_accepted(before + 1)
        server.process.send_signal(signal.SIGINT)
        assert read_response(busy)[9:12] == b"200"
        assert idle.recv(1) == b""
        assert server.process.wait(15) == 0, "the grace period would be 30"


def test_workers_whose_master_was_killed_stop_by_themselves(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2") as server, connected(server) as idle:
        idle.sendall(request())
        read_response(idle)
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        assert ends_within(workers, 10)


def test_the_access_log_is_one_json_object_a_line_without_bodies(tmp_path: Path) -> None:
    with serving(tmp_path, ACCESS_LOG="all", SERVER_LOOP="uvloop", FAST_LANE="off") as server:
        server.ask("POST", PREDICT, BODY, x_request_id="abc")
        server.ask("POST", PREDICT, b'{"airline": "secret"}')
        server.stop()
        printed = server.log.read_text()
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    mine = [line for line in lines if line["request_id"] == "abc"]
    assert [line["event"] for line in mine] == ["accepted", "answered"]
    assert (mine[-1]["status"], mine[-1]["path"], mine[-1]["method"]) == (200, PREDICT, "POST")
    assert mine[-1]["duration_s"] > 0
    assert "secret" not in printed


def test_access_logs_are_off_unless_asked_for(server: Server) -> None:
    assert server.predict()[0] == 200
    assert PREDICT not in server.log.read_text()
