"""The registry of rules: each is one function from a context to findings, and silent where it has no evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from headwind.analysis import (
    errors,
    generator,
    goodput,
    latency,
    overtime,
    resources,
    saturation,
    tail,
    target,
    validity,
)
from headwind.analysis.context import Context
from headwind.analysis.finding import Finding, Severity

Rule = Callable[[Context], Iterable[Finding]]

# In the order in which findings of equal severity are told: what invalidates the run, what was asked for, what users
# feel, what limits, how well it was measured.
RULES: tuple[Rule, ...] = (
    errors.no_answers,
    validity.unfinished,
    validity.clock_step,
    target.target,
    resources.noise,
    errors.error_answers,
    errors.failed_requests,
    latency.late_answers,
    errors.read_errors,
    errors.connect_errors,
    errors.write_errors,
    generator.generator_full,
    generator.sent_late,
    generator.not_delivered,
    generator.no_keepalive,
    generator.cached,
    resources.resources,
    saturation.saturation,
    overtime.stalls,
    overtime.course,
    latency.mean_beside_little,
    latency.unclear_timeouts,
    tail.tail,
    tail.two_modes,
    goodput.goodput,
    latency.synthetic_samples,
    latency.more_than_little,
    overtime.idle_windows,
    validity.short,
    generator.connections_rounded,
    generator.threads_above_cores,
    generator.same_host,
)

# These speak from the monitor's samples, the environment, a time line or an exact histogram only: most texts have none.
_OF_WATCHED = (
    resources.noise,
    resources.resources,
    generator.no_keepalive,
    generator.cached,
    generator.threads_above_cores,
    overtime.stalls,
    overtime.course,
    tail.two_modes,
)
_OF_TEXT = tuple(rule for rule in RULES if rule not in _OF_WATCHED)

SEVERITY_RANK = {"critical": 0, "warning": 1, "info": 2}

_OF_A_SOUND_LOAD = frozenset(
    {
        "goodput",
        "saturation_likely",
        "mean_understated",
        "synthetic_samples",
        "requests_overlap",
        "long_tail",
        "idle_windows",
        "two_modes",
    }
)
# A finding on the left says what the ones on the right would only repeat, or takes away what they rest on.
_SAYS_ALREADY: dict[str, frozenset[str]] = {
    "no_answers": frozenset(
        {"target_missed", "run_short", "same_host", "read_errors", "connect_errors", "write_errors"}
    ),
    "interrupted": frozenset({"run_short"}),
    "clock_step": _OF_A_SOUND_LOAD | {"run_short"},
    "every_answer_failed": _OF_A_SOUND_LOAD,
    "script_did_not_run": _OF_A_SOUND_LOAD,
    "every_request_failed": _OF_A_SOUND_LOAD,
    "error_answers": frozenset({"goodput"}),
    "requests_failed": frozenset({"goodput"}),
    "late_answers": frozenset({"long_tail"}),
    "connect_errors": frozenset({"mean_understated"}),
    "read_errors": frozenset({"mean_understated"}),
    "generator_limited": frozenset({"saturation_likely", "generator_near_limit", "mean_understated"}),
    "stalls": frozenset({"idle_windows", "long_tail"}),
    "periodic_stalls": frozenset({"idle_windows", "long_tail"}),
    "one_busy_worker": frozenset({"load_uneven"}),
    "worker_restarts": frozenset({"load_uneven", "memory_growth"}),
    "cpu_full": frozenset({"generator_threads_above_cores"}),
    "noisy_host": frozenset({"cpu_full", "workers_above_cores", "drift"}),
    "no_keepalive": frozenset({"mean_understated"}),
}


def judge(context: Context) -> list[Finding]:
    """All findings about one run, what matters most first; one that only follows from another is left out."""
    rules = RULES if _is_watched(context) else _OF_TEXT
    found = [finding for rule in rules for finding in rule(context)]
    if len(found) < 2:
        return found
    return [found[at] for at in _told(tuple([(finding.code, finding.severity) for finding in found]))]


@lru_cache(maxsize=1024)  # thousands of runs differ in their figures, and few in what is found
def _told(found: tuple[tuple[str, Severity], ...]) -> list[int]:
    """Which of the findings, by code and severity, are told, in their order."""
    said = set[str]().union(*(_SAYS_ALREADY.get(code, ()) for code, _ in found))
    left = [at for at, (code, _) in enumerate(found) if code not in said]
    return sorted(left, key=lambda at: SEVERITY_RANK[found[at][1]])


def _is_watched(context: Context) -> bool:
    run = context.run
    return bool(context.samples or context.environment or run.timeline or run.histogram)
