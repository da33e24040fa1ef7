"""Scheduled arrival under a real wrk: every request's due, sent and done, and whose fault a delay was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headwind.stress.schedule import Requests, Schedule, read_requests
from tests.experiments.servers import serial

LUA = Path(__file__).parents[2] / "wrk"
PREFIX = "headwind.wrk/1 "

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


def started(
    url: str,
    variables: dict[str, str],
    *,
    threads: int = 16,
    connections: int | None = None,
    seconds: int = 20,
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *("wrk", f"-t{threads}", f"-c{connections or threads}", f"-d{seconds}s", "--timeout", "30s"),
            *("-s", str(LUA / "observe.lua"), url),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def report(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    line = next(line for line in out.splitlines() if line.startswith(PREFIX))
    schedule: dict[str, Any] = json.loads(line.removeprefix(PREFIX))["schedule"]
    return schedule


def offered(
    url: str, tmp_path: Path, schedule: Schedule, duration_s: float, *, threads: int = 16, seconds: int = 20
) -> tuple[dict[str, Any], Requests]:
    exact = tmp_path / "exact.jsonl"
    variables = schedule.variables(duration_s, threads, threads) | {"HEADWIND_EXACT": str(exact)}
    about = report(started(url, variables, threads=threads, seconds=seconds))
    return about, read_requests(tmp_path / "exact.jsonl.requests")


def test_latency_counts_from_the_due_time_as_the_queue_makes_it(tmp_path: Path) -> None:
    log = tmp_path / "services"
    with serial("--service", "0.002", "--log", str(log)) as url:
        about, requests = offered(url, tmp_path, Schedule(350, seed=3), 2.0, threads=32)
    # Due in order, served in the order sent: Lindley's recursion over what the services really took.
    services = np.array([float(line) for line in log.read_text().split()])[32:]
    assert about["due"] == about["sent"] == about["answered"] == len(requests.due_s) == len(services)
    order = np.argsort(requests.sent_s)
    free_at, predicted = 0.0, []
    for sent, service in zip(requests.sent_s[order], services, strict=True):
        free_at = max(free_at, sent) + service
        predicted.append(free_at)
    expected = np.array(predicted) - requests.due_s[order]
    assert requests.latency_s.min() >= 0.002
    assert requests.latency_s.mean() == pytest.approx(expected.mean(), rel=0.15, abs=0.001)


def test_the_schedule_is_poisson_of_the_rate_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    with serial("--service", "0") as url:
        _, first = offered(url, tmp_path, Schedule(1600, seed=5), 1.0)
        _, again = offered(url, tmp_path, Schedule(1600, seed=5), 1.0)
        _, other = offered(url, tmp_path, Schedule(1600, seed=6), 1.0)
    gaps = np.diff(first.due_s)
    assert len(gaps) == pytest.approx(1600, rel=0.1)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)
    assert (first.due_s == again.due_s).all()
    assert not np.array_equal(first.due_s, other.due_s)


def test_a_constant_rate_has_equal_gaps_and_is_sent_on_time(tmp_path: Path) -> None:
    with serial("--service", "0") as url:
        about, requests = offered(url, tmp_path, Schedule(400, "constant"), 1.0)
    assert np.diff(requests.due_s) == pytest.approx(1 / 400, abs=1e-6)
    assert about["answered"] == 400
    lag_s = requests.sent_s - requests.due_s
    assert lag_s.min() >= 0
    # The least of them: a busy machine delays most, but cannot make any early.
    assert np.quantile(lag_s, 0.02) < 0.002


def test_waiting_for_a_free_connection_is_latency_and_not_the_generators_lag(tmp_path: Path) -> None:
    with serial("--service", "0.01") as url:
        about, requests = offered(url, tmp_path, Schedule(150, seed=2), 2.0, threads=4)
    late = requests.taken_s > requests.due_s
    assert about["connections_busy"] == late.sum() > len(late) / 2
    # 150 per second at 100 per second: the last of them waits for a good part of a second.
    assert requests.latency_s[-1] > 0.5
    assert np.nanquantile((requests.sent_s - requests.taken_s)[late], 0.1) < 0.002


def test_a_full_accept_queue_delays_the_start_and_no_request_of_the_schedule(tmp_path: Path) -> None:
    # Connections that do not fit the queue are opened again after a second by TCP: the start-up stall. They come
    # back all at once, so the queue takes more than half of them: a second refusal would be followed by 2 and 4 s.
    with serial("--service", "0.001", "--backlog", "8", "--start-delay", "0.5") as url:
        began = time.monotonic()
        about, requests = offered(url, tmp_path, Schedule(100, seed=4), 1.0)
        took = time.monotonic() - began
    assert took > 2.0
    assert about["greeted"] == 16
    assert requests.latency_s.max() < 0.9


def test_a_request_whose_connection_broke_is_counted_as_broken(tmp_path: Path) -> None:
    with serial("--service", "0.001", "--close-every", "20") as url:
        about, requests = offered(url, tmp_path, Schedule(200, seed=7), 2.0, threads=8)
    assert about["broken"] == pytest.approx(len(requests.due_s) / 20, abs=3)
    assert about["sent"] == about["due"]
    assert np.isnan(requests.done_s).sum() == about["due"] - about["answered"] >= about["broken"]


def test_ctrl_c_ends_a_slow_schedule_at_once_and_keeps_what_was_measured(tmp_path: Path) -> None:
    variables = Schedule(2, "constant").variables(30, 8, 8) | {
        "HEADWIND_EXACT": str(tmp_path / "exact.jsonl")
    }
    with serial("--service", "0") as url:
        process = started(url, variables, threads=8, seconds=40)
        time.sleep(2.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        about = report(process)
    assert time.monotonic() - began < 1.5
    assert 3 <= about["answered"] <= 6


def test_more_than_one_connection_a_thread_paces_and_states_its_lag_apart(tmp_path: Path) -> None:
    exact = tmp_path / "exact.jsonl"
    pace = Schedule(20_000, seed=1)
    assert not pace.is_exact
    variables = pace.variables(2, 2, 64) | {"HEADWIND_PACE": "600", "HEADWIND_EXACT": str(exact)}
    with serial("--service", "0") as url:
        about = report(started(url, variables, threads=2, connections=64, seconds=2))
    assert about["sent"] == pytest.approx(1200, rel=0.15)
    lags = json.loads(exact.read_text())["schedule"]["send_lag_us"]
    # wrk's timers count whole milliseconds.
    assert np.repeat(lags["values"], lags["counts"]).mean() < 10_000


def test_a_schedule_splits_by_weight_and_gives_each_part_its_own_seed() -> None:
    parts = [Schedule(400, seed=10).part(index, (1, 3)) for index in (0, 1)]
    assert [part.rate_per_s for part in parts] == [100, 300]
    assert parts[0].seed != parts[1].seed
