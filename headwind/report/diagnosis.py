"""A diagnosis document (`headwind.diagnosis/1`) as text and Markdown; `html.render` makes its page."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from headwind.report.markdown import text as markdown_text
from headwind.report.plain import clean
from headwind.words import measured


def _value(row: Mapping[str, Any]) -> str:
    return "not read" if row["value"] is None else measured(row["value"], row["unit"])


def _ceiling(document: Mapping[str, Any]) -> str:
    value = document["ceiling_per_s"]
    if value is None:
        return "no throughput was measured"
    reached = "ceiling" if document["ceiling_reached"] else "not its ceiling yet; highest seen"
    return f"{reached}: {measured(value, '1/s')} good answers"


def render_text(document: Mapping[str, Any], width: int = 80) -> str:
    """The answer first, then each cause with its numbers, then what was ruled out."""
    document = clean(document)
    lines = [*textwrap.wrap(document["summary"], width), "", f"  {_ceiling(document)}", ""]
    for number, cause in enumerate(document["causes"], 1):
        lines += textwrap.wrap(f"{number}. {cause['code']} ({cause['certainty']}): {cause['title']}", width)
        for row in cause["evidence"]:
            if row["value"] is not None:
                lines.append(f"     {row['name']}: {_value(row)}"[:width])
        lines += textwrap.wrap(f"do: {cause['advice']}", width, initial_indent="   ", subsequent_indent="   ")
        lines += textwrap.wrap(
            f"expect: {cause['expect']}", width, initial_indent="   ", subsequent_indent="   "
        )
        lines.append("")
    if document["ruled_out"]:
        lines.append("ruled out")
        for row in document["ruled_out"]:
            lines += textwrap.wrap(
                f"{row['code']}: {row['evidence']}", width, initial_indent="  ", subsequent_indent="    "
            )
    lines += [line for note in document["notes"] for line in textwrap.wrap(f"note: {note}", width)]
    return "\n".join(lines).rstrip("\n") + "\n"


def render_markdown(document: Mapping[str, Any]) -> str:
    """The same for a review or a ticket."""
    document = clean(document)
    lines = ["# Diagnosis", "", markdown_text(document["summary"]), "", markdown_text(_ceiling(document)), ""]
    for cause in document["causes"]:
        lines += [f"## `{cause['code']}` ({cause['certainty']})", "", markdown_text(cause["title"]), ""]
        lines += ["| what | value | read from |", "|---|---|---|"]
        lines += [
            f"| {markdown_text(row['name'])} | {markdown_text(_value(row))} | {markdown_text(row['source'])} |"
            for row in cause["evidence"]
        ]
        lines += ["", f"**Do:** {markdown_text(cause['advice'])}", ""]
        lines += [f"**Expect:** {markdown_text(cause['expect'])}", ""]
    if document["ruled_out"]:
        lines += ["## Ruled out", ""]
        lines += [f"- `{row['code']}`: {markdown_text(row['evidence'])}" for row in document["ruled_out"]]
        lines.append("")
    lines += [f"Note: {markdown_text(note)}" for note in document["notes"]]
    return "\n".join(lines).rstrip("\n") + "\n"
