"""One pass with the agent inside a fresh copy of the server: where Python's time goes."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from headwind.analysis.diagnosis.observations import AgentView
from headwind.errors import HeadwindError
from headwind.stress import proc
from headwind.stress.interrupt import Interrupt
from headwind.stress.launch import Launched
from headwind.stress.probes import WrkRun, probe
from headwind.stress.requests import Request

AGENT = Path(__file__).parent / "agent"

Report = dict[str, Any]  # what one process wrote


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
            with Launched(command, port, interrupt, environment(folder)) as copy:
                there = request.at_port(port)
                probe(there, interrupt, "burst", count=1, duration_s=0.0, timeout_s=10.0)
                before = _reports(Path(folder))
                used = _cpu_s(copy.server.refresh())
                generated = WrkRun(there, connections, seconds).finish(interrupt)
                interrupt.wait(0.8)  # under load the agent's thread hardly got to write
                after = _reports(Path(folder))
                spent = {
                    pid: cpu_s - used.get(pid, 0.0) for pid, cpu_s in _cpu_s(copy.server.refresh()).items()
                }
                serving = copy.server.workers() | {pid for pid in spent if spent[pid] >= 0.2 * seconds}
        except HeadwindError:
            return None
    # A supervisor waits for its workers all the time: no line of it says anything.
    shown = {pid: report for pid, report in after.items() if not serving or int(pid) in serving}
    return view(before, shown or after, generated.requests)


def _cpu_s(pids: set[int]) -> dict[int, float]:
    """CPU seconds that each of these processes has used."""
    return {pid: values.cpu_s for pid in pids if (values := proc.stat(f"/proc/{pid}")) is not None}


def _reports(folder: Path) -> dict[str, Report]:
    found = {}
    for path in folder.glob("*.json"):
        try:
            found[path.stem] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return found


def view(before: dict[str, Report], after: dict[str, Report], requests: int) -> AgentView | None:
    """The difference of two sets of reports, of the processes that were busy in between."""
    pairs = [(before.get(pid, {}), last) for pid, last in after.items()]
    pairs = [(first, last) for first, last in pairs if _gained(first, last, "busy", "gc_pause_s") > 0]
    if not pairs:
        return None
    busy = sum(_gained(first, last, "busy") for first, last in pairs)
    each = [(_gained(first, last, "busy"), _gained(first, last, "looks")) for first, last in pairs]
    lines: Counter[tuple[str, str]] = Counter()
    for first, last in pairs:
        lines.update({(place, text): count for place, text, count in last["lines"]})
        lines.subtract({(place, text): count for place, text, count in first.get("lines", [])})
    # What happened while the application was imported is not requests' doing.
    long = [
        took for first, last in pairs for at_s, took in last["gc_long"] if at_s > first.get("wall_s", 0.0)
    ]
    lags = [lag for first, last in pairs for at_s, lag in last["lags"] if at_s > first.get("wall_s", 0.0)]
    limiter = [row for first, last in pairs for row in last["limiter"][len(first.get("limiter", [])) :]]
    common = [(place, text, count) for (place, text), count in lines.most_common(12)]
    return AgentView(
        wall_s=max(_gained(first, last, "wall_s") for first, last in pairs),
        requests=requests,
        # Of the worker that collects most: workers pause apart.
        gc_pause_s=max(_gained(first, last, "gc_pause_s") for first, last in pairs),
        gc_longest_s=max(long, default=0.0),
        gc_collections=int(sum(_gained(first, last, "gc_collections") for first, last in pairs)),
        looks=int(sum(_gained(first, last, "looks") for first, last in pairs)),
        busy_threads=sum(seen / looks for seen, looks in each if looks),
        lines=tuple((place, text, count / busy) for place, text, count in common if busy and count > 0),
        packages=_shares(pairs, "packages", busy),
        functions=_shares(pairs, "functions", busy),
        loop_lag_median_s=statistics.median(lags) if lags else None,
        loop_lag_max_s=max(lags, default=None),
        limiter_total=_middle(limiter, 0),
        limiter_borrowed=_middle(limiter, 1),
        limiter_waiting=_middle(limiter, 2),
    )


def _gained(first: Report, last: Report, *names: str) -> float:
    return sum(float(last[name]) - float(first.get(name, 0.0)) for name in names)


def _shares(pairs: list[tuple[Report, Report]], kind: str, busy: float) -> dict[str, float]:
    """Share of the busy looks, by name."""
    counts: Counter[str] = Counter()
    for first, last in pairs:
        counts.update(last[kind])
        counts.subtract(first.get(kind, {}))
    return {name: count / busy for name, count in counts.items() if busy and count > 0}


def _middle(rows: list[list[float]], index: int) -> float | None:
    values = sorted(row[index] for row in rows)
    return values[len(values) // 2] if values else None
