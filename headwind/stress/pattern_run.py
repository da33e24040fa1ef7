"""A load pattern carried out: each group of stages by one wrk, the requests cut into stages and endpoints again."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headwind.analysis.gates import Objective
from headwind.errors import MissingError
from headwind.stress import folder, trial
from headwind.stress.generator import Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Traffic
from headwind.stress.profile import Pattern, Profile, Stage, pattern_of
from headwind.stress.progress import Progress
from headwind.stress.schedule import LATE_SEND_S, Requests, merge, open_requests, percentile, read_requests
from headwind.stress.standing import LAST_BREATH_S, Stood

PATIENCE_S = 15
WARMUP_S = 1
WARMUP_USERS = 4
SLICE_S = 5.0
ALL = "all"  # of the endpoints
WHOLE = "whole pattern"  # of the stages


@dataclass(frozen=True, slots=True)
class Judged:
    """An objective with its figure (None: no answer to judge), and whether it held (None: not judged, for `why`)."""

    text: str
    value: float | None
    unit: str
    held: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """The requests of one stage, of one endpoint in it, or of a whole pattern. Seconds and shares.

    `slices` are good answers per slice of time.
    `requests` are all that were due. Those of them that were never sent, `unsent`, have failed and are slower than any
    limit; `per_s` leaves them out. Percentiles count from the due time and are None where no answer came at that rank.
    `send_lag_p99_s`: of a stage by rate, how late the generator itself sent while connections were free; of a whole
    pattern the worst of its stages. `wanted`: the requests that a burst was to have, of which its time may have cut
    some off; None for other stages.
    """

    server: str
    test: str
    stage: str
    endpoint: str
    length_s: float
    requests: int
    fails: int
    per_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    slices: tuple[int, ...] = ()
    judged: tuple[Judged, ...] = ()
    wanted: int | None = None
    unsent: int = 0
    send_lag_p99_s: float | None = None

    @property
    def is_late(self) -> bool:
        """Whether the generator itself sent so late that the latency may be its own rather than the server's."""
        return self.send_lag_p99_s is not None and self.send_lag_p99_s > LATE_SEND_S


@dataclass(slots=True)
class Measured:
    """What was measured so far, whatever ends it: the stages that were carried out, and each pattern as a whole."""

    parts: list[Part] = field(default_factory=list)
    totals: list[Part] = field(default_factory=list)


class Interrupted(Exception):
    """The user asked to stop; the stages that were whole are kept."""


@dataclass(frozen=True, slots=True)
class _Load:
    """What one wrk left: the requests, which stages were carried out, and a clause that says why it broke off."""

    requests: Requests
    stages: Sequence[Stage]
    clause: str | None
    is_stopped: bool = False  # by the user


class BrokenOffError(Exception):
    """The pattern cannot go on, mostly because the server is gone; what was measured is kept. The text is a clause."""

    def __init__(self, clause: str, *, server: str = "", test: str = "", stage: str = "") -> None:
        super().__init__(clause)
        self.server, self.test, self.stage = server, test, stage


def warm_up(stood: Stood, profile: Profile, wrk: Wrk, into: Path, seed: int, interrupt: Interrupt) -> None:
    """A few users without think time for a while, unless the plan has no warm-up; counted nowhere.

    Raises MissingError where the server dies of it.
    """
    if not stood.plan.warmup_s:
        return
    stage = Stage("warm-up", "users", WARMUP_USERS, WARMUP_USERS, WARMUP_S)
    thoughtless = replace(profile, think_s=(0.0, 0.0))
    load = _carry_out(stood, thoughtless, (stage,), wrk, into, seed, interrupt)
    if load.is_stopped:
        raise Interrupted
    if load.clause:
        raise MissingError(f"{load.clause} during the warm-up; see {into}.")


def carry_out(
    stood: Stood,
    profile: Profile,
    wrk: Wrk,
    into: Path,
    seed: int,
    interrupt: Interrupt,
    *,
    server: str,
    measured: Measured,
) -> None:
    """Run all stages on a standing server; groups of them are added to `measured` as they end, and the pattern as a
    whole at its end, even if it was cut short.

    Raises Interrupted, BrokenOffError where the server is gone, and MissingError where it was before anything was
    measured.
    """
    pieces: list[Requests] = []
    parts: list[Part] = []
    is_whole = False
    try:
        for number, group in enumerate(profile.groups()):
            for stage in group:
                print(f"{profile.title}: {stage.words}", file=sys.stderr, flush=True)
            stages = " to ".join(dict.fromkeys((group[0].name, group[-1].name)))
            names = {"server": server, "test": profile.title, "stage": stages}
            try:
                load = _carry_out(stood, profile, group, wrk, into, seed + number, interrupt)
            except MissingError as error:
                if not measured.parts and not parts:
                    raise
                interrupt.wait(LAST_BREATH_S)
                raise BrokenOffError(stood.died() or str(error).rstrip("."), **names) from None
            pieces.append(load.requests.until(sum(stage.length_s for stage in load.stages)))
            parts += parts_of(load.requests, profile, load.stages, server, is_whole=load.clause is None)
            if load.is_stopped:
                raise Interrupted
            if load.clause:
                raise BrokenOffError(load.clause, **names)
        is_whole = True
    finally:
        measured.parts += parts
        if parts:
            total = total_of(profile, pieces, parts, server)
            measured.totals.append(total if is_whole else replace(total, judged=cut_short(total.judged)))


