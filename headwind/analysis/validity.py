"""Whether the run is whole and long enough for what is read from it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from headwind.analysis.context import LONGEST_BELIEVABLE_S, Context, again
from headwind.analysis.finding import Evidence, Finding
from headwind.words import number, seconds

# Below it a run holds too few of the server's own periods: garbage collections, cache fills, reloads.
SHORT_S = 10.0
# A step of the wall clock by this share of the run changes its rate visibly.
STEP_SHARE = 0.01
# The reader's warnings that tell of a clock that was set.
_CLOCK = frozenset({"impossible_duration", "slower_than_run"})
# So many answers should lie above a percentile before its figure means anything.
ANSWERS_ABOVE = 10


def unfinished(context: Context) -> Iterable[Finding]:
    """Speaks when the run was stopped early, or its text ends before the totals."""
    run = context.run
    if run.interrupted:
        yield Finding(
            "interrupted",
            "warning",
            "proved",
            "The run was stopped before its time, so no gate can be judged by it",
            (
                context.read("planned duration", run.planned_duration_s, "s", "'Running' line"),
                context.read("duration", run.duration_s, "s", "'requests in' line"),
            ),
            "Let the run go to its end.",
            "The duration then agrees with what was planned.",
            again(context),
            (context.index,),
        )
    elif not run.complete and run.requests is None:
        yield Finding(
            "text_cut",
            "warning",
            "proved",
            "The totals are not in the text: how much was answered, and what failed, is not known",
            (context.read("answered requests", None, "1", "no 'requests in' line"),),
            "Keep the tool's whole output. wrk prints nothing when it is stopped with SIGTERM: stop it with SIGINT.",
            "The text then ends with Requests/sec and Transfer/sec.",
            again(context),
            (context.index,),
        )


def clock_step(context: Context) -> Iterable[Finding]:
    """Speaks when the printed duration cannot be: wrk reads the wall clock, and it was set during the run."""
    if context.run.tool not in ("wrk", "wrk2"):
        return
    duration = context.run.duration_s
    step = context.environment.get("clock_step_s")
    stepped = duration is not None and duration >= LONGEST_BELIEVABLE_S
    if isinstance(step, int | float) and duration and abs(step) >= STEP_SHARE * duration:
        stepped = True
    warnings = context.run.warnings
    if not stepped and not (warnings and any(one.code in _CLOCK for one in warnings)):
        return
    yield Finding(
        "clock_step",
        "warning",
        "proved",
        "The clock was set while wrk ran, which times by it, so no rate or latency of this run holds",
        (
            context.read("duration", duration, "s", "'requests in' line"),
            Evidence("step of the clock", step, "s", "environment of the run"),
        ),
        "Run again with a steady clock (time synchronisation settled, no suspended machine).",
        "The duration then agrees with what was planned.",
        again(context),
        (context.index,),
    )


def short(context: Context) -> Iterable[Finding]:
    """Speaks when the run is too short, or has too few answers for the percentiles that it prints."""
    run = context.run
    duration = run.duration_s
    if duration is None or not context.requests:
        return
    few = context.requests < ANSWERS_ABOVE * 100
    if duration >= SHORT_S and not few:
        return
    enough_s = 30.0
    if few:
        enough_s = max(enough_s, math.ceil(duration * ANSWERS_ABOVE * 100 / context.requests))
    reason = f"{seconds(duration)} and {number(context.requests)} answers"
    what = (
        f"fewer than {ANSWERS_ABOVE} answers lie above p99"
        if few
        else "a slow period of the server may not be in it"
    )
    yield Finding(
        "run_short",
        "info",
        "proved",
        f"The run is short ({reason}): {what}"
        if duration < SHORT_S
        else f"The run has few answers ({reason}): {what}",
        (
            context.read("duration", duration, "s", "'requests in' line"),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            Evidence("answers above p99", context.requests / 100, "1", "requests / 100"),
        ),
        f"Measure for at least {seconds(enough_s)} before a percentile or a comparison is quoted.",
        "Rate and percentiles of repeated runs then agree more closely.",
        again(context, duration_s=max(enough_s, duration)),
        (context.index,),
    )
