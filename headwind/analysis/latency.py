"""What the latency figures leave out: late answers, and the gap between the printed mean and Little's law."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable

from headwind.analysis import closed_loop, percentiles
from headwind.analysis.context import PIPELINED_PER_THREAD, Context, again, quoted
from headwind.analysis.finding import Certainty, Evidence, Finding
from headwind.analysis.target import seconds_range
from headwind.words import number, rate, seconds, share

# Above this share of late answers they are the first thing to mend: one request in a hundred.
LATE_CRITICAL_SHARE = 0.01
# Little's mean exceeds the measured one by 2 to 6 % on a healthy, fast server (time between wrk's own events);
# only beyond both of these is something missing from the figures.
GAP_FACTOR = 1.10
GAP_S = 200e-6
# The part of all waiting that late answers must fill before their own mean is worth telling.
LATE_PART = 0.25


def late_answers(context: Context) -> Iterable[Finding]:
    """Speaks when wrk counted answers that came after its timeout: how many, and which percentiles that hides."""
    if context.run.histogram is not None and context.run.late:
        yield _late_as_measured(context, context.run.late)
        return
    if not context.cut:
        return
    limit = seconds(context.limit_s)
    if limit == "unknown":
        return
    assumed = " (wrk's default timeout, an assumption)" if context.limit_assumed else ""
    wrong = context.late_share
    known = closed_loop.last_known_percent(context.requests, context.cut)
    top = _percent(known)
    hidden = f"every percentile above {top} is unknown but above {limit}"
    if known < 99:
        hidden = f"p99, and every percentile above {top}, is unknown but above {limit}"
    otherwise = " If wrk ran with another --timeout, say so: `headwind explain --timeout`." if assumed else ""
    count = f"{share(wrong)} of the answers ({number(context.cut)})"
    yield Finding(
        "late_answers",
        "critical" if wrong >= LATE_CRITICAL_SHARE else "warning",
        # That they came after wrk's timeout is certain; where that was is not, unless the text or the user says.
        "likely" if context.limit_assumed else "proved",
        f"{count} came later than {limit}{assumed}; {hidden}",
        (
            context.read("late answers", context.cut, "1", "'Socket errors' line, timeout"),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            Evidence("share of late answers", wrong, "share", "timeout / requests"),
            Evidence(
                "late after",
                context.limit_s,
                "s",
                "wrk's default timeout, assumed" if context.limit_assumed else "--timeout",
            ),
            Evidence("highest known percentile", known, "percent", "100 x (requests - timeout) / requests"),
        ),
        "Measure again with --timeout well above the longest answer, so that no answer is cut out of the figures. "
        f"Until then read no percentile above {top} and no maximum from this run.{otherwise}",
        "The same share of answers then shows as latencies above "
        f"{limit} instead of timeouts, and the percentiles become known.",
        again(context),
        (context.index,),
    )


def _percent(known: float) -> str:
    """A percentile with as many digits as it needs: 78.01 -> "78", 98.948 -> "98.95", 99.99964 -> "99.9996"."""
    if abs(known - round(known)) < 0.05 and known < 99:
        return f"{known:.0f}"
    digits = max(2, 1 + math.ceil(-math.log10(max(100 - known, 1e-9))))
    return f"{known:.{digits}f}".rstrip("0").rstrip(".")


def _late_as_measured(context: Context, late: int) -> Finding:
    """Late answers of a run whose every latency is in the exact histogram, up to wrk's timeout."""
    run = context.run
    wrong = late / run.late_of()
    # By a schedule, requests that were due and never answered are late, too.
    what = "answers" if run.late_of() == context.requests else "requests that were due"
    came = "came later than" if what == "answers" else "had no answer within"
    limit = seconds(run.late_threshold_s)
    median, high = (percentiles.of(context, percent) for percent in (50.0, 99.0))
    top = f"p99 is {seconds(high.low_s)}" if high.known else f"p99 is unknown but above {seconds(high.low_s)}"
    return Finding(
        "late_answers",
        "critical" if wrong >= LATE_CRITICAL_SHARE else "warning",
        "proved",
        f"{share(wrong)} of the {what} ({number(late)}) {came} {limit}; {top}",
        (
            context.read("late answers", late, "1", "exact histogram"),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            Evidence("late after", run.late_threshold_s, "s", "--late"),
            Evidence("median", median.low_s if median.known else None, "s", "exact histogram"),
            Evidence("p99, at least", high.low_s, "s", "exact histogram"),
        ),
        "Find what delays them: the time line shows whether all connections waited at once (a pause of the whole "
        "server) "
        "or a few at any time (a slow path, a lock, a queue).",
        f"With the cause mended no answer takes longer than {limit}.",
        f"headwind diagnose --url {quoted(run.url)}",
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
        again(context),
        (context.index,),
    )


