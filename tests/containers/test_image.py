import json
import time
import urllib.request
from pathlib import Path

import pytest

from tests.containers.conftest import ROOT, docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

# A test machine that is busy otherwise must not turn slow into refused.
PATIENT = ("-e", "MAX_WAIT_MS=10000", "-e", "DEADLINE_MS=20000")
BODY = b'{"airline":"UA","origin":"EWR","destination":"IAH","departure":"2013-07-04T17:05"}'


def wait_until_healthy(name: str, limit_s: float = 60) -> None:
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        if docker("inspect", "-f", "{{.State.Health.Status}}", name) == "healthy":
            return
        time.sleep(0.2)
    pytest.fail(f"not healthy within {limit_s} s:\n{docker('logs', name)}")


def test_image_is_under_350_mb_over_its_base_and_runs_without_root_or_compiler(image: str) -> None:
    base = next(
        line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")
    )
    size, base_size = (int(docker("image", "inspect", "-f", "{{.Size}}", name)) for name in (image, base))
    assert (size - base_size) / 1e6 < 350
    inside = (
        "import os, shutil; print(os.getuid(), [c for c in ('gcc', 'cc', 'g++', 'make') if shutil.which(c)])"
    )
    uid, compilers = docker("run", "--rm", image, "python", "-c", inside).split(" ", 1)
    assert int(uid) != 0
    assert compilers == "[]"


def test_container_becomes_healthy_predicts_and_stops_gracefully(image: str, container_name: str) -> None:
    docker("run", "-d", "--name", container_name, "-p", "127.0.0.1::8000", "-e", "WORKERS=1", image)
    wait_until_healthy(container_name)
    address = docker("port", container_name, "8000/tcp").splitlines()[0]
    request = urllib.request.Request(
        f"http://{address}/v1/prediction", BODY, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer = json.load(response)
    assert 0 <= answer["probability"] <= 1
    docker("stop", "-t", "20", container_name)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container_name) == "0"


def test_wrk_from_its_own_image_loads_the_container_over_the_host_network(
    image: str, container_name: str
) -> None:
    docker("run", "-d", "--name", container_name, "-p", "127.0.0.1::8000", "-e", "WORKERS=1", *PATIENT, image)
    wait_until_healthy(container_name)
    address = docker("port", container_name, "8000/tcp").splitlines()[0]
    load = ["williamyeh/wrk", "-t4", "-c200", "-d2s", "-s", "/data/prediction.lua"]
    folder = f"{ROOT / 'wrk'}:/data"
    printed = docker("run", "--rm", "-v", folder, "--net=host", *load, f"http://{address}/v1/prediction")
    assert "4 threads and 200 connections" in printed
    assert "Non-2xx" not in printed
    assert "Socket errors" not in printed
    requests = int(next(line.split()[0] for line in printed.splitlines() if " requests in " in line))
    assert requests > 100


def test_a_broken_model_stops_the_container_with_one_sentence(image: str, tmp_path: Path) -> None:
    broken = tmp_path / "model.ubj"
    broken.write_bytes(b"not a model")
    broken.chmod(0o644)
    tmp_path.chmod(0o755)
    mount = f"{broken}:/model.ubj:ro"
    script = f"docker run --rm -v {mount} -e MODEL_PATH=/model.ubj {image} 2>&1; true"
    printed = docker_shell(script)
    sentences = [line for line in printed.splitlines() if "model" in line]
    assert sentences == [line for line in sentences if line.startswith("The model file /model.ubj is broken")]
    assert "Traceback" not in printed


def docker_shell(script: str) -> str:
    import subprocess

    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60).stdout
