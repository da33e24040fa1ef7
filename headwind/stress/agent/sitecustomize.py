"""Headwind's agent: runs inside a Python server that Headwind started, and tells where its time goes.

Python imports `sitecustomize` at start; the folder of this file is put first on PYTHONPATH for one pass of a
diagnosis. It times garbage collections (gc.callbacks), looks at all threads' stacks 50 times a second, times how long
the event loop takes to get to a callback, and reads the state of AnyIO's thread limiter. Each process writes
`<pid>.json` to the folder in HEADWIND_AGENT_DIR twice a second. It changes nothing else, and is silent whatever goes
wrong: the server comes first. Nothing of Headwind is imported.
"""

from __future__ import annotations

import gc
import json
import linecache
import os
import sys
import threading
import time
from collections import Counter
from types import FrameType
from typing import Any

LOOK_S = 0.02
WRITE_S = 0.5
LONG_S = 0.01  # shorter collections are only added up
KEPT = 500
IDLE_FILES = ("selectors.py", "asyncio/runners.py", "asyncio/base_events.py", "socketserver.py", "uvicorn/")
IDLE_FUNCTIONS = ("accept", "wait", "get", "select", "poll", "_worker", "_wait_for_tstate_lock", "_recv_into")
WATCHED = ("logging", "json", "re", "ssl", "pickle", "importlib", "copy", "sqlite3", "subprocess")


class Agent:
    """What one process gathers."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.collecting: float | None = None
        self.pauses = 0.0
        self.long_collections: list[
            tuple[float, float]
        ] = []  # (seconds since the begin, length), latest last
        self.collections = 0
        self.looks = 0
        self.busy = 0
        self.lines: Counter[tuple[str, int, str]] = Counter()
        self.packages: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self.limiter: list[tuple[float, float, float]] = []
        self.loop: Any = None
        self.asked: float | None = (
            None  # when the loop was last asked to run something that it has not run yet
        )
        self.lags: list[tuple[float, float]] = []  # (seconds since the begin, how long it took to get to it)

    def start(self) -> None:
        gc.callbacks.append(self.on_collection)
        threading.Thread(target=self.run, daemon=True, name="headwind-agent").start()

    def on_collection(self, phase: str, _info: dict[str, int]) -> None:
        # The thread's own CPU time: a collection that has to wait for a core is not longer for that.
        now = time.thread_time()
        if phase == "start":
            self.collecting = now
        elif self.collecting is not None:
            took = now - self.collecting
            self.pauses += took
            self.collections += 1
            if took >= LONG_S:
                self.long_collections.append((time.monotonic() - self.began, took))
                del self.long_collections[:-KEPT]
            self.collecting = None

    def run(self) -> None:
        next_write = time.monotonic() + WRITE_S
        while True:
            time.sleep(LOOK_S)
            try:
                self.look()
                self.ask_loop()
                if time.monotonic() >= next_write:
                    self.read_limiter()
                    self.write()
                    next_write = time.monotonic() + WRITE_S
            except Exception:  # the server must never suffer from its observer
                continue

    def look(self) -> None:
        own = threading.get_ident()
        self.looks += 1
        for ident, frame in sys._current_frames().items():
            seen: FrameType | None = frame
            while (
                seen is not None and seen.f_code.co_filename == __file__
            ):  # our own callback of a collection
                seen = seen.f_back
            if ident == own or seen is None or is_idle(seen):
                continue
            self.busy += 1
            self.note(seen)

    def ask_loop(self) -> None:
        """Hand the event loop a callback, one at a time; how long it takes to run it is the loop's lag."""
        if self.asked is not None:
            return
        if self.loop is None or not self.loop.is_running():
            found = (find_loop(frame) for frame in sys._current_frames().values())
            self.loop = next((loop for loop in found if loop is not None), None)
        if self.loop is not None:
            self.asked = time.monotonic()
            self.loop.call_soon_threadsafe(self.on_loop)

    def on_loop(self) -> None:
        if self.asked is not None:
            now = time.monotonic()
            self.lags.append((now - self.began, now - self.asked))
            del self.lags[:-KEPT]
            self.asked = None

    def note(self, frame: FrameType) -> None:
        walk: FrameType | None = frame
        application: FrameType | None = None
        packages = set()
        chain: list[str] = []  # the application's functions, the innermost first
        while walk is not None:
            name = walk.f_code.co_filename
            packages |= {part for part in WATCHED if f"/{part}/" in name or name.endswith(f"/{part}.py")}
            if is_application(name):
                application = application or walk
                chain.append(walk.f_code.co_name)
            walk = walk.f_back
        self.packages.update(packages)
        self.functions.update(set(chain[:-1]))  # the outermost is the handler itself
        chosen = application or frame
        self.lines[(chosen.f_code.co_filename, chosen.f_lineno, chosen.f_code.co_name)] += 1

    def read_limiter(self) -> None:
        lowlevel = sys.modules.get("anyio.lowlevel")
        for values in list(getattr(lowlevel, "_run_vars", {}).values()):
            for name, limiter in list(values.items()):
                if "thread_limiter" in str(name):
                    state = limiter.statistics()
                    row = (
                        float(state.total_tokens),
                        float(state.borrowed_tokens),
                        float(state.tasks_waiting),
                    )
                    self.limiter.append(row)

    def write(self) -> None:
        path = os.path.join(self.folder, f"{os.getpid()}.json")  # noqa: PTH118
        with open(path + ".part", "w") as file:  # noqa: PTH123
            json.dump(self.report(), file)
        os.replace(path + ".part", path)  # noqa: PTH105

    def report(self) -> dict[str, Any]:
        lines = [
            (
                f"{name.rpartition(os.sep)[2]}:{line} {function}",
                linecache.getline(name, line).strip()[:200],
                count,
            )
            for (name, line, function), count in self.lines.most_common(20)
        ]
        return {
            "wall_s": time.monotonic() - self.began,
            "gc_pause_s": self.pauses,
            "gc_long": self.long_collections,
            "gc_collections": self.collections,
            "looks": self.looks,
            "busy": self.busy,
            "lines": lines,
            "packages": dict(self.packages),
            "functions": dict(self.functions.most_common(40)),
            "limiter": self.limiter[-40:],
            "lags": self.lags,
        }


