"""Scheduled arrival: what wrk is told, and what came of every request that was due.

Latency counts from the due time, as users wait. What a request was sent late by, while a connection was free, is the
generator's fault; the wait for a free connection while all were busy is the server's and belongs in the latency.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headwind.errors import UsageError
from headwind.histogram import Histogram, from_counts
from headwind.run import Run
from headwind.samples import Timeline
from headwind.stress.mixed import latency_of

# Beyond this many requests per second one connection a thread costs the generator too much, and pace.lua takes over.
EXACT_LIMIT_PER_S = 6000.0
DEFAULT_CONNECTIONS = 64
HIGHEST_PER_S = 1e6
# Room after the schedule for connections that are slow to open and for late answers; wrk ends itself when all are in.
PATIENCE_S = 12
# The generator's own lag: above this at p99, its latency figures say more of itself than of the server.
LATE_SEND_S = 0.003
# True of wrk's own figures, which the schedule's replace.
_NOT_OF_A_SCHEDULE = frozenset({"histogram_check_failed"})


class Arrival(Protocol):
    """How the requests of a run come when not as fast as answers do."""

    @property
    def seed(self) -> int: ...

    @property
    def patience_s(self) -> int:
        """Seconds that wrk may run on for a slow start and late answers; it ends itself when all are in."""

    @property
    def is_exact(self) -> bool:
        """Whether due, sent and done are known for every request, which takes one connection per thread."""

    @property
    def words(self) -> str:
        """What a dry run says of it."""

    def part(self, index: int, weights: Sequence[int]) -> Arrival:
        """The share of one of several wrks side by side."""

    def variables(self, duration_s: float, threads: int, connections: int) -> dict[str, str]:
        """The environment that tells the Lua side."""

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """`arrival` is "poisson" (independent users) or "constant"; the seed makes the same schedule again."""

    rate_per_s: float
    arrival: str = "poisson"
    seed: int = 1
    patience_s: int = PATIENCE_S

    def __post_init__(self) -> None:
        if not 0 < self.rate_per_s <= HIGHEST_PER_S:
            raise UsageError(
                f"no schedule has {self.rate_per_s:g} requests per second; give --rate above 0, and at most "
                f"{HIGHEST_PER_S:,.0f}."
            )

    @property
    def words(self) -> str:
        return f"{self.rate_per_s:g} per second, {self.arrival}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_exact(self) -> bool:
        """Whether due, sent and done are known for every request."""
        return self.rate_per_s <= EXACT_LIMIT_PER_S

    def part(self, index: int, weights: Sequence[int]) -> Schedule:
        """One endpoint's share by weight: a Poisson process split at random is Poisson again."""
        share = weights[index] / sum(weights)
        return replace(self, rate_per_s=self.rate_per_s * share, seed=self.seed + index)

    def variables(self, duration_s: float, threads: int, connections: int) -> dict[str, str]:
        """The environment that tells the Lua side."""
        common = {"HEADWIND_ARRIVAL": self.arrival, "HEADWIND_SEED": str(self.seed)}
        if not self.is_exact:
            return common | {"HEADWIND_PACE": repr(self.rate_per_s), "HEADWIND_THREADS": str(threads)}
        return common | {
            "HEADWIND_RATE": repr(self.rate_per_s),
            "HEADWIND_SCHEDULE_S": repr(duration_s),
            "HEADWIND_CONNECTIONS": str(connections),
        }


def wrk2_rate(arrival: Arrival | None) -> float:
    """The rate for wrk2, which keeps a schedule of equal gaps by itself. Raises UsageError for anything else."""
    if not isinstance(arrival, Schedule):
        raise UsageError(
            "this wrk is wrk2, which sends at a rate; add --rate, or give --wrk the path of wrk."
        )
    if arrival.arrival != "constant":
        raise UsageError(
            "wrk2 sends at equal gaps only; add --arrival constant, or give --wrk the path of wrk for Poisson arrivals."
        )
    return arrival.rate_per_s


