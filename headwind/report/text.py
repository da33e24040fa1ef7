"""The document as one terminal screen: the answer first, then the gates, the figures, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwind.words import UNKNOWN, number, rate, seconds, share

SHOWN_FINDINGS = 4
SHOWN_RUNS = 12
_COLOURS = {"critical": "31", "warning": "33", "info": "36", "failed": "31", "held": "32", "not_judged": "33"}


def render(document: Mapping[str, Any], *, colour: bool = False, width: int = 80) -> str:
    """Text of at most `width` columns that ends with a newline; `colour` adds ANSI codes."""
    paint = _painter(colour)
    lines = [paint("1", line) for line in textwrap.wrap(clean(document["answer"]), width)]
    runs = document["runs"]
    lines.append("")
    lines += _figures(runs[0], document, width) if len(runs) == 1 else _table(runs, width)
    lines += _gates(document["gates"], paint, width, many=len(runs) > 1)
    lines += _findings(document["findings"], paint, width)
    for row in document.get("assumptions", ())[:1]:
        lines += ["", *textwrap.wrap(f"Assumed: {row['message']}", width)]
    return "\n".join(lines) + "\n"


def clean(text: str) -> str:
    """Text that cannot steer a terminal: control characters, which a hostile source may hold, become `?`."""
    return "".join(character if character.isprintable() else "?" for character in text)


class _painter:
    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def _figures(run: Mapping[str, Any], document: Mapping[str, Any], width: int) -> list[str]:
    latency = run["latency"] or {}
    rows = [
        ("run", clean(_describe(run))),
        (
            "requests",
            f"{number(run['requests'])} in {seconds(run['duration_s'])}, {rate(run['requests_per_s'])}",
        ),
        ("latency", _latency(latency)),
        ("late, failed", _failures(run)),
    ]
    return [f"  {name:<13}{value}"[:width] for name, value in rows if value]


def _describe(run: Mapping[str, Any]) -> str:
    shape = ", ".join(
        f"{number(run[key])} {key}" for key in ("threads", "connections") if run.get(key) is not None
    )
    return " ".join(part for part in (run["tool"], run["url"] or "", f"({shape})" if shape else "") if part)


def _latency(latency: Mapping[str, Any]) -> str:
    if not latency:
        return "no latency in the text"
    parts = [f"mean {seconds(latency['mean_s'])}"]
    parts += [
        f"p{key} {seconds(value)}"
        for key, value in latency["percentiles_s"].items()
        if key in ("50", "90", "99")
    ]
    parts.append(f"max {seconds(latency['max_s'])}")
    return "printed " + ", ".join(parts)


def _failures(run: Mapping[str, Any]) -> str:
    errors, requests = run["errors"], run["requests"]
    late = UNKNOWN if run["late"] is None else number(run["late"])
    if run["late"] and requests:
        late += f" ({share(run['late'] / requests)})"
    if run["late_threshold_s"] is not None:
        late += f" over {seconds(run['late_threshold_s'])}"
    kinds = [f"{kind} {number(count)}" for kind, count in errors.items() if count and kind != "timeout"]
    if all(count is None for count in errors.values()):
        return f"late {late}; errors unknown"
    return f"late {late}; {', '.join(kinds) if kinds else 'no other errors'}"


def _table(runs: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    lines = [f"  {'run':<34}{'requests':>11}{'per s':>12}{'mean':>10}{'late':>9}"[:width]]
    for run in runs[:SHOWN_RUNS]:
        place = f"{run['lines'][0]}: " if run["lines"] else ""
        name = clean(f"{place}{run['url'] or run['tool']}")
        mean = seconds(run["latency"]["mean_s"]) if run["latency"] else UNKNOWN
        late = UNKNOWN if run["late"] is None else number(run["late"])
        counted = f"{number(run['requests']):>11}{number(run['requests_per_s']):>12}"
        lines.append(f"  {_short(name, 33):<34}{counted}{mean:>10}{late:>9}"[:width])
    if len(runs) > SHOWN_RUNS:
        lines.append(f"  and {len(runs) - SHOWN_RUNS} more; --format html or json shows all of them")
    return lines


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 3] + "..."


def _gates(gates: Sequence[Mapping[str, Any]], paint: _painter, width: int, *, many: bool) -> list[str]:
    if not gates:
        return []
    lines = [""]
    for gate in gates[:SHOWN_RUNS]:
        mark = {"held": "HELD  ", "failed": "FAILED", "not_judged": "?     "}[gate["outcome"]]
        run = f"run {gate['run'] + 1}: " if many else ""
        wrapped = textwrap.wrap(clean(run + gate["reason"]), width - 9)
        lines.append(f"  {paint(_COLOURS[gate['outcome']], mark)} {wrapped[0]}")
        lines += [f"{'':9}{line}" for line in wrapped[1:]]
    if len(gates) > SHOWN_RUNS:
        lines.append(f"  and {len(gates) - SHOWN_RUNS} more gates")
    return lines


def _findings(findings: Sequence[Mapping[str, Any]], paint: _painter, width: int) -> Iterator[str]:
    for finding in findings[:SHOWN_FINDINGS]:
        yield ""
        head = f"{finding['severity'].upper()} ({finding['certainty']})"
        title = textwrap.wrap(clean(f"{head} {finding['title']}"), width)
        yield paint(_COLOURS[finding["severity"]], title[0])
        yield from title[1:]
        yield from textwrap.wrap(
            clean(finding["advice"]), width, initial_indent="  -> ", subsequent_indent="     "
        )
    if len(findings) > SHOWN_FINDINGS:
        yield ""
        yield f"{len(findings) - SHOWN_FINDINGS} more findings; --format html or json shows all of them."
