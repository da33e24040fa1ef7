"""Comparisons of many settings, which are searched: how they end, what they claim and which setting they advise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from headwind.statistics.search import SearchPlan
from headwind.stress import compare, comparison, comparison_report
from headwind.stress.compare import Options, declaration
from headwind.stress.generator import Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.journal import TrialRow
from headwind.stress.plan import Plan
from headwind.stress.recommendation import ENDINGS
from headwind.stress.variants import axis_of
from tests.experiments.test_compare import row

BASE = Plan(url="http://127.0.0.1:{port}/", command="serve {port} {workers}", duration_s=10, warmup_s=2)


class Simulated(compare.Comparison):
    """A comparison whose trials are drawn around given rates, from a generator of each trial's own."""

    rates: Sequence[float] = ()
    noise = 0.04

    def _trial(self, block: int, position: int, setting: int) -> TrialRow | None:
        generator = np.random.default_rng([self.declared["seed"], block, setting])
        rate = self.rates[setting] * float(np.exp(self.noise * generator.standard_normal()))
        return row(block, setting, rate, position=position)


def searched(
    into: Path, rates: Sequence[float], *, blocks: int, noise: float = 0.04, seed: int = 1
) -> dict[str, Any]:
    """The document of a search over worker counts 1, 2, ... that answer at these rates."""
    axis = axis_of(workers=range(1, len(rates) + 1), base=BASE)
    declared = declaration(axis, BASE, Options(1e6, blocks, 0.03, seed, with_latency=False), "again")
    wrk = Wrk("local", "wrk", "4.1.0")
    simulated = Simulated(axis, BASE, wrk, into, declared, Interrupt())
    simulated.rates, simulated.noise = rates, noise
    simulated.run()
    document: dict[str, Any] = json.loads((into / "experiment.json").read_text())
    schema = json.loads((resources.files("headwind.report") / "schemas/experiment.schema.json").read_text())
    jsonschema.validate(document, schema)
    return document


def test_a_search_that_ran_out_of_trials_does_not_say_that_it_was_answered(tmp_path: Path) -> None:
    document = searched(tmp_path, [1000.0] * 8, blocks=3, noise=0.08)
    assert document["search_doubt"] > 0.01
    assert document["ended"] == "blocks"
    assert ENDINGS["blocks"] in document["answer"]
    assert ENDINGS["answered"] not in document["answer"]
    trust = {one["name"]: one for one in document["trust"]}
    assert not trust["trials of the search"]["good"]
    assert trust["trials of the search"]["value"] == "24 of at most 24"


def test_rounds_of_a_search_are_never_counted_against_blocks_of_all_settings(tmp_path: Path) -> None:
    document = searched(tmp_path, [500, 1000, 1003, 1001, 600, 400, 300, 200], blocks=9)
    rounds = document["blocks"]
    assert rounds > 9
    assert f"{rounds} of 9" not in json.dumps(document["trust"])
    assert f"{len(document['trials'])} of at most 72" in json.dumps(document["trust"])


def test_of_a_plateau_the_cheapest_is_advised_with_what_it_saves_and_the_slow_are_worse(
    tmp_path: Path,
) -> None:
    document = searched(tmp_path, [1000 * min(count, 3) for count in range(1, 9)], blocks=40, noise=0.003)
    assert document["ended"] == "answered"
    answer = document["answer"]
    assert "take 3 workers (" in answer.lower()
    assert "it saves" in answer
    assert "more than 2 workers, for 100 MB more memory than the latter." in answer
    verdicts = {one["name"]: one["verdict"] for one in document["comparisons"]}
    assert (verdicts["1 worker"], verdicts["2 workers"]) == ("worse", "worse")
    assert "equivalent" in verdicts.values()
    ranking = document["tables"][0]["rows"]
    assert {one[4] for one in ranking} >= {"leads", "worse", "equivalent"}
    assert len(document["pairs"]) == 28


def test_a_cheaper_setting_that_is_only_perhaps_as_good_is_said_to_be_open(tmp_path: Path) -> None:
    document = searched(tmp_path, [970, 1000, 700, 690, 680, 670, 660, 650], blocks=4, noise=0.02)
    assert document["answer"].startswith("Take 2 workers (")
    assert "Cheaper, and perhaps within it too: 1 worker (with" in document["answer"]


def test_with_fewer_rounds_than_are_judged_nobody_leads(tmp_path: Path) -> None:
    axis = axis_of(workers=range(1, 9), base=BASE)
    declared = declaration(axis, BASE, Options(1e6, 4, 0.03, 1, with_latency=False), "again")
    rows = [row(block, setting, 1000.0) for block in range(2) for setting in range(8)]
    design = SearchPlan.from_json(declared["design"])
    judgement = comparison.judge({(one.block, one.configuration): one for one in rows}, design, seed=1)
    document = comparison_report.document(declared, rows, judgement, ended="interrupted")
    assert document["answer"] == (
        "Nothing can be said yet: interrupted after 2 rounds, and nothing is judged before 3."
    )


def test_a_search_that_was_declared_before_costs_were_known_goes_on() -> None:
    plan = SearchPlan.from_json(
        {"settings": 8, "trials": 72, "margin": 0.03, "doubt": 0.01, "leave_below": 0.004}
    )
    assert plan.costs == ()
    with pytest.raises(ValueError, match="8 settings have as many costs"):
        SearchPlan(8, 72, costs=(1.0, 2.0))
