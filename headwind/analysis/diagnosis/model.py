"""A diagnosis as data: causes in order, what was ruled out, and the ceiling. The contract "
"`headwind.diagnosis/1`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headwind.analysis.finding import Certainty, Evidence

SCHEMA = "headwind.diagnosis/1"

CODES: dict[str, str] = {
    "cpu_bound": "the server's CPU is the limit",
    "workers_below_cores": "too few worker processes for the cores",
    "threadpool_limit": "every request thread is taken",
    "connection_pool_limit": "a pool of connections or permits is used up",
    "blocking_in_event_loop": "a blocking call holds the event loop",
    "serial_section": "one request at a time: a lock",
    "slow_dependency": "another server that this one calls is the limit",
    "work_repeated_per_request": "work that could be done once is done in every request",
    "thread_oversubscription": "more computing threads than cores",
    "cpu_throttled": "the CPU quota stops the server",
    "batch_window": "requests wait for a batch to fill",
    "gc_pauses": "garbage collection stops the server",
    "periodic_pause": "something stops the server again and again",
    "memory_growth": "memory grows with every request",
    "out_of_memory": "memory ran out",
    "worker_restarts": "workers end and are started again",
    "log_backpressure": "requests wait for the log",
    "rate_limited": "a rate limiter turns requests away or holds them back",
    "errors_served": "the answers are errors",
    "no_answers": "the server does not answer",
    "no_keepalive": "every request opens a new connection",
    "proxy_no_keepalive": "the proxy opens a new connection to the server for every request",
    "accept_queue_overflow": "the queue of new connections overflows",
    "fd_limit": "file descriptors ran out",
    "load_imbalance": "one worker has most of the load",
    "two_kinds_of_request": "some requests are far more expensive than the others",
    "drift": "the server gets slower the longer it runs",
    "cold_start": "the first requests are slow",
    "generator_limited": "the load generator is the limit, not the server",
    "noisy_host": "something else on this machine takes the CPU",
    "pure_delay": "requests wait, but nothing is used up",
    "none": "nothing is wrong",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause; `title` is a sentence with the decisive number in it."""

    code: str
    certainty: Certainty
    title: str
    evidence: tuple[Evidence, ...]
    advice: str
    expect: str
    verify: str = "headwind diagnose  # again, after the change"


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A cause that a counter or an intervention excludes."""

    code: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`ceiling_per_s`: the highest rate of good answers seen; `ceiling_reached`: whether more load would not help."""

    url: str
    summary: str
    causes: tuple[Cause, ...]
    ruled_out: tuple[RuledOut, ...]
    ceiling_per_s: float | None
    ceiling_reached: bool
    unloaded_s: float | None
    load_s: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}
