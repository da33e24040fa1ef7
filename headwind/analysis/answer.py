"""The answer in one sentence, and the strip of trust under it: how far the numbers of this run can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwind.analysis import percentiles
from headwind.analysis.context import Context
from headwind.analysis.finding import Finding
from headwind.analysis.target import seconds_range
from headwind.words import counted, number, rate, seconds, share

# Runs shorter than this rest on too few of the server's own periods (garbage collection, caches, reloads).
SHORT_S = 10.0


@dataclass(frozen=True, slots=True)
class Trust:
    """One mark of the strip of trust: `good` is True, False, or None where the source does not say."""

    name: str
    value: str
    good: bool | None
    why: str

    def to_json(self) -> dict[str, str | bool | None]:
        return {"name": self.name, "value": self.value, "good": self.good, "why": self.why}


def sentence(context: Context, findings: Sequence[Finding]) -> str:
    """How much, within what, limited by what, what to change: one sentence."""
    run = context.run
    codes = {finding.code for finding in findings}
    if run.requests is None and context.rate_per_s is None:
        return (
            "The text ends before the totals, so this run says neither how much the API takes nor how fast."
            if not run.complete
            else "The text does not say how many requests were answered, so this run says not how much the API takes."
        )
    if not context.requests and run.requests is not None:
        return "Not one request was answered: see that the server is up and answers this URL at all."
    parts = [_how_much(context)]
    within = _within(context)
    if within:
        parts.append(within)
    if context.failed:
        parts.append(f"{share(context.failed / context.requests)} {context.failures}")
    return f"{', '.join(parts)}{_limited(codes)}."


def _how_much(context: Context) -> str:
    run, at = context.run, f" at {counted(context.connections, 'connection')}" if context.connections else ""
    pace = f" ({rate(context.rate_per_s)}{at})" if context.rate_per_s is not None else ""
    if context.target is not None and run.requests is not None:
        answered = run.requests - context.failed
        verdict = "met" if answered >= context.target else "missed"
        if run.interrupted:
            verdict = "not judged, the run was interrupted"
        elif verdict == "met" and run.errors.status is None:
            verdict = "not judged, how many were errors is unknown"
        if verdict == "missed" and run.interrupted:
            verdict = "not judged, the run was interrupted"
        return f"Target {verdict}: {number(answered)} of {number(context.target)} requests{pace}"
    if context.rate_per_s is None:
        return f"{number(run.requests)} requests"
    return f"{rate(context.rate_per_s)}{at}"


def _within(context: Context) -> str:
    if context.cut and context.limit_s is not None:
        return f"{share(context.late_share)} of the answers later than {seconds(context.limit_s)}"
    for percent in (99.0, 95.0, 90.0):
        bounds = percentiles.of(context, percent)
        if bounds.known:
            return f"p{percent:.0f} {seconds(bounds.low_s)}"
    latency = context.run.latency
    if (
        latency is not None
        and latency.max_s is not None
        and (not context.wrk or context.timeouts_count_answers)
    ):
        return f"every recorded answer within {seconds(latency.max_s)}"
    return f"mean {seconds_range(*context.little_s)}" if context.little_s else ""


# What limits or spoils the run, in the order in which it decides: the first that was found ends the sentence.
_LIMITS = (
    ("clock_step", "the clock was set during the run, so no rate or latency holds"),
    ("script_did_not_run", "the API did not expect these requests: see that the script runs"),
    ("every_answer_failed", "these are error pages: see what the server answers to one request"),
    ("every_request_failed", "see what the server answers to one request"),
    ("worker_restarts", "server processes ended and were replaced during the load: read the server's log"),
    ("worker_died", "server processes ended during the load: read the server's log"),
    ("generator_limited", "limited by the load generator, not by the server: give it more threads"),
    ("noisy_host", "a lower bound, since others used this machine: measure again when it is quiet"),
    (
        "generator_late",
        "latency not the server's alone, since the generator itself sent late: give it a quiet machine",
    ),
    ("no_keepalive", "each connection is closed after its answer: switch keep-alive on"),
    ("one_busy_worker", "limited by one full server process beside idle cores: add a worker"),
    (
        "thread_oversubscription",
        "limited by threads that hinder each other: hold libraries to one per worker",
    ),
    ("cpu_full", "limited by the CPU, whose cores were all busy: save CPU per request or add cores"),
    ("saturation_likely", "the server is likely saturated: find what limits it before adding connections"),
    ("load_not_delivered", "the rate asked for was not reached: lower it, or see which side was full"),
    ("periodic_stalls", "limited by a pause that comes regularly: find what runs at this interval"),
    ("stalls", "with stalls in which nothing was answered: find what pauses the server"),
    ("memory_growth", "the server's memory keeps growing: find what it keeps"),
    ("late_answers", "measure again with a longer --timeout to see how late"),
)


def _limited(codes: set[str]) -> str:
    return next((f"; {told}" for code, told in _LIMITS if code in codes), "")


def trust(context: Context) -> list[Trust]:
    """The strip of trust: whole or not, closed or scheduled, same host or not, duration, exactness."""
    run = context.run
    marks = [_validity(context), _arrival(context)]
    if run.duration_s is not None and run.duration_s < 1e7:
        short = run.duration_s < SHORT_S
        marks.append(
            Trust(
                "duration",
                seconds(run.duration_s),
                not short,
                f"shorter than {seconds(SHORT_S)}" if short else "long enough for steady figures",
            )
        )
    marks.append(_exactness(context))
    return marks


def _validity(context: Context) -> Trust:
    run = context.run
    if run.interrupted:
        return Trust("valid", "no", False, "the run was interrupted")
    if not run.complete:
        return Trust("valid", "no", False, "the text ends inside the run")
    if not context.requests:
        return Trust("valid", "no", False, "no request was answered")
    if context.generator_late:
        return Trust("valid", "no", False, "the generator itself sent late, and its lag is in the latency")
    if 2 * context.failed > context.requests:
        return Trust("valid", "no", False, f"most were {context.failures}")
    return Trust("valid", "yes", True, "the run is whole and was answered")


def _arrival(context: Context) -> Trust:
    if context.run.rate_target_per_s is not None:
        pace = rate(context.run.rate_target_per_s)
        return Trust(
            "arrival",
            f"scheduled, {pace}",
            True,
            "requests were sent by a schedule, whatever the answers did",
        )
    if context.wrk:
        return Trust(
            "arrival", "closed loop", None, "each connection waits for its answer before it asks again"
        )
    return Trust("arrival", "unknown", None, "the source does not say how requests were scheduled")


def _exactness(context: Context) -> Trust:
    if context.run.histogram is not None:
        return Trust("latency", "exact", True, "every response is in the histogram, as measured")
    if context.run.latency is None:
        return Trust("latency", "none", False, "the source gives no latencies")
    if context.cut:
        return Trust("latency", "cut off", False, f"{share(context.late_share)} of the answers are not in it")
    if context.wrk and context.as_measured is not True:
        return Trust(
            "latency", "corrected", None, "wrk may have added synthetic samples to the printed figures"
        )
    return Trust(
        "latency", "as printed", True, "nothing synthetic is in the printed figures" if context.wrk else ""
    )
