"""The number of requests that was asked for: met or missed, by what factor, and what would meet it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from headwind.analysis import closed_loop
from headwind.analysis.context import Context, again
from headwind.analysis.finding import Evidence, Finding
from headwind.words import counted, number, rate, seconds


def target(context: Context) -> Iterable[Finding]:
    """Speaks when a target was given and the source says how many requests were answered.

    Error answers (status > 399) do not count towards it; late ones do. An interrupted run is judged by no target.
    """
    run = context.run
    if context.target is None or run.requests is None or run.interrupted:
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
    if run.interrupted:
        return  # in its whole time it might have met the target
    yield _missed(context, answered, evidence)


def _missed(context: Context, answered: int, evidence: list[Evidence]) -> Finding:
    wanted = context.target or 0
    factor = wanted / answered if answered else None
    times = f"missed {number(factor)} times over" if factor and factor >= 2 else "missed"
    if factor and factor < 2:
        times = f"missed by {number((1 - answered / wanted) * 100)} %"
    if factor:
        evidence.append(Evidence("target / answered", factor, "1", "division of the two"))
    advice, expect = _what_meets_it(context, wanted, evidence)
    wrong = f" ({number(context.failed)} {context.failures} not counted)" if context.failed else ""
    return Finding(
        "target_missed",
        "critical",
        "proved",
        f"{number(answered)} requests{wrong}: the target of {number(wanted)} is {times}",
        tuple(evidence),
        advice,
        expect,
        again(context),
        (context.index,),
    )


def _what_meets_it(context: Context, wanted: int, evidence: list[Evidence]) -> tuple[str, str]:
    """(advice, what to expect of it): fewer errors, a higher rate asked for, or a shorter time per request."""
    run = context.run
    if context.requests >= wanted:
        return (
            f"Mend the errors first: the run got {number(context.requests)} answers, so their number would do.",
            f"With every answer a good one the target of {number(wanted)} is met.",
        )
    if run.rate_target_per_s and run.duration_s and run.rate_target_per_s * run.duration_s < wanted:
        needed_per_s = wanted / run.duration_s
        evidence.append(Evidence("rate that meets it", needed_per_s, "1/s", "target / duration"))
        return (
            f"Ask for a higher rate: {rate(run.rate_target_per_s)} for {seconds(run.duration_s)} is "
            f"{number(run.rate_target_per_s * run.duration_s)} requests, however fast the server answers.",
            f"At {rate(needed_per_s)} that the server holds, {number(wanted)} are answered in the same time.",
        )
    if context.little_s and context.connections and context.runtime_s:
        needed = closed_loop.mean_to_meet_s(context.connections, context.runtime_s, wanted)
        evidence.append(
            Evidence(
                "mean time per request that meets it", needed, "s", "c x runtime / target (Little's law)"
            )
        )
        at = counted(context.connections, "connection")
        these = "this" if context.connections == 1 else "these"
        return (
            f"Bring the mean time per request at {these} {at} from {seconds_range(*context.little_s)} down to "
            f"{seconds(needed)}, or learn first what limits the server.",
            f"A mean of {seconds(needed)} at {at} gives {number(wanted)} requests in "
            f"{seconds(context.runtime_s)} ({rate(wanted / context.runtime_s)}).",
        )
    return (
        "Load the server harder, and see whether the rate follows: the text does not say whether the load or the "
        "server set this rate.",
        "Where the rate follows, the load was the limit; where only the latency grows, the server is.",
    )


@lru_cache(maxsize=64)  # several findings about a run say the same one
def seconds_range(low: float, high: float) -> str:
    """Two durations as one range: "3.12 to 3.24 s", or one value where both print alike."""
    first, last = seconds(low), seconds(high)
    if first == last:
        return first
    amount, unit = first.split(" ")
    return f"{amount} to {last}" if last.endswith(f" {unit}") else f"{first} to {last}"
