"""What is told apart by one counter: observations of a recorded server with that counter changed, or made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from headwind.analysis.diagnosis import Observations, judge
from headwind.analysis.diagnosis.facts import Facts
from headwind.analysis.diagnosis.observations import AgentView, Answer, Load, ProcessUse, Unloaded
from headwind.analysis.diagnosis.overtime import growth
from headwind.analysis.diagnosis.pauses import find
from headwind.stress import proc
from tests.diagnose.test_judgement import codes, full_of, seen, with_counters, with_threads


def excluded(observations: Observations) -> set[str]:
    return {row.code for row in judge(observations).ruled_out}


def crowd(stall_slots: int, held: bool) -> Observations:
    """200 clients in step around a wait of 150 ms; every second nothing is answered for `stall_slots` tenths of a
    second, in which 404s wait (`held`) or do not. 404s are sent every 100 ms."""
    before = seen("delay")
    full, _ = full_of(before)
    assert before.half is not None
    second = [0] * stall_slots + [200, 100, 100, 200, 100, 100, 200, 100, 100, 200][: 10 - stall_slots]
    line = (*([100] * 10), *(second * 7))

    def answers(began_s: float) -> tuple[Answer, ...]:
        rows = []
        for number in range(75):
            sent_s = began_s + 0.05 + 0.1 * number
            into_s = (sent_s - began_s) % 1.0
            stalled = held and sent_s - began_s >= 1.0 and into_s < 0.1 * stall_slots
            done_s = sent_s + (0.1 * stall_slots - into_s if stalled else 0.0) + 0.002
            rows.append(Answer("missing", sent_s, sent_s, 0.001, done_s, 404))
        return tuple(rows)

    def load(one: Load) -> Load:
        return replace(one, timeline=line, duration_s=8.0, answers=answers(one.counters.began_s))

    closed = tuple(Answer("endpoint", i, i, None, i + 0.15, 200) for i in range(20))
    unloaded = replace(before.unloaded, endpoint=closed, paced=())
    return replace(before, full=load(full), half=load(before.half), unloaded=unloaded)


def test_a_stall_shorter_than_a_request_is_seen_where_404s_wait_too() -> None:
    found = find(Facts(crowd(3, held=True)))
    assert len(found.full) == 7
    assert "periodic_pause" not in excluded(crowd(3, held=True))


def test_a_crowd_that_waits_in_step_leaves_gaps_but_no_stalls() -> None:
    assert not find(Facts(crowd(3, held=False))).full


def test_a_window_by_the_clock_is_a_batch_though_some_pairs_miss_one_another() -> None:
    before = seen("delay")
    window_s, offset_s = 0.15, 0.06

    def answer(sent_s: float, group: int = 0) -> Answer:
        return Answer("endpoint", sent_s, sent_s, 0.0, (sent_s // window_s + 1) * window_s, 200, group=group)

    starts = [0.31 + 0.37 * i for i in range(5)]
    pairs = [answer(at + shift, i) for i, at in enumerate(starts) for shift in (0.0, offset_s)]
    unloaded = replace(
        before.unloaded,
        endpoint=tuple(
            Answer("endpoint", i * window_s, i * window_s, None, (i + 1) * window_s, 200) for i in range(20)
        ),
        paced=tuple(answer(0.0513 * i) for i in range(1, 45)),
        pairs=tuple(pairs),
        pair_offset_s=offset_s,
    )
    ticking = replace(before, unloaded=unloaded)
    assert codes(ticking) == ["batch_window"]
    apart = tuple(replace(row, done_s=row.sent_s + 0.15) for row in pairs)
    steady = replace(ticking, unloaded=replace(unloaded, pairs=apart))
    assert "batch_window" in excluded(steady)


def refusing(good_per_s: float, alone_s: float) -> Observations:
    """A full worker of which most answers are 503 with Retry-After; a good one alone costs `alone_s` of CPU."""
    before = seen("cpu")
    full, _ = full_of(before)
    assert before.unloaded.endpoint_counters is not None
    refused = tuple(Answer("endpoint", i, i, 0.001, i + 0.002, 503, retry_after=True) for i in range(2, 30))
    good = int(good_per_s * full.duration_s)
    statuses = {"200": good, "503": 20_000}
    count = before.unloaded.endpoint_requests
    alone = replace(
        before.unloaded.endpoint_counters,
        processes=(ProcessUse(1, "python", "worker", alone_s * count),),
    )
    return replace(
        before,
        full=replace(full, requests=good + 20_000, statuses=statuses, answers=refused),
        unloaded=replace(before.unloaded, endpoint_counters=alone),
        agent=None,
        interventions=(),
    )


def test_a_server_busy_with_refusing_limits_the_rate_and_is_not_overloaded() -> None:
    assert codes(refusing(100.0, 0.001))[0] == "rate_limited"


def test_a_server_full_of_good_answers_that_sheds_the_rest_is_no_limiter() -> None:
    assert "rate_limited" not in codes(refusing(300.0, 0.003))


def test_work_beyond_a_404_is_not_trivial_because_it_is_short() -> None:
    before = seen("healthy_two")
    base = before.unloaded
    assert base.endpoint_counters is not None
    assert base.missing_counters is not None
    assert Facts(before).trivial
    full, counters = full_of(before)
    cheap = replace(
        base.missing_counters, processes=(ProcessUse(1, "a", "worker", 0.0001 * base.missing_requests),)
    )
    dear = replace(
        base.endpoint_counters, processes=(ProcessUse(1, "a", "worker", 0.0007 * base.endpoint_requests),)
    )
    busy = tuple(replace(row, cpu_s=0.98 * counters.wall_s) for row in counters.processes)
    requests = int(sum(row.cpu_s for row in busy) / 0.0007)
    computing = replace(
        with_counters(
            replace(before, full=replace(full, requests=requests, statuses={"200": requests})), processes=busy
        ),
        unloaded=replace(base, endpoint_counters=dear, missing_counters=cheap),
    )
    assert not Facts(computing).trivial
    assert codes(computing)[0] == "cpu_bound"


def test_many_threads_that_wake_at_once_are_no_full_interpreter() -> None:
    _, counters = full_of(seen("gthread_wait"))
    waking = tuple(
        replace(
            row,
            cpu_s=0.5 * counters.wall_s,
            wait_s=0.85 * counters.wall_s,
            busiest_thread_cpu_s=0.1 * counters.wall_s,
            busiest_thread_wait_s=0.2 * counters.wall_s,
            thread_states={**row.thread_states, "run": 1.5},
        )
        if row.role == "worker"
        else row
        for row in counters.processes
    )
    idle = with_counters(
        seen("gthread_wait"),
        processes=waking,
        host_busy_s=1.2 * counters.wall_s,
        host_idle_s=0.8 * counters.wall_s,
    )
    assert codes(idle)[0] == "threadpool_limit"


def growing(sizes: Sequence[int]) -> Load:
    """A load of 1,000 requests with one worker whose resident memory is looked at so often."""
    full, counters = full_of(seen("delay"))
    worker = ProcessUse(1, "node", "worker", 1.0, rss_bytes=tuple(sizes))
    return replace(full, requests=1000, counters=replace(counters, processes=(worker,)))


def test_the_look_after_the_load_is_no_part_of_the_growth() -> None:
    climbing = [50_000_000 + 6_000_000 * step for step in range(9)]
    found = growth(growing([*climbing, climbing[-1]]))
    assert found is not None
    assert found[0] == pytest.approx(0.6 * 48_000_000, rel=0.2)


def test_memory_that_grew_much_is_not_ruled_out() -> None:
    grown = [50_000_000 + 6_000_000 * step for step in range(9)]
    assert "memory_growth" not in excluded(replace(seen("delay"), full=growing(grown)))
    assert "memory_growth" in excluded(replace(seen("delay"), full=growing([50_000_000] * 9)))


def test_where_the_service_time_drifts_requests_in_service_are_not_counted() -> None:
    """Slots are throughput times the time alone, and that changed by the factor of ten."""
    before = seen("pool_async")
    assert codes(before)[0] == "connection_pool_limit"
    full, _ = full_of(before)
    once = Facts(before).closed_service_s or 0.0
    after = Unloaded(
        endpoint=tuple(Answer("endpoint", i, i, None, i + 10 * once, 200) for i in range(20)),
        endpoint_requests=20,
    )
    falling = tuple(100 - slot for slot in range(80))
    found = codes(replace(before, after=after, full=replace(full, timeline=falling)))
    assert "drift" in found
    assert "connection_pool_limit" not in found


def in_a_lock(busy_threads: float | None) -> Observations:
    """A full worker of 16 threads, 14 of them waiting for a lock without a time limit, with a core idle."""
    before = with_threads(seen("cpu"), python=True, lock=14.0, run=1.5)
    _, counters = full_of(before)
    worker = [
        replace(row, threads=16.0, loop_states=None) if row.role == "worker" else row
        for row in counters.processes
    ]
    idle = with_counters(before, processes=tuple(worker), host_idle_s=0.8 * counters.wall_s)
    agent = AgentView(wall_s=3.0, requests=1000, looks=150, busy_threads=busy_threads)
    return replace(idle, agent=agent, interventions=())


def test_threads_that_wait_for_a_lock_inside_requests_are_no_idle_ones() -> None:
    assert codes(in_a_lock(busy_threads=15.5))[0] == "serial_section"
    assert codes(in_a_lock(busy_threads=2.0))[0] == "workers_below_cores"
    assert codes(in_a_lock(busy_threads=None))[0] == "workers_below_cores"


def test_what_reads_the_log_reads_no_file() -> None:
    before = seen("log_pipe")
    base = before.unloaded
    assert base.endpoint_counters is not None
    reader = ProcessUse(99, "python", "helper", 0.1, read_bytes=6000 * base.endpoint_requests)
    counters = replace(base.endpoint_counters, processes=(*base.endpoint_counters.processes, reader))
    found = codes(replace(before, unloaded=replace(base, endpoint_counters=counters)))
    assert "work_repeated_per_request" not in found


def test_kills_of_workers_leave_their_memory_and_cpu_unjudged() -> None:
    killed = with_counters(seen("cpu_two"), oom_kills=2, pids_gone=(7, 8), pids_come=(9, 10))
    assert not excluded(killed) & {"memory_growth", "cpu_bound"}


def test_kills_of_other_groups_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "memory.oom_control"
    own.write_text("oom_kill_disable 0\noom_kill 0\n")
    monkeypatch.setattr(
        proc, "cgroup_files", lambda _pid, _kind, name: [str(own)] if name == own.name else []
    )
    assert proc.oom_kills(1) == 0


def test_sockets_that_nobody_holds_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (
        "0: 0100007F:1F90 0100007F:{port:04X} {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0"
    )
    text = "heading\n" + "\n".join(
        [row.format(port=port, state="06", inode=0) for port in range(2000, 2500)]
        + [row.format(port=3000, state="01", inode=77)]
    )
    monkeypatch.setattr(proc, "read_text", lambda path: text if path.endswith("/tcp") else None)
    assert [found.remote_port for found in proc.sockets().values()] == [3000]


def test_where_others_have_the_whole_cpu_neither_server_nor_generator_is_cleared() -> None:
    """Both may have wanted more than they got."""
    before = seen("rate_delay")
    assert codes(before)[0] == "rate_limited"
    _, counters = full_of(before)
    taken = with_counters(
        before,
        host_busy_s=counters.cpus * counters.wall_s,
        host_idle_s=0.0,
        host_nice_s=0.0,
        generator_thread_cpu_s=0.26 * counters.wall_s,
    )
    assert not excluded(taken) & {"cpu_bound", "generator_limited"}
    assert "rate_limited" not in codes(taken)


def test_drops_that_no_client_noticed_are_no_overflow() -> None:
    """Without keep-alive trouble the stream's connects are the only ones: a fifth of them dropped would show."""
    full, _ = full_of(seen("healthy_two"))
    quick = tuple(Answer("missing", i, i, 0.001, i + 0.002, 404) for i in range(60))
    late = tuple(replace(row, connect_s=1.02, done_s=row.sent_s + 1.03) for row in quick[:12])

    def dropped(answers: tuple[Answer, ...]) -> Observations:
        loaded = replace(seen("healthy_two"), full=replace(full, answers=answers), half=None)
        return with_counters(loaded, accept_overflows=26, accept_overflows_late=26)

    assert "accept_queue_overflow" not in codes(dropped(quick))
    assert "accept_queue_overflow" in codes(dropped((*quick[12:], *late)))


def test_refusals_take_no_place_in_a_pool() -> None:
    before = seen("pool_async")
    full, _ = full_of(before)
    statuses = {"200": full.requests // 50, "429": full.requests - full.requests // 50}
    assert codes(replace(before, full=replace(full, statuses=statuses))) == ["rate_limited"]


def test_a_404_that_was_not_warm_yet_makes_no_handler_cheap() -> None:
    """Java: the few 404s alone cost 1.3 ms each, mostly its compiler's; under load a request costs as much."""
    before = seen("cpu_two")
    base = before.unloaded
    assert base.missing_counters is not None
    cold = replace(
        base.missing_counters, processes=(ProcessUse(1, "java", "worker", 0.005 * base.missing_requests),)
    )
    assert codes(replace(before, unloaded=replace(base, missing_counters=cold)))[0] == "cpu_bound"
