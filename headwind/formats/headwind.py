"""Headwind's own run.json, and what `headwind explain --format json` printed: the Runs as they were."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from headwind.run import SCHEMA, Run

# What the annotations of the values' fields allow in a document that someone may have edited.
_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def recognises(text: str) -> bool:
    """Whether the text is one document `headwind.run/1`."""
    return text.lstrip().startswith("{") and _document(text) is not None


def read(text: str, source: str) -> list[Run]:
    """The runs of the document; an empty list where it is none, or one of its runs is malformed."""
    document = _document(text)
    if document is None:
        return []
    try:
        runs = [Run.from_json(run) for run in document["runs"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return runs if all(map(_is_well_typed, runs)) else []


def _document(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return None
    return document if isinstance(document.get("runs"), list) else None


def _is_well_typed(value: Any) -> bool:
    """Whether each plain field of a value, and of the values in it, is of the type it is declared to be."""
    for field in fields(value):
        inner = getattr(value, field.name)
        names = str(field.type).split(" | ")
        if inner is None:
            if "None" not in names:
                return False
        elif names[0] in _TYPES:
            if not isinstance(inner, _TYPES[names[0]]) or (isinstance(inner, bool) and names[0] != "bool"):
                return False
        elif not _is_well_nested(inner, names[0]):
            return False
    return True


def _is_well_nested(inner: Any, name: str) -> bool:
    if is_dataclass(inner):
        return _is_well_typed(inner)
    if name.startswith("Mapping"):
        number = (int,) if name.endswith("int]") else (int, float)
        return isinstance(inner, dict) and all(isinstance(value, number) for value in inner.values())
    if not isinstance(inner, tuple):
        return False
    if name.startswith("tuple[int"):
        return all(isinstance(value, int) for value in inner)
    return all(_is_well_typed(value) for value in inner if is_dataclass(value))
