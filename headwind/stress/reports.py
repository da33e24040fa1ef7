"""The readable files of a run's folder, each rendered from the document `run.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headwind.analysis import gates
from headwind.report import document
from headwind.stress import folder
from headwind.stress.trial import Trial


def judge(trial: Trial, *, target: int | None, slos: Sequence[gates.Objective]) -> dict[str, Any]:
    """The document of a trial, written to run.json where there is a run in it."""
    built = document.build(
        trial.runs,
        source="wrk.txt",
        samples=trial.samples,
        environment=trial.environment,
        target=target,
        slos=slos,
    )
    if trial.runs:
        folder.write_json(trial.folder / "run.json", built, indent=None)
    return built


def render(trial: Trial) -> Path:
    """Write the readable files of the trial's folder and the list of all runs beside it; the path of the page."""
    # Charts take over a second to import, which nobody shall wait for before the load begins.
    from headwind.report import folder as readable
    from headwind.report import index

    readable.render(trial.folder)
    index.write(trial.folder.parent)
    return trial.folder / "report.html"
