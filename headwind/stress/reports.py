"""The readable files of a run's folder, each rendered from the document `run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def render(trial: Trial, built: Mapping[str, Any]) -> Path:
    """Write report.md and report.html; the path of the page."""
    # Charts take over a second to import, which nobody shall wait for before the load begins.
    from headwind.report import html, markdown

    raw_text = (trial.folder / "wrk.txt").read_text(encoding="utf-8")
    text = markdown.render(built, samples=trial.samples, environment=trial.environment, raw_text=raw_text)
    folder.write_text(trial.folder / "report.md", text)
    page = html.render(built, samples=trial.samples, environment=trial.environment, raw_text=raw_text)
    folder.write_text(trial.folder / "report.html", page)
    return trial.folder / "report.html"
