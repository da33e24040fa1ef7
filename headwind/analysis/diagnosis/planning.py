"""Which interventions are worth their load: those that decide between causes that are still open. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from headwind.analysis.diagnosis import computing, connections, environment, pauses, waiting
from headwind.analysis.diagnosis.facts import Facts
from headwind.analysis.diagnosis.host import starved
from headwind.analysis.diagnosis.judge import judge
from headwind.analysis.diagnosis.observations import Observations
from headwind.analysis.finding import Certainty

# Codes after which nothing that could be tried says anything about the server.
HOPELESS = (
    "no_answers",
    "generator_limited",
    "rate_limited",
    "out_of_memory",
    "worker_restarts",
    "cpu_throttled",
)


def wanted(seen: Observations, *, may_start: bool, may_change: bool) -> list[str]:
    """Kinds of intervention in order of worth: agent, keepalive, threads, worker, copy, core.

    `may_start`: copies of the server can be started; `may_change`: its processes may be changed.
    """
    if seen.full is None or seen.full.requests == 0:
        return []
    facts = Facts(seen)
    named = {
        cause.code
        for cause in (
            environment.generator_limited(facts),
            environment.rate_limited(facts),
            environment.out_of_memory(facts),
            environment.worker_restarts(facts),
            environment.cpu_throttled(facts),
        )
        if cause is not None
    }
    if named & set(HOPELESS) or facts.bad_share > 0.5:
        return []
    if starved(facts.counters):  # slices would compare the neighbours, but collections can be timed
        return ["agent"] if seen.python and _agent_helps(facts) else []
    # What the verdict as it stands explains, or has proved, needs no load more.
    open_codes = {cause.code: cause.certainty for cause in judge(seen).causes}
    kinds = _for_computing(facts, open_codes) if facts.cpu_limited else _for_waiting(facts, open_codes)
    allowed = {"threads": may_start, "copy": may_start, "keepalive": True}
    kinds = [*_for_connections(facts), *(kind for kind in kinds if allowed.get(kind, may_change))]
    return ["agent", *kinds] if seen.python and _agent_helps(facts) else kinds


def _agent_helps(facts: Facts) -> bool:
    """Whether stacks or collection times would decide something, or show a line to change."""
    if facts.cpu_limited and not facts.trivial:
        return True
    found = pauses.find(facts)
    if found.full or found.half or len(found.alone) >= 3:
        return True
    return any(
        cause.code in ("blocking_in_event_loop", "log_backpressure", "serial_section")
        for cause in waiting.waiting(facts)
    )


def _for_computing(facts: Facts, named: Mapping[str, Certainty]) -> list[str]:
    if computing.computes_in_parallel(facts):
        return ["threads"]
    if facts.trivial:
        return []
    if len(facts.computing) < facts.counters.server_cpus:
        return ["worker", "copy"] if named.keys() & {"workers_below_cores", "cpu_bound"} else []
    # Where the cores are counted as used up, taking one away would tell nothing new.
    return ["core"] if facts.counters.server_cpus > 1 and named.get("cpu_bound", "proved") != "proved" else []


def _for_connections(facts: Facts) -> list[str]:
    """Keep-alive the other way round: what new connections cost, or whether kept ones make the load uneven."""
    named = (connections.no_keepalive(facts), computing.load_imbalance(facts))
    return ["keepalive"] if any(cause is not None for cause in named) else []


def _for_waiting(facts: Facts, named: Mapping[str, Certainty]) -> list[str]:
    found = waiting.waiting(facts)
    return ["copy"] if any(named.get(cause.code, "proved") != "proved" for cause in found) else []
