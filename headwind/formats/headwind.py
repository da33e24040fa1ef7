"""Headwind's own run.json, and what `headwind explain --format json` printed: the Runs as they were."""

from __future__ import annotations

import json
from typing import Any

from headwind.run import SCHEMA, Run


def recognises(text: str) -> bool:
    """Whether the text is one document `headwind.run/1`."""
    return text.lstrip().startswith("{") and _document(text) is not None


def read(text: str, source: str) -> list[Run]:
    """The runs of the document; an empty list where it is none, or one of its runs is malformed."""
    document = _document(text)
    if document is None:
        return []
    try:
        return [Run.from_json(run) for run in document["runs"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _document(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return None
    return document if isinstance(document.get("runs"), list) else None