def new_seed() -> int:
    """A seed that no earlier run had, small enough to type."""
    return secrets.randbelow(10**6) + 1


@dataclass(frozen=True, slots=True)
class Requests:
    """Every request of one schedule, in due order; seconds from the schedule's start, NaN where it did not happen."""

    due_s: NDArray[np.float64]
    taken_s: NDArray[np.float64]
    sent_s: NDArray[np.float64]
    done_s: NDArray[np.float64]
    status: NDArray[np.int16]
    endpoint: NDArray[np.int16]

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """From the due time to the answer; NaN where none came."""
        return self.done_s - self.due_s

    @property
    def send_lag_s(self) -> NDArray[np.float64]:
        """By how much each request that was sent was sent late while a connection was free: the generator's own fault.

        One taken after it was due found every connection busy; that wait is the server's, and is not in it.
        """
        lag_s: NDArray[np.float64] = self.sent_s - np.fmax(self.due_s, self.taken_s)
        return lag_s[~np.isnan(lag_s)]

    def until(self, end_s: float) -> Requests:
        """Those that were due before `end_s`."""
        return self.at(self.due_s < end_s)

    def at(self, inside: NDArray[np.bool_]) -> Requests:
        """Those of them that `inside` marks."""
        return Requests(*(getattr(self, name)[inside] for name in self.__slots__))


def merge(pieces: Sequence[Requests]) -> Requests:
    """The requests of several schedules, one after the other; each one's times still count from its own start."""
    columns = ([getattr(piece, name) for piece in pieces] for name in Requests.__slots__)
    return Requests(*(np.concatenate(column) for column in columns))


def read_requests(path: Path) -> Requests:
    """The file that shared_report.lua writes: four arrays of doubles in microseconds, two of 16-bit numbers."""
    raw = path.read_bytes()
    count = len(raw) // 36
    times = np.frombuffer(raw, np.float64, 4 * count).reshape(4, count) / 1e6
    sent, done = (np.where(row > 0, row, np.nan) for row in times[2:])
    # The first turns are taken shortly before the start, so that their times are below 0.
    taken = np.where(times[1] != 0, times[1], np.nan)
    status, endpoint = np.frombuffer(raw, np.int16, 2 * count, offset=32 * count).reshape(2, count)
    return Requests(times[0], taken, sent, done, status, endpoint)


def open_requests(path: Path) -> NDArray[np.bool_]:
    """Which requests of the same file were still to be sent or answered when wrk ended; not those that broke."""
    raw = path.read_bytes()
    count = len(raw) // 36
    open_: NDArray[np.bool_] = np.frombuffer(raw, np.float64, count, offset=24 * count) == 0
    return open_


def percentile(latency_s: NDArray[np.float64], percent: float) -> float | None:
    """Nearest rank; None where there is no such request, or it was never answered."""
    if not len(latency_s):
        return None
    rank = max(1, math.ceil(round(percent / 100 * len(latency_s), 6)))
    value = float(np.partition(latency_s, rank - 1)[rank - 1])
    return None if math.isinf(value) else value


def apply(run: Run, exact: Mapping[str, Any], requests: Requests | None) -> Run:
    """The run with latency from the due time; unchanged where its report has no schedule."""
    about = exact.get("schedule")
    if not about:  # wrk2 keeps the schedule itself, and its own figures count from the due time
        return run
    if about["arrival"] != "users":
        run = replace(run, rate_target_per_s=about["rate_per_s"])
    lag = histogram_of(about.get("send_lag_us"))
    if "due" not in about or requests is None:
        return _with_lag_warning(run, lag, paced=True)
    return _with_lag_warning(_exactly(run, about, requests), lag, paced=False)


def histogram_of(data: Mapping[str, Any] | None) -> Histogram | None:
    """A histogram of the Lua side's `{"values", "counts"}`, in microseconds."""
    if not data or not data["values"]:
        return None
    return from_counts(zip(data["values"], data["counts"], strict=True))


