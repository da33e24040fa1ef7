"""The number of requests that was asked for: met or missed, by what factor, and what would meet it."""

from __future__ import annotations

from collections.abc import Iterable

from headwind.analysis import closed_loop
from headwind.analysis.context import Context, again
from headwind.analysis.finding import Evidence, Finding
from headwind.words import number, rate, seconds


def target(context: Context) -> Iterable[Finding]:
    """Speaks when a target was given and the source says how many requests were answered.

    Error answers (status > 399) do not count towards it; late ones do.
    """
    run = context.run
    if context.target is None or run.requests is None:
        return
    answered = run.requests - context.failed
    evidence = [
        context.read("answered requests", run.requests, "1", "'requests in' line"),
        Evidence("target", context.target, "1", "--target"),
    ]
    unanswered = context.failed - context.status_errors
    if unanswered:
        evidence.append(context.read("requests without an answer", unanswered, "1", ""))
    if context.status_errors:
        evidence.append(
            context.read(
                "answers with an error status", context.status_errors, "1", "'Non-2xx or 3xx responses' line"
            )
        )
    over = f" in {seconds(run.duration_s)}" if run.duration_s and run.duration_s < 1e7 else ""
    if answered >= context.target and run.errors.status is None:
        return  # how many of them were errors is not known
    if answered >= context.target:
        yield Finding(
            "target_met",
            "info",
            "proved",
            f"{number(answered)} requests{over} meet the target of {number(context.target)}",
            tuple(evidence),
            "Nothing has to change for this target.",
            "The target holds again in a repeated run; one run does not show how much it varies.",
            again(context),
            (context.index,),
        )
        return
    yield _missed(context, answered, over, evidence)


def _missed(context: Context, answered: int, over: str, evidence: list[Evidence]) -> Finding:
    wanted = context.target or 0
    factor = wanted / answered if answered else None
    times = f"missed {number(factor)} times over" if factor and factor >= 2 else "missed"
    if factor and factor < 2:
        times = f"missed by {number((1 - answered / wanted) * 100)} %"
    if factor:
        evidence.append(Evidence("target / answered", factor, "1", "division of the two"))
    advice = "Make the server answer faster; the run is too slow for this target as it is."
    expect = f"At least {number(wanted)} answers in the same time."
    if context.little_s and context.connections and context.runtime_s:
        needed = closed_loop.mean_to_meet_s(context.connections, context.runtime_s, wanted)
        low, high = context.little_s
        evidence.append(
            Evidence(
                "mean time per request that meets it", needed, "s", "c x runtime / target (Little's law)"
            )
        )
        advice = (
            f"Bring the mean time per request at these {context.connections} connections from "
            f"{seconds_range(low, high)} down to {seconds(needed)}, or learn first what limits the server."
        )
        expect = (
            f"A mean of {seconds(needed)} at {context.connections} connections gives "
            f"{number(wanted)} requests in {seconds(context.runtime_s)} ({rate(wanted / context.runtime_s)})."
        )
    what = "failed requests" if context.failed > context.status_errors else "error answers"
    wrong = f" ({number(context.failed)} {what} not counted)" if context.failed else ""
    return Finding(
        "target_missed",
        "critical",
        "proved",
        f"{number(answered)} requests{over}{wrong}: the target of {number(wanted)} is {times}",
        tuple(evidence),
        advice,
        expect,
        again(context),
        (context.index,),
    )


def seconds_range(low: float, high: float) -> str:
    """Two durations as one range: "3.12 to 3.24 s", or one value where both print alike."""
    first, last = seconds(low), seconds(high)
    if first == last:
        return first
    amount, unit = first.split(" ")
    return f"{amount} to {last}" if last.endswith(f" {unit}") else f"{first} to {last}"
