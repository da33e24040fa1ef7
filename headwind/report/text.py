"""The document as one terminal screen: the answer first, then the figures, the gates, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from headwind.analysis.target import seconds_range
from headwind.histogram import Histogram, percentile_key
from headwind.run import Run, answered_in_time
from headwind.words import UNKNOWN, number, rate, seconds, share

# A terminal of 24 lines, with one left for the prompt that comes after.
SCREEN_LINES = 23
SHOWN_RUNS = 10
SHOWN_GATES = 4
_COLOURS = {"critical": "31", "warning": "33", "info": "36", "failed": "31", "held": "32", "not_judged": "33"}
_MARKS = {"held": "HELD", "failed": "FAILED", "not_judged": "UNJUDGED"}
_INDENT = 12

_Painter = Callable[[str, str], str]


def render(document: Mapping[str, Any], *, colour: bool = False, width: int = 80) -> str:
    """Text of at most `width` columns that ends with a newline; `colour` adds ANSI codes."""
    paint = _in_colour if colour else _plain
    runs = document["runs"]
    lines = [paint("1", line) for line in textwrap.wrap(clean(document["answer"]), width)]
    lines.append("")
    lines += _figures(runs[0], document["findings"], width) if len(runs) == 1 else _table(runs, width)
    lines += _gates(document["gates"], paint, width, many=len(runs) > 1)
    lines.append("")
    lines += _findings(document["findings"], paint, width, room=SCREEN_LINES - len(lines))
    return "\n".join(lines).rstrip("\n") + "\n"


def clean(text: str) -> str:
    """Text that cannot steer a terminal: control characters, which a hostile source may hold, become `?`."""
    return "".join(character if character.isprintable() else "?" for character in text)


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence ("4.0" ends none)."""
    return text if ". " not in text else text[: text.index(". ") + 1]


def _plain(_code: str, text: str) -> str:
    return text


