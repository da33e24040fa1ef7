"""The document `headwind.experiment/1` of load patterns: stages, endpoints, objectives, and when scaling pays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import special

from headwind import words
from headwind.stress.pattern_run import ALL, WHOLE, BrokenOffError, Judged, Measured, Part

SCHEMA = "headwind.experiment/1"
MARGIN = 0.03
_FEWEST_SLICES = 4
_COUNTS = ("requests", "fails", "never sent", "RPS", "fails %")


def document(
    measured: Measured,
    *,
    titles: Sequence[str],
    source: str,
    ended: str,
    seed: int,
    again: str,
    environment: Mapping[str, Any],
    planned: int = 0,
    broken: Exception | None = None,
) -> dict[str, Any]:
    """All stages that were carried out, and each whole pattern, with the objectives of both.

    `ended`: "done", "interrupted" by the user, or "broken": then the clause of `broken` says by what. `planned` is how
    many stages there were to be on all servers.
    """
    parts, totals = measured.parts, measured.totals
    whole = [part for part in parts if part.endpoint == ALL]
    servers = list(dict.fromkeys(part.server for part in whole))
    # A server that did not come to the end of a test has not shown how much it answers there.
    compared = [test for test in titles if not (isinstance(broken, BrokenOffError) and broken.test == test)]
    scaling = [line for test in compared for line in verdicts(whole, servers, test)]
    gates = [_gate(_place(part, whole), one) for part in (*whole, *totals) for one in part.judged]
    return {
        "schema": SCHEMA,
        "kind": "profile",
        "title": ", ".join(titles),
        "source": source,
        "answer": _answer(whole, scaling, gates, _ending(whole, ended, broken, planned)),
        "ended": ended,
        "gates": gates,
        "stages": [{"name": part.stage, **_plain(part)} for part in parts],
        "totals": [{"name": part.test, **_plain(part)} for part in totals],
        "scaling": scaling,
        "environment": dict(environment),
        "trust": _trust(whole, broken),
        "assumptions": [{"message": text} for text in _notes(whole, servers, seed)],
        "tables": _tables(measured, whole, servers, scaling),
        "again": again,
    }


def _plain(part: Part) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if name not in ("stage", "judged")}


def _place(part: Part, whole: Sequence[Part]) -> str:
    """What names the stage, or the whole pattern, among all that there are."""
    server = [part.server] if len({one.server for one in whole}) > 1 else []
    test = [part.test] if part.stage == WHOLE or len({one.test for one in whole}) > 1 else []
    return ", ".join((*server, *test, part.stage))


def _gate(where: str, one: Judged) -> dict[str, Any]:
    outcome = "not_judged" if one.held is None else "held" if one.held else "failed"
    value = words.measured(one.value, one.unit)
    reason = f"{where}: {one.text}, measured {value}."
    if one.value is None:
        reason = f"{where}: {one.text}, measured without limit: answers never came."
    if one.held is None:
        why = "no request was due" if one.value is None else f"it was cut short ({value} until then)"
        reason = f"{where}: {one.text} not judged, {why}."
    return {
        "gate": one.text,
        "stage": where,
        "outcome": outcome,
        "measured": one.value,
        "low": one.value,
        "high": one.value,
        "unit": one.unit,
        "reason": reason,
        "run": 0,
    }


def _answer(
    whole: Sequence[Part],
    scaling: Sequence[Mapping[str, Any]],
    gates: Sequence[Mapping[str, Any]],
    ending: str,
) -> str:
    if not whole:
        return "Interrupted before a stage was whole."
    requests, fails = sum(part.requests for part in whole), sum(part.fails for part in whole)
    parts = [ending] if ending else []
    by_time = "" if ending else " by its time"
    parts.append(
        f"{words.counted(requests, 'request')} in {words.counted(len(whole), 'stage')}, {words.number(fails)} failed."
    )
    parts += [
        f"{part.stage}: {words.number(part.unsent)} of its {words.number(part.requests)} requests were due and never "
        "sent, so they failed."
        for part in whole
        if part.unsent
    ]
    parts += [
        f"{part.stage} was cut off{by_time}: {words.number(part.wanted - part.requests)} of its "
        f"{words.number(part.wanted)} requests were never sent."
        for part in whole
        if part.wanted is not None and part.requests < part.wanted
    ]
    parts += _objectives(gates)
    parts += [str(line["says"]) for line in scaling]
    return " ".join(parts)


def _objectives(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on how many objectives failed, could not be judged, or held."""
    asked = words.counted(len(gates), "objective")
    said = []
    for outcome, verb in (("failed", "failed"), ("not_judged", "could not be judged")):
        found = [gate for gate in gates if gate["outcome"] == outcome]
        if found:
            said.append(f"{len(found)} of {asked} {verb}, first {found[0]['reason']}")
    if gates and not said:
        said.append(f"All {asked} held." if len(gates) > 1 else "The objective held.")
    return said


