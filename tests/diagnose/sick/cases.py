"""The sick and healthy services: how each is started, and which answers of a diagnosis are true for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

UVICORN = "-m uvicorn tests.diagnose.sick.asgi:app --log-level warning --port {port}"
BIND = "--log-level error -b 127.0.0.1:{port}"
GUNICORN = f"-m gunicorn -k uvicorn_worker.UvicornWorker tests.diagnose.sick.asgi:app {BIND}"
WSGI = f"-m gunicorn tests.diagnose.sick.wsgi:app {BIND}"
THREADED = "tests/diagnose/sick/threaded.py {port}"


@dataclass(frozen=True)
class Case:
    """`first`: codes of which one must be named first. `also`: further codes that are true; all others are false."""

    name: str
    arguments: str  # of the Python interpreter
    first: tuple[str, ...]
    also: tuple[str, ...] = ()
    settings: str = ""  # NAME=value before the command, or other shell words
    downstream: tuple[float, int] | None = None  # seconds and limit of a server beside it
    must: tuple[str, ...] = field(default=())  # codes that must be named somewhere
    script: str = ""  # a wrk script that builds the requests
    burners: int = 0  # processes beside it that take the CPU
    url: str = "/work"
    idle: bool = False  # it leaves most of the CPU idle under load

    @property
    def command(self) -> str:
        """A shell command with {port}, and {downstream} where there is one."""
        return f"{self.settings} {sys.executable} {self.arguments}".strip()


def asgi(sick: str, first: str | tuple[str, ...], **more: object) -> Case:
    wanted = (first,) if isinstance(first, str) else first
    return Case(sick, UVICORN, wanted, settings=f"SICK={sick}", **more)  # type: ignore[arg-type]


ONE_WORKER = ("workers_below_cores", "cpu_bound")

CASES = [
    asgi("healthy_async", ("none",), also=("workers_below_cores",)),
    asgi("healthy_sync", ("none",), also=("workers_below_cores",)),
    Case("healthy_two", f"{GUNICORN} -w 2", ("none",), settings="SICK=healthy_async"),
    Case("healthy_sync_two", f"{GUNICORN} -w 2", ("none",), settings="SICK=healthy_sync"),
    Case("healthy_wsgi", f"{WSGI} -w 2 -k gthread --threads 8", ("none",), settings="SICK=healthy"),
    asgi("delay", ("pure_delay", "none"), idle=True),
    Case("threaded_delay", THREADED, ("pure_delay", "none"), settings="SICK=delay", idle=True),
    asgi("downstream", ("pure_delay", "none"), downstream=(0.1, 0), idle=True),
    asgi("cpu", "workers_below_cores", also=("cpu_bound",)),
    asgi("cpu_sync", "workers_below_cores", also=("cpu_bound",)),
    Case("threaded_cpu", THREADED, ("workers_below_cores",), also=("cpu_bound",), settings="SICK=cpu"),
    Case("cpu_two", f"{GUNICORN} -w 2", ("cpu_bound",), settings="SICK=cpu"),
    Case("cpu_sync_two", f"{GUNICORN} -w 2", ("cpu_bound",), settings="SICK=cpu_sync"),
    Case("wsgi_cpu", f"{WSGI} -w 2", ("cpu_bound",), settings="SICK=cpu", also=("no_keepalive",)),
    Case("wsgi_cpu_one", f"{WSGI} -w 1", ("workers_below_cores",), settings="SICK=cpu", also=("cpu_bound",)),
    asgi("threadpool", "threadpool_limit"),
    asgi("executor", "threadpool_limit"),
    Case("wsgi_wait", f"{WSGI} -w 2", ("threadpool_limit",), settings="SICK=wait"),
    Case("gthread_wait", f"{WSGI} -w 2 -k gthread --threads 8", ("threadpool_limit",), settings="SICK=wait"),
    asgi("pool_async", "connection_pool_limit"),
    asgi("pool_threads", "connection_pool_limit"),
    asgi("pool_40", "connection_pool_limit"),
    Case("threaded_pool", THREADED, ("connection_pool_limit",), settings="SICK=pool"),
    Case(
        "downstream_pool",
        UVICORN,
        ("connection_pool_limit",),
        settings="SICK=downstream_pool",
        downstream=(0.05, 0),
    ),
    asgi("blocking", "blocking_in_event_loop"),
    asgi("lock_async", "serial_section"),
    asgi("lock_threads", "serial_section"),
    Case("file_lock", f"{GUNICORN} -w 2", ("serial_section",), settings="SICK=file_lock"),
    Case("threaded_lock", THREADED, ("serial_section",), settings="SICK=lock"),
    Case("dependency", UVICORN, ("slow_dependency",), settings="SICK=downstream", downstream=(0.02, 4)),
    Case(
        "dependency_sync",
        UVICORN,
        ("slow_dependency",),
        settings="SICK=downstream_sync",
        downstream=(0.02, 4),
    ),
    asgi("repeated_file", "work_repeated_per_request", also=ONE_WORKER),
    asgi("repeated_compile", "work_repeated_per_request", also=ONE_WORKER),
    Case(
        "oversubscription",
        UVICORN,
        ("thread_oversubscription",),
        settings="OPENBLAS_NUM_THREADS=16 SICK=oversubscription",
    ),
    asgi("batch", "batch_window", also=ONE_WORKER),
    asgi("gc_heap", "gc_pauses", also=ONE_WORKER),
    asgi("gc_collect", "gc_pauses", also=ONE_WORKER),
    asgi("periodic", "periodic_pause", also=ONE_WORKER),
    asgi("periodic_cpu", "periodic_pause", also=ONE_WORKER),
    asgi("leak", "memory_growth", also=ONE_WORKER),
    asgi("log_pipe", "log_backpressure"),
    asgi("log_fsync", "log_backpressure"),
    asgi("rate_429", "rate_limited"),
    asgi("rate_delay", "rate_limited"),
    asgi("errors", "errors_served", also=ONE_WORKER),
    asgi("hang", "no_answers"),
    asgi("close", "no_keepalive", also=ONE_WORKER),
    asgi("two_kinds", "two_kinds_of_request", also=ONE_WORKER),
    asgi("drift", "drift", also=ONE_WORKER),
    asgi("cold", "cold_start", also=ONE_WORKER),
    Case("restarts", f"{GUNICORN} -w 2", ("worker_restarts",), settings="SICK=restarts"),
    Case(
        "max_requests",
        f"{GUNICORN} -w 2 --max-requests 3000",
        ("worker_restarts",),
        settings="SICK=healthy_async",
    ),
    asgi(
        "two_at_once", "threadpool_limit", also=("memory_growth",), must=("memory_growth", "threadpool_limit")
    ),
    Case("fds", UVICORN, ("fd_limit",), settings="ulimit -n 60; SICK=healthy_async", also=ONE_WORKER),
    Case(
        "proxied",
        "tests/diagnose/sick/proxied.py {port}",
        ("proxy_no_keepalive",),
        settings="SICK=healthy_async",
    ),
    Case(
        "proxied_kept",
        "tests/diagnose/sick/proxied.py {port}",
        ("none",),
        settings="KEEP=1 SICK=healthy_async",
        also=ONE_WORKER,
    ),
    Case("uneven", "tests/diagnose/sick/uneven.py {port}", ("load_imbalance",)),
    Case(
        "heavy_script",
        f"{GUNICORN} -w 2",
        ("generator_limited",),
        settings="SICK=healthy_async",
        script="tests/diagnose/sick/heavy.lua",
    ),
    Case("neighbours", UVICORN, ("noisy_host",), settings="SICK=healthy_async", burners=3),
    Case(
        "throttled",
        UVICORN,
        ("cpu_throttled",),
        settings="d=/sys/fs/cgroup/cpu/headwind-sick; mkdir -p $d && echo 40000 > $d/cpu.cfs_quota_us && "
        "echo $$ > $d/cgroup.procs; SICK=cpu",
    ),
    Case("oom", UVICORN, ("out_of_memory",), settings="ulimit -v 500000; SICK=leak", also=("memory_growth",)),
    Case(
        "backlog",
        THREADED,
        ("accept_queue_overflow",),
        settings="SICK=slow_accept BACKLOG=4",
        also=ONE_WORKER,
    ),
]

NAMED = {case.name: case for case in CASES}
