"""Every finding: cases in which it must speak, and neighbouring ones in which it must stay silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headwind.histogram import from_counts
from headwind.run import Errors, Latency, ReadWarning, Run, ThreadRate
from tests.analysis.made import (
    CLEAN,
    FAST,
    Case,
    errors,
    fast,
    modes,
    on,
    on_schedule,
    percentiles,
    slow_start,
    steady,
    timeline,
    trend,
    with_stalls,
)
from tests.analysis.runs import HEALTHY, SLOW, healthy, slow
from tests.analysis.watched import HEALTHY_PROCESSES, MASTER, MIB, WRK, Process, watched

LATE_BUT_MEASURED = healthy(
    late=3, timeout_s=10.0, histogram=from_counts({150_000: 58_591, 2_500_000: 3}, limit_us=10_000_000)
)

# code: (cases in which it must speak, neighbouring cases in which it must be silent)
CASES: Mapping[str, tuple[Sequence[Case | Run], Sequence[Case | Run]]] = {
    "target_met": ([Case(HEALTHY, 58_594)], [Case(HEALTHY, 58_595), HEALTHY]),
    "target_missed": (
        [Case(HEALTHY, 58_595), Case(healthy(errors=errors(status=10_000)), 50_000)],
        [Case(HEALTHY, 58_594), Case(healthy(interrupted=True), 58_595), HEALTHY],
    ),
    "no_answers": (
        [healthy(requests=0, requests_per_s=0.0, latency=None)],
        [HEALTHY, healthy(requests=0, requests_per_s=None, complete=False)],
    ),
    "every_answer_failed": (
        [
            healthy(errors=errors(status=58_594)),
            healthy(errors=errors(status=58_594), status_codes={"500": 58_594}),
        ],
        [healthy(errors=errors(status=58_593)), HEALTHY],
    ),
    "script_did_not_run": (
        [
            healthy(errors=errors(status=58_594), status_codes={"405": 58_594}),
            healthy(errors=errors(status=58_594), status_codes={"404": 58_000, "422": 594}),
        ],
        [healthy(errors=errors(status=58_594), status_codes={"405": 58_000, "500": 594})],
    ),
    "error_answers": ([healthy(errors=errors(status=1))], [HEALTHY, healthy(errors=errors(status=58_594))]),
    "read_errors": ([healthy(errors=errors(read=3))], [HEALTHY, healthy(errors=errors(read=None))]),
    "connect_errors": ([healthy(errors=errors(connect=3))], [HEALTHY]),
    "write_errors": ([healthy(errors=errors(write=3))], [HEALTHY]),
    "requests_failed": (
        [
            Run("locust", complete=True, requests=1000, errors=Errors(status=12)),
            Run("k6", requests=9, errors=Errors(read=1)),
        ],
        [
            Run("locust", complete=True, requests=1000, errors=Errors(status=0)),
            healthy(errors=errors(status=12)),
        ],
    ),
    "every_request_failed": (
        [Run("vegeta", requests=10, errors=Errors(connect=10))],
        [Run("vegeta", requests=10, errors=Errors(connect=9))],
    ),
    "late_answers": (
        [
            SLOW,
            slow(timeout_s=2.0),
            LATE_BUT_MEASURED,
        ],
        [slow(errors=CLEAN), slow(latency=Latency(mean_s=1.0, max_s=3.0))],
    ),
    "timeouts_unclear": (
        [slow(latency=Latency(mean_s=1.0, max_s=3.0)), healthy(errors=errors(timeout=60_000))],
        [SLOW, slow(latency=Latency(mean_s=1.0, max_s=3.0), timeout_s=5.0), HEALTHY],
    ),
    "mean_understated": (
        [SLOW, fast(latency=Latency(mean_s=0.0007, max_s=0.0009))],
        [HEALTHY, FAST, fast(latency=Latency(mean_s=0.00085, max_s=0.0019)), slow(connections=None)],
    ),
    "saturation_likely": (
        [SLOW, slow(errors=CLEAN, latency=Latency(mean_s=3.2, max_s=4.0))],
        [HEALTHY, slow(connections=4), slow(errors=errors(status=2000)), slow(rate_target_per_s=62.0)],
    ),
    "synthetic_samples": (
        [fast(latency=Latency(mean_s=0.105, stdev_s=0.2, max_s=1.0))],
        [FAST, fast(latency=Latency(mean_s=0.00105, max_s=1.0)), SLOW],
    ),
    "requests_overlap": (
        [fast(latency=Latency(mean_s=0.0016, max_s=0.0019))],
        [FAST, fast(latency=Latency(mean_s=0.0016, max_s=0.5))],
    ),
    "goodput": (
        [SLOW, healthy(errors=errors(timeout=6000))],
        [HEALTHY, healthy(errors=errors(timeout=2)), healthy(errors=errors(status=600, timeout=600))],
    ),
    "long_tail": (
        [
            fast(latency=percentiles(0.0001, 0.0018, 0.0019)),
            Run("oha", requests=50_000, latency=percentiles(0.01, 0.5, 0.9)),
        ],
        [
            FAST,
            Run("oha", requests=50_000, latency=percentiles(0.01, 0.09, 0.9)),
            Run("oha", requests=500, latency=percentiles(0.01, 0.5, 0.9)),
            # Where wrk may have corrected, the measured p99 is only known to be at least the median.
            fast(latency=percentiles(0.0005, 0.006, 1.0)),
        ],
    ),
    "two_modes": (
        [healthy(histogram=modes(0.3, 50_000)), healthy(histogram=modes(0.04, 50_000))],
        [
            healthy(histogram=modes(0.3, 6_000)),
            healthy(histogram=modes(0.0, 1)),
            healthy(histogram=modes(0.005, 50_000)),
        ],
    ),
    "stalls": (
        [healthy(timeline=with_stalls([200], 8)), fast(timeline=with_stalls([50, 90, 300], 3))],
        [healthy(timeline=with_stalls([200], 2)), healthy(timeline=timeline(steady())), HEALTHY],
    ),
    "periodic_stalls": (
        [healthy(timeline=with_stalls([50, 150, 250, 350], 6))],
        [
            healthy(timeline=with_stalls([50, 60, 250, 400], 6)),
            healthy(timeline=with_stalls([50, 150, 250], 6)),
        ],
    ),
    "drift": (
        [healthy(timeline=trend(-0.4)), healthy(timeline=trend(0.4))],
        [healthy(timeline=trend(-0.1)), healthy(timeline=trend(0.0))],
    ),
    "warm_up_inside": (
        [healthy(timeline=slow_start(4))],
        [healthy(timeline=timeline(steady())), healthy(timeline=with_stalls([200], 8))],
    ),
    "idle_windows": (
        [fast(thread_requests_per_s=ThreadRate(mean=2000.0))],
        [FAST, SLOW, HEALTHY, fast(thread_requests_per_s=ThreadRate(mean=1100.0))],
    ),
    "interrupted": ([healthy(interrupted=True)], [HEALTHY]),
    "text_cut": (
        [healthy(complete=False, requests=None, requests_per_s=None)],
        [HEALTHY, healthy(complete=False)],
    ),
    "clock_step": (
        [healthy(duration_s=1.8e19, requests_per_s=0.0), Case(HEALTHY, environment={"clock_step_s": -3.0})],
        [HEALTHY, Case(HEALTHY, environment={"clock_step_s": 0.002})],
    ),
    "run_short": ([healthy(duration_s=9.0), healthy(requests=900)], [healthy(duration_s=10.0), HEALTHY]),
    "connections_rounded": ([healthy(threads=12, connections=500)], [HEALTHY, healthy(threads=5)]),
    "load_not_delivered": (
        [
            Run("wrk2", requests=1000, requests_per_s=900.0, rate_target_per_s=1000.0),
            on_schedule(answered=1953, in_time=1700),
            on_schedule(answered=1800, in_time=1800, unanswered=153),
        ],
        [
            Run("wrk2", requests=1000, requests_per_s=990.0, rate_target_per_s=1000.0),
            # A random schedule draws fewer requests than its rate, or more.
            on_schedule(answered=1953, in_time=1952),
            Run("wrk", requests=1_000, requests_per_s=97.0, rate_target_per_s=100.0, duration_s=10.0),
            HEALTHY,
        ],
    ),
    "generator_late": (
        [healthy(warnings=(ReadWarning("generator_late", "p99 168.3 ms with connections free"),))],
        [HEALTHY, healthy(warnings=(ReadWarning("latency_from_send", "counts from the send"),))],
    ),
    "same_host": (
        [HEALTHY, healthy(url="http://127.0.0.1/"), healthy(url="http://[::1]:80/")],
        [healthy(url="http://10.0.0.7/"), healthy(url=None), healthy(url="http://localhost.example.org/")],
    ),
    "generator_near_limit": (
        [healthy(requests=12_000_000, requests_per_s=266_000.0)],
        [HEALTHY, healthy(requests=9_000_000, requests_per_s=200_000.0)],
    ),
    "generator_limited": (
        [on(MASTER, Process(101, "server", 0.5), Process(200, "generator", 1.2, 0.97))],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.5), Process(200, "generator", 3.0, 0.8)),
        ],
    ),
    "generator_threads_above_cores": (
        [on(*HEALTHY_PROCESSES, cpus=2, busy_cores=1.8)],
        [
            on(*HEALTHY_PROCESSES, cpus=4),
            Case(
                healthy(threads=64, rate_target_per_s=1300.0, latency_from_send=HEALTHY.latency),
                samples=watched(HEALTHY_PROCESSES, cpus=2, busy_cores=1.8),
            ),
        ],
    ),
    "no_keepalive": (
        [Case(HEALTHY, environment={"connections_opened": 58_700})],
        [
            Case(HEALTHY, environment={"connections_opened": 260}),
            Case(HEALTHY, environment={"connections_opened": None}),
            Case(healthy(requests=2_000), environment={"connections_opened": 1_900}),
        ],
    ),
    "cached_answers": (
        [Case(HEALTHY, environment={"cached": True})],
        [HEALTHY, Case(HEALTHY, environment={"cached": False}), Case(HEALTHY, environment={"cached": None})],
    ),
    "noisy_host": (
        [on(*HEALTHY_PROCESSES, steal=0.08), on(*HEALTHY_PROCESSES, busy_cores=3.5)],
        [on(*HEALTHY_PROCESSES, steal=0.02), on(WRK, busy_cores=3.5)],
    ),
    "worker_restarts": (
        [on(MASTER, Process(101, "server", 0.7, end_s=20.0), Process(103, "server", 0.7, begin_s=22.0), WRK)],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.001, end_s=20.0), Process(102, "server", 0.7), WRK),
        ],
    ),
    "worker_died": (
        [on(MASTER, Process(101, "server", 0.7, end_s=20.0), Process(102, "server", 0.7), WRK)],
        [on(*HEALTHY_PROCESSES)],
    ),
    "one_busy_worker": (
        [
            on(MASTER, Process(101, "server", 0.99), WRK, busy_cores=1.6),
            on(Process(101, "server", 1.0), WRK, busy_cores=1.6),
        ],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.99), WRK, cpus=2, busy_cores=1.9),
            on(MASTER, Process(101, "server", 0.6), WRK, busy_cores=1.6),
        ],
    ),
    "cpu_full": (
        [on(MASTER, Process(101, "server", 1.6), Process(102, "server", 1.7), WRK, busy_cores=3.95)],
        [on(*HEALTHY_PROCESSES), on(*HEALTHY_PROCESSES, busy_cores=3.95)],
    ),
    "workers_above_cores": (
        [on(MASTER, *(Process(pid, "server", 0.4) for pid in (101, 102, 103)), WRK, cpus=2, busy_cores=1.9)],
        [on(*HEALTHY_PROCESSES, cpus=2, busy_cores=1.9)],
    ),
    "load_uneven": (
        [
            on(MASTER, Process(101, "server", 0.9), Process(102, "server", 0.2), WRK),
            on(
                Process(101, "server", 0.0, parent_pid=7),
                Process(102, "server", 0.9, parent_pid=101),
                Process(103, "server", 0.0, parent_pid=101),
                WRK,
            ),
        ],
        [
            on(*HEALTHY_PROCESSES),
            on(MASTER, Process(101, "server", 0.9), WRK),
            on(
                Process(300, "server", 0.0, parent_pid=7),
                Process(101, "server", 0.9, parent_pid=300),
                Process(102, "server", 0.8, parent_pid=300),
                WRK,
            ),
            # Nor is the resource tracker that multiprocessing starts beside uvicorn's workers.
            on(
                Process(101, "server", 0.0, parent_pid=7),
                Process(102, "server", 0.0, parent_pid=101, rss=lambda _: 12.0 * MIB),
                Process(103, "server", 0.55, parent_pid=101, rss=lambda _: 30.0 * MIB),
                Process(104, "server", 0.46, parent_pid=101, rss=lambda _: 30.0 * MIB),
                WRK,
            ),
            # A shell and a master that only watch over the workers are no idle workers.
            on(
                Process(99, "server", 0.0),
                MASTER,
                Process(101, "server", 0.9),
                Process(102, "server", 0.8),
                WRK,
            ),
        ],
    ),
    "thread_oversubscription": (
        [
            on(
                MASTER,
                *(Process(pid, "server", 1.6, 0.4, threads=9) for pid in (101, 102)),
                WRK,
                busy_cores=3.9,
            )
        ],
        [
            on(
                MASTER,
                *(Process(pid, "server", 0.9, 0.2, threads=40) for pid in (101, 102)),
                WRK,
                busy_cores=3.9,
            )
        ],
    ),
    "memory_growth": (
        [on(MASTER, Process(101, "server", 0.7, rss=lambda t_s: (100 + 4 * t_s) * MIB), WRK)],
        [
            on(MASTER, Process(101, "server", 0.7, rss=lambda t_s: (100 + min(200, 20 * t_s)) * MIB), WRK),
            on(MASTER, Process(101, "server", 0.7, rss=lambda t_s: (1000 + t_s) * MIB), WRK),
        ],
    ),
}


def all_cases() -> list[Case | Run]:
    return [case for spoken, silent in CASES.values() for case in (*spoken, *silent)]


HEALTHY_CASES = [
    HEALTHY,
    FAST,
    Case(HEALTHY, 50_000, watched(HEALTHY_PROCESSES)),
    Case(
        healthy(timeline=timeline(steady()), histogram=modes(0.0, 1)),
        50_000,
        watched(HEALTHY_PROCESSES, cpus=2),
    ),
    healthy(threads=4, connections=200, requests=2_000_000, requests_per_s=44_400.0),
    healthy(duration_s=10.0, requests=13_000),
    Run("hey", complete=True, requests=20_000, requests_per_s=2000.0, latency=percentiles(0.01, 0.03, 0.2)),
]
