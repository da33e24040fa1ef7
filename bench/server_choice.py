"""The same app under gunicorn with uvicorn workers (both loops), gunicorn's own asgi worker, and granian."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Sequence

from bench.beside_peers import environment
from bench.common import record, table
from bench.servers import Contender, Load, as_row, gunicorn, quiet_machine, running, wrk

APP = "service.app:app"
LATE_S = 2.0


def contenders() -> list[Contender]:
    """Two workers each, one thread of XGBoost, on 127.0.0.1."""
    own = (
        sys.executable,
        "-m",
        "gunicorn",
        "-k",
        "asgi",
        "-w",
        "2",
        "-b",
        "127.0.0.1:{port}",
        "--backlog",
        "4096",
    )
    granian = (
        str(environment("granian") / "granian"),
        "--interface",
        "asgi",
        "--workers",
        "2",
        "--port",
        "{port}",
    )
    lean = {"OMP_NUM_THREADS": "1"}
    return [
        gunicorn("uvicorn worker, asyncio", APP, SERVER_LOOP="asyncio"),
        gunicorn("uvicorn worker, uvloop", APP, SERVER_LOOP="uvloop"),
        Contender("gunicorn asgi worker", (*own, APP), lean),
        Contender("granian", (*granian, "--backlog", "4096", APP), lean),
    ]


def row(name: str, connections: int, loads: Sequence[Load]) -> dict[str, object]:
    """Medians over the rounds, and the worst of what must not happen."""
    return {
        "server": name,
        "connections": connections,
        "requests/s": round(statistics.median(load.requests_per_s for load in loads)),
        "p99 ms": round(statistics.median(load.p99_s for load in loads) * 1000, 1),
        "worst max ms": round(max(load.max_s for load in loads) * 1000, 1),
        "late": sum(load.late for load in loads),
        "failed": sum(load.failed for load in loads),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Always 0: a comparison to choose by, not a bar."""
    parser = argparse.ArgumentParser(prog="python -m bench.server_choice", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each load; wrk takes whole ones")
    parser.add_argument("--connections", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    order = random.Random(options.seed)
    every = contenders()
    loads: dict[tuple[int, str], list[Load]] = {}
    for _ in range(options.rounds):
        with quiet_machine():
            for contender in order.sample(every, len(every)):
                with running(contender) as port:
                    for connections in options.connections:
                        load = wrk(port, connections, options.seconds, timeout_s=LATE_S)
                        loads.setdefault((connections, contender.name), []).append(load)
    rows = [row(name, connections, measured) for (connections, name), measured in sorted(loads.items())]
    told = {
        f"{name} @ {connections}": [as_row(load) for load in runs]
        for (connections, name), runs in loads.items()
    }
    path = record("server_choice", rows, rounds=told, seconds=options.seconds, workers=2)
    print(table(rows) + f"\nwritten to {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
