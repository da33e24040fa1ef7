"""`headwind compare --replicas` where the command is docker compose: it starts them itself, by --scale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.containers.conftest import ROOT, docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]

COMPOSE = """\
services:
  api:
    image: nginx:alpine
  front:
    image: nginx:alpine
    volumes: ["./front.conf:/etc/nginx/conf.d/default.conf:ro"]
    ports: ["127.0.0.1:${NGINX_PORT}:80"]
    depends_on: [api]
"""
FRONT = "server { listen 80; location / { proxy_pass http://api; } }\n"


def test_compose_starts_as_many_replicas_as_each_setting_says(engine: None, tmp_path: Path) -> None:
    project = f"headwind-test-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "compose.yml"
    file.write_text(COMPOSE)
    (tmp_path / "front.conf").write_text(FRONT)
    compose = f"docker compose --ansi never -p {project} -f {file}"
    line = [
        sys.executable,
        "-m",
        "headwind",
        "compare",
        "--replicas",
        "1",
        "2",
        "--blocks",
        "3",
        "--no-latency",
    ]
    line += ["--command", f"NGINX_PORT={{port}} exec {compose} up -t 1 --scale api={{replicas}}"]
    line += ["--duration", "1s", "--warmup", "0", "--connections", "4", "--threads", "1", "--ready", "/"]
    line += ["--reports", str(tmp_path / "reports")]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=240, cwd=ROOT, env=os.environ)
        assert done.returncode == 0, done.stderr
        left = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}")
    finally:
        subprocess.run(
            [*compose.split(), "down", "-t", "1"], env={**os.environ, "NGINX_PORT": "1"}, check=True
        )
    assert left.strip() == ""
    (folder,) = (tmp_path / "reports").glob("*-compare")
    document = json.loads((folder / "experiment.json").read_text())
    assert [row["name"] for row in document["summary"]] == ["1 replica", "2 replicas"]
    assert all(row["requests"] > 0 and row["failed"] == 0 for row in document["summary"])
    # Containers are no children of the command: their memory is not known, and docker's own is not theirs.
    assert all(row["rss_bytes"] is None for row in document["summary"])
    for log in folder.glob("trials/*/server.log"):
        attached = next(line for line in log.read_text().splitlines() if "Attaching to" in line)
        assert ("api-2" in attached) == ("2-replicas" in log.parent.name), attached
