"""What several runs of one source say together: saturation from two loads, and how much equal runs differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headwind.analysis.context import Context, again
from headwind.analysis.finding import Evidence, Finding
from headwind.words import number, rate, share

# Throughput that changes less than this while the connections double or more did not follow them.
FLAT_SHARE = 0.10
# It followed them if it grew by at least this share of what they grew.
FOLLOWED_SHARE = 0.80
GROWN = 1.5
# Equal runs that differ by more than this are rarely equal: something else was changed between them.
SAME_SHARE = 0.30


def across(contexts: Sequence[Context]) -> list[Finding]:
    """Findings about several runs of the same URL, by the same tool, with the same threads and duration."""
    if len(contexts) < 2:
        return []
    groups: dict[tuple[object, ...], list[Context]] = {}
    for one in contexts:
        run = one.run
        clean = run.complete and not run.interrupted and one.rate_per_s and not one.status_errors
        if one.wrk and run.url and run.connections and clean and run.rate_target_per_s is None:
            groups.setdefault((one.source, run.url, run.planned_duration_s), []).append(one)
    found: list[Finding] = []
    for group in groups.values():
        found += _loads(group)
        found += _repeats(group)
    return found


def _loads(group: Sequence[Context]) -> Iterable[Finding]:
    """The lightest and the heaviest load of one URL, side by side."""
    by_load: dict[int, list[Context]] = {}
    for one in group:
        by_load.setdefault(one.connections or 0, []).append(one)
    # With several runs at one load nothing says which of them belongs to which at another.
    if len(by_load) < 2 or any(len(runs) > 1 for runs in by_load.values()):
        return
    light, heavy = by_load[min(by_load)][0], by_load[max(by_load)][0]
    few, many = light.connections or 0, heavy.connections or 0
    before, after = light.rate_per_s or 0.0, heavy.rate_per_s or 0.0
    if not few or many < GROWN * few:
        return
    evidence = (
        Evidence(f"throughput at {few} connections", before, "1/s", light.where),
        Evidence(f"throughput at {many} connections", after, "1/s", heavy.where),
    )
    runs = (light.index, heavy.index)
    if abs(after / before - 1) <= FLAT_SHARE:
        yield Finding(
            "saturated_across_loads",
            "info",
            "likely",
            f"Throughput is the same at {number(few)} and {number(many)} connections ({rate(before)} and "
            f"{rate(after)}): "
            "the server (or the generator) was saturated at both, if nothing else was changed between the runs",
            evidence,
            f"Do not go beyond {number(few)} connections: each of the {number(many)} only waits longer. Find what "
            "limits.",
            "Fewer connections give the same throughput at a lower latency.",
            again(light, connections=max(1, few // 2)),
            runs,
        )
    elif after / before - 1 >= FOLLOWED_SHARE * (many / few - 1):
        yield Finding(
            "not_saturated",
            "info",
            "likely",
            f"Throughput grew with the connections, from {rate(before)} at {number(few)} to {rate(after)} at "
            f"{number(many)}: the server was not saturated at {number(few)}, if nothing else was changed between "
            "the runs",
            evidence,
            "The ceiling is not known yet. It shows where twice the connections no longer give more throughput.",
            f"Up to the ceiling, {number(2 * many)} connections give about {rate(2 * after)}.",
            again(heavy, connections=2 * many),
            runs,
        )


def _repeats(group: Sequence[Context]) -> Iterable[Finding]:
    """Runs with the same command line: how far they differ is what chance does to a single run."""
    same: dict[tuple[object, ...], list[Context]] = {}
    for one in group:
        same.setdefault((one.run.threads, one.run.connections), []).append(one)
    for runs in same.values():
        paces = [one.rate_per_s or 0.0 for one in runs]
        spread = max(paces) / min(paces) - 1
        if len(runs) < 2 or not 0 < spread <= SAME_SHARE:
            continue
        yield Finding(
            "equal_runs_differ",
            "info",
            "possible",
            f"{len(runs)} runs with the same command line differ by {share(spread)} in throughput: if nothing was "
            "changed "
            "between them, smaller differences between single runs mean nothing",
            (
                Evidence("lowest throughput", min(paces), "1/s", runs[paces.index(min(paces))].where),
                Evidence("highest throughput", max(paces), "1/s", runs[paces.index(max(paces))].where),
            ),
            "Compare configurations by several runs of each in alternation, not by one of each.",
            "The interval of a proper comparison tells a real difference from chance.",
            "headwind compare",
            tuple(one.index for one in runs),
        )
