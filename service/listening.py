"""Sharing connections among workers.

All workers wait on one listening socket, and the one that wakes first takes what is there: connections that are opened
one after the other on an idle server, as a pool opens them, would all be one worker's, and with keep-alive stay it.
"""

import time
from typing import Any

from service.metrics import Metrics

LEAVE_S = 0.005
"""How long a worker that has more than its share leaves a connection to the others: an idle one takes it sooner."""

FREE_S = 0.02
"""How long it then takes whatever comes, since the others are busy."""

FORGOTTEN_S = 10 * LEAVE_S
"""After this a connection that was left has been taken by another worker, and the next one is a new one."""


class SharedListener:
    """A listening socket whose `accept` says that nothing is there while another worker has fewer connections."""

    def __init__(self, listener: Any, metrics: Metrics) -> None:
        self._listener = listener
        self._metrics = metrics
        self._left_since_s = float("-inf")
        self._free_until_s = float("-inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def accept(self) -> Any:
        """As `socket.accept`; asyncio takes BlockingIOError for an empty queue and comes back at once."""
        if self._leaves():
            raise BlockingIOError
        accepted = self._listener.accept()
        self._metrics.connected(1)
        return accepted

    def _leaves(self) -> bool:
        own, fewest = self._metrics.connections()
        if fewest is None or own <= fewest + fewest // 8:
            return False
        now_s = time.monotonic()
        if now_s < self._free_until_s:
            return False
        if now_s - self._left_since_s > FORGOTTEN_S:
            self._left_since_s = now_s
        if now_s - self._left_since_s < LEAVE_S:
            return True
        self._free_until_s = now_s + FREE_S
        return False
