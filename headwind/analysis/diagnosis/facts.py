"""Numbers that several rules need, derived once from the observations. Thresholds that define a word live here.

S is the unloaded service time, X the throughput, c the connections. Saturated: the closed loop gives the server more
than it takes, so that X stays when c is halved; otherwise X = c / S and half of c gives half of X (Little's law).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from headwind.analysis.diagnosis.host import others_cores
from headwind.analysis.diagnosis.kinds import Kinds, split, split_counts
from headwind.analysis.diagnosis.observations import (
    Answer,
    Counters,
    Intervention,
    Load,
    Observations,
    ProcessUse,
)

FULL_SHARE = 0.85  # a thread runnable this share of the time has no room left worth speaking of
IDLE_STATES = ("loop", "idle", "client")
LOCK_STATES = ("lock", "timed_lock")
SATURATED_BELOW = 1.35  # X(c) / X(c/2): 1 saturated, 2 pure delay
DELAY_ABOVE = 1.6
# Per request beyond a 404: routing, a thread and a small answer (FastAPI, on a core of 2.6 GHz: 0.05 to 0.2 ms).
TRIVIAL_CPU_S = 0.0003
DEAREST_404_S = 0.0006  # Django's behind gunicorn costs 0.5 ms; what costs more was not warm yet


def latencies_s(answers: Iterable[Answer], kind: str | None = None) -> list[float]:
    """Sorted; only of answers that came."""
    return sorted(
        row.latency_s for row in answers if row.latency_s is not None and (kind is None or row.kind == kind)
    )


def median(values: Iterable[float]) -> float | None:
    """The median; None without values."""
    return statistics.median(found) if (found := list(values)) else None


@dataclass(frozen=True)
class Facts:
    """Derived values of one set of observations."""

    seen: Observations

    # --- requests -----------------------------------------------------------------------------------------------
    @cached_property
    def service_s(self) -> float | None:
        """S: the smaller of the medians one after the other and on a slow random schedule.

        They differ where a limiter spaces requests out, or where an idle machine takes time to wake up.
        """
        closed = median(latencies_s(self.seen.unloaded.endpoint, "endpoint"))
        paced = median(latencies_s(self.seen.unloaded.paced, "endpoint"))
        return min((value for value in (closed, paced) if value is not None), default=None)

    @cached_property
    def kinds(self) -> Kinds | None:
        """Two groups of latencies among the requests alone, or in both loads."""
        base = self.seen.unloaded
        few = len(base.endpoint) < 200  # then the slow schedule's answers are looked at, too
        alone = split(base.endpoint) or (split((*base.paced, *base.endpoint)) if few else None)
        return alone or self._kinds_under_load()

    def _kinds_under_load(self) -> Kinds | None:
        """The same two groups in both loads, where most answers come as fast as alone: nothing queues."""
        found = [
            split_counts(load.latencies) for load in self.loads if self.bad_share <= 0.01
        ]  # refusals are quick
        if len(found) < 2 or found[0] is None or found[1] is None or self.service_s is None:
            return None
        full, half = found[0], found[1]
        alike = 0.8 <= full.slow_s / half.slow_s <= 1.25 and 0.5 <= full.share_slow / half.share_slow <= 2
        return full if alike and full.fast_s <= 1.3 * self.service_s else None

    @cached_property
    def mean_service_s(self) -> float | None:
        """S as Little's law wants it: the mean where there are two kinds of request, else the median."""
        if self.kinds is not None:
            return self.kinds.mean_s
        return self.service_s

    @cached_property
    def closed_service_s(self) -> float | None:
        return median(latencies_s(self.seen.unloaded.endpoint, "endpoint"))

    @cached_property
    def missing_s(self) -> float | None:
        """Unloaded time of the 404."""
        return median(latencies_s(self.seen.unloaded.missing, "missing"))

    @cached_property
    def missing_is_404(self) -> bool:
        """Whether the path without a route really is answered without the handler."""
        rows = [
            row.status
            for row in (*self.seen.unloaded.missing, *self.seen.unloaded.paced)
            if row.kind == "missing"
        ]
        return bool(rows) and statistics.mode(rows) in (404, 405)

    @property
    def full(self) -> Load:
        assert self.seen.full is not None
        return self.seen.full

    @property
    def counters(self) -> Counters:
        return self.full.counters

    @cached_property
    def rate_per_s(self) -> float:
        return self.full.rate_per_s

    @cached_property
    def loads(self) -> list[Load]:
        """In the order they were run."""
        return [load for load in (self.seen.full, self.seen.half) if load]

    @cached_property
    def halving(self) -> float | None:
        """X(c) / X(c/2)."""
        half = self.seen.half
        return self.rate_per_s / half.rate_per_s if half is not None and half.rate_per_s > 0 else None

    @cached_property
    def queueing(self) -> float | None:
        """(c / X) / S: how many times its service time a request spends in the server; 1: no queue."""
        if not self.mean_service_s or not self.rate_per_s:
            return None
        return (
            self.full.connections / self.rate_per_s / max(self.mean_service_s, self.closed_service_s or 0.0)
        )

    @cached_property
    def saturated(self) -> bool:
        """Requests spend clearly more time in the server than alone.

        The halved load alone could mislead: all of its connections may meet one worker of two.
        """
        if self.queueing is not None:
            return self.queueing >= 1.8 or (self.queueing >= 1.3 and (self.halving or 1.0) < DELAY_ABOVE)
        return self.halving is None or self.halving < DELAY_ABOVE

    @cached_property
    def slots(self) -> float | None:
        """X x S: requests in service at once, by Little's law, if each takes as long as it does alone."""
        return self.rate_per_s * self.mean_service_s if self.mean_service_s else None

    def late_answers(self, kind: str) -> list[Answer]:
        """Of the independent stream under full load, without the first second."""
        rows = [row for row in self.full.answers if row.kind == kind]
        began = min((row.sent_s for row in rows), default=0.0)
        return [row for row in rows if row.sent_s - began >= 1.0]

    @cached_property
    def missing_loaded_s(self) -> float | None:
        rows = self.late_answers("missing")
        return median([row.latency_s if row.latency_s is not None else 4.0 for row in rows])

    @cached_property
    def missing_is_slow(self) -> bool:
        """Whether the 404 waits under load: more than 20 ms, and a good part of what a request waits."""
        waits = self.full.connections / self.rate_per_s if self.rate_per_s else 1.0
        return self.missing_is_404 and (self.missing_loaded_s or 0.0) > max(0.02, 0.15 * waits)

    @cached_property
    def bad_share(self) -> float:
        total = sum(self.full.statuses.values())
        return self.count_status(lambda code: code >= 400) / total if total else 0.0

    def count_status(self, wanted: Callable[[int], bool]) -> int:
        return sum(count for code, count in self.full.statuses.items() if wanted(int(code)))

    # --- processes ----------------------------------------------------------------------------------------------
    @cached_property
    def workers(self) -> list[ProcessUse]:
        return [process for process in self.counters.processes if process.role == "worker"]

    @cached_property
    def server_cpu_s(self) -> float:
        return sum(process.cpu_s for process in self.counters.processes)

    @cached_property
    def server_cores(self) -> float:
        return self.server_cpu_s / self.counters.wall_s

    @cached_property
    def cpu_per_request_s(self) -> float | None:
        return self.server_cpu_s / self.full.requests if self.full.requests else None

    @property
    def alone(self) -> int:
        """Requests one after the other without load."""
        return self.seen.unloaded.endpoint_requests or len(self.seen.unloaded.endpoint)

    @property
    def missing_alone(self) -> int:
        """404s one after the other without load."""
        return self.seen.unloaded.missing_requests or len(self.seen.unloaded.missing)

    @cached_property
    def unloaded_cpu_s(self) -> float | None:
        """Server CPU of one request, alone."""
        return _cpu_each(self.seen.unloaded.endpoint_counters, self.alone)

    @cached_property
    def after_service_s(self) -> float | None:
        """As `closed_service_s`, after the loads."""
        after = self.seen.after
        return median(latencies_s(after.endpoint, "endpoint")) if after is not None else None

    @cached_property
    def after_cpu_s(self) -> float | None:
        """As `unloaded_cpu_s`, after the loads."""
        after = self.seen.after
        return _cpu_each(after.endpoint_counters, after.endpoint_requests) if after is not None else None

    @cached_property
    def missing_cpu_s(self) -> float | None:
        """Server CPU of one 404, alone."""
        return _cpu_each(self.seen.unloaded.missing_counters, self.missing_alone)

    def runnable(self, process: ProcessUse) -> float:
        """Mean number of its threads on a CPU or waiting for one; without thread states, by its CPU time."""
        if process.loop_states is None and not process.thread_states:
            wait = process.busiest_thread_wait_s or 0.0
            return (process.cpu_s + min(wait, process.busiest_thread_cpu_s)) / self.counters.wall_s
        looked = (process.loop_states or {}).get("run", 0.0) + process.thread_states.get("run", 0.0)
        return max(looked, process.cpu_s / self.counters.wall_s)

    def is_full(self, process: ProcessUse) -> bool:
        """One interpreter, or one thread, has no idle time left."""
        used = process.cpu_s / self.counters.wall_s
        if used >= FULL_SHARE:
            return True
        if used < 0.25:
            return False  # it may wait for a CPU often, but wants little of it
        if used < 0.7 and self.idle_share >= 0.25 and not self.counters.cpu_quota:
            return False  # with a core idle, what wants more gets more; many threads that wake at once wait in turn
        wait = (process.busiest_thread_wait_s or 0.0) / self.counters.wall_s
        busiest = process.busiest_thread_cpu_s / self.counters.wall_s
        if self.idle_share < 0.08 and busiest + wait >= 0.7:
            return True  # nothing is idle, and it wants more than it gets
        if process.loop_states is not None and process.loop_states.get("run", 0.0) >= FULL_SHARE:
            return busiest + wait >= 0.6
        return self.runnable(process) >= FULL_SHARE and used + wait >= 0.6

    @cached_property
    def full_workers(self) -> list[ProcessUse]:
        return [process for process in self.workers if self.is_full(process)]

    @cached_property
    def full_helpers(self) -> list[ProcessUse]:
        """Processes of the server that serve no client themselves and have no time left: a pool of processes that
        compute for it, or a proxy before it. What works without requests, or for 404s alike, is none of them."""
        base = self.seen.unloaded.missing_counters
        idle = {row.pid: row.cpu_s / base.wall_s for row in base.processes} if base is not None else {}
        return [
            process
            for process in self.counters.processes
            if process.role != "worker"
            and process.cpu_s >= FULL_SHARE * self.counters.wall_s
            and idle.get(process.pid, 0.0) < 0.3
        ]

    @cached_property
    def computing(self) -> list[ProcessUse]:
        """The processes whose CPU decides: full helpers, where no worker is full, else the workers."""
        return self.full_helpers if self.full_helpers and not self.full_workers else self.workers

    @cached_property
    def cpu_limited(self) -> bool:
        """The CPU that the server can use is used up: its interpreters, or its cores."""
        cores = min(self.counters.server_cpus, self.counters.cpu_quota or self.counters.server_cpus)
        if self.server_cores >= 0.88 * cores or self.full_helpers or self._fills_the_machine:
            return True
        if not self.workers:
            return False
        busy = [process for process in self.workers if process.cpu_s > 0.02 * self.counters.wall_s]
        return bool(self.full_workers) and len(self.full_workers) >= 0.5 * len(busy or self.workers)

    @cached_property
    def _fills_the_machine(self) -> bool:
        """No core has time left, and hardly anybody but the server and its load used them."""
        counters = self.counters
        alone = self.others_cores < 0.15 * counters.cpus and self.steal_share < 0.05
        return alone and self.idle_share < 0.06 and self.server_cores >= 0.4 * counters.server_cpus

    @cached_property
    def trivial(self) -> bool:
        """The handler costs little beyond what the server needs for any answer, a 404 included."""
        if self.unloaded_cpu_s is None:
            return False
        # What idles beside the requests weighs more on the few alone.
        own = min(self.unloaded_cpu_s, self.cpu_per_request_s or self.unloaded_cpu_s)
        any_answer = min(self.missing_cpu_s or 0.0, DEAREST_404_S) if self.missing_is_404 else TRIVIAL_CPU_S
        return own <= any_answer + TRIVIAL_CPU_S

    # --- machine ------------------------------------------------------------------------------------------------
    @cached_property
    def idle_share(self) -> float:
        counters = self.counters
        total = counters.host_idle_s + counters.host_busy_s + counters.steal_s
        return counters.host_idle_s / total if total else 1.0

    @cached_property
    def hardly_sampled(self) -> bool:
        """Whether the sampler got to run less than a quarter as often as it should: it was starved, too."""
        counters = self.counters
        return len(counters.cpu_over_time) < 0.25 * counters.wall_s / counters.slot_s

    @cached_property
    def steal_share(self) -> float:
        counters = self.counters
        return counters.steal_s / (counters.cpus * counters.wall_s)

    @cached_property
    def others_cores(self) -> float:
        """Cores used by what is neither server nor generator nor ours nor a dependency; niced work at a tenth."""
        return others_cores(self.counters)

    @cached_property
    def noisy(self) -> bool:
        """Others use a quarter of the CPU or more, none is idle, and the server has to wait for its turn: at least a
        fifth of the time in which its busiest thread could run."""
        if self.others_cores < 0.25 * self.counters.cpus or self.idle_share >= 0.12:
            return False
        shares = [
            process.busiest_thread_wait_s / (process.busiest_thread_wait_s + process.busiest_thread_cpu_s)
            for process in self.workers
            if process.busiest_thread_wait_s is not None and process.busiest_thread_cpu_s > 0
        ]
        return max(shares, default=1.0) >= 0.2

    @cached_property
    def generator_share(self) -> float:
        return self.counters.generator_thread_cpu_s / self.counters.wall_s

    # --- threads ------------------------------------------------------------------------------------------------
    @cached_property
    def loops(self) -> list[ProcessUse]:
        """Workers with an event loop whose states were seen."""
        return [process for process in self.workers if process.loop_states]

    @cached_property
    def loop_blocked(self) -> float | None:
        """Mean share of the time in which the loop's thread was neither idle nor computing."""
        if not self.loops:
            return None
        shares = [
            1.0
            - sum((process.loop_states or {}).get(state, 0.0) for state in ("run", "loop", "idle", "client"))
            for process in self.loops
        ]
        return sum(shares) / len(shares)

    def threads_in(self, *states: str) -> float:
        """Mean number of threads (loops apart) in these states, all workers together."""
        return sum(process.thread_states.get(state, 0.0) for process in self.workers for state in states)

    @cached_property
    def working_threads(self) -> float:
        """Threads (loops apart) that hold a request: neither idle nor waiting for a lock or queue."""
        skipped = {*IDLE_STATES, *LOCK_STATES, "other", "run"}
        states = {state for process in self.workers for state in process.thread_states} - skipped
        return self.threads_in(*states)

    @cached_property
    def lock_waiters(self) -> float:
        """Threads that wait for a lock or a queue, without those that did so before the load and never stopped."""
        return max(0.0, self.threads_in(*LOCK_STATES) - self.parked_threads)

    @cached_property
    def parked_threads(self) -> int:
        return sum(process.parked_threads for process in self.workers)

    @cached_property
    def outbound_sockets(self) -> float:
        return sum(process.outbound_sockets or 0.0 for process in self.workers)

    @cached_property
    def outbound_peer(self) -> str | None:
        return next((process.outbound_peer for process in self.workers if process.outbound_peer), None)

    def intervention(self, kind: str) -> Intervention | None:
        return next((row for row in self.seen.interventions if row.kind == kind), None)


def _cpu_each(counters: Counters | None, requests: int) -> float | None:
    if counters is None or not requests:
        return None
    return sum(process.cpu_s for process in counters.processes) / requests
