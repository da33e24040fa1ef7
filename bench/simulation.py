"""Simulated trials and queues: what the statistics are held against, since only here is the truth known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwind.analysis import gates
from headwind.statistics.bisection import BisectionState, Step, judge_steps
from headwind.statistics.evidence import Queue
from headwind.statistics.search import SearchPlan, SearchState, judge_search
from headwind.stress.capacity import STEP_PATIENCE_S
from headwind.stress.schedule import Requests
from headwind.stress.step import (
    CAPACITY_BUDGET_S,
    StepFigures,
    climb_plan,
    judge_exact,
    longer_s,
    relaxation_s,
    step_length_s,
)

Floats = NDArray[np.float64]
# Of a real search: eight rungs of a second with a start each, and what a step takes beside its length.
LADDER_S, BETWEEN_STEPS_S = 14.0, 1.5


@dataclass(frozen=True, slots=True)
class Machine:
    """A noisy shared machine. Deviations on the log scale; a stray trial loses between the two shares of its rate."""

    noise: float = 0.04
    drift: float = 0.10  # from the first trial to the last, up or down, at most
    block: float = 0.05  # from block to block
    stray: float = 0.01  # share of trials that something else spoiled
    stray_loss: tuple[float, float] = (0.3, 0.6)

    def trials(
        self, effects: Floats, repetitions: int, blocks: int, generator: np.random.Generator
    ) -> Floats:
        """Logs of throughput, (repetitions, blocks, K): every block in a shuffled order of its own."""
        settings = len(effects)
        shape = (repetitions, blocks, settings)
        order = generator.permuted(np.broadcast_to(np.arange(settings), shape), axis=-1)
        when = (np.arange(blocks)[:, None] * settings + order) / (blocks * settings)
        logs = effects + generator.uniform(-self.drift, self.drift, (repetitions, 1, 1)) * when
        logs += self.block * generator.standard_normal((repetitions, blocks, 1))
        logs += self.noise * generator.standard_normal(shape)
        loss = -np.log1p(-generator.uniform(*self.stray_loss, size=shape))
        return np.asarray(logs - np.where(generator.random(shape) < self.stray, loss, 0.0))


COUNTS = np.array([1, 2, 3, 4, 6, 8, 12, 16])


def scalability(contention: float, coherency: float) -> Floats:
    """Log throughput of COUNTS workers by the Universal Scalability Law (Gunther 1993)."""
    workers = COUNTS.astype(float)
    return np.asarray(
        np.log(workers / (1 + contention * (workers - 1) + coherency * workers * (workers - 1)))
    )


CURVES = {
    "two cores": np.log([1, 1.86, 1.9, 1.88, 1.84, 1.8, 1.72, 1.6]),
    "peak at 6": scalability(0.05, 0.02),
    "falls early": scalability(0.1, 0.1),
    "levels off": scalability(0.3, 0.0),
    "nearly linear": scalability(0.02, 0.0),
    "all alike": np.zeros(8),
    "peak at the third": np.log([0.6, 0.85, 1, 0.9, 0.8, 0.7, 0.6, 0.5]),
    "flat peak at the third": np.log([0.9, 0.95, 1, 0.95, 0.9, 0.85, 0.8, 0.75]),
    "full at the fourth": np.log([1, 2, 3, 4, 4, 4, 4, 4]),
    "two tops, 1 % apart": np.log([0.8, 1, 0.95, 0.9, 0.9, 0.95, 0.99, 0.8]),
    "two tops, 4.5 % apart": np.log([0.8, 1, 0.94, 0.94, 0.94, 0.94, 0.955, 0.8]),
    "falls by 2 % a step": -0.02 * np.arange(8),
}
# No worker count is like that, and it is the hardest there is: told apart from nothing, yet just outside the margin.
HARDEST = {"one is 4 % above all others": np.array([0.0] + [-0.04] * 7)}


def simulated_search(
    curve: Floats, plan: SearchPlan, machine: Machine, generator: np.random.Generator
) -> tuple[SearchState, int]:
    """One search over `curve`'s settings: its end, and how many trials it took."""
    rows: list[Floats] = []
    racing: tuple[int, ...] = tuple(range(plan.settings))
    trials = 0
    drift = generator.uniform(-machine.drift, machine.drift)
    while True:
        row = np.full(plan.settings, np.nan)
        block = machine.block * generator.standard_normal()
        for setting in generator.permutation(list(racing)):
            loss = (
                np.log1p(-generator.uniform(*machine.stray_loss)) if generator.random() < machine.stray else 0
            )
            noise = machine.noise * generator.standard_normal()
            row[setting] = curve[setting] + block + drift * trials / plan.trials + noise + loss
            trials += 1
        rows.append(row)
        state = judge_search(np.array(rows), plan, generator)
        if not state.next_round:
            return state, trials
        racing = state.next_round


def serial_queue(
    rate_per_s: float,
    service_s: float,
    duration_s: float,
    generator: np.random.Generator,
    *,
    exponential: bool = False,
) -> tuple[Floats, Floats]:
    """Due and done times at one serial server with constant or exponential service, from an empty start.

    Poisson arrivals of known number, as wrk/arrivals.lua makes them.
    """
    due = np.sort(generator.uniform(0, duration_s, round(rate_per_s * duration_s)))
    spent = generator.exponential(service_s, len(due)) if exponential else np.full(len(due), service_s)
    served = np.cumsum(spent)
    return due, np.maximum.accumulate(due - served + spent) + served


@dataclass(frozen=True, slots=True)
class Found:
    """How a capacity search ended, the seconds it took and what its steps told."""

    state: BisectionState
    spent_s: float
    steps: tuple[Step, ...] = ()


def simulated_capacity(
    service_s: float,
    limit_s: float,
    generator: np.random.Generator,
    *,
    percent: float = 99,
    exponential: bool = False,
    budget_s: float = CAPACITY_BUDGET_S,
) -> Found:
    """A search for the capacity for a percentile < limit at a serial server, by the very functions of the command."""
    queue = Queue(service_s, 1 / service_s)
    plan = climb_plan(queue.ceiling_per_s, queue.wait_s(limit_s))
    objectives = [gates.parse(f"p{percent:g}<{limit_s * 1e3:g}ms")]
    settles_s = relaxation_s(limit_s, queue.ceiling_per_s)
    steps: list[Step] = []
    spent = LADDER_S

    def step(rate: float, length_s: int) -> StepFigures:
        due, done = serial_queue(rate, service_s, length_s, generator, exponential=exponential)
        done = np.where(done > length_s + STEP_PATIENCE_S, np.nan, done)
        zeros = np.zeros(len(due), np.int16)
        requests = Requests(due, due - 1e-3, due, done, zeros + 200, zeros)
        return judge_exact(requests, rate, length_s, objectives, queue)

    while True:
        state = judge_steps(steps, plan)
        length_s = step_length_s(state, settles_s)
        if state.next_per_s is None or spent + length_s > budget_s:
            return Found(state, spent, tuple(steps))
        figures = step(state.next_per_s, length_s)
        spent += length_s + BETWEEN_STEPS_S
        if figures.held and figures.growing and spent + longer_s(length_s) <= budget_s:
            figures = step(state.next_per_s, longer_s(length_s))
            spent += longer_s(length_s) + BETWEEN_STEPS_S
        steps.append(figures.answer)