def _missing_time(context: Context, evidence: list[Evidence]) -> tuple[str, str]:
    """What can explain a mean below Little's range, and what to do about it."""
    errors = context.run.errors
    if context.cut and _late_can_explain(context):
        why = f"{_the_late(context.cut)} not in it"
        told = _mean_of_late(context)
        if told is not None:
            source = "(Little's total - recorded total) / timeout"
            evidence += (
                Evidence("mean of the late answers, at least", told[0], "s", source),
                Evidence("mean of the late answers, at most", told[1], "s", source),
            )
            why += f" (they took about {seconds_range(*told)} each)"
        return why, "Quote the mean by Little's law, not the printed one, which covers the fast answers only."
    if errors.timeout and not context.timeouts_count_answers:
        return (
            f"the {number(errors.timeout)} timeouts, whatever this wrk counts by them, are likely not in it",
            "Give the --timeout that wrk ran with, or measure again with wrk 4 and a longer one.",
        )
    if errors.read or errors.connect:
        count = number((errors.read or 0) + (errors.connect or 0))
        return (
            f"{count} connection errors cost time that no latency counts",
            "Mend the connection errors first, then measure again.",
        )
    return (
        f"{'more than the late answers can hold: ' if context.cut else ''}"
        "answers that never came, connections closed after each answer (keep-alive off), a pause in the script "
        "(delay), "
        "a busy wrk thread or fewer live connections than asked for take time that no latency counts",
        "Find out which: look for `Connection: close` in an answer and for delay() in the script, and watch the open "
        "connections and wrk's CPU while the run repeats.",
    )


def _the_late(count: int) -> str:
    return "the 1 late answer is" if count == 1 else f"the {number(count)} late answers are"


def _late_can_explain(context: Context) -> bool:
    """Whether the time that is missing fits into the late answers: none of them can take longer than the run.

    Synthetic samples in the printed mean only make the missing time look shorter than it is.
    """
    latency = context.run.latency
    if context.little_s is None or latency is None or latency.mean_s is None or context.runtime_s is None:
        return False
    missing_s = context.little_s[0] * context.requests - latency.mean_s * (context.requests - context.cut)
    # Little's law is up to a tenth high on a healthy server.
    return (
        missing_s - (1 - 1 / GAP_FACTOR) * context.little_s[0] * context.requests
        <= context.cut * context.runtime_s
    )


def _mean_of_late(context: Context) -> tuple[float, float] | None:
    """Bounds of the late answers' mean, if they alone fill the gap; None where that would be no sound figure.

    The gap must be a good part of the whole, since Little's law is a few per cent high on any server, and a late answer
    takes longer than the timeout and less than the run.
    """
    latency = context.run.latency
    if not context.as_measured or context.little_s is None or latency is None or latency.mean_s is None:
        return None
    recorded_s = latency.mean_s * (context.requests - context.cut)
    totals_s = [bound * context.requests for bound in context.little_s]
    low, high = ((total_s - recorded_s) / context.cut for total_s in totals_s)
    sound = totals_s[0] - recorded_s >= LATE_PART * totals_s[1]
    if not sound or low < (context.limit_s or 0.0) or high > (context.runtime_s or 0.0):
        return None
    return low, high


def unclear_timeouts(context: Context) -> Iterable[Finding]:
    """Speaks when wrk's timeouts cannot be answers later than 2 s: more of them than answers, or a Max above that."""
    timeouts = context.run.errors.timeout
    if not timeouts or not context.wrk or context.timeouts_count_answers or not context.requests:
        return
    top = context.run.latency.max_s if context.run.latency else None
    beside = (
        f"a Max of {seconds(top)}" if timeouts <= context.requests else f"{number(context.requests)} answers"
    )
    yield Finding(
        "timeouts_unclear",
        "warning",
        "likely",
        f"{number(timeouts)} timeouts beside {beside}: wrk ran with another --timeout, or is older than 4.0",
        (
            context.read("timeouts", timeouts, "1", "'Socket errors' line, timeout"),
            context.read("answered requests", context.requests, "1", "'requests in' line"),
            context.read("maximum latency", top, "s", "'Latency' line"),
        ),
        "Give the --timeout that wrk ran with. Before 4.0 a timeout is a connection that was found waiting, not an "
        "answer, and one slow answer can count several times; no share of answers follows from it.",
        "With the timeout known, the share of late answers and the percentiles they hide are known too.",
        f"headwind explain --timeout 10s {shlex.quote(context.source)}",
        (context.index,),
    )


