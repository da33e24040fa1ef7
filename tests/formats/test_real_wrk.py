"""What a real wrk prints, held against the exact figures that its own done() has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwind.formats import attach_exact, read_text

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


@pytest.fixture
def url() -> Iterator[str]:
    """A server whose every seventh answer is a 503."""
    command = [sys.executable, "-m", "tests.stress.http_server", "--delay", "0.002", "--fail-every", "7"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = server.stdout.readline().split()[-1]
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(10)
    server.stdout.close()


def test_printed_values_are_the_exact_ones_within_their_rounding(url: str, tmp_path: Path) -> None:
    told = tmp_path / "exact.jsonl"
    done = subprocess.run(
        ["wrk", "-t2", "-c6", "-d1s", "--latency", "-s", str(ROOT / "wrk" / "observe.lua"), url],
        env={**os.environ, "HEADWIND_EXACT": str(told)},
        capture_output=True,
        text=True,
        check=True,
    )
    report = "".join(line for line in done.stdout.splitlines(keepends=True) if "headwind.wrk/1" not in line)
    (printed,) = read_text(report, "wrk.txt")
    (exact,) = (json.loads(line) for line in told.read_text().splitlines())
    assert printed.warnings == ()
    assert (printed.requests, printed.threads, printed.connections) == (exact["requests"], 2, 6)
    assert printed.errors.status == exact["errors"]["status"] > 0
    assert printed.duration_s == pytest.approx(exact["duration_us"] / 1e6, abs=0.0051)
    assert printed.bytes_read == pytest.approx(exact["bytes"], rel=0.0059)
    assert printed.latency is not None
    assert printed.latency.mean_s == pytest.approx(exact["latency_us"]["mean"] / 1e6, rel=0.0059)
    for key, value in printed.latency.percentiles_s.items():
        assert value == pytest.approx(exact["latency_us"]["percentiles"][key] / 1e6, rel=0.0059)
    joined = attach_exact(printed, exact)
    assert joined.histogram is not None
    assert joined.histogram.total == printed.requests
    assert joined.histogram.corrected()["mean_s"] == pytest.approx(
        exact["latency_us"]["mean"] / 1e6, rel=1e-6
    )
