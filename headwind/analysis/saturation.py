"""Is the server saturated? One closed-loop run can make it likely; only a second load proves it."""

from __future__ import annotations

from collections.abc import Iterable

from headwind.analysis.context import Context, again
from headwind.analysis.finding import Evidence, Finding
from headwind.analysis.target import seconds_range
from headwind.words import rate, seconds

# From so many connections a mean this long is rarely one request's own work. Both are conventions of this tool, chosen
# so that an interactive API (answers well under half a second) is never called saturated from its latency alone.
CONNECTIONS = 8
MEAN_S = 0.5
LATE_SHARE = 0.01
BROKEN_SHARE = 0.1


def saturation(context: Context) -> Iterable[Finding]:
    """Speaks when many connections wait long or in vain for each answer."""
    if context.little_s is None or context.connections is None or context.rate_per_s is None:
        return
    low, high = context.little_s
    connections = context.connections
    if connections < CONNECTIONS or (low < MEAN_S and context.late_share < LATE_SHARE):
        return
    # Little's law speaks of open connections; where they keep breaking, waiting is not what fills the time.
    broken = (context.run.errors.read or 0) + (context.run.errors.connect or 0)
    if 2 * context.status_errors > context.requests or broken > BROKEN_SHARE * context.requests:
        return
    now, half, double = context.rate_per_s, max(1, connections // 2), 2 * connections
    pace, delay = rate(now), seconds(high)
    yield Finding(
        "saturation_likely",
        "warning",
        "likely",
        f"The server is likely saturated: {connections} connections share {pace}, each waiting "
        f"{seconds_range(low, high)}; a run at half the connections would prove it",
        (
            Evidence("connections really open", connections, "1", "threads x floor(connections / threads)"),
            context.read("throughput", now, "1/s", "'Requests/sec' line"),
            Evidence("mean time per request, at least", low, "s", "c x runtime / (N + c/2) (Little's law)"),
            Evidence("mean time per request, at most", high, "s", "c x runtime / N (Little's law)"),
        ),
        f"Do not add connections: a saturated server answers no more of them, each only waits longer (about "
        f"{seconds(high * 2)} at {double}). Find what limits it; until a second load proves saturation, the same "
        "numbers "
        f"also fit an unlimited server with a delay of {delay}.",
        f"At {half} connections: about {pace} again means saturated, about {rate(now / 2)} means pure delay.",
        again(context, connections=half),
        (context.index,),
    )
