"""The Makefile is thin: what each target would run, without running it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not on PATH: `apt install make`")


def would_run(*arguments: str) -> str:
    """The commands of `make ARGUMENTS`, joined by newlines."""
    done = subprocess.run(
        [MAKE or "make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
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
    said = subprocess.run([MAKE or "make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"stress", "test", "compare", "capacity", "diagnose", "serve", "train", "clean"} <= set(targets)
    assert all(f"make {target} " in said for target in targets)
