"""Replicas behind a native nginx: every one takes requests, and nothing is left when they stop."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
import pytest

from headwind.stress import target
from headwind.stress.plan import Plan
from headwind.stress.replicas import configuration
from headwind.stress.variants import Configuration

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", %PORT%), Handler).serve_forever()
"""


def test_every_replica_is_an_upstream_with_connections_kept_alive() -> None:
    text = configuration(Path("/x"), 8000, [8001, 8002])
    assert "server 127.0.0.1:8001;" in text
    assert "server 127.0.0.1:8002;" in text
    assert "keepalive 256;" in text


@pytest.mark.load
@pytest.mark.skipif(NGINX is None, reason="nginx is not on this machine: `apt install nginx-light`")
def test_all_replicas_take_requests_and_all_end_together(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    port = target.free_port()
    command = f"exec {sys.executable} {script} %PORT%"
    script.write_text(SERVER.replace("%PORT%", "int(__import__('sys').argv[1])"))
    line = [
        sys.executable,
        "-m",
        "headwind.stress.replicas",
        "--count",
        "3",
        "--port",
        str(port),
        "--",
        command,
    ]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}/"
    try:
        while not target.listeners(port):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        answers = Counter(_get(url) for _ in range(30))
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert len(answers) == 3
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.load
@pytest.mark.skipif(NGINX is None, reason="nginx is not on this machine: `apt install nginx-light`")
def test_only_the_replicas_count_as_workers_and_memory(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER.replace("%PORT%", "int(__import__('sys').argv[1])"))
    base = Plan(url="http://127.0.0.1:{port}/", command=f"exec {sys.executable} {script} {{port}}")
    plan = Configuration("2 replicas", replicas=2).plan(base)
    assert plan.command is not None
    port = target.free_port()
    server = target.Server(plan.command.replace("{port}", str(port)), tmp_path / "server.log", workers=1)
    try:
        while not target.listeners(port):
            assert server.died() is None, server.died()
            time.sleep(0.05)
        time.sleep(0.3)
        working, proxies = server.working(), server.proxies()
        named = [psutil.Process(pid).cmdline() for pid in working]
        assert len(working) == 2, named
        assert all(str(script) in words for words in named)
        assert proxies
        assert {psutil.Process(pid).name() for pid in proxies} == {"nginx"}
    finally:
        server.stop()
