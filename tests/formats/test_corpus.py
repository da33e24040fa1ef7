"""Real outputs of load tools, found in public repositories: the folder that $HEADWIND_CORPUS names.

Its `INDEX.tsv` tells how many runs each file holds. What wrk's lines say is taken from the text a second time here,
by expressions of their own, and held against what the reader gives.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from headwind.formats import read_text
from headwind.formats.text import decode
from headwind.run import Run

FOLDER = os.environ.get("HEADWIND_CORPUS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="HEADWIND_CORPUS names no folder of real outputs")
WRK = ("wrk", "wrk2")


def index() -> list[dict[str, str]]:
    if not FOLDER:
        return []
    with (Path(FOLDER) / "INDEX.tsv").open(encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def read(path: str) -> tuple[str, list[Run]]:
    text = decode((Path(FOLDER or "") / path).read_bytes())
    return text, read_text(text, path)


@pytest.mark.parametrize("row", index(), ids=lambda row: row["path"])
def test_every_file_gives_the_runs_of_its_index(
    row: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    record_property("corpus_tool", row["tool"])
    text, runs = read(row["path"])
    if row["tool"] == "other":  # tools that look like one of ours and are none
        assert runs == []
    else:
        assert len(runs) == int(row["runs"])
        own = WRK if row["tool"] in WRK else (row["tool"],)
        assert {run.tool for run in runs} <= {*own, *WRK}
    if row["tool"] in WRK:
        assert_totals(text, runs)


def assert_totals(text: str, runs: list[Run]) -> None:
    """Each run's figures stand in its own lines, and no line of totals between them is left over."""
    lines = [re.sub(r"[\u200b\ufeff]", "", line) for line in re.split(r"\r\n|\n|\r", text)]
    for run in runs:
        assert run.lines is not None
        first, last = run.lines
        own = "\n".join(lines[first - 1 : last])
        assert_printed(run.requests, re.findall(r"(\d+) requests in", own))
        assert_printed(run.requests_per_s, re.findall(r"Requests/sec:\s+(\d+\.\d\d)(?!\d)", own))
        assert_printed(run.errors.timeout or None, re.findall(r"timeout (\d+)", own))
        assert_printed(run.errors.status or None, re.findall(r"3xx responses: (\d+)", own))
        assert_printed(
            run.connections if not is_several(run) else None, re.findall(r"threads and (\d+)", own)
        )
        if run.latency and run.latency.mean_s is not None:
            rows = re.findall(r"Latency:?\s+(\d+\.\d\d)(us|ms|s|m)", own)
            seconds = [
                float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit] for number, unit in rows
            ]
            assert any(abs(value - run.latency.mean_s) < 1e-9 for value in seconds)


def assert_printed(value: float | None, printed: list[str]) -> None:
    if value is not None:
        assert value in [float(number) for number in printed]


def is_several(run: Run) -> bool:
    return any(warning.code == "several_urls" for warning in run.warnings)
