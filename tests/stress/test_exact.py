"""The undone histogram against a server that knows better: it plants one stall and logs its own latencies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.stress.tool import Headwind, server

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]
CONNECTIONS = 8


ATTEMPTS = 3  # a busy machine adds to what wrk sees and the server does not; it never takes away


@pytest.mark.parametrize(("timeout", "stall_s", "late"), [("30s", 1.0, 0), ("1s", 1.3, CONNECTIONS)])
def test_the_undone_histogram_agrees_with_the_servers_own_log(
    headwind: Headwind, tmp_path: Path, timeout: str, stall_s: float, late: int
) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        run, logged = measured(headwind, tmp_path, timeout, stall_s, attempt)
        histogram = run["histogram"]
        assert histogram["expected_interval_us"] > 0, "wrk corrected the printed figures"
        assert run["errors"]["timeout"] == late

        # Exactly the requests that wrk counted, without those that came after its timeout.
        assert sum(histogram["counts"]) == run["requests"] - late
        assert 0 <= len(logged) - run["requests"] <= 2 * CONNECTIONS, "wrk drops what is under way at its end"

        pairs = zip(histogram["values_us"], histogram["counts"], strict=True)
        mean_s = sum(value * count for value, count in pairs) / sum(histogram["counts"]) / 1e6
        if not late:
            assert_little(run, mean_s)
        in_time = [value for value in logged if value < float(timeout[:-1])]
        logged_s = sum(in_time) / len(in_time)
        assert logged_s < mean_s
        # The way to the server and back, and wrk's own turn, come on top of what the server sees.
        if mean_s < 1.15 * logged_s + 0.001:
            return
    pytest.fail(f"the histogram's mean is {mean_s:.4f} s, the server's log says {logged_s:.4f} s")


def assert_little(run: dict[str, Any], mean_s: float) -> None:
    """Little's law: in a closed loop each of c connections always waits for one answer."""
    upper = CONNECTIONS * run["duration_s"] / run["requests"]
    lower = CONNECTIONS * run["duration_s"] / (run["requests"] + CONNECTIONS / 2)
    assert 0.9 * lower < mean_s < 1.001 * upper
    assert run["latency"]["mean_s"] > 1.5 * mean_s, "the hidden correction is what was undone"


def measured(
    headwind: Headwind, folder: Path, timeout: str, stall_s: float, attempt: int
) -> tuple[dict[str, Any], list[float]]:
    """One run against the planted stall: its Run, and the latencies that the server logged, in seconds."""
    log = folder / f"log-{attempt}.jsonl"
    faults = ["--delay", "0.03", "--stall", str(stall_s), "--stall-after", "1.5", "--log", str(log)]
    done = headwind.run(
        "run", "--command", server(*faults), "--threads", "2", "--connections", str(CONNECTIONS),
        "--duration", "4s", "--warmup", "0", "--timeout", timeout, "--late", "900ms",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    newest = max(path for path in headwind.reports.iterdir() if path.is_dir())
    (run,) = json.loads((newest / "run.json").read_text())["runs"]
    served = [json.loads(line) for line in log.read_text().splitlines()]
    return run, [row["s"] for row in served if " /ready " not in row["head"]]