def _carry_out(
    stood: Stood,
    profile: Profile,
    group: Sequence[Stage],
    wrk: Wrk,
    into: Path,
    seed: int,
    interrupt: Interrupt,
) -> _Load:
    """Load the server with one group of stages. Raises Interrupted or MissingError where that left no requests."""
    pattern: Pattern = pattern_of(profile, group, seed, PATIENCE_S)
    load = replace(
        stood.plan,
        traffic=(Traffic(),),
        schedule=pattern,
        threads=1,
        connections=pattern.connections,
        duration_s=math.ceil(pattern.length_s),
        warmup_s=0,
        label=group[0].name,
    )
    own = folder.create(into, group[0].name)
    result = trial.run(load, wrk, own, interrupt=interrupt, progress=Progress(), died=stood.died)
    path = own / "requests-1.bin"
    is_stopped = result.stopped_by_user or interrupt.requested
    if not path.exists():
        if is_stopped:
            raise Interrupted
        raise MissingError(f"wrk left no times of its requests; see {own}.")
    requests = read_requests(path)
    if is_stopped:
        return _Load(requests, ended(group, requests, open_requests(path)), None, is_stopped)
    return _Load(requests, group, result.interruption or stood.died())


def ended(group: Sequence[Stage], requests: Requests, open_: NDArray[np.bool_]) -> list[Stage]:
    """The first stages of a load that was stopped that were over: something was sent or answered after their end, and
    nothing that was due in them was still to come (`open_`)."""
    known_s = np.concatenate([requests.sent_s, requests.done_s])
    reached_s = float(np.nanmax(known_s)) if np.isfinite(known_s).any() else 0.0
    over: list[Stage] = []
    end_s = 0.0
    for stage in group:
        end_s += stage.length_s
        if reached_s < end_s or open_[requests.due_s < end_s].any():
            break
        over.append(stage)
    return over


def parts_of(
    requests: Requests, profile: Profile, group: Sequence[Stage], server: str, *, is_whole: bool = True
) -> list[Part]:
    """The requests of a group of stages cut by their due times: each stage as a whole, then each endpoint in it.

    `is_whole`: the group came to its end; else no objective counts as held.
    """
    parts: list[Part] = []
    at = 0.0
    for stage in group:
        inside = (requests.due_s >= at) & (requests.due_s < at + stage.length_s)
        length_s = stage.length_s
        if stage.kind == "burst":
            # A burst ends with its last answer, not with the time that it may take at most.
            done = requests.done_s[inside & ~np.isnan(requests.done_s)]
            length_s = float(done.max()) if len(done) else length_s
        parts += _cut(requests, inside, profile, stage, server, at, length_s)
        at += stage.length_s
    return parts if is_whole else [replace(part, judged=cut_short(part.judged)) for part in parts]


def total_of(profile: Profile, pieces: Sequence[Requests], parts: Sequence[Part], server: str) -> Part:
    """The whole pattern from the requests of all its groups, and from its stages' lengths."""
    merged = merge(pieces)
    everything = np.ones(len(merged.due_s), bool)
    length_s = sum(one.length_s for one in parts if one.endpoint == ALL)
    total = _part(merged, everything, (server, profile.title, WHOLE, ALL), 0.0, length_s)
    # Each group's times count from its own start: there are no slices of time over all of them.
    lags_s = [one.send_lag_p99_s for one in parts if one.endpoint == ALL and one.send_lag_p99_s is not None]
    total = replace(total, slices=(), send_lag_p99_s=max(lags_s, default=None))
    judged = judge(merged, everything, profile.objectives, length_s, is_late=total.is_late)
    return replace(total, judged=judged)


def cut_short(judged: Sequence[Judged]) -> tuple[Judged, ...]:
    """Objectives of what did not come to its end: one that held until then is not judged."""
    return tuple(replace(one, held=None, why="it was cut short") if one.held else one for one in judged)


