"""The check that no process outlives the tests is itself checked, by a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEST = """
import subprocess, sys

def test_that_starts_a_process():
    process = subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    {end}
"""


@pytest.mark.parametrize(("end", "code"), [("process.kill()", 0), ("", 1)])
def test_a_process_that_outlives_its_test_fails_the_session_and_is_ended(
    tmp_path: Path, end: str, code: int
) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(TEST.format(end=end))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.leftovers",
        "-p",
        "no:cacheprovider",
        str(path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == code, done.stdout
    assert ("test_it.py::test_that_starts_a_process left running: " in done.stdout) == bool(code)
