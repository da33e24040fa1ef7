"""Ctrl-C at any moment, and every intervention, leave the server as it was found."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headwind.stress import proc
from headwind.stress.interrupt import Interrupt
from headwind.stress.interventions import gunicorn_master, one_core_fewer, one_worker_more
from headwind.stress.launch import Launched
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
