"""An experiment's document for a terminal: the answer, then its tables in columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from headwind.report.plain import clean

WIDTH = 100
_LONG_TABLE = 30  # rows; what is longer stays in the report


def experiment_text(document: Mapping[str, Any]) -> str:
    """The answer, the tables and the notes of `headwind.experiment/1`."""
    document = clean(document)
    parts = [textwrap.fill(str(document["answer"]), WIDTH), ""]
    for table in document.get("tables") or ():
        if len(table["rows"]) <= _LONG_TABLE and not str(table["caption"]).startswith("Trials"):
            parts += [str(table["caption"]), *columns([table["columns"], *table["rows"]]), ""]
    for row in document.get("assumptions") or ():
        parts.append(textwrap.fill(str(row["message"]), WIDTH, initial_indent="- ", subsequent_indent="  "))
    return "\n".join(parts) + "\n"


def columns(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Rows of cells as lines with aligned columns."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in texts) for k in range(len(texts[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
