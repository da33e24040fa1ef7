"""What was watched while a run went on: the time line of answers, and the machine's and processes' counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Timeline:
    """Responses and error responses (status > 399) per slot of `slot_s` seconds since the first request."""

    slot_s: float
    responses: tuple[int, ...]
    errors: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {"slot_s": self.slot_s, "responses": list(self.responses), "errors": list(self.errors)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Timeline:
        return cls(data["slot_s"], tuple(data["responses"]), tuple(data["errors"]))


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """Counters of one process. `cpu_s` and `thread_cpu_s` count since the process began."""

    pid: int
    role: str  # "server", "proxy" (the nginx that Headwind puts before replicas) or "generator"
    name: str
    cpu_s: float
    rss_bytes: int
    threads: int
    busiest_thread_cpu_s: float | None = None
    parent_pid: int | None = None  # of a gunicorn worker, the master's


@dataclass(frozen=True, slots=True)
class Sample:
    """One tick of the monitor, `t_s` seconds after the load began (negative: before)."""

    t_s: float
    cpus: int
    host_busy_s: float  # CPU seconds of all cores since boot that were not idle or waiting for a disk
    host_steal_s: float
    processes: tuple[ProcessSample, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        processes = tuple(ProcessSample(**row) for row in data["processes"])
        return cls(data["t_s"], data["cpus"], data["host_busy_s"], data["host_steal_s"], processes)
