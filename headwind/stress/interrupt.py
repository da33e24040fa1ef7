"""Ctrl-C, `kill` and a closed terminal as a question to ask, so that cleaning up is never cut short."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """While entered, the signals only set `requested` (their number counts in `times`).

    A plain attribute, not a threading.Event: its lock could be held by the very frame that the signal interrupts.
    """

    def __init__(self) -> None:
        self.times = 0
        self._before: dict[signal.Signals, object] = {}

    @property
    def requested(self) -> bool:
        return self.times > 0

    def wait(self, seconds: float) -> bool:
        """Sleep so long, less if interrupted; tells whether it was."""
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            time.sleep(min(0.05, left))
        return self.requested

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.times += 1

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            before = signal.getsignal(number)
            # What the caller chose to ignore (`nohup`, a shell's background job) stays ignored.
            if before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
