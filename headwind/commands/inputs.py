"""What the command lines read: runs with what was watched beside them, objectives from files, durations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwind.analysis import gates
from headwind.errors import UnreadableError, UsageError
from headwind.formats import read_path
from headwind.formats.source import is_folder, text_beside
from headwind.formats.units import seconds
from headwind.run import Run
from headwind.samples import Sample

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One file, run folder or stdin: its name, its runs (an iterator, read as it goes), and a folder's other files."""

    source: str
    runs: Iterator[Run]
    samples: tuple[Sample, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)


def open_input(name: str, *, tool: str | None = None, timeout_s: float | None = None) -> Input:
    """The runs of `name` and, for a run folder, its samples and environment. Raises as `read_path` does."""
    if name == STDIN:
        return Input("<stdin>", read_path(STDIN, tool=tool, timeout_s=timeout_s))
    path = Path(name)
    runs = read_path(path, tool=tool, timeout_s=timeout_s)
    if not is_folder(path):
        return Input(name, runs)
    return Input(name, runs, _samples(path / "samples.jsonl"), _environment(path / "environment.json"))


def duration(text: str) -> float:
    """Seconds from "2s", "250ms" or a bare number of seconds; raises UsageError for anything else or 0."""
    value = seconds(text.strip())
    if value is None:
        try:
            value = float(text)
        except ValueError:
            raise UsageError(f"{text!r} is no duration; write it as 2s, 250ms or 1m.") from None
    if not 0 < value < 1e9:
        raise UsageError(f"{text!r} is no duration that can be used; give one above 0, such as 2s.")
    return value


def objectives_file(name: str) -> list[gates.Objective]:
    """The objectives of a YAML file; raises UsageError where it cannot be read or holds something else."""
    import yaml

    try:
        data = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the objectives in {name} cannot be read ({error}); check the path.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise UsageError(f"{name}{line} is no YAML; write `slo:` and a list such as [p99<250ms].") from None
    return gates.objectives_from(data, name)


def _samples(path: Path) -> tuple[Sample, ...]:
    """The monitor's samples; a last line that was cut by a crash is left out."""
    lines = (text_beside(path) or "").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Sample.from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            if number == len(lines):
                break
            raise UnreadableError(
                f"{path}, line {number}, is no sample; delete the file to do without it."
            ) from None
    return tuple(found)


def _environment(path: Path) -> Mapping[str, Any]:
    text = text_beside(path)
    if text is None:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError(f"{path} is no JSON; delete the file to do without it.") from None
    return data if isinstance(data, dict) else {}
