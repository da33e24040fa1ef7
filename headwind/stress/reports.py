"""The readable files of a run's folder, each rendered from the document `run.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headwind.analysis import gates
from headwind.report import document, html, markdown
from headwind.stress import folder
from headwind.stress.trial import Trial


def write(trial: Trial, *, target: int | None, slos: Sequence[gates.Objective]) -> dict[str, Any]:
    """Write run.json first, then what is rendered from it; the document."""
    built = document.build(
        trial.runs,
        source="wrk.txt",
        samples=trial.samples,
        environment=trial.environment,
        target=target,
        slos=slos,
    )
    if not trial.runs:
        return built
    folder.write_json(trial.folder / "run.json", built, indent=None)
    raw_text = (trial.folder / "wrk.txt").read_text(encoding="utf-8")
    page = html.render(built, samples=trial.samples, environment=trial.environment, raw_text=raw_text)
    folder.write_text(trial.folder / "report.html", page)
    text = markdown.render(built, samples=trial.samples, environment=trial.environment, raw_text=raw_text)
    folder.write_text(trial.folder / "report.md", text)
    return built


def best(into: Path) -> Path:
    """The file to open: the HTML report, or the document where a report is missing."""
    page = into / "report.html"
    return page if page.exists() else into / "run.json"