def _in_colour(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if text else text


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _figures(run: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    rows = [
        ("run", clean(_describe(run))),
        ("requests", _pace(run)),
        ("failures", _failures(run)),
        ("measured", _measured(run["histogram"]))
        if run["histogram"]
        else ("printed", _latency(run["latency"], _by_littles_law(findings))),
    ]
    return [_short(f"  {name:<{_INDENT - 2}}{value}", width) for name, value in rows]


def _describe(run: Mapping[str, Any]) -> str:
    shape = [f"{number(run[key])} {key}" for key in ("threads", "connections") if run[key] is not None]
    return ", ".join((" ".join(filter(None, (run["tool"], run["url"]))), *shape))


def _pace(run: Mapping[str, Any]) -> str:
    answered, per_s, lasted = number(run["requests"]), rate(run["requests_per_s"]), seconds(run["duration_s"])
    in_time = answered_in_time(Run.from_json(run))
    if in_time is None:
        return f"{answered} in {lasted}, {per_s}"
    # A schedule's requests are counted whenever they were answered, its rate only while it lasted.
    within = "all" if in_time == run["requests"] else f"{number(in_time)} of them"
    return f"{answered} answered, {within} within the schedule's {lasted} ({per_s})"


def _by_littles_law(findings: Sequence[Mapping[str, Any]]) -> str:
    """The mean by Little's law beside a printed one that leaves time out: " (3.12 to 3.24 s by Little's law)"."""
    told = next((finding for finding in findings if finding["code"] == "mean_understated"), None)
    values = {one["name"]: one["value"] for one in told["evidence"]} if told else {}
    low, high = (values.get(f"mean time per request, at {end}") for end in ("least", "most"))
    return f" ({seconds_range(low, high)} by Little's law)" if low and high else ""


def _latency(latency: Mapping[str, Any] | None, by_law: str = "") -> str:
    if latency is None:
        return "none in the text"
    shown = {key: value for key, value in latency["percentiles_s"].items() if key in ("50", "90", "99")}
    parts = [
        f"mean {seconds(latency['mean_s'])}{by_law}",
        *(f"p{key} {seconds(value)}" for key, value in shown.items()),
    ]
    return ", ".join((*parts, f"max {seconds(latency['max_s'])}"))


def _measured(histogram: Mapping[str, Any]) -> str:
    """Latencies of the exact histogram, as measured; "unknown" where the answer of that rank was late."""
    exact = Histogram.from_json(histogram)
    parts = [f"mean {UNKNOWN if exact.late else seconds(exact.mean_s())}"]
    parts += [f"p{percentile_key(rank)} {seconds(exact.percentile_s(rank))}" for rank in (50.0, 99.0, 99.9)]
    return ", ".join((*parts, f"max {seconds(exact.percentile_s(100.0))}"))


def _late_of(run: Mapping[str, Any]) -> int:
    """`Run.late_of` of a run in JSON."""
    histogram = run["histogram"]
    timed = sum(histogram["counts"]) + histogram["late"] if histogram else 0
    return max(run["requests"] or 0, timed)


def _failures(run: Mapping[str, Any]) -> str:
    errors = run["errors"]
    late = "late answers unknown" if run["late"] is None else f"{number(run['late'])} late"
    if run["late"] and (of := _late_of(run)):
        late += f" ({share(run['late'] / of)})"
    if run["late_threshold_s"] is not None:
        late += f" over {seconds(run['late_threshold_s'])}"
    if all(count is None for count in errors.values()):
        return f"{late}, errors unknown"
    codes = {warning["code"] for warning in run["warnings"]}
    of_all_kinds = "errors_not_split" in codes and errors["connect"] is None and errors["read"] is None
    told = {
        "status": "of all kinds" if of_all_kinds else "error answers",
        "connect": "connect",
        "read": "read",
        "write": "write",
    }
    if run["late"] is None and run["tool"] not in ("wrk", "wrk2"):
        # Only wrk tells late answers from time-outs; for other tools an answer that timed out never came.
        late, told["timeout"] = "", "timed out"
    kinds = [f"{number(errors[kind])} {name}" for kind, name in told.items() if errors[kind]]
    return ", ".join(filter(None, (late, *(kinds or ["no errors"]))))


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


def _gates(gates: Sequence[Mapping[str, Any]], paint: _Painter, width: int, *, many: bool) -> Iterator[str]:
    if many and len(gates) > SHOWN_GATES:
        yield from _counted_gates(gates, paint)
        return
    if len(gates) > SHOWN_GATES:
        yield from _one_line_gates(gates, paint, width)
        return
    for gate in gates:
        run = f"run {gate['run'] + 1}: " if many else ""
        first, *rest = textwrap.wrap(clean(run + gate["reason"]), width - _INDENT)
        mark = paint(_COLOURS[gate["outcome"]], f"{_MARKS[gate['outcome']]:<{_INDENT - 2}}")
        yield f"  {mark}{first}"
        yield from (" " * _INDENT + line for line in rest)


def _one_line_gates(gates: Sequence[Mapping[str, Any]], paint: _Painter, width: int) -> Iterator[str]:
    """Every gate of one run on a line of its own: none may hide, since one of them decides the exit code."""
    for gate in gates:
        mark = paint(_COLOURS[gate["outcome"]], f"{_MARKS[gate['outcome']]:<{_INDENT - 2}}")
        yield f"  {mark}{_short(clean(gate['reason']), width - _INDENT)}"


def _counted_gates(gates: Sequence[Mapping[str, Any]], paint: _Painter) -> Iterator[str]:
    """One line per objective where there are too many runs to show each: all of them, none may hide a failure."""
    for asked in dict.fromkeys(gate["gate"] for gate in gates):
        outcomes = [gate["outcome"] for gate in gates if gate["gate"] == asked]
        worst = next(outcome for outcome in ("failed", "not_judged", "held") if outcome in outcomes)
        counts = [f"{_MARKS[name].lower()} {outcomes.count(name)}" for name in _MARKS if name in outcomes]
        mark = paint(_COLOURS[worst], f"{_MARKS[worst]:<{_INDENT - 2}}")
        yield f"  {mark}{clean(asked)}: {', '.join(counts)} of {len(outcomes)} runs"


def _findings(
    findings: Sequence[Mapping[str, Any]], paint: _Painter, width: int, *, room: int
) -> Iterator[str]:
    """Each code once, with its gravest finding and the number of other runs that have it; as many as fit into `room`
    lines, the first one always."""
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        by_code.setdefault(finding["code"], []).append(finding)
    blocks = [list(_finding(alike[0], len(alike) - 1, paint, width)) for alike in by_code.values()]
    shown = used = 0
    for at, block in enumerate(blocks):
        rest = len(blocks) - at - 1
        told = textwrap.wrap(_more(rest), width) if rest else []
        if at and used + len(block) + len(told) > room:
            break
        yield from block
        shown, used = at + 1, used + len(block)
    if shown < len(blocks):
        yield from textwrap.wrap(_more(len(blocks) - shown), width)


def _more(count: int) -> str:
    return f"{count} more finding{'s' if count > 1 else ''}; --format html, md or json shows evidence and commands."


def _finding(finding: Mapping[str, Any], others: int, paint: _Painter, width: int) -> Iterator[str]:
    head = f"{finding['severity'].upper()} ({finding['certainty']})"
    if others:
        head += f" in run {finding['runs'][0] + 1} and {others} other{'s' if others > 1 else ''}:"
    title, *rest = textwrap.wrap(clean(f"{head} {finding['title']}"), width)
    yield paint(_COLOURS[finding["severity"]], title)
    yield from rest
    advice = first_sentence(clean(finding["advice"]))
    yield from textwrap.wrap(advice, width, initial_indent="  -> ", subsequent_indent="     ")
