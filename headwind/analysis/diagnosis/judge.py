"""The judgement: all rules over one set of observations, what follows from what, the order, and the "
"sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headwind.analysis.diagnosis import computing, connections, environment, overtime, pauses, slots, waiting
from headwind.analysis.diagnosis.environment import evidence
from headwind.analysis.diagnosis.exclusion import ruled_out
from headwind.analysis.diagnosis.facts import Facts
from headwind.analysis.diagnosis.host import starved
from headwind.analysis.diagnosis.model import Cause, Diagnosis
from headwind.analysis.diagnosis.observations import Observations

# What is named first: what makes the measurement worthless, then special illnesses, then what limits any server.
ORDER = (
    "no_answers",
    "out_of_memory",
    "worker_restarts",
    "generator_limited",
    "cpu_throttled",
    "fd_limit",
    "rate_limited",
    "errors_served",
    "thread_oversubscription",
    "gc_pauses",
    "periodic_pause",
    "two_kinds_of_request",
    "blocking_in_event_loop",
    "log_backpressure",
    "serial_section",
    "threadpool_limit",
    "connection_pool_limit",
    "slow_dependency",
    "accept_queue_overflow",  # where requests wait inside, the queue of connections is their consequence
    "work_repeated_per_request",
    "proxy_no_keepalive",
    "no_keepalive",
    "batch_window",
    "load_imbalance",
    "memory_growth",
    "drift",
    "cold_start",
    "noisy_host",  # it is judged before what follows, which it makes unknowable; what precedes was seen directly
    "workers_below_cores",
    "cpu_bound",
    "pure_delay",
    "none",
)

# A cause on the left explains those on the right, which are then not said again.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "out_of_memory": (
        *("worker_restarts", "errors_served", "no_answers", "drift", "periodic_pause"),
        "blocking_in_event_loop",
    ),
    "worker_restarts": (
        *(
            "errors_served",
            "drift",
            "periodic_pause",
            "gc_pauses",
            "load_imbalance",
            "cpu_bound",
            "pure_delay",
        ),
        *("rate_limited", "serial_section", "connection_pool_limit", "workers_below_cores", "memory_growth"),
        *(
            "no_answers",
            "work_repeated_per_request",
            "threadpool_limit",
            "cold_start",
            "two_kinds_of_request",
            "blocking_in_event_loop",
        ),
    ),
    "accept_queue_overflow": ("no_answers", "pure_delay", "serial_section", "connection_pool_limit"),
    "generator_limited": (
        "noisy_host",
        "pure_delay",
        "cpu_bound",
        "workers_below_cores",
        "serial_section",
        "connection_pool_limit",
        "rate_limited",
    ),
    "noisy_host": ("workers_below_cores", "cpu_bound", "periodic_pause"),
    "cpu_throttled": (
        "noisy_host",
        "workers_below_cores",
        "cpu_bound",
        "periodic_pause",
        "gc_pauses",
        "load_imbalance",
        "drift",
        "two_kinds_of_request",
    ),
    "fd_limit": ("no_answers", "accept_queue_overflow", "errors_served", "pure_delay"),
    "load_imbalance": ("workers_below_cores", "cpu_bound"),
    "rate_limited": (
        "pure_delay",
        "serial_section",
        "cpu_bound",
        "workers_below_cores",
        "two_kinds_of_request",
    ),
    "thread_oversubscription": ("workers_below_cores", "cpu_bound"),
    "gc_pauses": ("periodic_pause", "cpu_bound", "workers_below_cores", "drift", "two_kinds_of_request"),
    "two_kinds_of_request": ("pure_delay",),
    "periodic_pause": ("two_kinds_of_request",),
    "blocking_in_event_loop": ("pure_delay", "accept_queue_overflow"),
    "log_backpressure": ("serial_section", "cpu_bound", "workers_below_cores", "two_kinds_of_request"),
    "serial_section": ("cpu_bound", "workers_below_cores"),
    "connection_pool_limit": ("cpu_bound", "workers_below_cores"),
    "work_repeated_per_request": ("gc_pauses", "workers_below_cores", "cpu_bound"),
    "batch_window": ("pure_delay", "serial_section", "connection_pool_limit", "rate_limited"),
    "drift": ("workers_below_cores", "cpu_bound"),
    "no_keepalive": ("cpu_bound",),
    "proxy_no_keepalive": ("cpu_bound", "slow_dependency", "workers_below_cores", "connection_pool_limit"),
    "no_answers": (
        "errors_served",
        "drift",
        "rate_limited",
        "connection_pool_limit",
        "serial_section",
        "pure_delay",
    ),
}


def judge(seen: Observations) -> Diagnosis:
    """Causes in order, what was ruled out, the ceiling. Pure."""
    facts = Facts(seen)
    found = _rules(facts)
    causes = _ordered(_without_consequences(found), connections.waits_to_connect(facts))
    if not causes:
        causes = [_none(facts)]
    measured = seen.full is not None and seen.full.requests > 0
    ceiling = max((load.good_per_s for load in facts.loads), default=None)
    return Diagnosis(
        url=seen.url,
        summary=_summary(facts, causes),
        causes=tuple(causes),
        ruled_out=ruled_out(facts, {cause.code for cause in found}) if measured else (),
        ceiling_per_s=round(ceiling, 2) if ceiling is not None else None,
        ceiling_reached=measured and (facts.saturated or facts.cpu_limited),
        unloaded_s=facts.service_s,
        load_s=round(seen.load_s, 1),
        notes=(*seen.notes, *_noise(facts)) if measured else seen.notes,
    )


def _least_disturbed(facts: Facts) -> Facts:
    """With the half load in the place of the full one, where only the full one was starved by other processes.

    A starved server wakes its threads late: they seem free, and a full thread pool looks like a pool behind it.
    """
    half = facts.seen.half
    if half is None or not half.requests or not starved(facts.counters) or starved(half.counters):
        return facts
    return Facts(replace(facts.seen, full=half, half=facts.seen.full))


def _noise(facts: Facts) -> tuple[str, ...]:
    """Other load that does not limit, but makes every figure lower than on a quiet machine."""
    if facts.hardly_sampled:
        return (
            f"the sampler ran {len(facts.counters.cpu_over_time)} times in {facts.counters.wall_s:.0f} s: this machine "
            "is too busy to say what threads wait for; measure again when it is quiet",
        )
    if facts.others_cores < 0.1 * facts.counters.cpus and facts.steal_share < 0.03:
        return ()
    return (
        f"other processes used {facts.others_cores:.2f} of {facts.counters.cpus} cores, and "
        f"{100 * facts.steal_share:.0f} % was stolen: on a quiet machine the figures are better",
    )


def _rules(facts: Facts) -> list[Cause]:
    dead = environment.no_answers(facts)
    if facts.seen.full is None:
        return [dead] if dead is not None else []
    rules: tuple[Cause | None, ...] = (
        environment.out_of_memory(facts),
        environment.worker_restarts(facts),
        connections.fd_limit(facts),
        connections.accept_queue_overflow(facts),
    )
    dead = dead or environment.stopped(facts)
    if dead is not None:
        return [cause for cause in (dead, *rules) if cause is not None]
    rules += (
        environment.some_unanswered(facts),
        environment.generator_limited(facts),
        environment.noisy_host(facts),
        environment.cpu_throttled(facts),
        environment.rate_limited(facts),
        environment.errors_served(facts),
        overtime.two_kinds(facts),
        overtime.batch_window(facts),
        computing.thread_oversubscription(facts),
        computing.work_repeated(facts),
        computing.load_imbalance(facts),
        computing.workers_below_cores(facts),
        computing.cpu_bound(facts),
        connections.proxy_no_keepalive(facts),
        connections.no_keepalive(facts),
        overtime.memory_growth(facts),
        overtime.drift(facts),
        overtime.cold_start(facts),
        overtime.pure_delay(facts),
        waiting.logging_computes(facts),
        slots.pool_that_computes(facts),
        slots.lock_that_computes(facts),
        *pauses.pauses(facts),
        *waiting.waiting(_least_disturbed(facts)),
    )
    return [cause for cause in rules if cause is not None]


def _without_consequences(causes: Iterable[Cause]) -> list[Cause]:
    rows = list(causes)
    named = {cause.code for cause in rows if not _is_minor(cause)}
    explained = {code for name in named for code in EXPLAINS.get(name, ())}
    # Proved means that cores were free: the interpreters are full, the machine's CPU is not.
    if any(cause.code == "workers_below_cores" and cause.certainty == "proved" for cause in rows):
        explained.add("cpu_bound")
    return [cause for cause in rows if cause.code not in explained]


def _is_minor(cause: Cause) -> bool:
    """What is there, but limits little: an overflow at the start alone, connections that cost less than the work."""
    return cause.code in ("accept_queue_overflow", "no_keepalive") and cause.certainty != "proved"


def _ordered(causes: list[Cause], waits_to_connect: bool) -> list[Cause]:
    # What is kept of every request may be what makes it slow; memory alone does not.
    slows = any(cause.code == "drift" and cause.certainty == "proved" for cause in causes)

    def place(cause: Cause) -> float:
        if slows and cause.code == "drift":
            return ORDER.index("memory_growth") - 0.5
        if waits_to_connect and cause.code == "accept_queue_overflow" and cause.certainty == "proved":
            return ORDER.index("blocking_in_event_loop") - 0.5
        if _is_minor(cause):
            return ORDER.index("pure_delay") - 0.5
        return ORDER.index(cause.code)

    return sorted(causes, key=place)


def _none(facts: Facts) -> Cause:
    limit = "its CPU" if facts.cpu_limited else "nothing that was reached"
    return Cause(
        "none",
        "proved" if facts.cpu_limited and facts.trivial else "likely",
        f"Nothing is wrong: at {facts.rate_per_s:,.0f}/s what limits it is {limit}, and a request needs little.",
        (
            evidence("throughput", facts.rate_per_s, "1/s", "wrk, full load"),
            evidence("unloaded service time", facts.service_s, "s", "probe 1"),
            evidence("CPU per request", facts.cpu_per_request_s, "s", "/proc, full load"),
            evidence("server CPU", facts.server_cores, "cores", "/proc"),
        ),
        "Nothing needs to change for this load; for more, add workers up to the cores, then machines.",
        f"about {facts.rate_per_s:,.0f}/s again",
    )


def _summary(facts: Facts, causes: list[Cause]) -> str:
    if facts.seen.full is None or not facts.seen.full.requests:
        return causes[0].title
    others = ", ".join(cause.code for cause in causes[1:])
    return causes[0].title + (f" Also: {others}." if others else "")
