import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.containers.conftest import ROOT, docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

REPLICAS = 3
ASK_ONCE_NOBODY_WORKS = """
import json, time, urllib.error, urllib.request
limit = time.monotonic() + 30
while time.monotonic() < limit:
    try:
        urllib.request.urlopen("http://127.0.0.1:8000/ready")
        time.sleep(0.2)
    except urllib.error.HTTPError:
        break
flight = {"airline": "UA", "origin": "EWR", "destination": "IAH", "departure": "2013-07-04T17:05"}
headers = {"content-type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8000/v1/prediction", json.dumps(flight).encode(), headers)
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as refused:
    print(refused.code, refused.headers["retry-after"])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def compose(engine: None) -> Iterator[Callable[..., str]]:
    """`docker compose` on the committed file, under a project name of its own; taken down afterwards."""
    project = f"headwind-test-{uuid.uuid4().hex[:8]}"
    tag = f"flight-delay-test:{project[-8:]}"
    environment = {
        **os.environ,
        "NGINX_PORT": str(free_port()),
        "DURATION": "2s",
        "CONNECTIONS": "64",
        "IMAGE": tag,
    }
    # What is tested here is the wiring: a test machine that is busy otherwise must not turn slow into refused.
    environment |= {"MAX_WAIT_MS": "10000", "DEADLINE_MS": "20000"}
    command = ["docker", "compose", "--ansi", "never", "-p", project, "-f", "docker-compose.wrk.yml"]

    def run(*arguments: str, **settings: str) -> str:
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            env=environment | settings,
        )
        if done.returncode != 0:
            pytest.fail(f"docker compose {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    yield run
    run("--profile", "*", "down", "-v", "-t", "3")
    docker("rmi", "-f", tag, check=False)


def predictions(container: str) -> float:
    """How many requests this replica answered 200, by its own metrics."""
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
    text = docker("exec", container, "python", "-c", code)
    name = 'flight_delay_requests_total{status="200"} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


def test_three_replicas_behind_nginx_all_take_load_from_wrk(compose: Callable[..., str]) -> None:
    compose("up", "-d", "--wait", "--scale", f"api={REPLICAS}")
    printed = compose("run", "--rm", "--no-deps", "-T", "wrk")
    requests = int(next(line.split()[0] for line in printed.splitlines() if " requests in " in line))
    assert "Socket errors" not in printed
    assert "Non-2xx" not in printed
    containers = compose("ps", "-q", "api").split()
    assert len(containers) == REPLICAS
    share = [predictions(container) for container in containers]
    assert sum(share) >= requests
    assert min(share) > 0.8 * requests / REPLICAS, f"unevenly shared: {share}"


def test_three_model_workers_behind_redis_serve_what_the_api_accepts(
    compose: Callable[..., str], image: str
) -> None:
    # The test above builds the image as the compose file says; this one takes the one that is there.
    up = ("--profile", "queue", "up", "-d", "--wait", "--scale", "model=3")
    compose(*up, SERVING="queue", IMAGE=image)
    printed = compose("run", "--rm", "--no-deps", "-T", "wrk")
    assert "Socket errors" not in printed
    assert "Non-2xx" not in printed
    (api,) = compose("ps", "-q", "api").split()
    assert predictions(api) > 100
    before = predictions(api)
    compose("--profile", "queue", "kill", "model")
    assert docker("exec", api, "python", "-c", ASK_ONCE_NOBODY_WORKS) == "503 1"
    assert predictions(api) >= before
