"""Watches the machine and the processes of a run: one Sample every half second, written as it is taken."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from headwind.samples import ProcessSample, Sample

INTERVAL_S = 0.5
_FAMILY_EVERY = 4  # looking for new children costs a walk over all processes, so not at every tick

Watched = Callable[[], Iterable[tuple[str, int]]]  # pairs of role ("server", "generator") and process id


class Monitor:
    """Samples from `start` to `stop`. Times count from `began`, which the load's start sets; earlier is negative."""

    def __init__(self, path: Path, watched: Watched) -> None:
        self.samples: list[Sample] = []
        self.began = time.monotonic()
        self._path, self._watched = path, watched
        self._known: dict[int, tuple[str, psutil.Process]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="headwind-monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end; the samples are whole afterwards."""
        self._stop.set()
        self._thread.join()

    def last_two(self) -> tuple[Sample | None, Sample | None]:
        """The samples of the last interval, as far as there are two yet."""
        seen = self.samples[-2:]
        return (seen[0], seen[1]) if len(seen) == 2 else (None, None)

    def _watch(self) -> None:
        due = time.monotonic()
        tick = 0
        with self._path.open("w", encoding="utf-8", buffering=1) as file:
            while True:
                last = self._stop.is_set()
                self._take(file.write, look_for_children=tick % _FAMILY_EVERY == 0 or tick < 3)
                if last:
                    return
                tick += 1
                due = max(due + INTERVAL_S, time.monotonic())
                self._stop.wait(due - time.monotonic())

    def _take(self, write: Callable[[str], object], *, look_for_children: bool) -> None:
        if look_for_children:
            self._refresh()
        sample = take(time.monotonic() - self.began, self._known.values())
        self.samples.append(sample)
        write(json.dumps(sample.to_json(), separators=(",", ":")) + "\n")

    def _refresh(self) -> None:
        for role, pid in self._watched():
            if pid not in self._known:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._known[pid] = (role, psutil.Process(pid))


def take(t_s: float, processes: Iterable[tuple[str, psutil.Process]]) -> Sample:
    """One sample of the machine and of those processes that live."""
    times = psutil.cpu_times()
    steal = getattr(times, "steal", 0.0)
    # Guest time is part of user time on Linux; time stolen by the hypervisor is told apart, not counted as ours.
    idle = times.idle + getattr(times, "iowait", 0.0) + steal
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    rows = tuple(row for role, process in list(processes) if (row := _row(role, process)))
    return Sample(
        t_s=round(t_s, 4),
        cpus=psutil.cpu_count() or 1,
        host_busy_s=round(sum(times) - idle - guest, 2),
        host_steal_s=steal,
        processes=rows,
    )


def _row(role: str, process: psutil.Process) -> ProcessSample | None:
    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            rss_bytes = process.memory_info().rss
            if not rss_bytes:  # it is ending: its memory is gone, and it is no zombie yet
                return None
            used = process.cpu_times()
            return ProcessSample(
                pid=process.pid,
                role=role,
                name=process.name(),
                cpu_s=round(used.user + used.system, 3),
                rss_bytes=rss_bytes,
                threads=process.num_threads(),
                busiest_thread_cpu_s=_busiest_thread_cpu_s(process),
                parent_pid=process.ppid(),
            )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _busiest_thread_cpu_s(process: psutil.Process) -> float | None:
    """CPU seconds of the busiest thread; None where only the superuser may see threads, as on macOS."""
    try:
        return max((thread.user_time + thread.system_time for thread in process.threads()), default=None)
    except psutil.AccessDenied:
        return None
