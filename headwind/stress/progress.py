"""One line on the terminal that says how far a run is; nothing at all where stderr is no terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from headwind.samples import Sample


class Progress:
    """Shows stages and a running load on `stream`, overwriting one line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shows = self._stream.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._shows:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r\x1b[K" + text[:width])
            self._stream.flush()
            self._shown = True

    def load(self, elapsed_s: float, planned_s: float, before: Sample | None, now: Sample | None) -> None:
        """Replace the line by how far the load is and what the last interval cost."""
        text = f"load {min(elapsed_s, planned_s):.0f} of {planned_s:.0f} s"
        if before and now and now.t_s > before.t_s:
            for role in ("server", "generator"):
                cores = _cpu_s(now, role) - _cpu_s(before, role)
                memory = sum(p.rss_bytes for p in now.processes if p.role == role)
                if memory:
                    text += f" · {role} {cores / (now.t_s - before.t_s):.2f} cores, {memory / 1e6:.0f} MB"
        self.show(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False


def _cpu_s(sample: Sample, role: str) -> float:
    return sum(process.cpu_s for process in sample.processes if process.role == role)
