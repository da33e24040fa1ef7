"""A server that stands for a whole experiment: what it leaves on the disk, and what is said where it dies."""

from __future__ import annotations

import contextlib
import sys
import urllib.request
from pathlib import Path

import pytest

from headwind.errors import MissingError, UsageError
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan
from headwind.stress.standing import standing

ECHO = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, self.headers.get("X-Api-Key"), flush=True)
        if "die" in self.path:
            print("out of luck", flush=True)
            os._exit(3)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def plan(tmp_path: Path) -> Plan:
    program = tmp_path / "echo.py"
    program.write_text(ECHO)
    return Plan(
        url="http://127.0.0.1:{port}/?api_key=QUERYsecret55",
        command=f"exec {sys.executable} {program} {{port}}",
        ready="/",
        headers={"X-Api-Key": "$EXPERIMENT_KEY"},
    )


def ask(url: str, path: str) -> None:
    base = url.partition("/?")[0]
    request = urllib.request.Request(base + path, headers={"X-Api-Key": "HEADERsecret66"})
    urllib.request.urlopen(request, timeout=5).close()


def test_secrets_that_the_server_printed_are_not_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERIMENT_KEY", "HEADERsecret66")
    with Interrupt() as interrupt, standing(plan(tmp_path), tmp_path, interrupt) as stood:
        ask(stood.plan.url, "/?api_key=QUERYsecret55")
    said = (tmp_path / "server.log").read_text()
    assert "api_key" in said
    assert "secret" not in said


def loads_until_it_dies(tmp_path: Path) -> None:
    with Interrupt() as interrupt, standing(plan(tmp_path), tmp_path, interrupt) as stood:
        with contextlib.suppress(OSError):
            ask(stood.plan.url, "/die")
        raise MissingError("nothing answers there")


def test_a_load_that_failed_because_the_server_died_says_how_it_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERIMENT_KEY", "HEADERsecret66")
    with pytest.raises(MissingError, match="ended with exit code 3, saying 'out of luck'"):
        loads_until_it_dies(tmp_path)


def test_no_server_is_started_for_a_header_whose_variable_is_unset(tmp_path: Path) -> None:
    with Interrupt() as interrupt, pytest.raises(UsageError, match="EXPERIMENT_KEY"):
        standing(plan(tmp_path), tmp_path, interrupt).__enter__()
    assert not (tmp_path / "server.log").exists()
