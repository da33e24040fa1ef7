"""The highest Poisson rate that holds an objective: a closed-loop ladder, a climb, and a search that survives noise."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headwind import words
from headwind.analysis.gates import Objective
from headwind.errors import MissingError, UsageError
from headwind.statistics.bisection import BisectionPlan, BisectionState, Step, judge_steps
from headwind.statistics.evidence import Queue
from headwind.stress import capacity_report, environment, folder, trial
from headwind.stress.generator import Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import Plan
from headwind.stress.progress import Progress
from headwind.stress.schedule import EXACT_LIMIT_PER_S, Schedule, histogram_of, read_requests
from headwind.stress.standing import drain
from headwind.stress.step import (
    COARSE_S,
    RUNG_S,
    USERS_SHARES,
    StepFigures,
    climb_plan,
    judge_exact,
    judge_paced,
    longer_s,
    percent_of,
    relaxation_s,
    step_length_s,
)

STEP_PATIENCE_S = 3
DEFAULT_CONNECTIONS = 128
_STEPS = "steps.jsonl"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the closed-loop ladder."""

    connections: int
    rate_per_s: float

    def to_json(self) -> dict[str, float]:
        return {"connections": self.connections, "rate_per_s": self.rate_per_s}


class Interrupted(Exception):
    """The user asked to stop; what was measured is on disk."""


