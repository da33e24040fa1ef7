"""The Makefile is thin: what each target would run, without running it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not on PATH: `apt install make`")


def would_run(*arguments: str) -> str:
    """The commands of `make ARGUMENTS`, joined by newlines."""
    return made("-n", *arguments)


def made(*arguments: str) -> str:
    """What `make ARGUMENTS` prints, whatever variables of the Makefile the caller's environment has."""
    done = subprocess.run(
        [MAKE or "make", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("duration", "target"),
    [("45s", 50_000), ("90s", 100_000), ("9s", 10_000), ("3m", 200_000), ("30", 33_333)],
)
def test_the_target_scales_with_the_duration(duration: str, target: int) -> None:
    assert f"--target {target} " in would_run("stress", f"DURATION={duration}") + " "


def test_a_given_target_stays() -> None:
    assert "--target 7 " in would_run("stress", "DURATION=90s", "TARGET=7") + " "


def test_without_anything_the_service_gets_what_the_readme_says() -> None:
    command = would_run("stress")
    assert "--threads 4 --connections 200 --duration 45s --timeout 30s --late 2s" in command
    assert "--script wrk/prediction.lua" in command
    assert "service.app:app" in command
    assert "/v1/prediction" in command


def test_every_variable_reaches_the_command_line() -> None:
    command = would_run(
        "stress", "THREADS=2", "CONNECTIONS=9", "TIMEOUT=8s", "LATE=1s", "WORKERS=3", "PORT=8123", "LABEL=mine"
    )  # fmt: skip
    for words in (
        "--threads 2",
        "--connections 9",
        "--timeout 8s",
        "--late 1s",
        "--workers 3",
        "--port 8123",
    ):
        assert words in command
    assert "--label 'mine'" in command


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["URL=http://localhost:9/x"], "--url 'http://localhost:9/x'"),
        (["URL=http://localhost:9/x", "SCRIPT=mine.lua"], "--script 'mine.lua'"),
        (["COMMAND=serve {port}"], "--command 'serve {port}'"),
    ],
)
def test_the_users_own_api_takes_the_place_of_the_service(given: list[str], expected: str) -> None:
    command = would_run("stress", *given)
    assert expected in command
    assert "service.app" not in command
    assert "prediction.lua" not in command


def test_help_lists_every_target() -> None:
    said = made()
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"stress", "test", "compare", "capacity", "diagnose", "serve", "train", "clean"} <= set(targets)
    assert all(f"make {target} " in said for target in targets)


def program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_an_environment_cut_short_is_made_again(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    # What Ctrl-C leaves of `python -m venv`: an interpreter that has no pip.
    program(tmp_path / ".venv" / "bin" / "python", "exit 1")
    whole = program(tmp_path / "whole", 'echo "$@" >> pip-calls')
    making = f'case "$*" in *venv*) echo "$@" > venv-call; cp {whole} .venv/bin/python;; esac'
    command = [MAKE or "make", "stress-env", f"PYTHON={program(tmp_path / 'python', making)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv-call").read_text() == "-m venv --clear .venv\n"
    assert "-m pip install" in (tmp_path / "pip-calls").read_text()
    assert (tmp_path / ".venv" / "stress").exists()


def test_a_failed_installation_is_not_taken_for_done(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    program(tmp_path / ".venv" / "bin" / "python", 'case "$*" in *install*) exit 1;; esac')
    # As macOS's make 3.81, which knows no .SHELLFLAGS: the shell goes on after a command that failed.
    command = [MAKE or "make", "stress-env", ".SHELLFLAGS=-c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert not (tmp_path / ".venv" / "stress").exists()


def test_ctrl_c_while_installing_is_one_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    # It says that it began once Python runs: a signal before that may be lost in its start.
    asleep = "import pathlib, time; pathlib.Path('began').touch(); time.sleep(60)"
    begins = f'[ "$1" = -c ] || exec "$REAL" -c "{asleep}"'
    slow = program(tmp_path / "slow-python", begins)
    process = subprocess.Popen(
        [MAKE or "make", "stress-env", f"PYTHON={slow}"],
        cwd=tmp_path,
        env={**os.environ, "REAL": sys.executable},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "began").exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=60)
    assert "interrupted while installing" in said
    assert "Traceback" not in said
