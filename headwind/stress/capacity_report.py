"""The document `headwind.experiment/1` of a capacity search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwind import words
from headwind.statistics.bisection import BisectionState
from headwind.statistics.queueing import closed_loop_bound_per_s
from headwind.statistics.trend import LEVEL
from headwind.stress.schedule import EXACT_LIMIT_PER_S, LATE_SEND_S
from headwind.stress.step import NEAR_S, USERS_SHARES, StepFigures

SCHEMA = "headwind.experiment/1"
_BUSY_SHARE = 0.5
FEW_ANSWERS = 4000  # below, the p99 of a step rests on fewer than 40 of them, which come in bursts
_SAME_RATE = 0.02
RISING = 1.7  # of the last doubling of connections: 2 where nothing of the server is full, 1 at its ceiling
_NO_CEILING = (
    "No ceiling was reached: more connections still gave as many more answers at the end of the closed loop, so what "
    "was full were the connections and not the server; measure again with a larger --connections."
)
_WIDE = 1.25  # of an interval: the larger end over the smaller


def document(
    *,
    objectives: Sequence[str],
    limit_s: float | None,
    figures: Sequence[StepFigures],
    ladder: Sequence[Mapping[str, float]],
    ceiling_per_s: float | None,
    service_s: float | None,
    state: BisectionState | None,
    ended: str,
    connections: int,
    seed: int,
    again: str,
    environment: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that is known at the end of a search, or where it was interrupted."""
    objective = " and ".join(objectives)
    users = [_nearest(figures, share * ceiling_per_s) for share in USERS_SHARES] if ceiling_per_s else []
    found = state.estimate_per_s if state and ended not in ("interrupted", "broken") else None
    return {
        "schema": SCHEMA,
        "kind": "capacity",
        "title": f"Capacity for {objective}",
        "source": again,
        "answer": _answer(objective, figures, state, ended, ceiling_per_s, users, still_rising(ladder)),
        "ended": ended,
        "objective": objective,
        "objective_s": limit_s,
        "capacity_per_s": found,
        "capacity_low_per_s": state.low_per_s if state else None,
        "capacity_high_per_s": state.high_per_s if state else None,
        "ceiling_per_s": ceiling_per_s,
        "steps": [_step(one) for one in figures],
        "ladder": {
            "points": list(ladder),
            "service_s": service_s,
            "think_s": 0.0,
            "ceiling_per_s": ceiling_per_s,
        },
        "environment": dict(environment),
        "trust": [*_trust(figures, state), *_ceiling_trust(ladder)],
        "assumptions": [{"message": text} for text in _notes(figures, connections, seed)],
        "tables": _tables(figures, users, ladder, ceiling_per_s, service_s),
        "again": again,
    }


def _step(one: StepFigures) -> dict[str, Any]:
    return {**one.to_json(), "held": one.held and not one.growing}


def _nearest(figures: Sequence[StepFigures], rate: float) -> StepFigures | None:
    near = [one for one in figures if abs(one.rate_per_s / rate - 1) < _SAME_RATE]
    return max(near, key=lambda one: one.length_s, default=None)


