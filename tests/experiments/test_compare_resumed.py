"""Comparisons of real servers that are interrupted or killed, and gone on with."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from headwind.errors import MissingError, UsageError
from headwind.stress import compare, generator, leftovers, target
from headwind.stress.compare import Options, declaration
from headwind.stress.interrupt import Interrupt
from headwind.stress.journal import Journal
from headwind.stress.plan import Plan
from headwind.stress.variants import axis_of

SERIAL = Path(__file__).with_name("serial_server.py")
BASE = Plan(url="http://127.0.0.1:{port}/", command="serve {port} {workers}", duration_s=10, warmup_s=2)
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`")


def headwind(tmp_path: Path, *arguments: str) -> list[str]:
    log = tmp_path / "services"
    command = f"exec {sys.executable} {SERIAL} --port {{port}} --service {{SERVICE}} --log {log}"
    return [
        *(sys.executable, "-m", "headwind", "compare", "--command", command),
        *("--set", "SERVICE=0.0004,0.0008", "--threads", "1", "--connections", "4"),
        *("--duration", "1s", "--warmup", "0", "--reports", str(tmp_path), *arguments),
    ]


@needs_wrk
@pytest.mark.load
def test_a_comparison_killed_in_the_middle_and_resumed_loses_and_doubles_no_trial(tmp_path: Path) -> None:
    # At a port that was asked for, where the killed sitting's server would be in the way.
    port = str(target.free_port())
    line = headwind(tmp_path, "--blocks", "3", "--no-latency", "--budget", "10m", "--port", port)
    first = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (into,) = _wait_for_trials(tmp_path, 3)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    before = [one.folder for one in Journal(into).rows]
    again = subprocess.run([*line, "--resume"], capture_output=True, text=True, timeout=100, check=False)
    assert again.returncode == 0, again.stderr
    assert _processes_of(tmp_path) == []
    rows = Journal(into).rows
    assert [one.folder for one in rows][: len(before)] == before
    counted = [(one.block, one.configuration) for one in rows if one.discarded is None]
    assert sorted(counted) == [(block, setting) for block in range(3) for setting in range(2)]
    document = json.loads((into / "experiment.json").read_text())
    assert document["comparisons"][0]["name"] == "SERVICE=0.0008"
    assert document["comparisons"][0]["ratio"] < 0.85
    assert (into / "report.html").exists()
    assert "SERVICE=0.0004" in again.stdout


def _wait_for_trials(reports: Path, count: int) -> list[Path]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = list(reports.glob("*/trials.jsonl"))
        if found and len(found[0].read_text().splitlines()) >= count:
            return [found[0].parent]
        time.sleep(0.05)
    raise AssertionError("no trials came")


def _processes_of(mark: Path) -> list[int]:
    """Processes with a path in their command line that only this test has."""
    lines = psutil.process_iter(["pid", "cmdline"])
    return [one.pid for one in lines if any(str(mark) in word for word in one.info["cmdline"] or [])]


@needs_wrk
@pytest.mark.load
def test_ctrl_c_keeps_every_whole_trial_and_says_how_to_go_on(tmp_path: Path) -> None:
    line = headwind(tmp_path, "--blocks", "3", "--no-latency", "--budget", "10m")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (into,) = _wait_for_trials(tmp_path, 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume goes on" in said
    assert len(Journal(into).rows) >= 1
    assert (into / "experiment.json").exists()


def test_two_sittings_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with leftovers.only_one(tmp_path), pytest.raises(UsageError, match="another headwind is at work"):  # noqa: SIM117
        with leftovers.only_one(tmp_path):
            pass


def test_what_a_killed_sitting_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    ours.mkdir()
    others.mkdir()
    with leftovers.only_one(ours):
        left = subprocess.Popen(["sleep", "60"])
    with leftovers.only_one(others):
        kept = subprocess.Popen(["sleep", "60"])
    try:
        with leftovers.only_one(ours) as ended:
            assert ended == 1
            assert left.poll() is not None
            assert kept.poll() is None
    finally:
        kept.kill()
        kept.wait()


@needs_wrk
def test_logs_of_a_trial_that_a_kill_cut_are_masked_before_it_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "trials" / "cut" / "server.log"
    log.parent.mkdir(parents=True)
    log.write_text("GET /?api_key=QUERYsecret55\n")
    base = replace(
        BASE, url="http://127.0.0.1:{port}/?api_key=QUERYsecret55", command="exec false {port} {workers}"
    )
    axis = axis_of(workers=[1, 2], base=base)
    declared = declaration(axis, base, Options(3600, 8, 0.03, 1), "")
    with Interrupt() as interrupt:
        again = compare.Comparison(axis, base, generator.find(), tmp_path, declared, interrupt)
        with pytest.raises(MissingError):
            again.run()
    assert "QUERYsecret55" not in log.read_text()


@needs_wrk
def test_going_on_with_other_options_is_refused(tmp_path: Path) -> None:
    axis = axis_of(workers=[1, 2], base=BASE)
    into = tmp_path / "20260101-000000-compare"
    into.mkdir()
    declared = declaration(axis, BASE, Options(3600, 8, 0.03, seed=1), "again")
    (into / "declared.json").write_text(json.dumps(declared))
    line = headwind(tmp_path, "--resume")
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "had another axis" in done.stderr