def _ending(whole: Sequence[Part], ended: str, broken: Exception | None, planned: int) -> str:
    """What ended it before its end; nothing where nothing did."""
    if ended == "interrupted":
        return "Interrupted; what was whole:"
    if broken is None:
        return ""
    missing = planned - len(whole)
    left = f"; {missing} of {words.counted(planned, 'stage')} were not begun" if missing > 0 else ""
    place = ""
    if isinstance(broken, BrokenOffError):
        place = " in " + ", ".join(filter(None, (broken.test, broken.stage)))
        place += f" on {broken.server}" if len({part.server for part in whole}) > 1 else ""
    # Of an error's sentence only what happened: what to do next is said on the command line.
    happened = str(broken).partition("; ")[0].rstrip(".")
    return f"Broke off{place}: {happened}{left}. What was measured:"


def _trust(whole: Sequence[Part], broken: Exception | None) -> list[dict[str, Any]]:
    due, unsent = sum(part.requests for part in whole), sum(part.unsent for part in whole)
    rows = [
        ("arrival", "by the pattern", True, "users wait for their answers; rates follow a schedule"),
        (
            "requests sent",
            f"{words.number(due - unsent)} of {words.number(due)}",
            not unsent,
            "what was due and never sent counts as failed" if unsent else "all that were due",
        ),
    ]
    if broken is not None:
        rows.append(("carried out", "not to its end", False, str(broken).partition("; ")[0].rstrip(".")))
    return [dict(zip(("name", "value", "good", "why"), row, strict=True)) for row in rows]


def verdicts(whole: Sequence[Part], servers: Sequence[str], test: str) -> list[dict[str, Any]]:
    """Each server's good answers over the first one's in the same test, from slices of time inside the runs."""
    if len(servers) < 2:
        return []
    rows = []
    for server in servers[1:]:
        first = [part for part in whole if part.test == test and part.server == servers[0]]
        other = [part for part in whole if part.test == test and part.server == server]
        if not first or not other:
            continue
        ratio, low, high = _ratio(_slices(other, first))
        says = _silent(test, server, other, servers[0], first)
        if says is None:
            if ratio is None:  # stages too short for a slice
                ratio = _good_per_s(other) / _good_per_s(first)
            says = _says(test, server, servers[0], ratio, low, high, other[-1].p95_s, first[-1].p95_s)
        rows.append(
            {
                "test": test,
                "server": server,
                "beside": servers[0],
                "ratio": ratio,
                "low": low,
                "high": high,
                "says": says,
            }
        )
    return rows


def _good_per_s(parts: Sequence[Part]) -> float:
    return sum(part.requests - part.fails for part in parts) / max(sum(part.length_s for part in parts), 1e-9)


def _silent(test: str, server: str, ours: Sequence[Part], first: str, theirs: Sequence[Part]) -> str | None:
    """What is to be said where a side answered nothing well; None where both answered."""
    good, first_good = _good_per_s(ours), _good_per_s(theirs)
    if good and first_good:
        return None
    if good:
        return f"{test}: scaling pays, {first} answered nothing well and {server} did."
    if first_good:
        return f"{test}: {server} answered nothing well and {first} did."
    return f"{test}: neither {server} nor {first} answered anything well."


def _slices(ours: Sequence[Part], theirs: Sequence[Part]) -> list[tuple[int, int]]:
    """Good answers in the same slices of the same stages: what a ramp does to both drops out of their ratio."""
    return [
        pair
        for one, other in zip(ours, theirs, strict=False)
        for pair in zip(one.slices, other.slices, strict=False)
    ]


def _ratio(pairs: Sequence[tuple[int, int]]) -> tuple[float | None, float | None, float | None]:
    """Ratio of the sums with a 95 % interval from the residuals of the pairs (Cochran 1977, section 6.4).

    All None where a side has no good answer at all; the interval is None with few slices.
    """
    a, b = np.asarray(pairs, float).reshape(-1, 2).T
    if a.sum() == 0 or b.sum() == 0:
        return None, None, None
    ratio = float(a.sum() / b.sum())
    if len(a) < _FEWEST_SLICES:
        return ratio, None, None
    residual = a - ratio * b
    error = math.sqrt(len(a) / (len(a) - 1) * float((residual**2).sum())) / float(a.sum())
    reach = float(special.stdtrit(len(a) - 1, 0.975)) * error
    return ratio, ratio * math.exp(-reach), ratio * math.exp(reach)


def _says(
    test: str,
    server: str,
    first: str,
    ratio: float,
    low: float | None,
    high: float | None,
    p95_s: float | None,
    first_p95_s: float | None,
) -> str:
    tail = f"p95 {words.seconds(p95_s)} against {words.seconds(first_p95_s)}"
    if low is None or high is None:
        return f"{test}: {server} answers {words.number(ratio)} times as much as {first}, in too short a run to judge."
    interval = f"{words.number(ratio)} times [{words.number(low)}, {words.number(high)}]"
    slower = p95_s is not None and first_p95_s is not None and p95_s < first_p95_s / (1 + MARGIN)
    if low > 1 + MARGIN:
        return f"{test}: scaling pays, {server} answers {interval} as much as {first}; {tail}."
    if high < 1 + MARGIN:
        why = "though its latency is lower" if slower else "and its latency is no lower"
        return f"{test}: scaling buys no throughput, {server} answers {interval} as much as {first}, {why}; {tail}."
    return f"{test}: not clear whether scaling pays, {server} answers {interval} as much as {first}; {tail}."