def _answer(
    objective: str,
    figures: Sequence[StepFigures],
    state: BisectionState | None,
    ended: str,
    ceiling_per_s: float | None,
    users: Sequence[StepFigures | None],
    rising: bool,
) -> str:
    if ended == "broken":
        last = f" after {words.rate(figures[-1].rate_per_s)} was offered" if figures else ""
        return f"The search for {objective} broke off{last}: the next load could not be carried out."
    if state is None or ended == "interrupted":
        return f"Interrupted before the capacity for {objective} was found."
    if state.below_bottom:
        return f"{objective} is not held at any rate: it failed at {words.rate(state.high_per_s)} already."
    parts = []
    if state.reached_top:
        parts.append(
            f"{objective} holds up to {words.rate(state.low_per_s)} and beyond: nothing offered broke it."
        )
    elif state.estimate_per_s is None:
        tried = "every step so far failed" if state.high_per_s else "no step fitted the time budget"
        parts.append(f"The capacity for {objective} is not found: {tried}.")
    else:
        interval = f"[{words.number(state.low_per_s)}, {words.number(state.high_per_s)}]"
        if state.high_per_s is None:
            parts.append(
                f"{objective} holds at {words.rate(state.low_per_s)}; the time was too short to find more."
            )
        else:
            parts.append(_found(objective, state, interval))
        if ceiling_per_s:
            share = words.share(state.estimate_per_s / ceiling_per_s)
            ceiling = "the most that the closed loop took," if rising else "the closed loop's ceiling of"
            parts.append(f"That is {share} of {ceiling} {words.rate(ceiling_per_s)}.")
    if rising:
        parts.append(_NO_CEILING)
    felt = [
        f"{words.seconds(one.p99_s)} at {share:.0%}"
        for one, share in zip(users, USERS_SHARES, strict=False)
        if one is not None
    ]
    if felt:
        whole = "that most" if rising else "the ceiling"
        parts.append(f"Users see a p99 of {', '.join(felt)} of {whole}.")
    if ended == "budget" and not state.reached_top:
        known = " with both sides confirmed" if state.confirmed else ""
        parts.append(f"The time budget ended the search{known}: a larger --budget narrows the interval.")
    return " ".join(parts)


def still_rising(ladder: Sequence[Mapping[str, float]]) -> bool:
    """Whether the closed loop's last rung gave what its connections did: a delay, with nothing of the server full.

    A doubling that gives more than RISING times as many answers; in proportion where the last rung is no doubling.
    """
    if len(ladder) < 2 or not ladder[-2]["rate_per_s"]:
        return False
    last, now = ladder[-2:]
    more = now["connections"] / last["connections"]
    return more > 1 and now["rate_per_s"] / last["rate_per_s"] > RISING * more / 2


