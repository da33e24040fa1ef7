"""The pages about findings and CI say what is so: every code is listed, and the workflow's commands run."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwind.analysis import gates
from tests.analysis.cases import CASES
from tests.analysis.wrk_text import HEALTHY_TEXT

DOCS = Path(__file__).resolve().parents[2] / "docs"
ACROSS = {"saturated_across_loads", "not_saturated", "equal_runs_differ"}
PAGE = (DOCS / "ci.md").read_text()


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def workflow() -> dict[str, Any]:
    return dict(yaml.safe_load(fenced("yaml")[0]))


def commands() -> list[str]:
    steps = workflow()["jobs"]["load"]["steps"]
    return [step["run"] for step in steps if step.get("run", "").startswith("headwind ")]


def test_every_finding_is_on_its_page_and_no_other() -> None:
    page = (DOCS / "findings.md").read_text()
    first_cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {code for cell in first_cells for code in re.findall(r"`([a-z_0-9]+)`", cell)}
    assert named == set(CASES)
    assert all(f"`{code}`" in page for code in ACROSS)


def test_the_objectives_of_the_example_are_objectives() -> None:
    found = gates.objectives_from(yaml.safe_load(fenced("yaml")[1]), "gates.yaml")
    assert [one.metric for one in found] == ["requests", "p99", "errors"]


def test_the_workflow_has_the_steps_that_the_page_promises() -> None:
    assert [command.split()[1] for command in commands()] == ["run", "explain", "explain", "diff"]
    assert "pull_request" in workflow().values()  # under the key `on`, which YAML reads as true


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout in which the workflow's commands can be typed: `headwind` on the PATH, objectives and a report."""
    (tmp_path / "gates.yaml").write_text(fenced("yaml")[1])
    program = tmp_path / "bin" / "headwind"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m headwind "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def typed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(DOCS.parent),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_commands_run_on_a_report(repository: Path) -> None:
    (repository / "reports" / "20250101-000000-pr").mkdir(parents=True)
    (repository / "reports" / "20250101-000000-pr" / "wrk.txt").write_text(HEALTHY_TEXT)
    keep_baseline = fenced("sh")[0].strip()
    for command in [keep_baseline, *commands()[1:]]:
        done = typed(command, repository)
        assert done.returncode == 0, (command, done.stderr)
    assert (repository / "gates.xml").read_text().startswith("<testsuites>")
    assert "p99" in (repository / "summary.md").read_text()


@pytest.mark.load
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_whole_workflow_runs_with_a_shorter_load(repository: Path) -> None:
    load = commands()[0].replace("--duration 30s", "--duration 2s --warmup 1s")
    done = typed(load, repository)
    assert done.returncode == 0, done.stderr
    (repository / "gates.yaml").write_text("slo: [errors<1%]\n")
    for command in [fenced("sh")[0].strip(), *commands()[1:]]:
        done = typed(command, repository)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
