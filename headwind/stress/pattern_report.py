"""The document `headwind.experiment/1` of load patterns: stages, endpoints, objectives, and when scaling pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from headwind import words
from headwind.stress.pattern_run import ALL, WHOLE, BrokenOffError, Judged, Measured, Part
from headwind.stress.pattern_scaling import verdicts
from headwind.stress.schedule import LATE_SEND_S

SCHEMA = "headwind.experiment/1"
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
        figure = "" if one.value is None else f", measured {value}"
        reason = f"{where}: {one.text} not judged{figure}: {one.why}."
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
    parts += [
        f"{part.stage}: the generator itself sent late (p99 {words.seconds(part.send_lag_p99_s)} with connections "
        "free), so its latency is not the server's alone."
        for part in whole
        if part.is_late
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
    timed = [part for part in whole if part.send_lag_p99_s is not None]
    if timed:
        late = sum(part.is_late for part in timed)
        worst_s = max(part.send_lag_p99_s or 0.0 for part in timed)
        why = f"its own send lag was at most {words.seconds(worst_s)} at p99"
        on_time = f"{len(timed) - late} of {words.counted(len(timed), 'stage')} by rate"
        rows.append(("generator on time", on_time, not late, why))
    if broken is not None:
        rows.append(("carried out", "not to its end", False, str(broken).partition("; ")[0].rstrip(".")))
    return [dict(zip(("name", "value", "good", "why"), row, strict=True)) for row in rows]


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
    if any(part.is_late for part in whole):
        notes.append(
            f"Above {words.seconds(LATE_SEND_S)} of send lag at p99 the generator's machine is too busy for latencies "
            "to be the server's: an objective of latency that they miss is not judged. Give the generator a core of "
            "its own, or lower the rate."
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
    lag = ["send lag p99"] if any(part.send_lag_p99_s is not None for part in whole) else []
    for caption, key, found in (("Stages", "stage", whole), ("Whole patterns", "stages", measured.totals)):
        rows = []
        for part in found:
            first = [part.server] if several else []
            told = ", ".join(_told(one) for one in part.judged) or "none asked"
            alike = [one for one in whole if (one.server, one.test) == (part.server, part.test)]
            name = part.stage if key == "stage" else words.number(len(alike))
            late = (
                ["no rate" if part.send_lag_p99_s is None else words.seconds(part.send_lag_p99_s)]
                if lag
                else []
            )
            rows.append([*first, part.test, name, *_figures(part), *late, told])
        columns = [*lead, "test", key, *_COUNTS, "p50", "p95", "p99", *lag, "objectives"]
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
