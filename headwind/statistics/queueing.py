"""What theory says of one serial server with Poisson arrivals and constant service (M/D/1), and of a closed loop."""

from __future__ import annotations

import math

_EXACT_SERVICES = (
    3.0  # above so many services of waiting the alternating sum loses digits and the tail is exact
)


def mean_sojourn_s(rate_per_s: float, service_s: float) -> float:
    """Mean time from arrival to answer, D + rho D / (2 (1 - rho)) (Pollaczek 1930, Khinchine 1932); inf at rho >= 1."""
    load = rate_per_s * service_s
    if load >= 1:
        return math.inf
    return service_s + load * service_s / (2 * (1 - load))


def waiting_tail(rate_per_s: float, service_s: float, wait_s: float) -> float:
    """P(waiting longer than `wait_s`) in M/D/1.

    Erlang's sum (1909) for short waits; beyond, the Cramer-Lundberg tail C exp(-eta t) with
    rate (exp(eta D) - 1) = eta and C = (1 - rho) / (rho exp(eta D) - 1), exact to 1e-3 from three services on.
    """
    load = rate_per_s * service_s
    if load >= 1:
        return 1.0
    if wait_s < 0:
        return 1.0
    if wait_s <= _EXACT_SERVICES * service_s:
        total = 0.0
        for k in range(int(wait_s / service_s) + 1):
            exponent = rate_per_s * (k * service_s - wait_s)
            total += exponent**k / math.factorial(k) * math.exp(-exponent)
        return max(0.0, 1 - (1 - load) * total)
    decay = _decay(load) / service_s
    constant = (1 - load) / (load * math.exp(decay * service_s) - 1)
    return min(1.0, constant * math.exp(-decay * wait_s))


def _decay(load: float) -> float:
    """The positive root x of load (exp(x) - 1) = x, by bisection."""
    low, high = 1e-12, 2.0
    while load * math.expm1(high) < high:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if load * math.expm1(middle) < middle:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def capacity_per_s(service_s: float, percent: float, limit_s: float) -> float:
    """The highest Poisson rate at which the `percent`-th percentile of the sojourn stays below `limit_s` (M/D/1)."""
    if limit_s <= service_s:
        return 0.0
    allowed = 1 - percent / 100
    low, high = 0.0, 1 / service_s
    for _ in range(100):
        middle = (low + high) / 2
        if waiting_tail(middle, service_s, limit_s - service_s) <= allowed:
            low = middle
        else:
            high = middle
    return low


def closed_loop_bound_per_s(
    connections: float, service_s: float, think_s: float, largest_demand_s: float
) -> float:
    """min(c / (S + Z), 1 / Dmax): what no closed loop of c connections can exceed (Denning & Buzen 1978).

    `service_s` is the unloaded response time, `largest_demand_s` the demand on the resource that fills first.
    """
    return min(connections / (service_s + think_s), 1 / largest_demand_s)