def _ceiling_trust(ladder: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """A warning where the ladder ended before the server was full; nothing else."""
    if not still_rising(ladder):
        return []
    most = words.counted(int(ladder[-1]["connections"]), "connection")
    return [{"name": "ceiling", "value": f"not reached at {most}", "good": False, "why": _NO_CEILING}]


def _found(objective: str, state: BisectionState, interval: str) -> str:
    """A wide interval is no rate with a blur: only its ends are known."""
    low, high, estimate = state.low_per_s, state.high_per_s, words.rate(state.estimate_per_s)
    if not low or not high or high / low <= _WIDE:
        return f"{objective} holds up to {estimate} {interval} of Poisson arrivals."
    return (
        f"{objective} breaks between {words.rate(low)} and {words.rate(high)} of Poisson arrivals (90 %), likeliest "
        f"near {estimate}: the steps had too few requests over the limit to tell more."
    )


def _trust(figures: Sequence[StepFigures], state: BisectionState | None) -> list[dict[str, Any]]:
    late = [one for one in figures if one.send_lag_s is not None and one.send_lag_s > LATE_SEND_S]
    worst = max((one.send_lag_s or 0.0 for one in figures), default=0.0)
    confirmed = state is not None and state.confirmed
    return [
        {
            "name": "arrival",
            "value": "Poisson",
            "good": True,
            "why": "requests came by a schedule, whatever the answers did",
        },
        {
            "name": "generator on time",
            "value": f"{len(figures) - len(late)} of {len(figures)} steps",
            "good": not late,
            "why": f"its own send lag was at most {words.seconds(worst)} at p99",
        },
        {
            "name": "both sides confirmed",
            "value": "yes" if confirmed else "no",
            "good": confirmed,
            "why": "a step at or below the interval held and one at or above it failed, both within 10 %"
            if confirmed
            else "no step at or below the interval and within 10 % held, or none above it failed",
        },
    ]


def _notes(figures: Sequence[StepFigures], connections: int, seed: int) -> list[str]:
    notes = [
        "A step is judged after its first fifth, and holds only if what is in flight shows no upward trend "
        f"(Mann-Kendall at {LEVEL:.0%}); a trend first gets a longer step. The interval is the 90 % one of "
        "probabilistic bisection, which weighs how many requests of each step were over the limit and how much they "
        "come in bursts; where a queue settles slowly, its waits against theory. Schedules have the seeds from "
        f"{seed} on.",
    ]
    if any(one.rate_per_s > EXACT_LIMIT_PER_S for one in figures):
        notes.append(
            f"Above {EXACT_LIMIT_PER_S:,.0f}/s latency is the sum of latency from the send and the send's lag behind "
            "its due time, each at the same percentile: an upper bound."
        )
    fewest = min((one.answers for one in figures if one.length_s >= NEAR_S), default=None)
    if fewest is not None and fewest < FEW_ANSWERS:
        notes.append(
            f"A step near the capacity had {words.number(fewest)} answers: a p99 rests on the slowest hundredth of "
            "them, and the interval is as wide as that is uncertain."
        )
    busy = [one for one in figures if one.busy_share > _BUSY_SHARE]
    if busy:
        notes.append(
            f"From {words.rate(min(one.rate_per_s for one in busy))} on most requests found all {connections} "
            "connections busy: a server that takes more at once may hold more with a larger --connections."
        )
    return notes


def _tables(
    figures: Sequence[StepFigures],
    users: Sequence[StepFigures | None],
    ladder: Sequence[Mapping[str, float]],
    ceiling_per_s: float | None,
    service_s: float | None,
) -> list[dict[str, Any]]:
    tables = [_users_table(users)] if any(users) else []
    tables.append(_steps_table(figures))
    if ladder and ceiling_per_s and service_s:
        tables.append(_ladder_table(ladder, ceiling_per_s, service_s))
    return tables


def _users_table(users: Sequence[StepFigures | None]) -> dict[str, Any]:
    rows = [
        [f"{share:.0%}", words.rate(one.rate_per_s), words.seconds(one.p50_s), words.seconds(one.p99_s)]
        for one, share in zip(users, USERS_SHARES, strict=False)
        if one is not None
    ]
    columns = ["of the ceiling", "offered", "p50", "p99"]
    return {"caption": "What users feel", "columns": columns, "rows": rows}


def _steps_table(figures: Sequence[StepFigures]) -> dict[str, Any]:
    return {
        "caption": "Steps in the order in which they ran",
        "columns": ["offered", "for", "p50", "p99", "in flight", "all busy", "send lag p99", "objective"],
        "rows": [
            [
                words.rate(one.rate_per_s),
                words.seconds(one.length_s),
                words.seconds(one.p50_s),
                words.seconds(one.p99_s),
                "growing" if one.growing else "steady",
                words.share(one.busy_share),
                words.seconds(one.send_lag_s),
                "held" if one.held and not one.growing else "not settled" if one.held else "failed",
            ]
            for one in figures
        ],
    }


def _ladder_table(
    ladder: Sequence[Mapping[str, float]], ceiling_per_s: float, service_s: float
) -> dict[str, Any]:
    told = (
        f"ceiling {words.rate(ceiling_per_s)}, knee at {words.number(ceiling_per_s * service_s)} connections"
    )
    if still_rising(ladder):
        told = f"no ceiling reached, at most {words.rate(ceiling_per_s)}"
    return {
        "caption": f"Closed loop: unloaded {words.seconds(service_s)}, {told}",
        "columns": ["connections", "answered", "bound min(c / (S + Z), 1 / Dmax)", "mean by Little's law"],
        "rows": [
            [
                words.number(int(row["connections"])),
                words.rate(row["rate_per_s"]),
                words.rate(closed_loop_bound_per_s(row["connections"], service_s, 0.0, 1 / ceiling_per_s)),
                words.seconds(row["connections"] / row["rate_per_s"] if row["rate_per_s"] else None),
            ]
            for row in ladder
        ],
    }
