"""Try settings one after the other, each against the best so far, by the statistics of the design.

A trial is a whole run on a freshly started server. Trials of the two come in blocks of one each, in shuffled order;
after each block `headwind.statistics.verdicts` says whether they differ, are equal within the margin, or need more.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from headwind.errors import HeadwindError
from headwind.statistics.verdicts import ALPHA, EQUIVALENT, FIRST_HIGHER, SECOND_HIGHER, Plan, replay
from headwind.stress import target
from headwind.stress.interrupt import Interrupt
from headwind.stress.knobs import Knob
from headwind.stress.launch import Launched
from headwind.stress.probes import WrkRun
from headwind.stress.requests import Request

SCHEMA = "headwind.tuning/1"
BLOCKS = 8
WARM_UP_S = 1.0
Tell = Callable[[str], None]


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
    family: int = 1
    best: dict[str, str] = field(default_factory=dict)
    rows: list[Bought] = field(default_factory=list)

    def run(self, knobs: Sequence[Knob]) -> dict[str, Any]:
        """Try all knobs while the time lasts; returns the document."""
        end = time.monotonic() + self.budget_s
        self.family = len(knobs)
        chance = random.Random(self.seed)
        untried = []
        for knob in knobs:
            changed = {**self.best, **knob.settings}
            if changed == self.best:
                continue
            if time.monotonic() >= end:
                untried.append(knob.name)
                continue
            row = self._compare(knob, changed, end, chance)
            self.rows.append(row)
            if row.kept:
                self.best = changed
        return {
            "schema": SCHEMA,
            "connections": self.connections,
            "trial_s": self.trial_s,
            "seed": self.seed,
            "knobs": [asdict(row) for row in self.rows],
            "untried": untried,
            "settings": self.best,
        }

    def _compare(self, knob: Knob, changed: Mapping[str, str], end: float, chance: random.Random) -> Bought:
        # The family is all knobs tried in this tuning: each gets its share of the error rate (Bonferroni).
        plan = Plan(configurations=2, blocks=BLOCKS, alpha=ALPHA / max(1, self.family))
        logs: list[list[float]] = []
        while len(logs) < BLOCKS and (len(logs) < 1 or time.monotonic() < end):
            self.tell(f"{knob.name}: block {len(logs) + 1}")
            block = [math.nan, math.nan]
            for index in chance.sample((0, 1), 2):
                rate = self._trial(changed if index else self.best)
                if rate is None:
                    if index:
                        return Bought(knob.name, knob.settings, "failed")
                    raise HeadwindError("the server does not start as it is: check --command")
                block[index] = math.log(max(rate, 1e-9))
            logs.append(block)
            if len(logs) >= plan.first_look and replay(np.array(logs), plan).answered:
                break
        return _bought(knob, np.array(logs), plan)

    def _trial(self, settings: Mapping[str, str]) -> float | None:
        """Good answers per second on a fresh server; None where it does not start."""
        port = target.free_port()
        try:
            with Launched(self.command, port, self.interrupt, settings):
                there = self.request.at_port(port)
                for seconds in (WARM_UP_S, self.trial_s):
                    run = WrkRun(there, self.connections, seconds)
                    found = run.finish(self.interrupt)
        except HeadwindError:
            return None
        bad = sum(count for code, count in found.statuses.items() if int(code) >= 400)
        return (found.requests - bad) / found.duration_s if found.duration_s else 0.0


def _bought(knob: Knob, logs: Any, plan: Plan) -> Bought:
    outcome = replay(logs, plan, ended=True)
    claim = int(outcome.claims[0])
    estimate, half = -float(outcome.estimates[0]), float(outcome.half_widths[0])
    names = {FIRST_HIGHER: "worse", SECOND_HIGHER: "better", EQUIVALENT: "equivalent"}
    verdict = names.get(claim, "undecided")
    bounded = math.isfinite(half)
    return Bought(
        knob.name,
        knob.settings,
        verdict,
        math.exp(estimate),
        math.exp(estimate - half) if bounded else None,
        math.exp(estimate + half) if bounded else None,
        len(logs),
        kept=verdict == "better",
    )
