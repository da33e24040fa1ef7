"""Ctrl-C at any moment, and every intervention, leave the server as it was found."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from headwind.analysis.diagnosis import Observations
from headwind.analysis.diagnosis.planning import wanted
from headwind.stress import agent_pass, interventions, proc, proxy
from headwind.stress.interrupt import Interrupt
from headwind.stress.interventions import Bench, gunicorn_master, one_core_fewer, one_worker_more
from headwind.stress.launch import Launched
from headwind.stress.probes import Generated
from headwind.stress.requests import Request
from headwind.stress.server import Server
from headwind.stress.target import free_port
from tests.diagnose.sick.cases import NAMED

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gunicorn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Two sync workers of our own starting."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Launched(NAMED["wsgi_cpu"].command, free_port(), Interrupt()) as launched:
        yield launched.server


def masks(server: Server) -> dict[int, set[int]]:
    return {tid: os.sched_getaffinity(tid) for pid in server.refresh() for tid in proc.threads(pid)}


def test_one_core_fewer_is_undone_even_when_interrupted(gunicorn: Server) -> None:
    before = masks(gunicorn)
    if any(len(mask) < 2 for mask in before.values()):
        pytest.skip("this machine lets the server run on one core only")

    def interrupted() -> None:
        with one_core_fewer(gunicorn):
            assert all(len(mask) == len(before[tid]) - 1 for tid, mask in masks(gunicorn).items())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert masks(gunicorn) == before


def test_one_worker_more_is_undone_even_when_interrupted(gunicorn: Server) -> None:
    master = gunicorn_master(gunicorn)
    assert master is not None
    assert len(gunicorn.workers()) == 2

    def interrupted() -> None:
        with one_worker_more(gunicorn, master, Interrupt()):
            gunicorn.refresh()
            assert len(gunicorn.workers()) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    gunicorn.refresh()
    assert len(gunicorn.workers()) == 2


class Interrupted:
    """Stands for wrk: Ctrl-C comes in the first slice that has reached the wanted number."""

    left = 0

    def __init__(self, *_: object, **__: object) -> None: ...

    def finish(self, _: Interrupt) -> Generated:
        Interrupted.left -= 1
        if Interrupted.left <= 0:
            raise KeyboardInterrupt
        return Generated({"requests": 100, "duration_us": 1_000_000, "status_codes": {"200": 100}})

    def stop(self) -> None: ...


def family() -> set[int]:
    """Living descendants of this process."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    }


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("kind", ["copy", "threads", "keepalive", "core"])
def test_ctrl_c_in_each_slice_of_each_intervention_leaves_the_server_as_it_was(
    kind: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(interventions, "WrkRun", Interrupted)
    Interrupted.left = number
    command = NAMED["threaded_delay"].command
    with Launched(command, free_port(), Interrupt()) as launched:
        before, processes = masks(launched.server), family()
        bench = Bench(Request(f"http://127.0.0.1:{launched.port}/work"), 4, 1.0, Interrupt(), lambda: None)
        runs: dict[str, Callable[[], object]] = {
            "copy": lambda: interventions.second_copy(bench, command),
            "threads": lambda: interventions.one_thread(bench, command, launched.server),
            "keepalive": lambda: interventions.connections(bench, closes=False, rounds=2),
            "core": lambda: interventions.fewer_cores(bench, launched.server),
        }
        with pytest.raises(KeyboardInterrupt):
            runs[kind]()
        assert masks(launched.server) == before
        assert family() == processes


def test_ctrl_c_while_looking_inside_ends_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(agent_pass, "WrkRun", Interrupted)
    Interrupted.left = 1
    before = family()
    request = Request("http://127.0.0.1:1/work")
    with pytest.raises(KeyboardInterrupt):
        agent_pass.agent_pass(NAMED["threaded_delay"].command, request, 4, 1.0, Interrupt(), free_port())
    assert family() == before


def test_what_a_proxy_passes_on_to_is_diagnosed_but_never_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process behind it was started by somebody else, after the proxy."""
    monkeypatch.chdir(ROOT)
    with Launched(NAMED["threaded_delay"].command, free_port(), Interrupt()) as launched:
        foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        try:
            proxy.follow(launched.server, {1: {foreign.pid}}, {1})
            assert foreign.pid in launched.server.pids
            launched.stop()
            assert foreign.poll() is None
        finally:
            foreign.kill()
            foreign.wait()


def test_nothing_is_changed_on_a_server_that_was_not_started_here() -> None:
    """Only keep-alive, a header of the requests, may be tried without --intervene."""
    seen = Observations.from_json(json.loads((ROOT / "tests/diagnose/recorded/cpu.json").read_text()))
    fresh = replace(seen, interventions=(), agent=None)
    assert {"worker", "copy"} <= set(wanted(fresh, may_start=True, may_change=True))
    assert set(wanted(fresh, may_start=False, may_change=False)) <= {"agent", "keepalive"}


@pytest.mark.load
@pytest.mark.parametrize("after_s", [0.3, random.Random(7).uniform(1, 9)])
def test_ctrl_c_leaves_no_process_behind(after_s: float) -> None:
    before = set(psutil.pids())
    run = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "headwind",
            "diagnose",
            "--command",
            NAMED["cpu_two"].command,
            "--url",
            "/work",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after_s)
    family = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130, said
    assert said == "headwind: interrupted.\n"
    left = [pid for pid in family if psutil.pid_exists(pid) and pid not in before]
    assert not [pid for pid in left if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
