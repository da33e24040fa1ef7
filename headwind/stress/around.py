"""What is counted from before a load to after it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from headwind.stress import target
from headwind.stress.monitor import INTERVAL_S
from headwind.stress.proc import tcp_counters

METRICS = "/metrics"
_PATIENCE_S = 2.0
# A counter of requests by worker, as Prometheus' text has it: name_requests_total{worker="0",...} 123
_BY_WORKER = re.compile(r'^\w*_requests_total\{(?:[^}]*,)?worker="([^"]*)"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)


class Around:
    """From its making to `ended`. `asks`: the server is on this machine, and may be asked for its own counters."""

    def __init__(self, url: str, *, asks: bool) -> None:
        self._url, self._asks = url, asks
        self._answered = requests_by_worker(url) if asks else {}
        self._wall, self._steady, self._cpu = time.time(), time.monotonic(), time.process_time()
        self._opened = tcp_counters("self").get("ActiveOpens")

    def ended(self, samples: int) -> dict[str, Any]:
        """Members of environment.json: a step of the wall clock, new connections, what watching cost, and the requests
        that each worker answered (None where the server does not count them)."""
        steady_s = time.monotonic() - self._steady
        cpu_s = time.process_time() - self._cpu
        opened = tcp_counters("self").get("ActiveOpens")
        counted = opened is not None and self._opened is not None
        return {
            "clock_step_s": round(time.time() - self._wall - steady_s, 4),
            "connections_opened": (opened or 0) - (self._opened or 0) if counted else None,
            "worker_requests": self._worker_requests(),
            "monitor": {
                "interval_s": INTERVAL_S,
                "samples": samples,
                "cpu_s": round(cpu_s, 4),  # of the whole of Headwind, its threads and its waiting
                "cpu_share_of_one_core": round(cpu_s / steady_s, 5),
            },
        }

    def _worker_requests(self) -> list[int] | None:
        now = requests_by_worker(self._url) if self._asks else {}
        grown = [round(count - self._answered.get(worker, 0.0)) for worker, count in now.items()]
        return grown if sum(grown) > 0 and min(grown) >= 0 else None


def requests_by_worker(url: str) -> Mapping[str, float]:
    """Requests answered so far by each worker, where the server counts them so under /metrics; empty elsewhere."""
    try:
        status, body = target.get(url, _PATIENCE_S, METRICS)
    except (TimeoutError, ConnectionError):
        return {}
    counts: dict[str, float] = {}
    for worker, count in _BY_WORKER.findall(body.decode(errors="replace")) if status == 200 else ():
        counts[worker] = counts.get(worker, 0.0) + float(count)
    return counts
