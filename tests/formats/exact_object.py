"""A `headwind.wrk/1` object as the Lua side writes it, from the responses that a test says there were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def corrected(raw: Mapping[int, int], step: int) -> dict[int, int]:
    """wrk's `stats_correct`, from its description: for n >= 2E, the count of n is added at n-E, n-2E, ... above E."""
    printed = dict(raw)
    for value, count in raw.items():
        synthetic = value - step
        while value >= 2 * step and synthetic > step:
            printed[synthetic] = printed.get(synthetic, 0) + count
            synthetic -= step
    return printed


def exact_object(
    raw: Mapping[int, int],
    *,
    connections: int,
    duration_us: int = 1_000_000,
    timeouts: int = 0,
    timeout_us: int | None = 10_000_000,
    status: int = 0,
    pipeline: int = 1,
) -> dict[str, Any]:
    """What `done()` would write after `raw` (microseconds: responses) and `timeouts` late answers."""
    requests = (sum(raw.values()) + timeouts) * pipeline
    rounds = requests // connections
    printed = corrected(raw, duration_us // rounds) if rounds else dict(raw)
    return {
        "schema": "headwind.wrk/1",
        "duration_us": duration_us,
        "requests": requests,
        "bytes": requests * 40,
        "threads": 1,
        "timeout_us": timeout_us,
        "errors": {"connect": 0, "read": 0, "write": 0, "status": status, "timeout": timeouts},
        "latency_us": {
            "min": min(printed),
            "max": max(printed),
            "mean": 0.0,
            "stdev": 0.0,
            "percentiles": {"99.9": max(printed)},
        },
        "status_codes": {"200": requests - status, "500": status},
        "histogram": {"values": sorted(printed), "counts": [printed[value] for value in sorted(printed)]},
        "timeline": {"slot_us": 100_000, "responses": [requests], "errors": [status]},
        "source": "ffi",
    }
