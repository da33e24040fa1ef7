"""`headwind tune`: what a knob bought, by the statistics; the document; and the file of what helped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from headwind.commands.tune import text
from headwind.errors import UsageError
from headwind.statistics.blocks import Floats
from headwind.statistics.verdicts import replay
from headwind.stress import knobs
from headwind.stress.interrupt import Interrupt
from headwind.stress.knobs import Knob
from headwind.stress.requests import Request
from headwind.stress.tune import Tuning, bought, plan_for

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "headwind" / "report" / "schemas" / "tuning.schema.json").read_text())


def logs(*ratios: float, noise: float = 0.004, blocks: int = 8) -> Floats:
    """The present settings, then knobs that multiply throughput by `ratios`."""
    chance = np.random.default_rng(3)
    rates: Floats = np.log(1000) + chance.normal(0, noise, (blocks, 1 + len(ratios)))
    rates[:, 1:] += np.log(ratios)
    return rates


def knobs_of(count: int) -> list[Knob]:
    return [Knob(f"knob {number}", {f"K{number}": "1"}) for number in range(count)]


def test_each_knob_is_judged_against_the_present_settings() -> None:
    better, equal, worse = bought(knobs_of(3), logs(1.5, 1.0, 0.6))
    assert [row.verdict for row in (better, equal, worse)] == ["better", "equivalent", "worse"]
    assert better.low is not None
    assert better.high is not None
    assert 1 < better.low < 1.5 < better.high


def test_what_noise_hides_is_undecided() -> None:
    found = bought(knobs_of(2), logs(1.02, 1.0, noise=0.2))
    assert {row.verdict for row in found} == {"undecided"}


def test_one_block_decides_nothing() -> None:
    found = bought(knobs_of(1), logs(1.5, blocks=1))[0]
    assert (found.verdict, found.low) == ("undecided", None)


def test_equal_knobs_are_seldom_called_better_or_worse() -> None:
    """Holm over the family: of many tunings of 6 knobs that do nothing, at most some 5 % claim anything."""
    chance = np.random.default_rng(5)
    trials = chance.normal(0, 0.03, (400, 8, 7))
    outcome = replay(trials, replace(plan_for(6), paths=20_000))
    wrong = (np.abs(outcome.claims) == 1).any(-1).mean()
    assert wrong <= 0.07


def tuning(rates: Mapping[str, float | None]) -> Tuning:
    """Trials whose outcome is known: settings -> throughput, with 0.5 % of noise; None: it does not start."""
    request = Request("http://127.0.0.1:1/")
    chance = np.random.default_rng(2)

    class Known(Tuning):
        def trial(self, settings: Mapping[str, str]) -> float | None:
            self.trials += 1
            rate = rates[" ".join(sorted(settings))]
            return None if rate is None else rate * float(np.exp(chance.normal(0, 0.005)))

    return Known(request, "x {port}", 8, 1.0, 3600.0, Interrupt(), lambda _: None, seed=1)


def test_the_best_knob_is_kept_and_all_that_help_are_tried_together() -> None:
    found = tuning({"": 100, "A": 150, "B": 120, "C": 100, "A B": 180}).run(
        [Knob(name, {name: "1"}) for name in "ABC"]
    )
    jsonschema.validate(json.loads(json.dumps(found)), SCHEMA)
    assert found["settings"] == {"A": "1", "B": "1"}
    assert found["together"]["verdict"] == "better"
    assert [row["verdict"] for row in found["knobs"]] == ["better", "better", "equivalent"]


def test_knobs_that_do_not_add_up_leave_the_best_alone() -> None:
    found = tuning({"": 100, "A": 150, "B": 120, "A B": 150}).run([Knob(name, {name: "1"}) for name in "AB"])
    assert found["settings"] == {"A": "1"}
    assert found["together"]["verdict"] == "equivalent"


def test_a_setting_with_which_the_server_does_not_start_is_said_to_fail() -> None:
    found = tuning({"": 100, "A": None, "B": 100}).run([Knob(name, {name: "1"}) for name in "AB"])
    jsonschema.validate(json.loads(json.dumps(found)), SCHEMA)
    assert {row["name"]: row["verdict"] for row in found["knobs"]} == {"A": "failed", "B": "equivalent"}
    assert found["settings"] == {}
    assert "does not start" in text(found)


def test_the_knobs_fit_the_command() -> None:
    assert any("GUNICORN_CMD_ARGS" in knob.settings for knob in knobs.known("gunicorn app:app -b :{port}"))
    assert any("UVICORN_LOOP" in knob.settings for knob in knobs.known("uvicorn app:app --port {port}"))
    assert any(
        "SERVER_LOOP" in knob.settings for knob in knobs.known("gunicorn -c service/gunicorn.conf.py x")
    )


def test_what_cures_the_diagnosed_cause_is_tried_first() -> None:
    ordered = knobs.in_order(knobs.known("gunicorn app:app"), ["thread_oversubscription"])
    assert ordered[0].name == "one numeric thread"


def test_a_setting_without_values_is_refused() -> None:
    with pytest.raises(UsageError, match="NAME=value"):
        knobs.asked(["LOOP"])


@pytest.mark.load
def test_a_real_server_is_tuned_and_the_winning_setting_written(tmp_path: Path) -> None:
    """The threaded server has a lock by this environment, and none with the setting that is tried."""
    command = f"{sys.executable} tests/diagnose/sick/threaded.py {{port}}"
    tune = [
        sys.executable,
        "-m",
        "headwind",
        "tune",
        "--command",
        command,
        "--set",
        "SICK=none",
        "--only-set",
    ]
    short = ["--trial", "1s", "--connections", "16", "--budget", "60s", "--seed", "1", "--no-diagnosis"]
    run = subprocess.run(
        [*tune, *short, "-o", str(tmp_path / "settings.env")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SICK": "lock"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert run.returncode == 0, run.stderr
    assert "better" in run.stdout
    assert (tmp_path / "settings.env").read_text() == "SICK=none\n"
