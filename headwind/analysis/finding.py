"""A finding is data: a judgement with the numbers it rests on and the command that would verify it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
Certainty = Literal["proved", "likely", "possible"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number a finding rests on: its name, its value in `unit` (SI, "1" for a ratio), and where it was read."""

    name: str
    value: float | int | str | None
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`proved` needs arithmetic that leaves no other reading, a direct counter, or a measured intervention."""

    code: str
    severity: Severity
    certainty: Certainty
    title: str
    evidence: tuple[Evidence, ...]
    advice: str
    expect: str  # what should change, and by how much, when the advice is followed
    verify: str  # the command that would show it

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        evidence = tuple(Evidence(**row) for row in data["evidence"])
        return cls(**{**data, "evidence": evidence})