class Capacity:
    """One search in its folder, on a server that stands already."""

    def __init__(
        self,
        plan: Plan,
        wrk: Wrk,
        into: Path,
        objectives: Sequence[Objective],
        interrupt: Interrupt,
        *,
        budget_s: float,
        seed: int,
        again: str,
    ) -> None:
        self.plan, self.wrk, self.into, self.objectives, self.interrupt = (
            plan,
            wrk,
            into,
            objectives,
            interrupt,
        )
        self.budget_s, self.seed, self.again = budget_s, seed, again
        self.ladder: list[Rung] = []
        self.figures: list[StepFigures] = []
        self.steps: list[Step] = []
        self.state: BisectionState | None = None
        self._began = time.monotonic()

    def run(self) -> str:
        """Search; why it ended: "answered", "budget" or "interrupted". The document is on disk after it."""
        ended = "interrupted"
        try:
            self._climb_ladder()
            ended = self._search(climb_plan(self.ceiling_per_s, self._wait_s))
            self._measure_for_users()
        except Interrupted:
            ended = "interrupted"
        except MissingError:
            # The rate at which a server breaks down is an answer, too: what was measured is kept.
            self.write("broken")
            raise
        self.write(ended)
        return ended

    @property
    def ceiling_per_s(self) -> float:
        """The most that the closed loop had answered."""
        return max((rung.rate_per_s for rung in self.ladder), default=0.0)

    @property
    def limit_s(self) -> float | None:
        """The first limit on latency; None where there is none."""
        return next((one.threshold for one in self.objectives if one.unit == "s"), None)

    @property
    def service_s(self) -> float | None:
        """The unloaded response time: one connection by Little's law."""
        first = self.ladder[0] if self.ladder else None
        return first.connections / first.rate_per_s if first and first.rate_per_s else None

    @property
    def _queue(self) -> Queue | None:
        return Queue(self.service_s, self.ceiling_per_s) if self.service_s else None

    @property
    def _wait_s(self) -> float | None:
        """What the limit leaves for waiting, where the one objective is a percentile of latency."""
        if not self._queue or not self.limit_s or len(self.objectives) > 1:
            return None
        return self._queue.wait_s(self.limit_s) if percent_of(self.objectives[0]) else None

    def write(self, ended: str) -> dict[str, Any]:
        """Write experiment.json; the document."""
        built = capacity_report.document(
            objectives=[one.text for one in self.objectives],
            limit_s=self.limit_s,
            figures=self.figures,
            ladder=[rung.to_json() for rung in self.ladder],
            ceiling_per_s=self.ceiling_per_s or None,
            service_s=self.service_s,
            state=self.state,
            ended=ended,
            connections=self.plan.connections,
            seed=self.seed,
            again=self.again,
            environment={"machine": environment.machine(), "software": environment.software()},
        )
        folder.write_json(self.into / "experiment.json", built)
        return built

    def _climb_ladder(self) -> None:
        """1, 2, 4, ... connections in a closed loop; it also warms the server up."""
        connections = 1
        while connections <= self.plan.connections:
            plan = replace(
                self.plan,
                schedule=None,
                connections=connections,
                threads=min(self.plan.threads, connections, 4),
                duration_s=RUNG_S,
                warmup_s=1 if connections == 1 else 0,
            )
            result = self._load(plan, f"ladder-{connections}")
            run = result.runs[0] if result.runs else None
            good = (run.requests or 0) - (run.errors.status or 0) if run else 0
            if run is None or not run.duration_s or good <= 0:
                raise MissingError(
                    f"with {connections} connections no request was answered well; see {result.folder} for what was."
                )
            self.ladder.append(Rung(connections, good / run.duration_s))
            self._say(f"closed loop, {connections} connections: {words.rate(self.ladder[-1].rate_per_s)}")
            connections *= 2

    def _search(self, design: BisectionPlan) -> str:
        settles_s = relaxation_s(self.limit_s, self.ceiling_per_s)
        while True:
            self.state = judge_steps(self.steps, design)
            if self.state.next_per_s is None:
                return "answered" if len(self.steps) < design.steps else "budget"
            length_s = step_length_s(self.state, settles_s)
            if self._elapsed_s + length_s > self.budget_s:
                return "budget"
            figures = self._step(self.state.next_per_s, length_s)
            again_s = longer_s(length_s)
            if figures.held and figures.growing and self._elapsed_s + again_s <= self.budget_s:
                # A queue near its limit needs long to settle: a trend first gets a longer step.
                figures = self._step(self.state.next_per_s, again_s)
            self.steps.append(figures.answer)

    def _measure_for_users(self) -> None:
        """Latency at 50, 70 and 90 % of the ceiling, where the climb did not come by."""
        for share in USERS_SHARES:
            rate = share * self.ceiling_per_s
            if not any(abs(one.rate_per_s / rate - 1) < 0.02 for one in self.figures):
                self._step(rate, COARSE_S)

    def _step(self, rate: float, length_s: int) -> StepFigures:
        """Offer one rate, judge it, write it down, and wait until the server is idle again."""
        schedule = Schedule(rate, seed=self.seed + len(self.figures), patience_s=STEP_PATIENCE_S)
        plan = replace(self.plan, schedule=schedule, duration_s=length_s, warmup_s=0)
        result = self._load(plan, f"step-{len(self.figures) + 1}")
        figures = self._judge(result, rate, length_s)
        self.figures.append(figures)
        with (self.into / _STEPS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures.to_json()) + "\n")
        verdict = "growing" if figures.held and figures.growing else "holds" if figures.held else "fails"
        self._say(f"{words.rate(rate)} for {length_s} s: {verdict}, p99 {words.seconds(figures.p99_s)}")
        if not figures.held:
            drain(self.plan.url, self.plan.ready or "/ready", self.service_s or 0.0, self.interrupt)
        return figures

    def _judge(self, result: trial.Trial, rate: float, length_s: int) -> StepFigures:
        if rate <= EXACT_LIMIT_PER_S:
            path = result.folder / "requests-1.bin"
            if not path.exists():
                raise MissingError(f"wrk left no times of its requests; see {result.folder}.")
            return judge_exact(read_requests(path), rate, length_s, self.objectives, self._queue)
        exact = json.loads((result.folder / "exact.jsonl").read_text(encoding="utf-8").splitlines()[0])
        lag = histogram_of(exact["schedule"]["send_lag_us"])
        lag_s = lag.percentile_s(99) if lag else None
        sent = exact["schedule"]["sent"]
        return judge_paced(result.runs[0], lag_s, sent, rate, self.objectives, self._queue)

    def _load(self, plan: Plan, name: str) -> trial.Trial:
        own = folder.create(self.into / "loads", name)
        result = trial.run(plan, self.wrk, own, interrupt=self.interrupt, progress=Progress())
        if result.stopped_by_user or self.interrupt.requested:
            raise Interrupted
        return result

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        left_s = max(0.0, self.budget_s - self._elapsed_s)
        print(f"{text}   (at most {left_s:.0f} s left)", file=sys.stderr, flush=True)


def check(plan: Plan) -> None:
    """Raise UsageError for what a capacity search cannot do."""
    if len(plan.traffic) > 1:
        raise UsageError(
            "capacity searches the rate of one endpoint; leave --mix out, and give --url its path."
        )