def _cut(
    requests: Requests,
    inside: NDArray[np.bool_],
    profile: Profile,
    stage: Stage,
    server: str,
    begin_s: float,
    length_s: float,
) -> list[Part]:
    """The stage as a whole, then each endpoint in it."""
    names = (server, profile.title, stage.name)
    whole = _part(requests, inside, (*names, ALL), begin_s, length_s)
    wanted = int(stage.first) * stage.iterations if stage.iterations else None
    if stage.kind == "rate":
        lag_s = requests.at(inside).send_lag_s
        whole = replace(whole, send_lag_p99_s=float(np.quantile(lag_s, 0.99)) if len(lag_s) else None)
    judged = judge(requests, inside, stage.objectives, length_s, is_late=whole.is_late)
    rows = [replace(whole, judged=judged, wanted=wanted)]
    # Which endpoint a request is for is drawn as it is sent: what never was belongs to none, where there are several.
    known = inside if len(profile.endpoints) == 1 else inside & ~np.isnan(requests.sent_s)
    for number, endpoint in enumerate(profile.endpoints):
        of_it = known & (requests.endpoint == number)
        rows.append(_part(requests, of_it, (*names, endpoint.name), begin_s, length_s))
    return rows


def _part(
    requests: Requests,
    inside: NDArray[np.bool_],
    names: tuple[str, str, str, str],
    begin_s: float,
    length_s: float,
) -> Part:
    """The requests `inside`, which began at `begin_s`; `names` are server, test, stage and endpoint."""
    came = _Outcome.of(requests, inside)
    good_s = requests.done_s[inside][~came.failed] - begin_s
    slices = max(1, int(length_s // SLICE_S))
    counts, _ = np.histogram(good_s, bins=slices, range=(0, slices * SLICE_S))
    return Part(
        *names,
        length_s=length_s,
        requests=len(came.latency_s),
        fails=int(came.failed.sum()),
        per_s=came.sent / length_s,
        p50_s=percentile(came.latency_s, 50),
        p95_s=percentile(came.latency_s, 95),
        p99_s=percentile(came.latency_s, 99),
        slices=tuple(int(count) for count in counts),
        unsent=len(came.latency_s) - came.sent,
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of requests that were due: seconds from the due time (infinite without an answer), whether each failed,
    and how many were sent."""

    latency_s: NDArray[np.float64]
    failed: NDArray[np.bool_]
    sent: int

    @classmethod
    def of(cls, requests: Requests, inside: NDArray[np.bool_]) -> _Outcome:
        latency_s = np.where(np.isnan(requests.done_s), np.inf, requests.latency_s)[inside]
        failed = np.isinf(latency_s) | (requests.status[inside] > 399)
        return cls(latency_s, failed, int((~np.isnan(requests.sent_s[inside])).sum()))


def judge(
    requests: Requests,
    inside: NDArray[np.bool_],
    objectives: Sequence[Objective],
    length_s: float,
    *,
    is_late: bool = False,
) -> tuple[Judged, ...]:
    """The objectives of a stage or of the whole pattern; an answer that never came took longer than any limit.

    `is_late`: the generator itself sent late. Its lag is in every latency, so the server's own may be anything below:
    one that is too long is then not judged, as in a run at one rate.
    """
    came = _Outcome.of(requests, inside)
    judged = (_judged(one, came, length_s) for one in objectives)
    if not is_late:
        return tuple(judged)
    return tuple(
        replace(told, held=None, why="the generator itself sent late, which is in it")
        if one.unit == "s" and told.value is not None and one.holds(0.0) != told.held
        else told
        for one, told in zip(objectives, judged, strict=True)
    )


def _judged(one: Objective, came: _Outcome, length_s: float) -> Judged:
    latency_s, good = came.latency_s, ~came.failed
    value: float | None
    if not len(latency_s):
        return Judged(one.text, None, one.unit, None, "no request was due")
    if one.metric == "errors":
        value = float(came.failed.mean())
    elif one.metric == "late":
        value = float((latency_s > 2.0).mean())
    elif one.metric in ("rps", "goodput"):
        value = float(came.sent if one.metric == "rps" else good.sum()) / length_s
    elif one.metric == "requests":
        value = float(good.sum())
    elif one.metric == "mean":
        value = float(latency_s.mean())
    else:
        known = percentile(latency_s, 100.0 if one.metric == "max" else float(one.metric[1:]))
        value = math.inf if known is None else known
    return Judged(one.text, None if math.isinf(value) else value, one.unit, one.holds(value))
