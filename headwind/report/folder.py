"""A run's folder rendered from what lies in it: after a run, again after a crash, or with a newer Headwind."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwind.errors import UnreadableError
from headwind.report import html, markdown
from headwind.samples import Sample

# The document of a folder, by the command that wrote it.
DOCUMENTS = ("run.json", "experiment.json", "diagnosis.json")
# A raw text longer than this is cut in the page; the whole of it lies beside the report.
RAW_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a folder holds: its document, and beside it what was watched, where it ran, and what the tool printed."""

    document: dict[str, Any]
    samples: tuple[Sample, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    raw_text: str | None = None


def is_run_folder(folder: Path) -> bool:
    """Whether the folder holds a document that can be rendered."""
    return any((folder / name).is_file() for name in DOCUMENTS)


def read(folder: Path) -> Recorded:
    """Everything of the folder that a report uses. Raises UnreadableError where the document is missing or broken;
    what else is missing, or was cut by a crash, is left out."""
    return Recorded(
        read_document(folder),
        _samples(folder / "samples.jsonl"),
        _json(folder / "environment.json") or {},
        _raw(folder / "wrk.txt"),
    )


def read_document(folder: Path) -> dict[str, Any]:
    """The folder's document. Raises UnreadableError."""
    path = next((folder / name for name in DOCUMENTS if (folder / name).is_file()), None)
    if path is None:
        raise UnreadableError(f"{folder} holds no {DOCUMENTS[0]}; give the folder of a run.")
    document = _json(path)
    if document is None:
        raise UnreadableError(f"{path} is no JSON document of Headwind; run the test again.")
    return document


def render(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and its pictures into the folder; the files written."""
    recorded = read(folder)
    page = folder / "report.html"
    write_text(
        page,
        html.render(
            recorded.document,
            samples=recorded.samples,
            environment=recorded.environment,
            raw_text=recorded.raw_text,
        ),
    )
    return [
        page,
        *markdown.write(
            recorded.document,
            folder / "report.md",
            samples=recorded.samples,
            environment=recorded.environment,
            raw_text=recorded.raw_text,
        ),
    ]


def write_text(path: Path, text: str) -> None:
    """Write through a temporary name, so that a crash leaves the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return dict(loaded) if isinstance(loaded, Mapping) else None


def _samples(path: Path) -> tuple[Sample, ...]:
    """The samples up to the first line that is none: the monitor writes them as it goes, and may be killed."""
    found: list[Sample] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            found.extend(Sample.from_json(json.loads(line)) for line in lines)
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return tuple(found)


def _raw(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(RAW_LIMIT + 1)
    except OSError:
        return None
    if len(text) > RAW_LIMIT:
        return f"{text[:RAW_LIMIT]}\n... cut here; the whole text is in {path.name}."
    return text
