"""One pass with the agent inside a fresh copy of the server: where Python's time goes."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from headwind.analysis.diagnosis.observations import AgentView
from headwind.errors import HeadwindError
from headwind.stress.interrupt import Interrupt
from headwind.stress.launch import Launched
from headwind.stress.probes import WrkRun, probe
from headwind.stress.requests import Request

AGENT = Path(__file__).parent / "agent"


def environment(folder: str) -> dict[str, str]:
    """What puts the agent into Python processes: our folder first on PYTHONPATH."""
    path = os.pathsep.join(filter(None, [str(AGENT), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "HEADWIND_AGENT_DIR": folder}


def agent_pass(
    command: str, request: Request, connections: int, seconds: float, interrupt: Interrupt, port: int
) -> AgentView | None:
    """Start a copy at `port` with the agent, load it for `seconds`, stop it; None where the copy does not start."""
    with tempfile.TemporaryDirectory(prefix="headwind-agent-") as folder:
        try:
            with Launched(command, port, interrupt, environment(folder)):
                there = request.at_port(port)
                probe(there, interrupt, "burst", count=1, duration_s=0.0, timeout_s=10.0)
                before = _reports(Path(folder))
                generated = WrkRun(there, connections, seconds).finish(interrupt)
                interrupt.wait(0.8)  # under load the agent's thread hardly got to write
                after = _reports(Path(folder))
        except HeadwindError:
            return None
    return view(before, after, generated.requests)


def _reports(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in folder.glob("*.json"):
        try:
            found[path.stem] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return found


def view(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], requests: int
) -> AgentView | None:
    """The difference of two sets of reports, of the processes that were busy in between."""
    lines: Counter[tuple[str, str]] = Counter()
    packages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    pause = wall = longest = 0.0
    collections = busy = looks = 0
    limiter: list[list[float]] = []
    for pid, last in after.items():
        first = before.get(pid, {})
        gained = last["busy"] - first.get("busy", 0)
        paused = last["gc_pause_s"] - first.get("gc_pause_s", 0.0)
        if gained <= 0 and paused <= 0:
            continue
        wall = max(wall, last["wall_s"] - first.get("wall_s", 0.0))
        pause = max(pause, paused)  # of the worker that collects most: workers pause apart
        # Collections while the application was imported are not those of requests.
        since = first.get("wall_s", 0.0)
        longest = max([longest, *(took for at_s, took in last["gc_long"] if at_s > since)])
        collections += last["gc_collections"] - first.get("gc_collections", 0)
        busy += gained
        looks += last["looks"] - first.get("looks", 0)
        lines.update({(place, text): count for place, text, count in last["lines"]})
        lines.subtract({(place, text): count for place, text, count in first.get("lines", [])})
        packages.update(last["packages"])
        packages.subtract(first.get("packages", {}))
        functions.update(last["functions"])
        functions.subtract(first.get("functions", {}))
        limiter += last["limiter"][len(first.get("limiter", [])) :]
    if wall <= 0:
        return None
    return AgentView(
        wall_s=wall,
        requests=requests,
        gc_pause_s=pause,
        gc_longest_s=longest,
        gc_collections=collections,
        looks=looks,
        lines=tuple(
            (place, text, count / busy)
            for (place, text), count in lines.most_common(12)
            if busy and count > 0
        ),
        packages={name: count / busy for name, count in packages.items() if busy and count > 0},
        functions={name: count / busy for name, count in functions.items() if busy and count > 0},
        limiter_total=_middle(limiter, 0),
        limiter_borrowed=_middle(limiter, 1),
        limiter_waiting=_middle(limiter, 2),
    )


def _middle(rows: list[list[float]], index: int) -> float | None:
    values = sorted(row[index] for row in rows)
    return values[len(values) // 2] if values else None
