"""The last look at a run that was read: nothing in it may break a report, whatever the text was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headwind.formats.text import safe_name, safe_url
from headwind.formats.units import LARGEST
from headwind.run import Run

_FIGURE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,9})?")  # the name of a percentile, or a status code


def sound(run: Run) -> Run:
    """The run with its strings made safe and without numbers that cannot be (negative, too large), which are told.

    wrk's reader checks its few values itself; this is for formats in which anything may stand anywhere.
    """
    data = run.to_json()
    dropped: list[str] = []
    cleaned = _cleaned(data, "run", dropped)
    if cleaned == data and not dropped:
        return run
    kept = Run.from_json(cleaned)
    if kept.requests is None and kept.complete:
        kept = replace(kept, complete=False)
    if dropped:
        kept = kept.warn(
            "impossible_value",
            f"Negative or impossibly large values were left out: {', '.join(sorted(set(dropped))[:5])}.",
        )
    return kept


def _cleaned(value: Any, name: str, dropped: list[str]) -> Any:
    if isinstance(value, Mapping):
        parts = {safe_name(str(key)): _cleaned(inner, str(key), dropped) for key, inner in value.items()}
        # A mapping of figures (percentiles, status codes) has no place for a null.
        if name not in ("percentiles_s", "status_codes"):
            return parts
        return {key: inner for key, inner in parts.items() if inner is not None and _FIGURE.fullmatch(key)}
    if isinstance(value, list):
        items = [_cleaned(inner, name, dropped) for inner in value]
        return (
            None
            if name == "lines" and not all(isinstance(item, int) and item > 0 for item in items)
            else items
        )
    if isinstance(value, str):
        return safe_url(value) if name == "url" else safe_name(value)
    if isinstance(value, float | int) and not (0 <= value < LARGEST):
        dropped.append(name)
        return None
    return value
