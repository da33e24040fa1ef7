"""The teaching illnesses of our own service, and servers that have none, as cases for `bench.diagnosis`."""

from __future__ import annotations

from tests.diagnose.sick.cases import NAMED, ONE_WORKER, Case

SERVICE = "-m gunicorn -c service/gunicorn.conf.py service.app:app"

# illness -> the code that must come first, and further codes that are true of one worker that computes besides
EXPECTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "threadpool": ("threadpool_limit", ()),
    "blocking": ("blocking_in_event_loop", ()),
    "lock": ("serial_section", ()),
    "pool": ("connection_pool_limit", ()),
    "delay": ("pure_delay", ()),
    "batch": ("batch_window", ()),
    "log": ("log_backpressure", ()),
    "kinds": ("two_kinds_of_request", ()),
    "reload": ("work_repeated_per_request", ONE_WORKER),
    "cpu": ("workers_below_cores", ("cpu_bound",)),
    "collect": ("gc_pauses", ONE_WORKER),
    "pause": ("periodic_pause", ONE_WORKER),
    "leak": ("memory_growth", ONE_WORKER),
    "rate": ("rate_limited", ONE_WORKER),
    "drift": ("drift", ONE_WORKER),
    "cold": ("cold_start", ONE_WORKER),
}
# These leave most of the CPU idle: several can be diagnosed at once, each in a network namespace of its own.
IDLE = ("threadpool", "blocking", "lock", "pool", "delay", "batch", "log", "kinds")


def ours(sick: str | None, first: str, also: tuple[str, ...] = (), workers: int = 1) -> Case:
    """Our service, with an illness or without."""
    settings = f"PORT={{port}} WORKERS={workers}" + (f" SICK={sick}" if sick else "")
    return Case(
        f"service_{sick or workers}",
        SERVICE,
        (first,),
        also=also,
        settings=settings,
        script="wrk/prediction.lua",
        url="/v1/prediction",
        idle=sick in IDLE,
    )


TEACHING = [ours(sick, first, also) for sick, (first, also) in EXPECTED.items()]

# Sync and async, one and several workers, CPU-bound, and waiting on a slow but unlimited downstream.
HEALTHY = [
    *(NAMED[name] for name in ("delay", "threaded_delay", "downstream")),
    *(NAMED[name] for name in ("healthy_async", "healthy_sync", "healthy_two", "healthy_sync_two")),
    *(NAMED[name] for name in ("healthy_wsgi", "cpu_two", "cpu_sync_two")),
    ours(None, "none", ("workers_below_cores",)),
    ours(None, "none", workers=2),
]
