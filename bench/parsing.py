"""How fast and how right texts of growing size are read, beside the npm package `wrk` and a plain-regex script.

Three kinds of text: a CI log with a report in each megabyte, nothing but reports, and nothing but reports of an
overloaded server, about which there is most to say. Each reader runs in a process of its own and is held against what
was printed. Memory is that process's peak; of `headwind explain` the sum of the resident sets of all its processes,
which counts twice what they share, sampled every 20 ms in a round that is not timed, because sampling takes CPU from
them. Ends with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.common import record, table
from tests.formats.printer import Report, Row

SIZES_MB = {"log": (1, 10, 100), "runs": (1, 10, 50), "late": (50,)}
ROUNDS = 5
# Promised: speed of reading on one core, of a whole `explain --format json`, and memory.
LOG_MB_PER_S, JSON_MB_PER_S, MEMORY_MB = 100.0, 10.0, 200.0
SAMPLED_S = 0.02  # between two looks at the memory
WORDS = (
    *(
        "the",
        "of",
        "build",
        "step",
        "test",
        "compile",
        "error",
        "warning",
        "module",
        "package",
        "import",
        "request",
    ),
    *("server", "http", "localhost", "docker", "layer", "cached", "pull", "push", "sha256", "npm", "install"),
    *("webpack", "node", "python", "pip", "collecting", "requirement", "already", "satisfied", "thread"),
)

# What is timed is reading and building; the process's start is not. Prints {"seconds", "memory_mb", "totals"}.
HEADWIND = """
import json, resource, sys, time
from headwind.formats import read_path
began = time.perf_counter()
totals = [[run.requests, run.requests_per_s] for run in read_path(sys.argv[1])]
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "totals": totals}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
"""
PLAIN = """
import json, re, resource, sys, time
began = time.perf_counter()
text = open(sys.argv[1]).read()
requests = [int(number) for number in re.findall(r"(\\d+) requests in", text)]
rates = [float(number) for number in re.findall(r"Requests/sec:\\s+([\\d.]+)", text)]
latencies = re.findall(r"Latency\\s+([\\d.]+)(us|ms|s)\\s+([\\d.]+)(us|ms|s)\\s+([\\d.]+)(us|ms|s)", text)
errors = re.findall(r"Socket errors: connect (\\d+), read (\\d+), write (\\d+), timeout (\\d+)", text)
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "totals": list(zip(requests, rates))}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
"""
NPM = """
const parse = require('wrk/lib/parseWrk');
const began = process.hrtime.bigint();
const totals = [];
for (const part of require('fs').readFileSync(process.argv[2], 'utf8').split(/^(?=Running )/m)) {
  try { const run = parse(part); totals.push([run.requestsTotal, run.requestsPerSec]); } catch (error) { /* no run */ }
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
console.log(JSON.stringify({ seconds, totals }));
console.error(process.resourceUsage().maxRSS / 1024);
"""


@dataclass(frozen=True)
class Text:
    """A file to read, and the (requests, requests per second) that its reports print."""

    path: Path
    kind: str
    totals: list[list[float]]

    @property
    def megabytes(self) -> float:
        return self.path.stat().st_size / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.parsing", description=__doc__)
    parser.add_argument("--largest", type=int, default=100, metavar="MB")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="best of so many")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers = _readers(folder)
        rows = []
        for kind, sizes in SIZES_MB.items():
            for size in (size for size in sizes if size <= options.largest):
                text = write_text(folder / f"{kind}-{size}.txt", kind, size)
                rows += [row(text, name, command, options.rounds) for name, command in readers.items()]
                if kind != "log":
                    rows.append(whole_explain(text, options.rounds))
                text.path.unlink()
    print(table(rows))
    record("parsing", rows, rounds=options.rounds)
    broken = promises_broken(rows)
    print("\n".join(broken) if broken else "Every promise holds.")
    return 1 if broken else 0


def promises_broken(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What a row shows to be slower, larger or wronger than promised."""
    found = []
    for one in rows:
        name, speed = f"{one['text']} of {one['MB']:.0f} MB by {one['reader']}", one["MB/s"]
        if not one["reader"].startswith("headwind"):
            continue
        if one["right"] != one["runs"]:
            found.append(f"{name}: {one['right']} of {one['runs']} runs right")
        if one["memory MB"] > MEMORY_MB:
            found.append(f"{name}: {one['memory MB']:.0f} MB of memory")
        if one["text"] == "log" and one["MB"] >= 100 and speed < LOG_MB_PER_S:
            found.append(f"{name}: {speed:.0f} MB/s, promised are {LOG_MB_PER_S:.0f}")
        if one["reader"].endswith("json") and one["MB"] >= 50 and speed < JSON_MB_PER_S:
            found.append(f"{name}: {speed:.1f} MB/s, promised are {JSON_MB_PER_S:.0f}")
    return found


def write_text(path: Path, kind: str, megabytes: int) -> Text:
    """A CI log with a report in each megabyte, or nothing but reports, of any server or of slow ones; of one seed."""
    random_ = random.Random(megabytes)
    lines = [" ".join(random_.choices(WORDS, k=random_.randint(4, 14))) for _ in range(12_000)]
    noise = "".join(f"2026-11-20T05:49:{n % 60:02d}.123Z  {line}\n" for n, line in enumerate(lines))[
        :1_000_000
    ]
    noise = noise[: noise.rfind("\n") + 1]
    totals, size = [], 0
    with path.open("w") as file:
        while size < megabytes * 1e6:
            report = late_report(random_) if kind == "late" else random_report(random_)
            text = report.text() + (noise if kind == "log" else "")
            totals.append([report.requests, round(report.requests / (report.runtime_us / 1e6), 2)])
            size += file.write(text)
    return Text(path, kind, totals)


def random_report(random_: random.Random) -> Report:
    """A report as a healthy or a struggling server gets it, half of them with --latency."""
    duration_s, mean_us = random_.choice((10, 30, 45, 60)), random_.uniform(300, 900_000)
    runtime_us = duration_s * 10**6 + random_.randint(1000, 99_000)
    rate = random_.uniform(50, 90_000)
    ranks = {
        50: mean_us * 0.9,
        75: mean_us * 1.2,
        90: min(mean_us * 2, 1.9e6),
        99: min(mean_us * 3.5, 1.95e6),
    }
    requests = int(rate * runtime_us / 1e6)
    return Report(
        url="http://localhost:8000/v1/prediction",
        duration_s=duration_s,
        threads=4,
        connections=200,
        latency=Row(mean_us, mean_us * 0.3, min(mean_us * 4, 1.99e6), 71.26),
        rate=Row(rate / 4, rate / 40, rate / 3, 88.8),
        requests=requests,
        runtime_us=runtime_us,
        bytes_read=requests * 140,
        percentiles_us=ranks if random_.random() < 0.5 else {},
        errors=(0, 0, 0, random_.choice((0, 0, 0, 17))),
        status=random_.choice((0, 0, 0, 5)),
    )


def late_report(random_: random.Random) -> Report:
    """A report of a server that keeps 200 connections waiting, many beyond wrk's timeout."""
    duration_s = random_.choice((30, 45, 60))
    runtime_us = duration_s * 10**6 + random_.randint(1000, 99_000)
    mean_us, requests = random_.uniform(700_000, 1_600_000), random_.randint(1500, 9000)
    return Report(
        url="http://localhost:8000/v1/prediction",
        duration_s=duration_s,
        threads=4,
        connections=200,
        latency=Row(mean_us, mean_us * 0.25, random_.uniform(1.95e6, 2e6), 71.26),
        rate=Row(requests / duration_s / 4, 24.38, 232.0, 90.89),
        requests=requests,
        runtime_us=runtime_us,
        bytes_read=requests * 140,
        errors=(0, 0, 0, random_.randint(requests // 20, requests // 3)),
    )


def row(text: Text, reader: str, command: Sequence[str], rounds: int) -> dict[str, Any]:
    """Best of several of one reader over one text."""
    best = min((measured(command, text.path) for _ in range(rounds)), key=lambda one: float(one["seconds"]))
    pairs = zip(best["totals"], text.totals, strict=False)
    right = sum(abs(found[1] - wanted[1]) < 0.011 and found[0] == wanted[0] for found, wanted in pairs)
    return _row(text, reader, best["seconds"], best["memory_mb"], len(text.totals), right)


def measured(command: Sequence[str], path: Path) -> dict[str, Any]:
    """One reading in a fresh process."""
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout), "memory_mb": float(done.stderr.split()[-1])}


def whole_explain(text: Text, rounds: int) -> dict[str, Any]:
    """`headwind explain --format json` as a user waits for it, all processes it starts included."""
    best, memory, written = float("inf"), 0.0, Path(f"{text.path}.json")
    command = [
        sys.executable,
        "-m",
        "headwind",
        "explain",
        str(text.path),
        "--format",
        "json",
        "-o",
        str(written),
    ]
    with subprocess.Popen(command) as running:
        while running.poll() is None:
            memory = max(memory, resident_mb(running.pid))
            time.sleep(SAMPLED_S)
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(command, check=True)
        best = min(best, time.perf_counter() - began)
    runs = sum(chunk.count(b'"tool":') for chunk in _chunks(written))
    written.unlink()
    return _row(text, "headwind explain --format json", best, memory, len(text.totals), runs)


def resident_mb(pid: int) -> float:
    """The resident sets of a process and of all that it started, added up."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 1e6


def _chunks(path: Path) -> Any:
    with path.open("rb") as file:
        yield from file


def _row(text: Text, reader: str, seconds: float, memory_mb: float, runs: int, right: int) -> dict[str, Any]:
    return {
        "text": text.kind,
        "MB": round(text.megabytes, 1),
        "reader": reader,
        "MB/s": round(text.megabytes / seconds, 1),
        "seconds": round(seconds, 3),
        "memory MB": round(memory_mb, 1),
        "runs": runs,
        "right": right,
    }


def _readers(folder: Path) -> dict[str, list[str]]:
    """Commands by name; npm's parser only where npm is there and gets the package."""
    python: Callable[[str], list[str]] = lambda program: [sys.executable, "-c", program]  # noqa: E731
    readers = {"headwind": python(HEADWIND), "plain regex": python(PLAIN)}
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("npm's wrk is left out: node and npm are not on PATH.", file=sys.stderr)
        return readers
    installed = subprocess.run(
        ["npm", "install", "--silent", "wrk@1.2.1"], cwd=folder, capture_output=True, check=False
    )
    if installed.returncode:
        print("npm's wrk is left out: `npm install wrk` failed.", file=sys.stderr)
        return readers
    script = folder / "read.js"
    script.write_text(NPM)
    return {**readers, "npm wrk 1.2.1": ["node", str(script)]}


if __name__ == "__main__":
    sys.exit(main())
