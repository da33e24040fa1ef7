"""Simulated trials and queues: what the statistics are held against, since only here is the truth known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwind.statistics.bisection import Step, judge_steps
from headwind.statistics.search import SearchPlan, SearchState, judge_search
from headwind.statistics.trend import in_flight, trend
from headwind.stress.step import CAPACITY_BUDGET_S, SETTLING_SHARE, climb_plan, step_length_s

Floats = NDArray[np.float64]


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
}


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
    rate_per_s: float, service_s: float, duration_s: float, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Due and done times of Poisson arrivals at one serial server with constant service, from an empty start."""
    count = int(rate_per_s * duration_s + 6 * np.sqrt(rate_per_s * duration_s) + 10)
    due = np.cumsum(generator.exponential(1 / rate_per_s, count))
    due = due[due < duration_s]
    served = np.arange(len(due)) * service_s
    return due, np.maximum.accumulate(due - served) + served + service_s


def simulated_capacity(
    service_s: float, limit_s: float, generator: np.random.Generator, *, budget_s: float = CAPACITY_BUDGET_S
) -> tuple[float, float]:
    """The capacity found for p99 < limit at a serial server, and the seconds of load it took.

    By the rules of `headwind capacity`: the climb, the lengths of the steps, the longer second try while growing.
    """
    plan = climb_plan(1 / service_s)
    steps: list[Step] = []
    spent = 0.0
    while True:
        state = judge_steps(steps, plan)
        if state.next_per_s is None or spent + step_length_s(state) > budget_s:
            return state.estimate_per_s or float("nan"), spent
        length_s = step_length_s(state)
        for lasts_s in (length_s, 2 * length_s):
            due, done = serial_queue(state.next_per_s, service_s, lasts_s, generator)
            spent += lasts_s + 1
            settled = due >= lasts_s * SETTLING_SHARE
            held = bool(np.quantile(done[settled] - due[settled], 0.99) < limit_s)
            growing = trend(*in_flight(due, done, lasts_s * SETTLING_SHARE, lasts_s)).growing
            if not (held and growing):
                break
        steps.append(Step(state.next_per_s, held and not growing))
