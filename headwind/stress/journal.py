"""An experiment's trials on disk: one line each, written before the next trial starts, read again after a crash.

A trial counts once its line is whole in `trials.jsonl`. What a kill cut short has a folder but no line, and is run
again; so none is lost and none is counted twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headwind.errors import UsageError
from headwind.stress import folder

TRIALS = "trials.jsonl"
DECLARED = "declared.json"


@dataclass(frozen=True, slots=True)
class TrialRow:
    """What one trial of a comparison measured, in SI units. `discarded` says why it does not count, None if it does.

    `cut` is a clause that says why the load ended before its time, such as a server that died; None where it did not.
    Then `duration_s` is the time that was planned: what a dead server did not answer is missing from its rate.
    """

    block: int
    position: int
    configuration: int
    attempt: int
    folder: str
    started_at: str | None
    took_s: float
    requests: int
    failed: int
    duration_s: float
    good_per_s: float
    cpu_s_per_request: float | None
    rss_bytes: int | None
    worker_shares: tuple[float, ...]
    others_cores: float | None
    steal_share: float | None
    discarded: str | None = None
    noisy: bool = False
    shares_of: str = (
        "CPU"  # what `worker_shares` are of: the CPU used, or the "requests" that the server counted
    )
    cut: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialRow:
        return cls(**{**data, "worker_shares": tuple(data["worker_shares"])})


class Journal:
    """The file `trials.jsonl` of an experiment's folder."""

    def __init__(self, into: Path) -> None:
        self._path = into / TRIALS
        self.rows = _read(self._path)

    def add(self, row: TrialRow) -> None:
        """Append a row; it is on the disk when this returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(row)

    def kept(self) -> dict[tuple[int, int], TrialRow]:
        """The trial that counts, by block and configuration."""
        return {(row.block, row.configuration): row for row in self.rows if row.discarded is None}


def _read(path: Path) -> list[TrialRow]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole, _, cut = text.rpartition("\n")
    if cut:
        # The line that a crash cut: gone, so that the next one starts on a line of its own.
        folder.write_text(path, whole + "\n" if whole else "")
    return [TrialRow.from_json(json.loads(line)) for line in whole.splitlines()]


def declare(into: Path, declared: Mapping[str, Any]) -> None:
    """Write down, before the first trial, everything that must not depend on results."""
    folder.write_json(into / DECLARED, declared)


def declared_in(into: Path) -> dict[str, Any]:
    """What was declared in a folder. Raises UsageError where it is no experiment's folder."""
    try:
        value: dict[str, Any] = json.loads((into / DECLARED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{into} holds no experiment that can go on; leave --resume out to begin one."
        ) from None
    return value


def latest(reports: Path, kind: str) -> Path:
    """The newest folder under `reports` of an experiment of this kind. Raises UsageError where there is none."""
    for path in sorted(reports.glob("*/" + DECLARED), reverse=True):
        if declared_in(path.parent).get("kind") == kind:
            return path.parent
    raise UsageError(f"{reports} holds no {kind} to go on with; leave --resume out to begin one.")