def is_application(name: str) -> bool:
    """Whether a file is neither the standard library nor an installed package."""
    return not (
        name.startswith("<") or "site-packages" in name or f"/lib/python{sys.version_info[0]}." in name
    )


def is_idle(frame: FrameType) -> bool:
    """Whether a thread waits for work: its innermost Python frame is a known waiting place of a library."""
    name, function = frame.f_code.co_filename, frame.f_code.co_name
    if is_application(name):
        return False
    if any(part in name for part in IDLE_FILES):
        return True
    return function in IDLE_FUNCTIONS and ("threading.py" in name or "queue.py" in name or "thread" in name)


def find_loop(frame: FrameType | None) -> Any:
    """The running event loop of a thread, by the frames of asyncio (or of its Runner, where the loop is not Python)."""
    while frame is not None:
        if f"{os.sep}asyncio{os.sep}" in frame.f_code.co_filename:
            owner: Any = frame.f_locals.get("self")
            loop: Any = getattr(owner, "_loop", owner)
            if hasattr(loop, "call_soon_threadsafe") and loop.is_running():
                return loop
        frame = frame.f_back
    return None


def restart() -> None:
    """Begin in this process; a forked child begins afresh, since threads do not survive a fork."""
    folder = os.environ.get("HEADWIND_AGENT_DIR")
    if folder:
        for callback in [row for row in gc.callbacks if getattr(row, "__name__", "") == "on_collection"]:
            gc.callbacks.remove(callback)
        Agent(folder).start()


def chain() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    rest = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]  # noqa: PTH100
    found = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if found is not None and found.loader is not None:
        found.loader.exec_module(importlib.util.module_from_spec(found))


try:
    restart()
    os.register_at_fork(after_in_child=restart)
except Exception:  # the server starts, whatever happens here
    sys.exc_info()
chain()
