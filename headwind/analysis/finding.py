"""A finding is data: a judgement with the numbers it rests on and the command that would verify it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headwind.quick import quick

Severity = Literal["critical", "warning", "info"]
Certainty = Literal["proved", "likely", "possible"]


@quick
@dataclass(frozen=True)
class Evidence:
    """One number a finding rests on: its name, its value in `unit` (SI, "1" for a count, "share" for a ratio from
    0 to 1), and where it was read."""

    name: str
    value: float | int | str | None
    unit: str
    source: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "unit": self.unit, "source": self.source}


@quick
@dataclass(frozen=True)
class Finding:
    """`proved` needs arithmetic that leaves no other reading, a direct counter, or a measured intervention.

    `runs` are the indices, in the document's `runs`, of the runs it is about; empty where it is about all of them.
    """

    code: str
    severity: Severity
    certainty: Certainty
    title: str
    evidence: tuple[Evidence, ...]
    advice: str
    expect: str  # what should change, and by how much, when the advice is followed
    verify: str  # the command that would show it
    runs: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "certainty": self.certainty,
            "title": self.title,
            "evidence": [row.to_json() for row in self.evidence],
            "advice": self.advice,
            "expect": self.expect,
            "verify": self.verify,
            "runs": list(self.runs),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """The Finding that `to_json` wrote; unknown keys are ignored so that newer files can be read."""
        values: dict[str, Any] = {name: data[name] for name in cls.__annotations__ if name in data}
        values["evidence"] = tuple(
            Evidence(row["name"], row["value"], row["unit"], row["source"]) for row in data["evidence"]
        )
        values["runs"] = tuple(data.get("runs") or ())
        return cls(**values)
