"""What measuring costs wrk: CPU time per request without our Lua, without response(), and with everything.

nginx answers a fixed body from one worker; wrk has one thread, so that its own CPU time is what limits it.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import common
from headwind.stress.generator import lua_folder
from headwind.stress.target import ask, free_port

ROUNDS = 5
SECONDS = 2
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{{"delayed":false,"probability":0.1234}}'; }} }}
}}
"""
PLAIN = """
wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
wrk.body = '{"airline":"UA","origin":"EWR","destination":"MCO","departure":"2013-04-23T15:23"}'
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table and write the result; 6 where nginx or wrk is missing."""
    for program in ("nginx", "wrk"):
        if shutil.which(program) is None:
            print(f"{program} is not on PATH, so this benchmark is left out.", file=sys.stderr)
            return 6
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as url:
        plain = Path(name) / "plain.lua"
        plain.write_text(PLAIN)
        prediction = lua_folder() / "prediction.lua"
        variants = {
            "stock wrk, one fixed request": (plain, "off"),
            "prediction.lua, HEADWIND_RESPONSES=off": (prediction, "off"),
            "prediction.lua": (prediction, "on"),
        }
        # Taken in turn, so that a slow moment of the machine hits all of them.
        found: dict[str, list[tuple[float, float]]] = {label: [] for label in variants}
        for _ in range(ROUNDS):
            for label, (script, responses) in variants.items():
                found[label].append(load(url, script, responses))
    least = {label: min(cost for cost, _ in rows) for label, rows in found.items()}
    base = next(iter(least.values()))
    rows = [
        {
            "variant": label,
            "wrk CPU us/request": round(least[label], 2),
            "ratio": round(least[label] / base, 3),
            "best requests/s": round(max(rate for _, rate in found[label])),
        }
        for label in variants
    ]
    print(common.table(rows))
    common.record("measuring", rows, rounds=ROUNDS, seconds=SECONDS)
    return 0


def load(url: str, script: Path, responses: str) -> tuple[float, float]:
    """One wrk run: its CPU microseconds per request, and requests per second."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HEADWIND_RESPONSES": responses},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    counted = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec: +([\d.]+)", done.stdout)
    assert counted, done.stdout
    assert rate, done.stdout
    return used / int(counted[1]) * 1e6, float(rate[1])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """nginx on a free port."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
    )
    url = f"http://127.0.0.1:{port}/v1/prediction"
    try:
        for _ in range(250):
            with contextlib.suppress(ConnectionError):
                ask(url, 1)
                break
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
