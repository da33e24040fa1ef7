"""`headwind run` where something goes wrong on the way: each is one sentence, and what was measured is kept."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.stress.servers import serving
from tests.stress.tool import QUICK, Headwind, one_sentence, ours, server, until, wrk_is_loading

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_under_load_keeps_what_was_measured(
    headwind: Headwind, tmp_path: Path, number: signal.Signals
) -> None:
    process = headwind.start("run", "--command", server(), *QUICK, "--duration", "60s")
    assert until(lambda: wrk_is_loading(tmp_path))
    time.sleep(0.7)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 20, "not after the 60 s that were planned"
    assert "interrupted after" in one_sentence(err)
    (run,) = headwind.json("run.json")["runs"]
    assert run["interrupted"] is True
    assert run["requests"] > 100
    assert "Requests/sec" in (headwind.left() / "wrk.txt").read_text()
    assert "interrupted after" in headwind.json("environment.json")["interrupted"]
    assert "requests" in out


@pytest.mark.parametrize(
    ("faults", "options"),
    [(["--start-delay", "30"], []), ([], ["--warmup", "30s"])],
    ids=["while the server comes up", "while warming up"],
)
def test_an_interrupt_before_the_load_measures_nothing(
    headwind: Headwind, tmp_path: Path, faults: Sequence[str], options: Sequence[str]
) -> None:
    process = headwind.start("run", "--command", server(*faults), *QUICK, *options)
    assert until(lambda: wrk_is_loading(tmp_path) if options else len(ours(tmp_path)) > 1)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was measured" in one_sentence(err)
    assert out == ""
    assert not list(headwind.reports.iterdir())


def test_a_server_that_dies_under_load_is_said(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--die-after", "500"), *QUICK, "--duration", "30s")
    assert done.returncode == 4
    said = one_sentence(done.stderr)
    assert "the server ended with exit code 3, saying 'planted death'" in said
    (run,) = headwind.json("run.json")["runs"]
    assert run["interrupted"] is True
    assert run["requests"] >= 400


def test_a_server_that_dies_at_start_is_said_with_its_last_words(headwind: Headwind) -> None:
    done = headwind.run(
        "run", "--command", f"{sys.executable} -c 'raise SystemExit(\"no model\")' {{port}}", *QUICK
    )
    assert done.returncode == 6
    said = one_sentence(done.stderr)
    assert "exit code 1, saying 'no model' before it was ready" in said
    assert "server.log" in said


def test_a_server_that_never_becomes_ready_is_said(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--start-delay", "30"), *QUICK, "--ready-timeout", "1s")
    assert done.returncode == 6
    assert "was not ready within 1 s" in one_sentence(done.stderr)


def test_a_server_that_never_answers_is_said(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--hang"), *QUICK)
    assert done.returncode == 4
    assert "answered no request" in one_sentence(done.stderr)
    (run,) = headwind.json("run.json")["runs"]
    assert run["requests"] == 0


def test_a_server_that_ignores_sigterm_is_ended_all_the_same(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--stubborn"), *QUICK)
    assert done.returncode == 0, done.stderr


def test_a_taken_port_is_said_with_its_owner(headwind: Headwind) -> None:
    with serving() as url:
        port = url.rpartition(":")[2]
        done = headwind.run("run", "--command", server(), "--port", port, *QUICK)
    assert done.returncode == 2
    assert f"port {port} is taken by" in one_sentence(done.stderr)


def test_a_missing_wrk_is_said_with_the_command_that_installs_it(headwind: Headwind, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    with serving() as url:
        done = headwind.run("run", "--url", url, *QUICK, PATH=str(empty))
    assert done.returncode == 6
    assert "wrk is neither on PATH nor in a running Docker; install it: `" in one_sentence(done.stderr)


def test_a_broken_script_is_said_and_nothing_is_sent(headwind: Headwind, tmp_path: Path) -> None:
    (tmp_path / "mine.lua").write_text("function request( return 1 end")
    for warmup in ("0", "1s"):
        done = headwind.run("run", "--command", server(), "--script", "mine.lua", *QUICK, "--warmup", warmup)
        assert done.returncode == 2
        assert "the wrk script does not load, so nothing was sent: " in one_sentence(done.stderr)


def test_nothing_listening_is_said(headwind: Headwind) -> None:
    with serving() as url:
        pass
    done = headwind.run("run", "--url", url, *QUICK)
    assert done.returncode == 6
    assert "start the server, or let --command start it" in one_sentence(done.stderr)
    assert not list(headwind.reports.iterdir())
