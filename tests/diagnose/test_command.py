"""`headwind diagnose` from the command line, on real servers, in short form."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headwind.analysis.diagnosis import CODES
from tests.diagnose.sick.cases import NAMED

ROOT = Path(__file__).resolve().parents[2]


def diagnose(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headwind", "diagnose", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def document(name: str) -> dict[str, Any]:
    case = NAMED[name]
    run = diagnose("--command", case.command, "--url", "/work", "--format", "json", "--quick")
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    for note in found["notes"]:
        if (busy := re.search(r"other processes used ([\d.]+) of", note)) and float(busy[1]) > 0.4:
            pytest.skip(f"this machine is too busy to hold the judgement to details: {note}")
    return found


@pytest.mark.load
def test_a_full_thread_pool_is_named_and_what_it_is_not_is_ruled_out() -> None:
    found = document("threadpool")
    assert found["causes"][0]["code"] == "threadpool_limit"
    out = {row["code"] for row in found["ruled_out"]}
    assert {"connection_pool_limit", "blocking_in_event_loop", "pure_delay", "serial_section"} <= out
    assert {cause["code"] for cause in found["causes"]} | out <= set(CODES)
    assert 150 < found["ceiling_per_s"] < 450  # 40 threads, 0.1 s each
    assert found["load_s"] <= 60


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--command"),
        (["--url", "/work"], "--url /work names no server"),
        (["--url", "ftp://127.0.0.1/work"], "is no URL"),
        (["--url", "http://127.0.0.1:99999/"], "1 to 65535"),
    ],
)
def test_nothing_to_diagnose_is_one_sentence(arguments: list[str], expected: str) -> None:
    run = diagnose(*arguments)
    assert run.returncode == 2
    assert expected in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_server_that_does_not_start_is_one_sentence_with_its_last_words() -> None:
    run = diagnose("--command", "echo no model here; exit 3")
    assert run.returncode != 0
    assert "no model here" in run.stderr
    assert "Traceback" not in run.stderr
