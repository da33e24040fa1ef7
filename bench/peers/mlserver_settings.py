"""MLServer: writes the folder that `mlserver start` serves: its own XGBoost runtime, two parallel workers, adaptive
batching. The client sends features already encoded (V2 inference protocol), which spares it that work."""

import json
import socket
import sys
from pathlib import Path

from service.artifact import ARTIFACT
from service.model import load_model


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(folder: Path, port: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    load_model(ARTIFACT)._booster.save_model(folder / "model.ubj")
    settings = {
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "host": "127.0.0.1",
        "parallel_workers": 2,
        "debug": False,
        "use_structured_logging": False,
    }
    model = {
        "name": "flight-delay",
        "implementation": "bench.peers.mlserver_runtime.Runtime",
        "parameters": {"uri": "./model.ubj"},
        "max_batch_size": 64,
        "max_batch_time": 0.002,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
