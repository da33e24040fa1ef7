"""A diagnosis document (`headwind.diagnosis/1`) as text, Markdown and one HTML file. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from html import escape
from typing import Any

from headwind.report.markdown import text as markdown_text
from headwind.report.plain import clean
from headwind.words import measured

_STYLE = """
:root { color-scheme: light dark; --edge: light-dark(#d0d7de, #3d444d); --soft: light-dark(#57606a, #9198a1); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-bottom: .25rem; }
section { border-top: 1px solid var(--edge); padding: .5rem 0; }
.soft { color: var(--soft); } code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .6rem .2rem 0; }
th { font-weight: 600; } td { vertical-align: top; overflow-wrap: anywhere; }
@media print { body { margin: 0; } }
"""


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


def render_html(document: Mapping[str, Any]) -> str:
    """One self-contained page without scripts; everything from outside is escaped."""
    document = clean(document)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Diagnosis of {escape(document['url'])}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(document['summary'])}</h1>",
        f"<p class=soft><code>{escape(document['url'])}</code> · {escape(_ceiling(document))}</p>",
    ]
    for cause in document["causes"]:
        rows = "".join(
            f"<tr><th scope=row>{escape(row['name'])}</th><td>{escape(_value(row))}</td>"
            f"<td class=soft>{escape(row['source'])}</td></tr>"
            for row in cause["evidence"]
        )
        parts.append(
            f"<section><h2><code>{escape(cause['code'])}</code> ({escape(cause['certainty'])})</h2>"
            f"<p>{escape(cause['title'])}</p><table>{rows}</table>"
            f"<p><b>Do:</b> {escape(cause['advice'])}</p><p><b>Expect:</b> {escape(cause['expect'])}</p></section>"
        )
    if document["ruled_out"]:
        rows = "".join(
            f"<tr><th scope=row><code>{escape(row['code'])}</code></th><td>{escape(row['evidence'])}</td></tr>"
            for row in document["ruled_out"]
        )
        parts.append(f"<section><h2>Ruled out</h2><table>{rows}</table></section>")
    parts += [f"<p class=soft>Note: {escape(note)}</p>" for note in document["notes"]]
    return "".join(parts) + "</main></body></html>\n"
