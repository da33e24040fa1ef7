"""Scheduled arrival in stock wrk: against theory on a serial server, and delivered to the real service.

The server is busy for 2 ms a request, reading and sending included, and logs how long each service really took. Two
theories stand beside the measured mean: M/D/1 for 2 ms, and the queue that these very due times make at a server of
the logged mean service (Lindley 1952), which leaves the luck of one schedule out and shows what the generator adds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common import record, table
from headwind.statistics.queueing import mean_sojourn_s
from headwind.stress import generator, trial
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan, Traffic
from headwind.stress.progress import Progress
from headwind.stress.schedule import Requests, Schedule, read_requests
from headwind.stress.standing import standing

ROOT = Path(__file__).parents[1]
SERVICE_S = 0.002
SERIAL = ROOT / "tests" / "experiments" / "serial_server.py"
LENGTH_S = 10
# By load: near saturation the mean of one minute is still 5 % off by the luck of its arrivals (one deviation).
THEORY_LENGTHS_S = {0.5: 30, 0.7: 40, 0.9: 120}
CONNECTIONS = 64


def offered(plan: Plan, rate: float, folder: Path, seed: int, *, length_s: int = LENGTH_S) -> Requests:
    """One schedule on a standing server."""
    load = Plan(
        url=plan.url,
        traffic=plan.traffic,
        connections=CONNECTIONS,
        duration_s=length_s,
        warmup_s=0,
        ready=plan.ready,
        schedule=Schedule(rate, seed=seed),
    )
    into = folder / f"{rate:g}-{seed}"
    into.mkdir()
    with Interrupt() as interrupt:
        trial.run(load, generator.find(), into, interrupt=interrupt, progress=Progress())
    return read_requests(into / "requests-1.bin")


def lag_p99_s(requests: Requests) -> float:
    """The generator's own lag: of requests for which a connection was free."""
    free = requests.taken_s <= requests.due_s
    return float(np.nanquantile((requests.sent_s - requests.due_s)[free], 0.99))


def queue_mean_s(due_s: NDArray[np.float64], service_s: float) -> float:
    """The mean time from the due time to the answer at one serial server with constant service (Lindley 1952)."""
    served = np.arange(len(due_s)) * service_s
    done = np.maximum.accumulate(due_s - served) + served + service_s
    return float((done - due_s).mean())


def against_theory(folder: Path, load: float, length_s: int) -> dict[str, Any]:
    """Mean latency from the due time beside theory, for one schedule on one serial server."""
    log = folder / f"services-{load}"
    command = f"exec {sys.executable} {SERIAL} --port {{port}} --service {SERVICE_S} --log {log}"
    plan = Plan(url="http://127.0.0.1:{port}/", command=command, ready="/")
    rate = load / SERVICE_S
    with Interrupt() as interrupt, standing(plan, folder, interrupt) as stood:
        found = offered(stood.plan, rate, folder, seed=1, length_s=length_s)
    services = np.array([float(line) for line in log.read_text().split()])
    mean_s, service_s = float(np.nanmean(found.latency_s)), float(services.mean())
    due_s = found.due_s
    return {
        "server": "serial, 2 ms",
        "offered_per_s": rate,
        "length_s": length_s,
        "mean_s": mean_s,
        "m_d_1_s": mean_sojourn_s(rate, SERVICE_S),
        "ratio": mean_s / mean_sojourn_s(rate, SERVICE_S),
        "logged_service_s": service_s,
        "ratio_to_this_schedule": mean_s / queue_mean_s(due_s, service_s),
        "send_lag_p99_s": lag_p99_s(found),
    }


def delivered(plan: Plan, folder: Path, rate: float) -> dict[str, Any]:
    """How much of a schedule reached the real service after the first second, and how late the generator was."""
    requests = offered(plan, rate, folder, seed=int(rate))
    due = requests.due_s >= 1
    sent = (requests.sent_s >= 1) & (requests.sent_s < LENGTH_S)
    return {
        "server": "the service, 2 workers",
        "offered_per_s": rate,
        "delivered_share": float(sent.sum() / due.sum()),
        "send_lag_p99_s": lag_p99_s(requests),
        "p99_s": float(np.nanquantile(requests.latency_s, 0.99)),
    }


def main(argv: Sequence[str] = ()) -> int:
    """Measure, print and record."""
    with tempfile.TemporaryDirectory() as name, Interrupt() as interrupt:
        folder = Path(name)
        theory = [against_theory(folder, load, length_s) for load, length_s in THEORY_LENGTHS_S.items()]
        print(table(theory))
        command = f"PORT={{port}} WORKERS=2 exec {Path(sys.executable).parent}/gunicorn "
        command += f"-c {ROOT}/service/gunicorn.conf.py service.app:app"
        plan = Plan(
            url="http://127.0.0.1:{port}/v1/prediction",
            command=command,
            workers=2,
            traffic=(Traffic(bodies=ROOT / "wrk" / "flights.jsonl"),),
        )
        with standing(plan, folder, interrupt) as stood:
            offered(stood.plan, 500, folder, 0, length_s=2)
            rows = [delivered(stood.plan, folder, rate) for rate in (200, 1000, 5000)]
        print(table(rows))
    record("schedule", [*theory, *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
