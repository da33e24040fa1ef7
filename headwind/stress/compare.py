"""A comparison carried out: block after block of whole runs, judged after each, until answered or out of time."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headwind import words
from headwind.errors import MissingError, UsageError
from headwind.histogram import Histogram
from headwind.report import document
from headwind.statistics.search import SearchPlan
from headwind.statistics.verdicts import FIRST_LOOK
from headwind.statistics.verdicts import Plan as Family
from headwind.stress import comparison, comparison_report, environment, folder, measured, privacy, trial
from headwind.stress.comparison import MOST_BLOCKS, Judgement
from headwind.stress.generator import Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.journal import Journal, TrialRow
from headwind.stress.plan import Plan
from headwind.stress.progress import Progress
from headwind.stress.schedule import DEFAULT_CONNECTIONS, EXACT_LIMIT_PER_S, Schedule
from headwind.stress.variants import Axis

# Starting a server, waiting for it and stopping it, on top of warm-up and load: a guess until trials were timed.
TURNAROUND_S = 3.0
# A machine that is never quiet would never end: at most so many discards per kept trial, and two attempts a trial;
# what runs beside other load after that counts, and is marked as noisy.
DISCARDS_PER_KEPT = 0.25
ATTEMPTS = 2
LATENCY_SHARE_OF_CAPACITY = 0.7
LATENCY_S = 6
LATENCY_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how strictly. `blocks` None: as many as fit the budget."""

    budget_s: float
    blocks: int | None
    margin: float
    seed: int
    with_latency: bool = True


def declaration(axis: Axis, base: Plan, options: Options, again: str) -> dict[str, Any]:
    """Everything that is fixed before the first trial. Raises UsageError where the budget cannot hold three blocks."""
    trial_s = base.duration_s + base.warmup_s + TURNAROUND_S
    block_s = trial_s * len(axis.configurations)
    reserve_s = LATENCY_ROUNDS * 2 * (LATENCY_S + TURNAROUND_S) if options.with_latency else 0.0
    fitting = int((options.budget_s - reserve_s) / block_s)
    if options.blocks is None and fitting < FIRST_LOOK:
        needed = math.ceil((FIRST_LOOK * block_s + reserve_s) / 60)
        raise UsageError(
            f"a budget of {options.budget_s:g} s holds {max(0, fitting)} blocks, and nothing is judged before "
            f"{FIRST_LOOK}; give --budget {needed}m or more, or a shorter --duration."
        )
    if options.blocks is not None and options.blocks < FIRST_LOOK:
        raise UsageError(
            f"{options.blocks} blocks decide nothing: nothing is judged before {FIRST_LOOK}; give --blocks "
            f"{FIRST_LOOK} or more."
        )
    blocks = options.blocks or min(fitting, MOST_BLOCKS)
    costs = [row.cost for row in axis.configurations]
    design = comparison.design_of(len(costs), blocks, margin=options.margin, costs=costs)
    return {
        "kind": "compare",
        "axis": axis.name,
        "configurations": [row.to_json() for row in axis.configurations],
        "url": privacy.split_url(base.url).shown,
        "load": {
            "threads": base.threads,
            "connections": base.connections,
            "duration_s": base.duration_s,
            "warmup_s": base.warmup_s,
        },
        "command": privacy.scrub(base.command) if base.command else None,
        "sent": _sent(base),
        "design": design.to_json() if isinstance(design, Family) else asdict(design),
        "is_search": isinstance(design, SearchPlan),
        "blocks": blocks,
        "block_s": block_s,
        "budget_s": options.budget_s,
        "reserve_s": reserve_s,
        "seed": options.seed,
        "again": again,
    }


def _sent(base: Plan) -> dict[str, Any]:
    """What is sent, as far as it may be written down; header values stay out."""
    return {
        "traffic": [
            [one.method, one.path, one.weight, str(one.script or one.bodies or "")] for one in base.traffic
        ],
        "headers": sorted(base.headers),
        "script_arguments": list(base.script_arguments),
        "timeout_s": base.timeout_s,
    }


