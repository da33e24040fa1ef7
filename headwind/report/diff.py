"""Runs side by side as text, Markdown and CSV: the tables of a `headwind.diff/1` document."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwind.analysis.target import seconds_range
from headwind.report import markdown, plain
from headwind.report.text import clean
from headwind.words import UNKNOWN, number, seconds, share

Row = Sequence[str]
_MARKS = {"held": "HELD", "failed": "FAILED", "not_judged": "UNJUDGED"}


def tables(document: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """(title, rows with a header) of the runs, their percentiles, and their endpoints, scenarios, groups and tags."""
    runs = document["runs"]
    yield "Runs", [_HEADER, *map(_run, runs)]
    if len(runs) > 1:
        yield f"Beside {document['baseline']}", _ratios(document["differences"])
    yield "Percentiles", _percentiles(runs)
    for kind, title in _KINDS.items():
        rows = [row for row in document["endpoints"] if row.get("kind", "endpoint") == kind]
        if rows:
            whole = [row for row in document["endpoints"] if row.get("kind") == "all"]
            yield title, _endpoints(document["runs"], kind, [*rows, *whole])


_KINDS = {"endpoint": "Endpoints", "scenario": "Scenarios", "group": "Groups", "tag": "Tagged requests"}
_HEADER = ("run", "requests", "fails", "fails %", "RPS", "late", "mean", "p50", "p99", "max")


def _run(run: Mapping[str, Any]) -> Row:
    cells = run["percentiles_s"]
    return (
        run["label"],
        number(run["requests"]),
        number(run["failed"]),
        share(run["failed_share"]),
        number(run["requests_per_s"]),
        number(run["late"]),
        _mean(run),
        _bounds(cells.get("50")),
        _bounds(cells.get("99")),
        _bounds(cells.get("100")),
    )


def _ratios(differences: Sequence[Mapping[str, Any]]) -> list[Row]:
    names = list(dict.fromkeys(name for row in differences for name, ratio in row["ratios"].items() if ratio))
    rows: list[Row] = [("run", *("max" if name == "p100" else name for name in names), "fails, points")]
    for row in differences:
        points = row["failed_share_change"]
        rows.append(
            (
                row["label"],
                *(_times(row["ratios"].get(name)) for name in names),
                UNKNOWN if points is None else f"{points * 100:+.3g}",
            )
        )
    return rows


def _percentiles(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    keys = sorted({key for run in runs for key in run["percentiles_s"]}, key=float)
    rows: list[Row] = [("percentile", *(run["label"] for run in runs))]
    rows += [
        ("max" if key == "100" else key, *(_bounds(run["percentiles_s"].get(key)) for run in runs))
        for key in keys
    ]
    return rows


def _endpoints(
    runs: Sequence[Mapping[str, Any]], kind: str, endpoints: Sequence[Mapping[str, Any]]
) -> list[Row]:
    rows: list[Row] = [(kind, "run", "requests", "fails", "RPS", "fails %", "mean")]
    for endpoint in endpoints:
        name = " ".join(filter(None, (endpoint["method"], endpoint["name"].removeprefix(f"{kind}:"))))
        for run, figures in zip(runs, endpoint["runs"], strict=True):
            if figures is None:
                rows.append((name, run["label"], *["none"] * 5))
                continue
            rows.append(
                (
                    name,
                    run["label"],
                    number(figures["requests"]),
                    number(figures["failed"]),
                    number(figures["requests_per_s"]),
                    share(figures["failed_share"]),
                    seconds(figures["mean_s"]),
                )
            )
    return rows


def _times(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"x {number(ratio)}"


def _mean(run: Mapping[str, Any]) -> str:
    """The mean as measured, or by Little's law where the printed one is not: "3.12 to 3.24 s"."""
    little = run["mean_by_littles_law_s"]
    if run["mean_s"] is not None or little is None:
        return seconds(run["mean_s"])
    return seconds_range(*little)


def _bounds(cell: Mapping[str, float | None] | None) -> str:
    """A percentile as known, as printed (with a * where that is not of all answers as measured), as a bound, or
    unknown: "213 ms", "213 ms*", "> 2 s", "1.5 to 2 s"."""
    if cell is None:
        return UNKNOWN
    low, high = cell["low"], cell["high"]
    above = low is not None and high is None
    if cell["printed"] is not None and low != high and not above:
        return f"{seconds(cell['printed'])}*"
    if low is None and high is None:
        return UNKNOWN
    if high is None:
        return f"> {seconds(low)}"
    if low is None:
        return f"< {seconds(high)}"
    return seconds(low) if low == high else f"{seconds(low)} to {seconds(high)}"


def render_text(document: Mapping[str, Any], *, width: int = 100) -> str:
    """Aligned tables under the answer, then the gates and what the runs can show."""
    lines = textwrap.wrap(clean(document["answer"]), width)
    for title, rows in tables(document):
        lines += ["", clean(title), *_aligned(rows)]
    if document["gates"]:
        lines.append("")
        lines += [f"{_MARKS[gate['outcome']]:<9} {clean(gate['reason'])}" for gate in document["gates"]]
    lines += ["", "What this shows"]
    for note in document["notes"]:
        lines += textwrap.wrap(clean(note), width, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    for row in cells:
        first, *rest = row
        padded = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join(("", f"{first:<{widths[0]}}", *padded)).rstrip()


def render_markdown(document: Mapping[str, Any]) -> str:
    """Tables for a pull request or a summary of a CI job."""
    parts = [_escaped(document["answer"]), ""]
    for title, rows in tables(document):
        header, *body = rows
        parts += [f"## {_escaped(title)}", "", _line(header), _line(["---", *["---:"] * (len(header) - 1)])]
        parts += [*map(_line, body), ""]
    if document["gates"]:
        parts += ["## Gates", ""]
        parts += [f"- **{_MARKS[gate['outcome']]}** {_escaped(gate['reason'])}" for gate in document["gates"]]
        parts.append("")
    parts += ["## What this shows", "", *(f"- {_escaped(note)}" for note in document["notes"])]
    return "\n".join(parts) + "\n"


def _line(row: Row) -> str:
    return f"| {' | '.join(cell if set(cell) <= set('-:') else _escaped(cell) for cell in row)} |"


def _escaped(text: str) -> str:
    """Text that stays text in Markdown: no tag, no table border, no emphasis or link from a label."""
    return markdown.text(clean(text))


def render_csv(document: Mapping[str, Any]) -> str:
    """One table with SI figures: a row per run, and one per endpoint and run."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = sorted({key for run in document["runs"] for key in run["percentiles_s"]}, key=float)
    figures = ("requests", "failed", "failed_share", "requests_per_s", "mean_s")
    writer.writerow(["run", "tool", "endpoint", *figures, *(f"p{key}_s" for key in keys)])
    for at, run in enumerate(document["runs"]):
        cells = [run["percentiles_s"].get(key) for key in keys]
        known = [cell["low"] if cell and cell["low"] == cell["high"] else None for cell in cells]
        writer.writerow([_cell(run["label"]), run["tool"], "all", *(run[name] for name in figures), *known])
        for endpoint in document["endpoints"]:
            row = endpoint["runs"][at]
            if row is None or endpoint["name"] == "all":
                continue
            name = " ".join(filter(None, (endpoint["method"], endpoint["name"])))
            blank = [None] * len(keys)
            writer.writerow(
                [_cell(run["label"]), run["tool"], _cell(name), *(row[key] for key in figures), *blank]
            )
    return out.getvalue()


def _cell(text: str) -> str:
    return plain.cell(clean(text))
