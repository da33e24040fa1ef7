"""Try settings, each against the present state, by the statistics of the design.

A trial is a whole run on a freshly started server. Each block runs the present settings and every knob once, in
shuffled order; after each block `headwind.statistics.verdicts` says which knobs are better, worse or equal within the
margin, by Holm's rule over the family of all knobs against the present state. Where several knobs help, the best of
them and all of them together are compared in a second experiment of the same kind.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from headwind.analysis.diagnosis.host import others_cores
from headwind.analysis.diagnosis.observations import Counters
from headwind.errors import HeadwindError
from headwind.statistics.blocks import Floats
from headwind.statistics.verdicts import ALPHA, EQUIVALENT, FIRST_HIGHER, MARGIN, SECOND_HIGHER, Plan, replay
from headwind.stress import target
from headwind.stress.compare import ATTEMPTS
from headwind.stress.interrupt import Interrupt
from headwind.stress.knobs import Knob
from headwind.stress.launch import Launched
from headwind.stress.measured import OTHERS_SHARE, STEAL_SHARE
from headwind.stress.probes import WrkRun, load
from headwind.stress.requests import Request

SCHEMA = "headwind.tuning/1"
BLOCKS = 8
FIRST_LOOK = 3
WARM_UP_S = 1.0
TURNAROUND_S = 3.0  # to start a server, let it come to rest and stop it: a guess until one trial was timed
Tell = Callable[[str], None]
NAMES = {FIRST_HIGHER: "worse", SECOND_HIGHER: "better", EQUIVALENT: "equivalent"}


@dataclass(frozen=True, slots=True)
class Bought:
    """What one knob bought. `ratio`: throughput with it against without; the interval is 95 %, None if too few
    blocks were run. `verdict`: better, worse, equivalent, undecided or failed (the server did not start)."""

    name: str
    settings: Mapping[str, str]
    verdict: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    blocks: int = 0
    kept: bool = False


@dataclass(slots=True)
class Tuning:
    """A tuning under way."""

    request: Request
    command: str
    connections: int
    trial_s: float
    budget_s: float
    interrupt: Interrupt
    tell: Tell
    seed: int
    discarded: int = 0
    trials: int = 0
    trials_s: float = 0.0
    end_s: float = field(default=math.inf)

    def run(self, knobs: Sequence[Knob]) -> dict[str, Any]:
        """Try all knobs that the time allows; returns the document."""
        self.end_s = time.monotonic() + self.budget_s
        chance = random.Random(self.seed)
        chosen = list(knobs)[: self.room()]
        rows = self.experiment(Knob("present settings", {}), chosen, chance)
        rows, together = self.combined(rows, chance)
        used = together if together is not None and together.kept else None
        used = used or next((row for row in rows if row.kept), None)
        return {
            "schema": SCHEMA,
            "connections": self.connections,
            "trial_s": self.trial_s,
            "seed": self.seed,
            "family": "each knob against the present settings, by Holm's rule",
            "alpha": ALPHA,
            "margin": MARGIN,
            "trials": self.trials,
            "discarded": self.discarded,
            "knobs": [asdict(row) for row in rows],
            "together": asdict(together) if together is not None else None,
            "untried": [knob.name for knob in knobs[len(chosen) :]],
            "settings": dict(used.settings) if used is not None else {},
        }

    def room(self) -> int:
        """How many knobs fit into the budget, three blocks each; at least one."""
        trial_s = self.trial_s + WARM_UP_S + TURNAROUND_S
        return max(1, int(self.budget_s / (FIRST_LOOK * trial_s)) - 1)

    def experiment(self, base: Knob, knobs: Sequence[Knob], chance: random.Random) -> list[Bought]:
        """Blocks of all until every knob is answered or the time is up."""
        alive, failed = list(knobs), []
        blocks: list[list[float]] = []
        while len(blocks) < BLOCKS and alive and (not blocks or self.fits(1 + len(alive))):
            rates = self.block([base, *alive], chance, len(blocks) + 1)
            if rates[0] is None:
                raise HeadwindError("the server does not start as it is: check --command.")
            # What does not start is no configuration; that has nothing to do with how fast it is.
            failed += [knob for knob, rate in zip(alive, rates[1:], strict=True) if rate is None]
            keep = [0, *(index for index, rate in enumerate(rates) if index and rate is not None)]
            blocks = [[row[index] for index in keep] for row in blocks]
            blocks.append([math.log(max(rates[index] or 0.0, 1e-9)) for index in keep])
            alive = [alive[index - 1] for index in keep[1:]]
            if (
                len(blocks) >= FIRST_LOOK
                and alive
                and replay(np.array(blocks), plan_for(len(alive))).answered
            ):
                break
        rows = bought(alive, np.array(blocks)) if alive else []
        return [*rows, *(Bought(knob.name, knob.settings, "failed") for knob in failed)]

    def fits(self, trials: int) -> bool:
        """Whether so many more trials end before the time is up, at what one has taken so far."""
        each_s = self.trials_s / self.trials if self.trials else self.trial_s
        return time.monotonic() + trials * each_s < self.end_s

    def block(self, knobs: Sequence[Knob], chance: random.Random, number: int) -> list[float | None]:
        """Good answers per second of each, run in shuffled order; None where the server did not start."""
        rates: list[float | None] = [None] * len(knobs)
        for index in chance.sample(range(len(knobs)), len(knobs)):
            self.tell(f"block {number}: {knobs[index].name}")
            rates[index] = self.trial(knobs[index].settings)
        return rates

    def combined(self, rows: list[Bought], chance: random.Random) -> tuple[list[Bought], Bought | None]:
        """The best knob is kept; all that help together, where they differ from it and are better still."""
        winners = sorted(
            (row for row in rows if row.verdict == "better"), key=lambda row: row.ratio or 0.0, reverse=True
        )
        if not winners:
            return rows, None
        rows = [replace(row, kept=row is winners[0]) for row in rows]
        settings: dict[str, str] = {}
        names = []
        for row in winners:
            if not settings.keys() & row.settings.keys():  # of two values of one setting the better one
                settings.update(row.settings)
                names.append(row.name)
        if len(names) < 2 or not self.fits(2 * FIRST_LOOK):
            return rows, None
        best = Knob(winners[0].name, winners[0].settings)
        found = self.experiment(best, [Knob(" + ".join(names), settings)], chance)[0]
        return rows, replace(found, kept=found.verdict == "better")

    def trial(self, settings: Mapping[str, str]) -> float | None:
        """Good answers per second on a fresh server; None where it does not start. A trial that other load on the
        machine spoiled is run once more."""
        rate: float | None = None
        for attempt in range(ATTEMPTS):
            began = time.monotonic()
            measured = self.measure(settings)
            self.trials += 1
            self.trials_s += time.monotonic() - began
            if measured is None:
                return None
            rate, counters = measured
            if not spoiled(counters) or attempt == ATTEMPTS - 1:
                break
            self.discarded += 1
        return rate

    def measure(self, settings: Mapping[str, str]) -> tuple[float, Counters] | None:
        port = target.free_port()
        try:
            with Launched(self.command, port, self.interrupt, settings) as launched:
                there = self.request.at_port(port)
                WrkRun(there, self.connections, WARM_UP_S).finish(self.interrupt)
                found = load(
                    there,
                    launched.server,
                    self.interrupt,
                    "trial",
                    self.connections,
                    self.trial_s,
                    stream=False,
                    look_at_threads=False,
                )
        except HeadwindError:
            return None
        return found.good_per_s, found.counters


def spoiled(counters: Counters) -> bool:
    """Whether the hypervisor or other processes took so much CPU that `headwind compare` would discard the trial."""
    steal = counters.steal_s / (counters.cpus * counters.wall_s)
    return steal > STEAL_SHARE or others_cores(counters) > OTHERS_SHARE * counters.cpus


def plan_for(knobs: int) -> Plan:
    """What is declared: the family is the first configuration against each of the others."""
    return Plan(configurations=1 + knobs, blocks=BLOCKS, first_look=FIRST_LOOK, against_first=True)


def bought(knobs: Sequence[Knob], logs: Floats) -> list[Bought]:
    """What each knob bought; `logs` (blocks, 1 + knobs), natural logs of good answers per second."""
    outcome = replay(logs, plan_for(len(knobs)), ended=True)
    rows = []
    for index, knob in enumerate(knobs):
        estimate, half = -float(outcome.estimates[index]), float(outcome.half_widths[index])
        bounded = math.isfinite(half)
        rows.append(
            Bought(
                knob.name,
                knob.settings,
                NAMES.get(int(outcome.claims[index]), "undecided"),
                math.exp(estimate),
                math.exp(estimate - half) if bounded else None,
                math.exp(estimate + half) if bounded else None,
                len(logs),
            )
        )
    return rows
