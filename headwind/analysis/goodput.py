"""Goodput: answers that were neither errors nor late, as far as the counters can bound them."""

from __future__ import annotations

from collections.abc import Iterable

from headwind.analysis.context import Context, again
from headwind.analysis.finding import Evidence, Finding
from headwind.words import number, rate

# Where at least this share was certainly good, Requests/sec says the same.
WORTH_SAYING = 0.99


def goodput(context: Context) -> Iterable[Finding]:
    """Speaks when some answers were late or errors, and some were good."""
    if not (context.cut or context.status_errors) or context.good is None or not context.runtime_s:
        return
    if context.limit_s is None and context.cut:
        return
    low, high = context.good
    if not high or low >= WORTH_SAYING * context.requests:
        return
    exact = low == high
    answers = number(low) if exact else f"{number(low)} to {number(high)}"
    pace = rate(low / context.runtime_s)
    if not exact and (highest := rate(high / context.runtime_s)) != pace:
        pace = f"{pace} to {highest}"
    why = "" if exact else ": an answer can be late and an error, and is counted as both"
    yield Finding(
        "goodput",
        "info",
        "proved",
        f"{answers} of {number(context.requests)} answers were good (in time, no error), {pace}{why}",
        (
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            context.read("late answers", context.cut, "1", "'Socket errors' line, timeout"),
            context.read(
                "answers with an error status", context.status_errors, "1", "'Non-2xx or 3xx responses' line"
            ),
            Evidence("good answers, at least", low, "1", "requests - status - timeout"),
            Evidence("good answers, at most", high, "1", "requests - max(status, timeout)"),
        ),
        "Quote the goodput, not Requests/sec, when this run is compared or a capacity is planned.",
        "Without errors and late answers goodput and Requests/sec are the same.",
        again(context),
        (context.index,),
    )
