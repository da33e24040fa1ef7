"""The same model behind BentoML, LitServe, MLServer and Ray Serve, beside the ordinary route and the fast lane.

Each peer is installed from PyPI into an environment of its own (under `.bench-peers/`, or the folder in BENCH_PEERS),
with its own adaptive batching on and two workers, as its documentation advises for production.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.common import record, table
from bench.servers import ROOT, Contender, as_row, gunicorn, quiet_machine
from bench.serving import interleaved, judged, rows_of, started
from service.artifact import ARTIFACT
from service.model import columns, load_model
from service.schemas import Flight

PACKAGES = {
    "bentoml": ("bentoml==1.4.39",),
    "litserve": ("litserve==0.2.19",),
    # It fails to start with a newer uvloop ("There is no current event loop").
    "mlserver": ("mlserver==1.7.1", "uvloop<0.22"),
    "rayserve": ("ray[serve]==2.60.0",),
    # For `server_choice`: the service itself under another server.
    "granian": ("granian==2.8.7", "fastapi", "orjson", "prometheus-client", "redis", "uvloop"),
}
PEERS = ("bentoml", "litserve", "mlserver", "rayserve")
COMMON = ("xgboost-cpu==3.2.0", "pydantic>=2.10", "numpy")
OURS = (
    gunicorn("fast lane", "service.app:app"),
    gunicorn("ordinary route", "service.app:app", FAST_LANE="off"),
)
LEAST_RATIO = 8.0


def environment(name: str) -> Path:
    """The folder of programs of the peer's environment, made if it is not there."""
    folder = Path(os.environ.get("BENCH_PEERS", ROOT / ".bench-peers")) / name
    if not (folder / "bin" / "python").exists():
        print(f"installing {name} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-qq", *PACKAGES[name], *COMMON], check=True)
    return folder / "bin"


def bodies(folder: Path) -> dict[str, Path]:
    """The same flights in the shapes that BentoML (a list of one) and MLServer (features) want."""
    model = load_model(ARTIFACT)
    used = columns(model.description.features)
    lines = (ROOT / "wrk" / "flights.jsonl").read_text().splitlines()
    lists, tensors = [], []
    for line in lines:
        row = model.encode(Flight.model_validate_json(line))
        data = [row[column] for column in used]
        tensor = {"name": "flight", "shape": [1, len(data)], "datatype": "FP32", "data": data}
        lists.append(json.dumps({"flights": [json.loads(line)]}, separators=(",", ":")))
        tensors.append(json.dumps({"inputs": [tensor]}, separators=(",", ":")))
    written = {}
    for name, text in (("bentoml", lists), ("mlserver", tensors)):
        written[name] = folder / f"{name}.jsonl"
        written[name].write_text("\n".join(text) + "\n")
    return written


def peers(folder: Path, names: Sequence[str]) -> list[Contender]:
    """Every peer as it is started; MLServer's folder is written for the port when it starts."""
    shapes = bodies(folder)
    bins = {name: environment(name) for name in names}
    commands = {
        "bentoml": "exec bentoml serve bench.peers.bentoml_app:FlightDelay --port $PORT",
        "litserve": "exec python -m bench.peers.litserve_app $PORT",
        "rayserve": "exec python -m bench.peers.ray_app $PORT",
        "mlserver": f"python -m bench.peers.mlserver_settings {folder}/ml $PORT && exec mlserver start {folder}/ml",
    }
    ready = {
        "bentoml": "/readyz",
        "litserve": "/health",
        "rayserve": "/",
        "mlserver": "/v2/models/flight-delay/ready",
    }
    paths = {"mlserver": "/v2/models/flight-delay/infer"}
    # What prometheus_client writes for LitServe goes with the other temporary files.
    quiet = {
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PORT": "{port}",
    }
    return [
        Contender(
            name,
            ("sh", "-c", commands[name]),
            quiet | {"PATH": f"{bins[name]}:{os.environ['PATH']}"},
            path=paths.get(name, "/v1/prediction"),
            ready=ready[name],
            bodies=shapes.get(name),
        )
        for name in names
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if the fast lane is at least eight times each peer at 200 connections, else 3."""
    parser = argparse.ArgumentParser(prog="python -m bench beside_peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each load; wrk takes whole ones")
    parser.add_argument("--connections", type=int, nargs="+", default=[200, 8, 1])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        contenders = [*OURS, *peers(Path(folder), options.peers)]
        with started(contenders) as ports, quiet_machine():
            every = {
                connections: interleaved(
                    contenders, ports, connections, options.seconds, options.rounds, options.seed
                )
                for connections in options.connections
            }
    rows = [row for connections, rounds in every.items() for row in rows_of(rounds, connections, "fast lane")]
    bars = (
        judged(every[200], [("fast lane", name, LEAST_RATIO) for name in options.peers])
        if 200 in every
        else []
    )
    told = {
        str(connections): {name: [as_row(load) for load in loads] for name, loads in rounds.items()}
        for connections, rounds in every.items()
    }
    path = record(
        "beside_peers", rows, bars=bars, rounds=told, seconds=options.seconds, workers=2, packages=PACKAGES
    )
    print(table(rows) + "\n" + table(bars) + f"\nwritten to {path.name}")
    return 0 if all(bar["held"] for bar in bars) else 3


if __name__ == "__main__":
    sys.exit(main())
