"""The judgement on recorded observations, and on small changes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from headwind.analysis.diagnosis import CODES, Observations, judge
from headwind.analysis.diagnosis.exclusion import SAMPLED
from headwind.analysis.diagnosis.facts import Facts
from headwind.analysis.diagnosis.judge import EXPLAINS, ORDER
from headwind.analysis.diagnosis.observations import AgentView, Answer, Counters, Load, Unloaded
from tests.diagnose.sick.cases import NAMED

RECORDED = Path(__file__).parent / "recorded"
NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))


@cache
def seen(name: str) -> Observations:
    return Observations.from_json(json.loads((RECORDED / f"{name}.json").read_text()))


def codes(observations: Observations) -> list[str]:
    return [cause.code for cause in judge(observations).causes]


def with_counters(observations: Observations, **changes: object) -> Observations:
    """The same, with other counters of the full load."""
    full = observations.full
    assert full is not None
    return replace(observations, full=replace(full, counters=replace(full.counters, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_server_gets_its_true_cause_first_and_no_false_one(name: str) -> None:
    case, found = NAMED[name], judge(seen(name))
    named = [cause.code for cause in found.causes]
    assert named[0] in case.first
    assert set(named) <= {*case.first, *case.also, "noisy_host"}
    assert not {row.code for row in found.ruled_out} & {*case.first[:1], *case.must}


@pytest.mark.parametrize("name", NAMES)
def test_every_cause_has_numbers_with_their_source_advice_and_an_expected_effect(name: str) -> None:
    for cause in judge(seen(name)).causes:
        assert cause.advice
        assert cause.expect
        assert any(row.value is not None for row in cause.evidence)
        assert all(row.source for row in cause.evidence)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_both_named_and_ruled_out(name: str) -> None:
    found = judge(seen(name))
    assert not {cause.code for cause in found.causes} & {row.code for row in found.ruled_out}


@pytest.mark.parametrize("name", NAMES)
def test_observations_survive_their_json(name: str) -> None:
    again = Observations.from_json(json.loads(json.dumps(seen(name).to_json())))
    assert again == seen(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("threadpool", "pool_40"),  # 40 threads and 40 connections
        ("lock_threads", "blocking"),
        ("cpu", "cpu_two"),  # too few workers and full cores
        ("gc_collect", "periodic"),
        ("rate_429", "cpu_two"),  # a limiter and overload
        ("delay", "threadpool"),  # pure delay and saturation
    ],
)
def test_confusable_pairs_are_told_apart(one: str, other: str) -> None:
    if not {one, other} <= set(NAMES):
        pytest.fail(f"no recording of {one} or {other}")
    first, second = judge(seen(one)), judge(seen(other))
    assert first.causes[0].code != second.causes[0].code
    assert second.causes[0].code not in [cause.code for cause in first.causes]
    assert first.causes[0].code not in [cause.code for cause in second.causes]


def test_throttling_is_named_from_its_counter_and_explains_a_full_cpu() -> None:
    throttled = with_counters(seen("cpu"), throttled_s=3.0, throttled_periods=50, cpu_quota=0.5)
    assert codes(throttled) == ["cpu_throttled"]


def test_little_throttling_is_not_named() -> None:
    assert "cpu_throttled" not in codes(with_counters(seen("cpu"), throttled_s=0.01, throttled_periods=1))


def full_of(observations: Observations) -> tuple[Load, Counters]:
    assert observations.full is not None
    return observations.full, observations.full.counters


def test_a_busy_generator_is_named_when_the_server_has_room() -> None:
    _, counters = full_of(seen("delay"))
    busy = with_counters(seen("delay"), generator_thread_cpu_s=0.98 * counters.wall_s)
    assert codes(busy) == ["generator_limited"]


def test_a_busy_generator_is_not_the_cause_when_the_server_is_full() -> None:
    _, counters = full_of(seen("cpu_two"))
    busy = with_counters(seen("cpu_two"), generator_thread_cpu_s=0.85 * counters.wall_s)
    assert codes(busy)[0] == "cpu_bound"


def test_other_load_ends_the_diagnosis_of_a_server_that_wants_the_cpu() -> None:
    _, counters = full_of(seen("cpu_two"))
    stolen = with_counters(seen("cpu_two"), steal_s=0.3 * counters.cpus * counters.wall_s)
    assert codes(stolen) == ["noisy_host"]


def test_other_load_does_not_hide_a_full_thread_pool() -> None:
    _, counters = full_of(seen("threadpool"))
    busy = with_counters(
        seen("threadpool"),
        host_busy_s=counters.host_busy_s + counters.host_idle_s,
        host_idle_s=0.0,
        host_nice_s=0.0,
    )
    found = judge(busy)
    assert found.causes[0].code == "threadpool_limit"
    assert any("other processes" in note for note in found.notes)


def test_a_killed_worker_at_the_memory_limit_is_out_of_memory_and_not_a_restart() -> None:
    assert (
        codes(with_counters(seen("cpu_two"), oom_kills=2, pids_gone=(7, 8), pids_come=(9, 10)))[0]
        == "out_of_memory"
    )


def test_oom_kills_elsewhere_are_nothing_of_ours() -> None:
    assert "out_of_memory" not in codes(with_counters(seen("cpu_two"), oom_kills=2))


def test_errors_are_named_with_their_share() -> None:
    full, _ = full_of(seen("cpu_two"))
    bad = replace(seen("cpu_two"), full=replace(full, statuses={"200": 700, "500": 300}))
    cause = judge(bad).causes[0]
    assert cause.code == "errors_served"
    assert "30.0 %" in cause.title


def test_a_server_that_answers_alone_but_not_under_load() -> None:
    full, _ = full_of(seen("cpu_two"))
    dead = replace(seen("cpu_two"), full=replace(full, requests=0, statuses={}, answers=(), timeline=()))
    found = judge(dead)
    assert [cause.code for cause in found.causes] == ["no_answers"]
    assert found.ruled_out == ()


def test_a_cause_that_follows_from_another_is_said_once() -> None:
    for name, consequences in EXPLAINS.items():
        assert {name, *consequences} <= set(CODES)
    assert set(ORDER) == set(CODES)


def test_a_server_that_stops_answering_under_load() -> None:
    before = seen("delay")
    full, _ = full_of(before)
    assert before.half is not None
    stuck = replace(
        before,
        full=replace(full, timeline=(50,) * 20 + (0,) * 60),
        half=replace(before.half, requests=0, statuses={}, timeline=()),
        after=Unloaded(),
    )
    found = judge(stuck)
    assert [cause.code for cause in found.causes] == ["no_answers"]
    assert "first 2.0 s" in found.causes[0].title


def test_an_overflow_only_at_the_start_comes_after_what_limits() -> None:
    found = codes(with_counters(seen("cpu_two"), accept_overflows=180, accept_overflows_late=0))
    assert found == ["cpu_bound", "accept_queue_overflow"]


def test_a_few_drops_at_the_listening_socket_are_nothing() -> None:
    assert codes(with_counters(seen("healthy_two"), accept_overflows=4, accept_overflows_late=4)) == ["none"]


def test_where_the_sampler_hardly_ran_nothing_is_ruled_out_that_rests_on_it() -> None:
    found = judge(with_counters(seen("threadpool"), cpu_over_time=(0.3,)))
    assert not {row.code for row in found.ruled_out} & SAMPLED
    assert any("the sampler ran 1 times" in note for note in found.notes)


def with_agent(observations: Observations, **changes: object) -> Observations:
    assert observations.agent is not None
    return replace(observations, agent=replace(observations.agent, **changes))  # type: ignore[arg-type]


def test_a_function_that_prepares_something_in_every_request_is_repeated_work() -> None:
    assert codes(with_agent(seen("cpu"), functions={"load_model": 0.8}))[0] == "work_repeated_per_request"
    assert codes(with_agent(seen("cpu"), functions={"loads_of_work": 0.8}))[0] == "workers_below_cores"


def with_threads(observations: Observations, python: bool, **states: float) -> Observations:
    _, counters = full_of(observations)
    workers = [
        replace(row, thread_states=states, parked_threads=0) if row.role == "worker" else row
        for row in counters.processes
    ]
    return replace(with_counters(observations, processes=tuple(workers)), python=python)


def test_threads_whose_sleep_looks_like_a_wait_are_a_pool_of_threads() -> None:
    """Java sleeps in a timed wait. As many threads wait as requests are in service: nothing else is short."""
    slots = slots_of("threadpool")
    found = judge(with_threads(seen("threadpool"), python=False, timed_lock=slots))
    assert found.causes[0].code == "threadpool_limit"


def test_threads_that_wait_for_a_place_in_a_pool_are_more_than_the_places() -> None:
    slots = slots_of("threadpool")
    found = judge(with_threads(seen("threadpool"), python=False, timed_lock=4 * slots))
    assert found.causes[0].code == "connection_pool_limit"


def slots_of(name: str) -> float:
    """Requests in service at once."""
    slots = Facts(seen(name)).slots
    assert slots is not None
    return slots


def test_a_heap_that_grows_in_another_runtime_is_no_leak_yet() -> None:
    leaking = seen("leak")
    assert "memory_growth" in codes(leaking)
    full, _ = full_of(leaking)
    processes = [
        replace(row, rss_bytes=tuple(200_000_000 + 800_000 * step for step in range(len(row.rss_bytes))))
        for row in full.counters.processes
    ]
    small = replace(with_counters(leaking, processes=tuple(processes)), python=False)
    assert "memory_growth" not in codes(small)


def test_no_pool_is_named_where_server_and_load_fill_the_machine() -> None:
    _, counters = full_of(seen("pool_async"))
    wall_s = counters.wall_s
    workers = tuple(
        replace(row, cpu_s=1.2 * wall_s) if row.role == "worker" else row for row in counters.processes
    )
    filled = with_counters(
        seen("pool_async"),
        processes=workers,
        generator_cpu_s=0.6 * wall_s,
        own_cpu_s=0.15 * wall_s,
        host_busy_s=2 * wall_s,
        host_idle_s=0.02 * wall_s,
        dependency_cpu_s=None,
        cpus=2,
    )
    found = judge(filled)
    assert "connection_pool_limit" not in [cause.code for cause in found.causes]
    assert "cpu_bound" not in {row.code for row in found.ruled_out}


def test_connections_that_cost_little_of_a_request_come_after_the_cpu() -> None:
    found = judge(seen("wsgi_cpu"))
    assert found.causes[0].code == "cpu_bound"
    assert all(cause.certainty == "likely" for cause in found.causes if cause.code == "no_keepalive")


def crowded_pool(dearer: float) -> Observations:
    """20 connections at both loads, a full worker, and a request that costs `dearer` times what it does alone."""
    before = seen("downstream_pool")
    full, counters = full_of(before)
    assert before.half is not None
    assert before.unloaded.endpoint_counters is not None
    requests = int(19 / (Facts(before).service_s or 1.0) * full.duration_s)
    used_s = 0.97 * counters.wall_s

    def busy(at: Counters, cpu_s: float) -> Counters:
        rows = (
            replace(row, cpu_s=cpu_s, busiest_thread_cpu_s=cpu_s, outbound_sockets=20.0)
            if row.role == "worker"
            else replace(row, cpu_s=0.0)
            for row in at.processes
        )
        return replace(at, processes=tuple(rows))

    alone_s = used_s / requests / dearer * before.unloaded.endpoint_requests
    half = replace(before.half, counters=busy(before.half.counters, 0.97 * before.half.counters.wall_s))
    alone = busy(before.unloaded.endpoint_counters, alone_s)
    return replace(
        before,
        full=replace(full, requests=requests, statuses={"200": requests}, counters=busy(counters, used_s)),
        half=half,
        unloaded=replace(before.unloaded, endpoint_counters=alone),
        interventions=(),
    )


def test_a_pool_whose_waiters_use_the_cpu_is_still_the_pool() -> None:
    assert codes(crowded_pool(dearer=3.0))[0] == "connection_pool_limit"


def test_a_full_cpu_at_the_usual_cost_of_a_request_is_no_pool() -> None:
    found = judge(crowded_pool(dearer=1.0))
    assert "connection_pool_limit" not in [cause.code for cause in found.causes]


def test_a_runtimes_own_timers_are_no_threads_in_service() -> None:
    """Java: nine threads in timed waits with load and without, twelve more under load, 11 requests in service."""
    slots = slots_of("threadpool")
    loaded = with_threads(seen("threadpool"), python=False, timed_lock=slots + 9, lock=12.0)
    alone = loaded.unloaded.missing_counters
    assert alone is not None
    rows = tuple(replace(row, thread_states={"timed_lock": 9.0, "lock": 24.0}) for row in alone.processes)
    calm = replace(loaded.unloaded, missing_counters=replace(alone, processes=rows))
    found = judge(replace(loaded, unloaded=calm))
    assert found.causes[0].code == "threadpool_limit"
    assert "threadpool_limit" not in {row.code for row in found.ruled_out}


def test_a_lock_around_computing_is_a_lock_where_threads_could_all_compute() -> None:
    before = seen("threaded_lock")
    _, counters = full_of(before)
    rows = tuple(
        replace(
            row, cpu_s=0.97 * counters.wall_s, thread_states={"lock": 190.0, "run": 1.5}, parked_threads=0
        )
        if row.role == "worker"
        else row
        for row in counters.processes
    )
    quiet = with_counters(
        before,
        processes=rows,
        host_busy_s=1.1 * counters.wall_s,
        host_idle_s=0.9 * counters.wall_s,
        host_nice_s=0.0,
        cpus=2,
    )
    assert codes(replace(quiet, python=False))[0] == "serial_section"
    assert codes(replace(quiet, python=True))[0] != "serial_section"


def test_a_full_generator_explains_that_little_comes_through() -> None:
    assert "rate_limited" in EXPLAINS["generator_limited"]


def test_workers_that_are_being_born_hold_no_requests() -> None:
    born = with_counters(seen("wsgi_wait"), pids_gone=(7, 8, 9), pids_come=(10, 11, 12))
    assert codes(born) == ["worker_restarts"]


def test_clients_that_wait_to_connect_are_told_so_first() -> None:
    """Two workers with one thread each are taken, too, but a connection takes longer than an answer."""
    full, _ = full_of(seen("wsgi_wait"))
    answers = tuple(Answer("missing", i, i, 1.0, i + 1.2, 404) for i in range(40))
    refused = with_counters(
        replace(seen("wsgi_wait"), full=replace(full, answers=answers)),
        accept_overflows=900,
        accept_overflows_late=700,
    )
    assert codes(refused) == ["accept_queue_overflow", "threadpool_limit"]
    quick = replace(full, answers=tuple(replace(row, connect_s=0.01) for row in answers))
    later = replace(refused, full=replace(quick, counters=full_of(refused)[1]))
    assert codes(later) == ["threadpool_limit", "accept_queue_overflow"]


def test_work_beside_the_requests_is_not_repeated_in_each() -> None:
    """A job by the clock computes now and then; the CPU has room."""
    assert "work_repeated_per_request" not in codes(
        replace(seen("delay"), agent=replace(agent_of("cpu"), functions={"load_model": 0.9}))
    )


def agent_of(name: str) -> AgentView:
    agent = seen(name).agent
    assert agent is not None
    return agent
