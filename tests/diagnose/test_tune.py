"""`headwind tune`: what a knob bought, by the statistics; and the file of what helped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headwind.errors import UsageError
from headwind.statistics.blocks import Floats
from headwind.statistics.verdicts import Plan
from headwind.stress import knobs
from headwind.stress.knobs import Knob
from headwind.stress.tune import _bought

ROOT = Path(__file__).resolve().parents[2]
KNOB = Knob("workers 2", {"WEB_CONCURRENCY": "2"})


def logs(ratio: float, noise: float, blocks: int = 8) -> Floats:
    chance = np.random.default_rng(3)
    rates: Floats = np.log(1000) + chance.normal(0, noise, (blocks, 2))
    rates[:, 1] += np.log(ratio)
    return rates


def test_a_knob_that_helps_is_better_and_kept() -> None:
    found = _bought(KNOB, logs(1.5, 0.03), Plan(2, 8))
    assert found.verdict == "better"
    assert found.kept
    assert found.low is not None
    assert found.high is not None
    assert 1 < found.low < 1.5 < found.high  # it stopped as soon as that was certain


def test_a_knob_that_does_nothing_is_equivalent_and_not_kept() -> None:
    found = _bought(KNOB, logs(1.0, 0.004), Plan(2, 8))
    assert (found.verdict, found.kept) == ("equivalent", False)


def test_a_knob_that_harms_is_worse() -> None:
    assert _bought(KNOB, logs(0.6, 0.03), Plan(2, 8)).verdict == "worse"


def test_one_block_decides_nothing() -> None:
    found = _bought(KNOB, logs(1.5, 0.03, blocks=1), Plan(2, 8))
    assert (found.verdict, found.low) == ("undecided", None)


def test_the_knobs_fit_the_command() -> None:
    assert any("GUNICORN_CMD_ARGS" in knob.settings for knob in knobs.known("gunicorn app:app -b :{port}"))
    assert any("UVICORN_LOOP" in knob.settings for knob in knobs.known("uvicorn app:app --port {port}"))
    assert any(
        "SERVER_LOOP" in knob.settings for knob in knobs.known("gunicorn -c service/gunicorn.conf.py x")
    )


def test_what_cures_the_diagnosed_cause_is_tried_first() -> None:
    ordered = knobs.in_order(knobs.known("gunicorn app:app"), ["thread_oversubscription"])
    assert ordered[0].name == "one numeric thread"


def test_a_setting_without_values_is_refused() -> None:
    with pytest.raises(UsageError, match="NAME=value"):
        knobs.asked(["LOOP"])


@pytest.mark.load
def test_a_real_server_is_tuned_and_the_winning_setting_written(tmp_path: Path) -> None:
    """The threaded server has a lock by this environment, and none with the setting that is tried."""
    command = f"{sys.executable} tests/diagnose/sick/threaded.py {{port}}"
    tune = [
        sys.executable,
        "-m",
        "headwind",
        "tune",
        "--command",
        command,
        "--set",
        "SICK=none",
        "--only-set",
    ]
    short = ["--trial", "1s", "--connections", "16", "--budget", "60s", "--seed", "1", "--no-diagnosis"]
    run = subprocess.run(
        [*tune, *short, "-o", str(tmp_path / "settings.env")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SICK": "lock"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert run.returncode == 0, run.stderr
    assert "better" in run.stdout
    assert (tmp_path / "settings.env").read_text() == "SICK=none\n"