def same_experiment(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError unless an experiment may go on under this command line."""
    margins = [one["design"]["margin"] for one in (before, now)]
    if margins[0] != margins[1]:
        raise UsageError(
            f"the experiment to go on with was declared with a margin of {words.share(margins[0])}; give the same "
            "--margin, or leave --resume out."
        )
    for name in ("axis", "configurations", "url", "load", "command", "sent"):
        if before.get(name) != now[name]:
            raise UsageError(
                f"the experiment to go on with had another {name}; give the same options, or leave --resume out."
            )


class Comparison:
    """One comparison in its folder; `run` goes on from whatever the journal holds."""

    def __init__(
        self, axis: Axis, base: Plan, wrk: Wrk, into: Path, declared: Mapping[str, Any], interrupt: Interrupt
    ) -> None:
        self.axis, self.base, self.wrk, self.into, self.declared = axis, base, wrk, into, declared
        self.interrupt = interrupt
        self.journal = Journal(into)
        settings = declared["design"]
        self.design = SearchPlan.from_json(settings) if declared["is_search"] else Family.from_json(settings)
        self.latency: list[dict[str, Any]] = []
        self._began = time.monotonic()
        self._before_s = sum(row.took_s for row in self.journal.rows)

    @property
    def elapsed_s(self) -> float:
        """Time spent on this comparison, sittings before `--resume` included."""
        return self._before_s + time.monotonic() - self._began

    def judge(self, *, ended: bool = False) -> Judgement:
        return comparison.judge(self.journal.kept(), self.design, seed=self.declared["seed"], ended=ended)

    def run(self) -> str:
        """Go on to the end; why it ended, as a key of recommendation.ENDINGS. The document is on disk after it."""
        self._mask_what_a_kill_left()
        judgement = self.judge()
        ended = None
        while not judgement.over and ended is None:
            if self._block_s(len(judgement.next_round)) + self.elapsed_s > self._until_s and judgement.blocks:
                ended = "budget"
                break
            if not self._block(judgement):
                ended = "interrupted"
                break
            judgement = self.judge()
            self._tell(judgement)
            self.write("interrupted", judgement)
        if ended is None:
            ended = "answered" if judgement.answered else "blocks"
        judgement = self.judge(ended=ended == "budget")
        if ended != "interrupted" and self.declared["reserve_s"]:
            self._measure_latency(judgement)
        if self.interrupt.requested:
            ended = "interrupted"
        self.write(ended, judgement)
        return ended

    def _mask_what_a_kill_left(self) -> None:
        """The logs of trials that never came to their end, where they are masked otherwise."""
        known = {row.folder for row in self.journal.rows}
        secrets = privacy.secrets_of(self.base.url, self.base.headers, os.environ)
        for own in (self.into / "trials").glob("*"):
            if str(own.relative_to(self.into)) not in known:
                trial.mask_logs(own, secrets)

    def write(self, ended: str, judgement: Judgement) -> dict[str, Any]:
        """Write experiment.json; the document."""
        built = comparison_report.document(
            self.declared,
            self.journal.rows,
            judgement,
            ended=ended,
            latency=self.latency,
            environment={"machine": environment.machine(), "software": environment.software()},
        )
        folder.write_json(self.into / "experiment.json", built)
        return built

    @property
    def _until_s(self) -> float:
        return float(self.declared["budget_s"] - self.declared["reserve_s"])

    def _block_s(self, trials: int) -> float:
        rows = self.journal.rows
        mean_s = sum(row.took_s for row in rows) / len(rows) if rows else 0.0
        return mean_s * trials

    def _block(self, judgement: Judgement) -> bool:
        """Run what the block under way still lacks; False if interrupted."""
        block = judgement.blocks
        order = comparison.order_of(self.declared["seed"], block, judgement.next_round)
        for position, setting in enumerate(order):
            while (block, setting) not in self.journal.kept():
                row = self._trial(block, position, setting)
                if row is None:
                    return False
                self.journal.add(row)
                self._tell_trial(row, len(order))
        return True

    def _trial(self, block: int, position: int, setting: int) -> TrialRow | None:
        """One whole run, judged for validity; None if interrupted."""
        earlier = [r for r in self.journal.rows if (r.block, r.configuration) == (block, setting)]
        attempt = len(earlier) + 1
        configuration = self.axis.configurations[setting]
        own = folder.create(self.into / "trials", f"{block + 1}-{configuration.name}")
        began = time.monotonic()
        try:
            result = trial.run(
                configuration.plan(self.base), self.wrk, own, interrupt=self.interrupt, progress=Progress()
            )
        except MissingError as error:
            raise MissingError(
                f"{configuration.name}: {error} Trials until then are kept: mend it, and add --resume."
            ) from None
        if result.stopped_by_user or self.interrupt.requested:
            return None
        folder.write_json(
            own / "run.json", document.build(result.runs, source="wrk.txt", samples=result.samples)
        )
        row = measured.row_of(
            result, self.base.duration_s, block, position, setting, attempt, own.relative_to(self.into)
        )
        reason, noisy = measured.verdict_on(result, row, servers_known=self.axis.all_started_here)
        keep_noisy = noisy and (attempt >= ATTEMPTS or self._discards_spent())
        return replace(
            row,
            took_s=round(time.monotonic() - began, 3),
            discarded=None if keep_noisy or not (reason or noisy) else reason or "other load on the machine",
            noisy=noisy,
        )

    def _discards_spent(self) -> bool:
        discarded = sum(row.discarded is not None for row in self.journal.rows)
        return discarded >= max(1, DISCARDS_PER_KEPT * (len(self.journal.rows) - discarded))

    def _measure_latency(self, judgement: Judgement) -> None:
        """The finalists at the same offered rate, below the capacity of each, in alternation while time is left."""
        if judgement.blocks == 0:
            return
        finalists = comparison.finalists_of(judgement)
        figures = comparison.summary(self.journal.kept(), len(self.axis.configurations))
        slowest = min(float(figures[k]["good_per_s"] or 0.0) for k in finalists)
        rate = float(f"{LATENCY_SHARE_OF_CAPACITY * slowest:.2g}")
        if rate <= 0:
            return
        histograms: dict[int, list[Histogram]] = {k: [] for k in finalists}
        round_s = len(finalists) * (LATENCY_S + 1 + TURNAROUND_S)
        for number in range(LATENCY_ROUNDS):
            if number and self.elapsed_s + round_s > self.declared["budget_s"]:
                break
            for k in finalists if number % 2 == 0 else finalists[::-1]:
                result = self._latency_trial(k, rate, number)
                if result.stopped_by_user:
                    return
                histograms[k] += [run.histogram for run in result.runs if run.histogram]
        self.latency += [
            _latency_row(self.axis.configurations[k].name, rate, found)
            for k, found in histograms.items()
            if found
        ]

    def _latency_trial(self, setting: int, rate: float, number: int) -> trial.Trial:
        plan = self.axis.configurations[setting].plan(self.base)
        plan = replace(
            plan,
            schedule=Schedule(rate, seed=self.declared["seed"] + number),
            connections=DEFAULT_CONNECTIONS if rate <= EXACT_LIMIT_PER_S else plan.connections,
            duration_s=LATENCY_S,
            warmup_s=1,
        )
        print(f"latency of {plan.label} at {words.rate(rate)}", file=sys.stderr, flush=True)
        own = folder.create(self.into / "latency", plan.label)
        return trial.run(plan, self.wrk, own, interrupt=self.interrupt, progress=Progress())

    def _tell_trial(self, row: TrialRow, trials: int) -> None:
        name = self.axis.configurations[row.configuration].name
        counts = f"discarded: {row.discarded}" if row.discarded else words.rate(row.good_per_s)
        left_s = max(0.0, self.declared["budget_s"] - self.elapsed_s)
        # A search has as many rounds as its trials last for: those who left take no part in the later ones.
        block = (
            f"round {row.block + 1}"
            if self.declared["is_search"]
            else f"block {row.block + 1} of {self.declared['blocks']}"
        )
        print(
            f"{block}, trial {row.position + 1} of {trials}: {name}  "
            f"{counts}   (at most {left_s:.0f} s left)",
            file=sys.stderr,
            flush=True,
        )

    def _tell(self, judgement: Judgement) -> None:
        names = [row.name for row in self.axis.configurations]
        rows = comparison_report.comparisons(judgement, names)
        known = [f"{row['name']} {row['ratio']:.2f} ({row['verdict']})" for row in rows if row["low"]]
        if known:
            so_far = f"so far: {names[judgement.leader]} leads; beside it {', '.join(known)}"
            print(so_far, file=sys.stderr, flush=True)


def _latency_row(name: str, rate: float, histograms: Sequence[Histogram]) -> dict[str, Any]:
    merged = histograms[0].merge(*histograms[1:])
    return {
        "name": name,
        "rate_per_s": rate,
        "counted_from": "due time" if rate <= EXACT_LIMIT_PER_S else "send",
        "answers": merged.total,
        **{f"p{p}_s": merged.percentile_s(p) for p in (50, 90, 99)},
    }
