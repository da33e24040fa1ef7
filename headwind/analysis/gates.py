"""Gates: objectives that a run held, failed, or cannot be judged by. `p99<250ms`, `errors<0.1%`, `rps>1000`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headwind.analysis import percentiles, precision
from headwind.analysis.context import Context
from headwind.errors import Exit, UsageError
from headwind.words import number, rate, seconds, share

Outcome = Literal["held", "failed", "not_judged"]
Operator = Literal["<", "<=", ">", ">="]

_OBJECTIVE = re.compile(
    r"\s*([A-Za-z]+)([0-9]+(?:\.[0-9]+)?)?\s*(<=|>=|<|>)\s*([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([a-zA-Z%/µ]*)\s*"
)
_OPERATORS: Mapping[str, Operator] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TIME_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0}
_TIMES = ("p", "mean", "max")
_SHARES = ("errors", "late")
_RATES = ("rps", "goodput")
_HELP = "write it as p99<250ms, mean<50ms, max<2s, errors<0.1%, late<1%, rps>1000, goodput>1000 or requests>=50000"


@dataclass(frozen=True, slots=True)
class Objective:
    """What is asked: `metric` ("p99.9", "mean", "max", "errors", "late", "rps", "goodput", "requests") compared by
    `operator` with `threshold` in `unit` ("s", "share", "1/s" or "1"). `text` is as the user wrote it."""

    text: str
    metric: str
    operator: Operator
    threshold: float
    unit: str

    @property
    def upper(self) -> bool:
        """Whether the threshold bounds the figure from above."""
        return self.operator.startswith("<")

    def holds(self, value: float) -> bool:
        """Whether the figure meets the objective."""
        if self.operator == "<":
            return value < self.threshold
        if self.operator == "<=":
            return value <= self.threshold
        return value > self.threshold if self.operator == ">" else value >= self.threshold


@dataclass(frozen=True, slots=True)
class Gate:
    """One objective judged by one run. `measured` is the figure where it is known; `low` and `high` bound it where the
    source proves a bound; `reason` is one sentence."""

    objective: Objective
    outcome: Outcome
    reason: str
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    run: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "gate": self.objective.text,
            "metric": self.objective.metric,
            "operator": self.objective.operator,
            "threshold": self.objective.threshold,
            "unit": self.objective.unit,
            "outcome": self.outcome,
            "measured": self.measured,
            "low": self.low,
            "high": self.high,
            "reason": self.reason,
            "run": self.run,
        }


def parse(text: str) -> Objective:
    """An objective as written on the command line; raises UsageError where it is none."""
    match = _OBJECTIVE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no objective; {_HELP}.")
    name, percent, sign, figure, unit = match.groups()
    name = name.lower()
    if (percent is not None) != (name == "p"):
        raise UsageError(f"{text!r} names no figure that can be judged; {_HELP}.")
    if percent is not None and not 0 < float(percent) <= 100:
        raise UsageError(f"{text!r}: a percentile lies above 0 and at most at 100.")
    metric = f"{name}{percent or ''}"
    threshold, threshold_unit = _threshold(text, f"{metric}{sign}", name, figure, unit)
    return Objective(text.strip(), metric, _OPERATORS[sign], threshold, threshold_unit)


def _threshold(text: str, asked: str, name: str, figure: str, unit: str) -> tuple[float, str]:
    """The threshold in SI and its unit; raises UsageError where the unit does not fit the figure asked for."""
    value = float(figure.replace("_", "").replace(",", ""))
    if name in _TIMES:
        if unit not in _TIME_UNITS:
            raise UsageError(f"{text!r} needs a unit of time (us, ms, s, min), as in {asked}{figure}ms.")
        return value * _TIME_UNITS[unit], "s"
    if name in _SHARES:
        if unit not in ("%", ""):
            raise UsageError(f"{text!r} is a share: give it in per cent, as in {asked}0.1%.")
        if unit == "" and value > 1:
            raise UsageError(f"{text!r}: a share lies between 0 and 1; did you mean {asked}{figure}%?")
        return (value / 100 if unit else value), "share"
    if name in _RATES:
        if unit not in ("", "/s"):
            raise UsageError(f"{text!r} is a rate per second: give a bare number, as in {asked}{figure}.")
        return value, "1/s"
    if name == "requests" and not unit:
        return value, "1"
    raise UsageError(f"{text!r} names no figure that can be judged; {_HELP}.")


def target(requests: int) -> Objective:
    """The objective of `--target`: at least so many requests answered without an error status."""
    return Objective(f"target {number(requests)}", "requests", ">=", float(requests), "1")


def objectives_from(data: object, source: str) -> list[Objective]:
    """Objectives of a parsed YAML or JSON file: `slo: [p99<250ms, ...]` and `target: 50000`, or a bare list."""
    if isinstance(data, Mapping):
        unknown = set(data) - {"slo", "target"}
        if unknown:
            names = ", ".join(sorted(map(str, unknown)))
            raise UsageError(
                f"{source} has the unknown key {names}; it takes `slo:` (a list) and `target:` (a number)."
            )
        slo, wanted = data.get("slo") or [], data.get("target")
    else:
        slo, wanted = data, None
    if isinstance(slo, str):
        slo = [slo]
    if not isinstance(slo, Sequence) or not all(isinstance(row, str) for row in slo):
        raise UsageError(f"{source} must hold a list of objectives under `slo:`; {_HELP}.")
    if wanted is not None and (not isinstance(wanted, int) or isinstance(wanted, bool) or wanted <= 0):
        raise UsageError(f"{source}: `target:` takes a whole number of requests above 0.")
    parsed = [parse(row) for row in slo]
    return [*([target(wanted)] if wanted is not None else []), *parsed]


def judge(context: Context, objectives: Iterable[Objective]) -> list[Gate]:
    """Every objective judged by one run."""
    return [_judge(context, objective) for objective in objectives]


def exit_code(outcomes: Iterable[str]) -> Exit:
    """3 where any gate failed, else 4 where any could not be judged, else 0."""
    found = set(outcomes)
    if "failed" in found:
        return Exit.GATE_FAILED
    return Exit.GATE_NOT_JUDGED if "not_judged" in found else Exit.DONE


def _judge(context: Context, objective: Objective) -> Gate:
    run = context.run
    if run.interrupted:
        return _not_judged(context, objective, "the run was interrupted; let it run to its end")
    if (
        run.requests == 0
        and run.complete
        and objective.metric not in ("errors", "requests", "rps", "goodput")
    ):
        return _not_judged(context, objective, "the run has no answered request, so it measured nothing")
    if 2 * context.failed > context.requests > 0 and objective.metric not in (
        "errors",
        "requests",
        "goodput",
    ):
        wrong = share(context.failed / context.requests)
        why = f"{wrong} of the answers were errors, and it would judge error pages"
        if context.failed > context.status_errors:
            why = f"{wrong} of the requests failed, and it would judge failures"
        return _not_judged(context, objective, why)
    low, high, reason = bounds(context, objective)
    if context.generator_late and objective.unit == "s":
        # The generator's own lag is in the figure: the server's is at most that, and may be anything below.
        low, reason = 0.0, f"{reason}; the generator itself sent late, which is in it"
    certain_low, certain_high = objective.holds(low), objective.holds(high)
    known = low == high
    outcome: Outcome = "not_judged"
    if certain_low == certain_high:
        outcome = "held" if certain_low else "failed"
    return Gate(
        objective,
        outcome,
        _sentence(objective, low, high, reason),
        measured=low if known else None,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        run=context.index,
    )


def _not_judged(context: Context, objective: Objective, why: str) -> Gate:
    return Gate(objective, "not_judged", f"{objective.text}: not judged, {why}.", run=context.index)


def _sentence(objective: Objective, low: float, high: float, reason: str) -> str:
    words = {"s": seconds, "share": share, "1/s": rate, "1": number}[objective.unit]
    name = "error rate" if objective.metric == "errors" else objective.metric
    if low == high:
        figure = f"{name} is {words(low)}"
    elif math.isinf(high):
        figure = f"{name} is unknown, but at least {words(low)}" if low > 0 else f"{name} is unknown"
    else:
        figure = f"{name} lies between {words(low)} and {words(high)}"
    return f"{objective.text}: {figure} ({reason})."


def bounds(context: Context, objective: Objective) -> tuple[float, float, str]:
    """What the run proves about the figure: at least, at most, and where that was read."""
    metric, run = objective.metric, context.run
    if metric == "rps":
        if run.requests_per_s is None:
            return 0.0, math.inf, "the text has no Requests/sec"
        return run.requests_per_s, run.requests_per_s, "as printed"
    if metric == "requests":
        if run.requests is None:
            return 0.0, math.inf, "the text has no number of requests"
        good = float(run.requests - context.failed)
        if run.errors.status is None:
            return 0.0, good, "the text does not say how many of them were errors"
        return good, good, "answered without an error status"
    if metric == "goodput":
        if context.good is None or not context.runtime_s:
            return 0.0, math.inf, "the text has no totals"
        low, high = context.good
        if run.errors.status is None:
            return 0.0, high / context.runtime_s, "the text does not say how many answers were errors"
        return low / context.runtime_s, high / context.runtime_s, "neither error nor late, per second"
    if metric == "errors":
        return _error_share(context)
    if metric == "late":
        return _late_share(context)
    if metric == "mean":
        return _mean(context)
    percentile = metric != "max"
    found = percentiles.of(context, float(metric[1:]) if percentile else 100.0)
    if run.histogram is not None or context.wrk:
        return found.low_s, found.high_s, found.source
    least, _, why = precision.within(run, found.low_s, percentile=percentile)
    _, most, _ = precision.within(run, found.high_s, percentile=percentile)
    return least, most, f"{found.source}, {why}" if why else found.source


def _error_share(context: Context) -> tuple[float, float, str]:
    """(status + late + read + connect) / (requests + read + connect); write errors count attempts, not requests."""
    run, errors = context.run, context.run.errors
    if run.requests is None:
        return 0.0, math.inf, "the text has no number of requests"
    read, connect = errors.read or 0, errors.connect or 0
    late = run.late if run.late is not None or run.tool == "wrk2" else errors.timeout
    known = (errors.status or 0) + (late or 0) + read + connect
    tried = run.tried() or 0
    if not tried:
        return (1.0, 1.0, "nothing but errors") if known else (0.0, math.inf, "no request was answered")
    # An old wrk can count one slow answer as several timeouts.
    figure = min(1.0, known / tried)
    kinds = (errors.status, errors.read, errors.connect, late)
    if all(kind is None for kind in kinds) or (context.wrk and None in kinds):
        return figure, math.inf, "the text does not give every kind of error"
    return figure, figure, "(status + late + read + connect) / (requests + read + connect)"


def _late_share(context: Context) -> tuple[float, float, str]:
    run = context.run
    if run.late is None or not run.late_of():
        return 0.0, math.inf, "the source does not count late answers"
    figure = run.late / run.late_of()
    limit = f" than {seconds(run.late_threshold_s)}" if run.late_threshold_s is not None else ""
    return figure, figure, f"answers later{limit} / requests"


def _mean(context: Context) -> tuple[float, float, str]:
    """The mean as measured: exact from a histogram without late answers; late ones raise it by at least the limit."""
    run = context.run
    if run.histogram is not None and run.histogram.recorded:
        mean = run.histogram.mean_s() or 0.0
        late, total = run.histogram.late, run.histogram.total
        if not late:
            return mean, mean, "exact histogram"
        least = (mean * run.histogram.recorded + (run.histogram.limit_us or 0) / 1e6 * late) / total
        return least, math.inf, "late answers are only known to be above the timeout"
    if run.latency is None or run.latency.mean_s is None:
        return 0.0, math.inf, "the source gives no mean latency"
    if not context.wrk:
        if run.given_up():
            # They waited longer than anything in the mean, so they only raise it.
            return run.latency.mean_s, math.inf, "it leaves out the requests given up at their time-out"
        return run.latency.mean_s, run.latency.mean_s, "as printed"
    if run.errors.timeout is None or (run.errors.timeout and not context.timeouts_count_answers):
        return 0.0, math.inf, "how many answers the printed mean leaves out is not known"
    if context.as_measured is not True:
        top = run.latency.max_s
        high = top if top is not None and not context.cut else math.inf
        return 0.0, high, "the printed mean may hold wrk's synthetic samples"
    if context.cut:
        recorded = context.requests - context.cut
        least = (run.latency.mean_s * recorded + (context.limit_s or 0.0) * context.cut) / context.requests
        return least, math.inf, "late answers are only known to be above the timeout"
    return run.latency.mean_s, run.latency.mean_s, "as printed; nothing synthetic is in it"
