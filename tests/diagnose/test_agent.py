"""The agent inside a real Python process: collections, the loop's lag, functions, and where the time goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwind.stress import agent_pass
from headwind.stress.spy import view as spied

SERVER = """
import asyncio, gc, time
heap = [[i] for i in range(200_000)]
def load_model():
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        sum(range(50))
async def handler():
    load_model()
    gc.collect()
    await asyncio.sleep(0.01)
async def main():
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        await handler()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> agent_pass.Report:
    folder = tmp_path_factory.mktemp("agent")
    script = folder / "server.py"
    script.write_text(SERVER)
    environment = {**os.environ, **agent_pass.environment(str(folder))}
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=60)
    (path,) = folder.glob("*.json")
    found: agent_pass.Report = json.loads(Path(path).read_text())
    return found


def test_it_sees_collections_the_lag_of_the_loop_and_the_function_that_computes(
    report: agent_pass.Report,
) -> None:
    found = agent_pass.view({}, {"1": report}, requests=10)
    assert found is not None
    assert found.gc_collections >= 5
    assert found.gc_pause_s > 0
    assert found.loop_lag_max_s is not None
    assert found.loop_lag_max_s >= 0.1  # the loop is held for 0.15 s at a time
    assert found.functions["load_model"] > 0.5
    assert found.lines[0][0].startswith("server.py:")


def test_what_came_before_the_load_does_not_count(report: agent_pass.Report) -> None:
    late = {**report, "busy": report["busy"] + 1, "wall_s": report["wall_s"] + 1.0}
    found = agent_pass.view({"1": report}, {"1": late}, requests=1)
    assert found is not None
    assert (found.gc_longest_s, found.gc_pause_s, found.loop_lag_max_s) == (0.0, 0.0, None)
    assert found.wall_s == pytest.approx(1.0)


def test_a_process_that_did_nothing_is_not_looked_at(report: agent_pass.Report) -> None:
    assert agent_pass.view({"1": report}, {"1": report}, requests=1) is None


def test_stacks_of_py_spy_tell_lines_and_functions() -> None:
    stacks = (
        "serve (/srv/app.py:9);handle (/srv/app.py:5);load_model (/srv/app.py:2) 8\n"
        "serve (/srv/app.py:9);handle (/srv/app.py:6);dumps (/usr/lib/python3.11/json/__init__.py:231) 2\n"
        "no number here\n"
    )
    found = spied(stacks, 4.0, 100)
    assert found is not None
    assert found.lines[0][0] == "app.py:2 load_model"
    assert found.functions["load_model"] == pytest.approx(0.8)
    assert found.packages == {"json": pytest.approx(0.2)}
