"""The result of an experiment on stdout, in the form that was asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def show_experiment(into: Path, form: str) -> None:
    """Render the folder's pages, and print its `experiment.json` as `form`: text, json or md."""
    # Charts take half a second to import, which `--help` should not.
    from headwind.report import folder as rendering
    from headwind.stress.plain_tables import experiment_text

    rendering.render(into)
    document = json.loads((into / "experiment.json").read_text(encoding="utf-8"))
    if form == "json":
        print(json.dumps(document, indent=1, ensure_ascii=False))
    elif form == "md":
        sys.stdout.write((into / "report.md").read_text(encoding="utf-8"))
    else:
        sys.stdout.write(experiment_text(document))
        print(f"\nreport: {into / 'report.html'}")
