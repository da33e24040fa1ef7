"""Someone else's API: HTTPS on IPv6, a secret header from the environment, bodies from CSV, on a schedule."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SECRET = "open-sesame-7351"

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="openssl is not on PATH: `apt install openssl`"
    ),
]


class Api(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 128
    bodies: Counter[str]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.server, Api)
        self.server.bodies[body] += 1
        self._answer(200 if self.headers["X-Key"] == SECRET else 401)

    def do_GET(self) -> None:
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    try:
        server = Api(("::1", 0), Handler)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server.bodies = Counter()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_https_ipv6_secret_headers_and_csv_bodies_on_a_schedule(api: Api, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("airline,minutes\nUA,17\nAA,3\n")
    url = f"https://[::1]:{api.server_address[1]}/predict"
    line = [sys.executable, "-m", "headwind", "run", "--url", url, "--header", "X-Key: $API_KEY"]
    line += ["--bodies", str(rows), "--rate", "60", "--connections", "8", "--duration", "2s", "--warmup", "0"]
    line += ["--reports", str(tmp_path / "reports"), "--format", "json", "--wrk", "wrk"]
    environment = {**os.environ, "API_KEY": SECRET}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["runs"][0]
    assert run["status_codes"] == {"200": run["requests"]}
    assert run["rate_target_per_s"] == 60
    assert set(api.bodies) == {'{"airline": "UA", "minutes": 17}', '{"airline": "AA", "minutes": 3}'}
    for file in (tmp_path / "reports").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_a_dry_run_checks_a_csv_and_writes_nothing(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("airline,minutes\nUA,17\n")
    profile = tmp_path / "p.yaml"
    profile.write_text(
        "endpoints:\n  - {request: POST /a, bodies: rows.csv}\nstages:\n  - {users: 1, for: 1s}\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    line = [sys.executable, "-m", "headwind", "run", "--url", "http://127.0.0.1:1/", "--dry-run"]
    line += ["--reports", str(tmp_path / "reports")]

    def dry_run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*line, *more],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env=environment,
        )

    for more in (["--bodies", str(rows)], ["--profile", str(profile)]):
        done = dry_run(*more)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["p.yaml", "rows.csv"]
    rows.write_text("airline,minutes\nUA,17,5\n")
    done = dry_run("--bodies", str(rows))
    assert done.returncode == 2
    assert "more cells than the header has names" in done.stderr