def _notes(whole: Sequence[Part], servers: Sequence[str], seed: int) -> list[str]:
    notes = [
        f"Each user is a connection of its own, opened before the pattern begins; seeds count from {seed}.",
        "A stage has the requests that became due in it, whenever they were answered.",
    ]
    if any(part.unsent for part in whole):
        notes.append(
            "A request that was due and never sent had no connection free for it before the load ended: it counts as "
            "failed and as slower than any limit, and RPS leaves it out."
        )
    if len(servers) > 1:
        notes.append(
            "The ratios rest on slices of 5 s inside one run of each server: they hold for these two runs. "
            "`headwind compare` tells whether a difference would come again."
        )
    if any(part.p99_s is not None and part.requests < 1000 for part in whole):
        notes.append("Under 1,000 requests fewer than ten lie above p99: read it as a hint.")
    return notes


def _tables(
    measured: Measured,
    whole: Sequence[Part],
    servers: Sequence[str],
    scaling: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    several = len(servers) > 1
    lead = ["server"] if several else []
    tables = []
    for caption, key, found in (("Stages", "stage", whole), ("Whole patterns", "stages", measured.totals)):
        rows = []
        for part in found:
            first = [part.server] if several else []
            told = ", ".join(_told(one) for one in part.judged) or "none asked"
            alike = [one for one in whole if (one.server, one.test) == (part.server, part.test)]
            name = part.stage if key == "stage" else words.number(len(alike))
            rows.append([*first, part.test, name, *_figures(part), told])
        columns = [*lead, "test", key, *_COUNTS, "p50", "p95", "p99", "objectives"]
        tables.append({"caption": caption, "columns": columns, "rows": rows})
    by_endpoint = _by_endpoint(measured.parts)
    if by_endpoint:
        columns = [*lead, "test", "endpoint", *_COUNTS]
        cut = [row if several else row[1:] for row in by_endpoint]
        tables.append({"caption": "Endpoints over each whole test", "columns": columns, "rows": cut})
    if scaling:
        tables.append(
            {
                "caption": "When scaling pays",
                "columns": ["test", "server", "good answers beside the first", "verdict"],
                "rows": [
                    [
                        line["test"],
                        line["server"],
                        words.number(line["ratio"]),
                        str(line["says"]).partition(": ")[2],
                    ]
                    for line in scaling
                ],
            }
        )
    return tables


def _told(one: Judged) -> str:
    """An objective with its outcome and what was measured: "p95<500ms held (12.0 ms)"."""
    outcome = "not judged" if one.held is None else "held" if one.held else "failed"
    if one.value is None:
        return f"{one.text} {outcome}" + (" (no answer)" if one.held is not None else "")
    return f"{one.text} {outcome} ({words.measured(one.value, one.unit)})"


def _figures(part: Part) -> list[str]:
    return [
        *_counts(part.requests, part.fails, part.unsent, part.length_s),
        *(_time(part, figure) for figure in (part.p50_s, part.p95_s, part.p99_s)),
    ]


def _counts(requests: int, fails: int, unsent: int, length_s: float) -> list[str]:
    """The cells of `_COUNTS`."""
    return [
        words.number(requests),
        words.number(fails),
        words.number(unsent),
        words.number((requests - unsent) / length_s if length_s else 0.0),
        words.share(fails / requests if requests else 0.0),
    ]


def _time(part: Part, figure_s: float | None) -> str:
    return "no answer" if figure_s is None and part.requests else words.seconds(figure_s)


def _by_endpoint(parts: Sequence[Part]) -> list[list[str]]:
    """Rows of (server, test, endpoint, counts); what was never sent has a row where it is for none."""
    sums: dict[tuple[str, str], dict[str, list[float]]] = {}
    for part in parts:
        of_test = sums.setdefault((part.server, part.test), {})
        row = of_test.setdefault(part.endpoint, [0, 0, 0, 0.0])
        for place, figure in enumerate((part.requests, part.fails, part.unsent, part.length_s)):
            row[place] += figure
    rows = []
    for key, of_test in sums.items():
        whole = of_test.pop(ALL, [0, 0, 0, 0.0])
        missing = whole[2] - sum(row[2] for row in of_test.values())
        if missing and of_test:
            of_test["(never sent)"] = [missing, missing, missing, whole[3]]
        for endpoint, (requests, fails, unsent, length_s) in of_test.items():
            rows.append([*key, endpoint, *_counts(int(requests), int(fails), int(unsent), length_s)])
    return rows
