"""The report as Markdown, for a pull request or a CI summary, with its pictures as PNG files beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headwind import words
from headwind.report import content, reading
from headwind.report.plain import pieces
from headwind.report.tables import Table
from headwind.samples import Sample

# Each could begin markup, a link, an HTML tag or a mention somewhere inside a line.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~@#&$])")
# What GitHub and others make a link, a mention, a reference or a picture of even behind a backslash, because they look
# for it in the finished page; code alone is left as it is. Two digits between colons are a time.
_LINKED = re.compile(
    r"://|www\.|(?:mailto|xmpp):|@\w|#\d|\bgh-\d|:(?!\d\d:)[\w+\-]+:",
    re.I,
)
# At the start of a line: a list's bullet or number, a rule, an underline of a heading.
_LEADING = re.compile(r"^(\d*)([-+.)](?=\s|$)|[-=]+$)")
_SEVERITIES = {"critical": "Critical", "warning": "Warning", "info": "For information"}


def text(value: str) -> str:
    """Text that shows as itself, on one line, wherever it stands."""
    return _LEADING.sub(r"\1\\\2", text_inside(" ".join(value.split())))


def text_inside(value: str) -> str:
    """Text that shows as itself inside a line; a word that would become a link is shown as code."""
    return re.sub(r"\S+", _word, value)


def _word(found: re.Match[str]) -> str:
    return code(found[0]) if _LINKED.search(found[0]) else _SPECIAL.sub(r"\\\1", found[0])


def code(value: str) -> str:
    """A code span that shows the value as it is, backticks and pipes included."""
    line = " ".join(value.split()).replace("|", "\\|") or " "
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{padding}{line}{padding}{ticks}"


def prose(sentence: str) -> str:
    """A sentence of ours, what stands between backticks as code."""
    line = " ".join(sentence.split())
    return "".join(code(part) if is_code else text_inside(part) for is_code, part in pieces(line))


def block(value: str) -> str:
    """A fenced block that nothing inside it can close."""
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", value)), default=0) + 1)
    return f"{fence}text\n{value.rstrip()}\n{fence}"


def table(it: Table) -> str:
    """A Markdown table under its caption."""
    align = ["---", *("---:" if is_figure else "---" for is_figure in it.figures[1:])]
    rows = (it.columns, *it.rows)
    lines = [f"| {' | '.join(text(cell) for cell in row)} |" for row in rows]
    return "\n".join([f"**{text(it.caption)}**", "", lines[0], f"| {' | '.join(align)} |", *lines[1:]])


def render(
    document: Mapping[str, Any],
    *,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
    raw_text: str | None = None,
    pictures: Sequence[tuple[str, str]] = (),
) -> str:
    """The document as Markdown; `pictures` are (file name, what it shows) pairs that lie beside it."""
    said = reading.of(document, samples=samples, environment=environment, raw_text=raw_text).said
    parts = [f"# {prose(said.answer)}", code(said.title), *_trust(said), *_gates(said.gates)]
    parts += _findings("What stands out", said.first)
    if pictures:
        parts.append("## Pictures")
        parts += [f"![{text(summary)}]({name})" for name, summary in pictures]
    parts += _findings("Also found", said.further)
    if said.ruled_out:
        parts += [
            "## Ruled out",
            "\n".join(f"- {text(cause)}: {prose(why)}" for cause, why in said.ruled_out),
        ]
    parts += ["## Numbers", "\n".join(f"- {prose(note)}" for note in said.notes), *map(table, said.numbers)]
    if said.again:
        parts += ["## Run it again", block(said.again)]
    if said.environment:
        parts += ["## Versions, machine and hashes", *map(table, said.environment)]
    if said.raw_text:
        parts += ["## Raw text", block(said.raw_text)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(
    document: Mapping[str, Any],
    path: Path,
    *,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
    raw_text: str | None = None,
) -> list[Path]:
    """Write the Markdown and its PNGs beside it as `<name>-<figure>.png`; returns every file written."""
    from headwind.report.figures import figures_of  # Altair is only needed for pictures

    read = reading.of(document, samples=samples, environment=environment, raw_text=raw_text)
    written, pictures = [path], []
    for figure in figures_of(read):
        for place, (panel, png) in enumerate(zip(figure.panels, figure.pngs(), strict=True), start=1):
            number = f"-{place}" if len(figure.panels) > 1 else ""
            target = path.with_name(f"{path.stem}-{figure.slug}{number}.png")
            target.write_bytes(png)
            pictures.append((target.name, panel.summary or figure.summary))
            written.append(target)
    path.write_text(
        render(document, samples=samples, environment=environment, raw_text=raw_text, pictures=pictures),
        encoding="utf-8",
    )
    return written


def _trust(said: content.Content) -> list[str]:
    return [" · ".join(f"{text(fact.label)}: **{text(fact.value)}**" for fact in said.trust)]


def _gates(gates: Sequence[content.Gate]) -> list[str]:
    if not gates:
        return []
    rows = tuple((one.name, one.verdict, one.reason) for one in gates)
    return [table(Table("Gates", ("Gate", "Verdict", "Why"), rows))]


def _findings(title: str, findings: Sequence[content.Told]) -> list[str]:
    if not findings:
        return []
    return [f"## {title}", *(_finding(one) for one in findings)]


def _finding(told: content.Told) -> str:
    one = told.finding
    where = f" In {text(told.where)}." if told.where else ""
    lines = [
        f"### {prose(one.title)}",
        f"*{_SEVERITIES[one.severity]}, {one.certainty}.*{where} {prose(one.advice)}",
    ]
    evidence = [
        f"- {text(row.name)}: **{text(words.measured(row.value, row.unit))}** ({text(row.source)})"
        for row in one.evidence
    ]
    if evidence:
        lines.append("\n".join(evidence))
    if one.expect:
        lines.append(f"Expect: {prose(one.expect)}")
    if one.verify:
        lines.append(f"Check it: {code(one.verify)}")
    return "\n\n".join(lines)
