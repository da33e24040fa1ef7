"""What the latency figures leave out: late answers, and the gap between the printed mean and Little's law."""

from __future__ import annotations

from collections.abc import Iterable

from headwind.analysis import closed_loop
from headwind.analysis.context import Context, wrk_command
from headwind.analysis.finding import Evidence, Finding
from headwind.analysis.target import seconds_range
from headwind.words import number, seconds, share

# Above this share of late answers they are the first thing to mend: one request in a hundred.
LATE_CRITICAL_SHARE = 0.01
# Little's mean exceeds the measured one by 2 to 6 % on a healthy, fast server (time between wrk's own events);
# only beyond both of these is something missing from the figures.
GAP_FACTOR = 1.10
GAP_S = 200e-6


def late_answers(context: Context) -> Iterable[Finding]:
    """Speaks when wrk counted answers that came after its timeout: how many, and which percentiles that hides."""
    if not context.cut:
        return
    limit = seconds(context.limit_s)
    if limit == "unknown":
        return
    assumed = (
        " (wrk's default --timeout: an assumption, the text does not say it)" if context.limit_assumed else ""
    )
    known = closed_loop.last_known_percent(context.requests, context.cut)
    if known < 99:
        hidden = f"p99, and every percentile above {int(known)}, is unknown but above {limit}"
    else:
        hidden = f"every percentile above {number(int(known * 100) / 100)} is unknown but above {limit}"
    count = f"{share(context.late_share)} of the answers ({number(context.cut)})"
    yield Finding(
        "late_answers",
        "critical" if context.late_share >= LATE_CRITICAL_SHARE else "warning",
        "proved",
        f"{count} came later than {limit}{assumed}; {hidden}",
        (
            context.read("late answers", context.cut, "1", "'Socket errors' line, timeout"),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            Evidence("share of late answers", context.late_share, "share", "timeout / requests"),
            Evidence(
                "late after",
                context.limit_s,
                "s",
                "wrk's default timeout, assumed" if context.limit_assumed else "--timeout",
            ),
            Evidence("highest known percentile", known, "percent", "100 x (requests - timeout) / requests"),
        ),
        f"Measure again with --timeout well above the longest answer, so that no answer is cut out of the latency "
        f"figures; until then read no percentile above {int(known)} and no maximum from this run.",
        "The same share of answers then shows as latencies above "
        f"{limit} instead of timeouts, and the percentiles become known.",
        wrk_command(context),
        (context.index,),
    )


def mean_beside_little(context: Context) -> Iterable[Finding]:
    """Speaks when the printed mean lies clearly below what Little's law gives: something is not in the figures."""
    latency = context.run.latency
    if context.little_s is None or latency is None or latency.mean_s is None:
        return
    low, high = context.little_s
    mean = latency.mean_s
    if low <= mean * GAP_FACTOR or low - mean <= GAP_S:
        return
    evidence = [
        context.read("printed mean latency", mean, "s", "'Latency' line"),
        Evidence("mean time per request, at least", low, "s", "c x runtime / (N + c/2) (Little's law)"),
        Evidence("mean time per request, at most", high, "s", "c x runtime / N (Little's law)"),
        Evidence(
            "connections really open", context.connections, "1", "threads x floor(connections / threads)"
        ),
    ]
    why, advice = _missing_time(context, evidence)
    yield Finding(
        "mean_understated",
        "warning",
        "likely",
        f"The mean time per request is {seconds_range(low, high)} by Little's law, "
        f"not the printed {seconds(mean)}: {why}",
        tuple(evidence),
        advice,
        f"With nothing missing the printed mean agrees with Little's law within {GAP_FACTOR - 1:.0%}.",
        wrk_command(context),
        (context.index,),
    )


def _missing_time(context: Context, evidence: list[Evidence]) -> tuple[str, str]:
    """What can explain a mean below Little's range, and what to do about it."""
    errors = context.run.errors
    if context.cut:
        why = f"the {number(context.cut)} late answers are not in it"
        if context.as_measured and context.little_s and context.run.latency and context.run.latency.mean_s:
            recorded_s = context.run.latency.mean_s * (context.requests - context.cut)
            low, high = ((bound * context.requests - recorded_s) / context.cut for bound in context.little_s)
            evidence.append(
                Evidence(
                    "mean of the late answers, at least",
                    low,
                    "s",
                    "(Little's total - recorded total) / timeout",
                )
            )
            evidence.append(
                Evidence(
                    "mean of the late answers, at most",
                    high,
                    "s",
                    "(Little's total - recorded total) / timeout",
                )
            )
            why += f" (they took about {seconds_range(low, high)} each)"
        return why, "Quote the mean by Little's law, not the printed one, which covers the fast answers only."
    if errors.read or errors.connect:
        count = number((errors.read or 0) + (errors.connect or 0))
        return (
            f"{count} connection errors cost time that no latency counts",
            "Mend the connection errors first, then measure again.",
        )
    return (
        "answers that never came, reconnecting, a pause in the script (delay), a busy wrk thread or fewer live "
        "connections than asked for take time that no latency counts",
        "Find out which: watch the open connections and wrk's CPU while the run repeats, and look for delay() in "
        "the script.",
    )
