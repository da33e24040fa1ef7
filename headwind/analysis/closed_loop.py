"""The arithmetic of a closed loop and of wrk's counters: pure functions of printed numbers.

N = answered requests, T = answers later than wrk's timeout (in N, in no latency figure), c = connections.
Formulas follow from wrk's source (4.0 to 4.2) and from Little's law; each is stated where it is used.
"""

from __future__ import annotations

import math


def live_connections(threads: int | None, connections: int | None) -> int | None:
    """Connections that wrk really opens: every thread gets floor(c / threads) of them."""
    if not connections:
        return None
    if not threads or threads > connections:
        return connections
    return threads * (connections // threads)


def little_range_s(connections: int, runtime_s: float, requests: int) -> tuple[float, float]:
    """Bounds of the mean time per request, late answers included, in seconds.

    Little's law for a closed loop without think time: c connections are busy for the whole runtime, which is
    c * runtime seconds of waiting for N answers. At the end up to c requests are cut off, on average half done, so
    the mean lies between c * runtime / (N + c / 2) and c * runtime / N.
    """
    busy_s = connections * runtime_s
    return busy_s / (requests + connections / 2), busy_s / requests


def expected_interval_s(connections: int, runtime_s: float, requests: int) -> float | None:
    """wrk's E in seconds: `runtime_us // (N // c)` with c as typed; None where wrk corrects nothing (N < c).

    Samples of at least 2E get synthetic samples below them; with Max < 2E the printed figures are as measured.
    """
    rounds = requests // connections
    if rounds < 1:
        return None
    return int(runtime_s * 1e6) // rounds / 1e6


def good_range(requests: int, status_errors: int, late: int) -> tuple[int, int]:
    """Bounds of the answers that were neither errors nor late: one answer can be both, which wrk counts twice."""
    return max(0, requests - status_errors - late), max(0, requests - max(status_errors, late))


def last_known_percent(requests: int, late: int) -> float:
    """The highest percentile that is not among the late answers: the p-th is late whenever T/N > 1 - p/100."""
    return 100.0 * (requests - late) / requests


def recorded_percent(percent: float, requests: int, late: int) -> float | None:
    """Where the p-th percentile of all answers stands among those with a latency: p * N / (N - T).

    None where it is one of the late ones.
    """
    if requests <= late:
        return None
    rank = percent * requests / (requests - late)
    return rank if rank <= 100.0 else None


def mean_to_meet_s(connections: int, runtime_s: float, target: int) -> float:
    """The mean time per request at which c connections get `target` answers in the runtime (Little's law)."""
    return connections * runtime_s / target


def idle_share(per_thread_mean: float, threads: int, requests_per_s: float) -> float:
    """Share of wrk's 100-ms windows (per thread) without any answer.

    Req/Sec averages only windows with an answer, so Avg * threads exceeds Requests/sec by exactly those left out.
    """
    return max(0.0, 1 - requests_per_s / (per_thread_mean * threads))


def idle_share_by_chance(threads: int, requests_per_s: float) -> float:
    """The share of empty 100-ms windows if answers came independently: exp(-mean answers in a window)."""
    return math.exp(-0.1 * requests_per_s / threads)