def synthetic_samples(context: Context) -> Iterable[Finding]:
    """Speaks when wrk's hidden correction changed the printed figures: Max of at least 2E, or both are known."""
    run = context.run
    latency, interval = run.latency, context.interval_s
    if latency is None or latency.max_s is None or interval is None or context.little_s is None:
        return
    measured = run.histogram.mean_s() if run.histogram is not None else None
    if measured is not None and latency.mean_s is not None:
        if latency.mean_s <= measured * GAP_FACTOR or latency.mean_s - measured <= GAP_S:
            return
        yield _corrected(
            context, latency.mean_s, measured, f"the measured mean is {seconds(measured)}", "proved"
        )
        return
    # Max is printed with three digits; only clearly above 2E is a synthetic sample certain.
    if run.histogram is not None or latency.mean_s is None or latency.max_s < 2.02 * interval:
        return
    recorded = max(1, context.requests - context.cut)
    highest = context.little_s[1] * context.requests / recorded
    if latency.mean_s > highest * GAP_FACTOR and latency.mean_s - highest > GAP_S:
        yield _corrected(
            context, latency.mean_s, highest, f"as measured it is at most {seconds(highest)}", "likely"
        )


_UNLESS_PIPELINED = ", unless the script sends several requests at once (pipelining)"


def _corrected(context: Context, printed: float, measured: float, told: str, certainty: Certainty) -> Finding:
    return Finding(
        "synthetic_samples",
        "info",
        certainty,
        f"The printed mean of {seconds(printed)} holds samples that wrk made up to correct for coordinated omission; "
        f"{told}{_UNLESS_PIPELINED if certainty == 'likely' else ''}",
        (
            context.read("printed mean latency", printed, "s", "'Latency' line"),
            Evidence("mean as measured, at most", measured, "s", "exact histogram, or c x runtime / (N - T)"),
            Evidence("wrk's expected interval E", context.interval_s, "s", "runtime / (N // c)"),
            context.read(
                "maximum latency",
                context.run.latency.max_s if context.run.latency else None,
                "s",
                "'Latency' line",
            ),
        ),
        "Read the printed mean, Stdev and percentiles as wrk's estimate of what users on a schedule would have seen, "
        "not as what was measured; take the measured ones from the exact histogram.",
        "`headwind run` keeps wrk's whole histogram and takes the synthetic samples out again, exactly.",
        f"headwind run --url {quoted(context.run.url)} --connections {context.connections}",
        (context.index,),
    )


def more_than_little(context: Context) -> Iterable[Finding]:
    """Speaks when the recorded mean exceeds what the connections have time for: requests overlapped on them."""
    latency = context.run.latency
    if context.pipelined and (context.run.pipeline or 1) == 1:
        yield _faster_than_one_at_a_time(context)
        return
    if (
        context.little_s is None
        or latency is None
        or latency.mean_s is None
        or context.as_measured is not True
    ):
        return
    recorded = context.requests - context.cut
    if recorded <= 0 or context.run.histogram is not None:
        return
    highest = context.little_s[1] * context.requests / recorded
    if latency.mean_s <= highest * 1.25 or latency.mean_s - highest <= GAP_S:
        return
    yield Finding(
        "requests_overlap",
        "info",
        "likely",
        f"The printed mean of {seconds(latency.mean_s)} is {number(latency.mean_s / highest)} times what one "
        "request at "
        f"a time per connection allows ({seconds(highest)}): the script likely sends several at once (pipelining)",
        (
            context.read("printed mean latency", latency.mean_s, "s", "'Latency' line"),
            Evidence("mean with one request at a time, at most", highest, "s", "c x runtime / (N - T)"),
        ),
        "Read the latency as that of a batch of pipelined requests; browsers and most clients do not pipeline.",
        "Without pipelining the printed mean agrees with Little's law.",
        again(context),
        (context.index,),
    )


def _faster_than_one_at_a_time(context: Context) -> Finding:
    pace, threads = context.rate_per_s or 0.0, context.run.threads or 1
    return Finding(
        "requests_overlap",
        "info",
        "likely",
        f"Each wrk thread handled {rate(pace / threads)}, more than one can with one request at a time per connection: "
        "the script likely sends several at once (pipelining)",
        (
            context.read("throughput", pace, "1/s", "'Requests/sec' line"),
            context.read("threads", threads, "1", "'threads and connections' line"),
        ),
        "Read the latency as that of a batch of pipelined requests; browsers and most clients do not pipeline.",
        f"Without pipelining one thread of wrk stays below {rate(PIPELINED_PER_THREAD)}.",
        again(context),
        (context.index,),
    )