def _exactly(run: Run, about: Mapping[str, Any], requests: Requests) -> Run:
    length_s = about["length_us"] / 1e6
    unanswered = int(np.isnan(requests.done_s).sum())
    end_s = float(np.nanmax([length_s, *_last(requests.done_s), *_last(requests.sent_s)]))
    limit_us = None
    if unanswered:
        waited = end_s - requests.due_s[np.isnan(requests.done_s)]
        limit_us = max(0, int(waited.min() * 1e6))
    from_due = _histogram(requests.latency_s, unanswered, limit_us)
    from_send = _histogram(requests.done_s - requests.sent_s, 0, None)
    answered = len(requests.due_s) - unanswered
    in_time = int((requests.done_s <= length_s).sum())
    late_above_s = run.late_threshold_s
    late = None
    if late_above_s is not None:
        late = int((requests.latency_s > late_above_s).sum()) + unanswered
    run = replace(
        run,
        requests=answered,
        duration_s=length_s,
        planned_duration_s=length_s,
        requests_per_s=in_time / length_s,
        late=late,
        latency=latency_of(from_due),
        latency_from_send=latency_of(from_send),
        histogram=from_due,
        timeline=_timeline(requests),
        status_codes=_statuses(requests),
        errors=replace(run.errors, status=int((requests.status > 399).sum())),
        interrupted=False,  # the Lua side ends wrk by SIGINT when all is answered; who else did is in the record
        warnings=tuple(w for w in run.warnings if w.code not in _NOT_OF_A_SCHEDULE),
    )
    if unanswered:
        run = run.warn(
            "scheduled_unanswered",
            f"{unanswered} of {len(requests.due_s)} requests that were due had no answer when the run ended.",
        )
    if about["greeted"] < about["connections"]:
        missing = about["connections"] - about["greeted"]
        run = run.warn(
            "connections_missing",
            f"{missing} of {about['connections']} connections had no answer to their first request within 10 s.",
        )
    return run


def _last(times: NDArray[np.float64]) -> list[float]:
    known = times[~np.isnan(times)]
    return [float(known.max())] if len(known) else []


def _histogram(latency_s: NDArray[np.float64], late: int, limit_us: int | None) -> Histogram:
    known = np.maximum(np.rint(latency_s[~np.isnan(latency_s)] * 1e6), 0).astype(np.int64)
    values, counts = np.unique(known, return_counts=True)
    return from_counts(zip(values.tolist(), counts.tolist(), strict=True), late=late, limit_us=limit_us)


def _statuses(requests: Requests) -> dict[str, int]:
    codes, counts = np.unique(requests.status[~np.isnan(requests.done_s)], return_counts=True)
    return {str(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}


def _timeline(requests: Requests) -> Timeline:
    slot_s = 0.1
    answered = ~np.isnan(requests.done_s)
    slots = (requests.done_s[answered] / slot_s).astype(np.int64)
    length = int(slots.max()) + 1 if len(slots) else 0
    responses = np.bincount(slots, minlength=length)
    errors = np.bincount(slots[requests.status[answered] > 399], minlength=length)
    return Timeline(slot_s, tuple(responses.tolist()), tuple(errors.tolist()))


def _with_lag_warning(run: Run, lag: Histogram | None, *, paced: bool) -> Run:
    if paced:
        run = run.warn(
            "latency_from_send",
            "Many connections a thread: latency counts from the send, and the lag of the send is stated apart"
            + (f" (p99 {_ms(lag, 99)})." if lag else "."),
        )
    lag_s = lag.percentile_s(99) if lag else None
    if lag_s is not None and lag_s > LATE_SEND_S:
        run = run.warn(
            "generator_late",
            f"The generator itself sent late (p99 {lag_s * 1e3:.1f} ms with connections free): "
            "its machine is too busy for these latencies to be the server's.",
        )
    return run


def _ms(lag: Histogram, percent: float) -> str:
    value = lag.percentile_s(percent)
    return "unknown" if value is None else f"{value * 1e3:.2f} ms"
