"""`headwind diff A B...`: runs already measured, side by side, in any formats."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from headwind.analysis import difference, gates
from headwind.commands.explain import write
from headwind.commands.inputs import STDIN, duration, open_input
from headwind.errors import UsageError
from headwind.formats.source import is_folder
from headwind.report import diff


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind diff`."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a tool's output or a run's folder; LABEL=FILE names it"
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="the run to compare with, kept as JSON or text (default: the first FILE)",
    )
    parser.add_argument(
        "--max-regression",
        metavar="10%",
        help="fail where throughput fell, or latency or errors rose, by more than this share",
    )
    parser.add_argument("--format", choices=["text", "json", "md", "html", "csv"], default="text")
    parser.add_argument("-o", "--output", metavar="OUT", help="write there instead of to stdout")
    parser.add_argument("--tool", help="read every text as this tool's (default: recognised from the text)")
    parser.add_argument(
        "--timeout", metavar="2s", help="the --timeout that wrk ran with, which it prints nowhere"
    )


def execute(options: argparse.Namespace) -> int:
    """Compare every run of every file with the first one; the exit code is the regression gates'."""
    allowed = regression(options.max_regression) if options.max_regression else None
    names = [*([options.baseline] if options.baseline else []), *options.files]
    timeout_s = duration(options.timeout) if options.timeout else None
    found = []
    for name in names:
        label, file = _labelled(name)
        one = open_input(file, tool=options.tool, timeout_s=timeout_s)
        runs = list(one.runs)
        found += [(label, one.source, run, len(runs) > 1) for run in runs]
    if len(found) < 2:
        raise UsageError(
            "diff needs two runs or more; give another FILE, or --baseline with the run to compare with."
        )
    labels = difference.labels((label, run, several) for label, _, run, several in found)
    sides = [
        difference.side(run, source, label, index)
        for index, ((_, source, run, _), label) in enumerate(zip(found, labels, strict=True))
    ]
    built = difference.compare(sides, max_regression=allowed)
    write(_rendered(built, options.format), options.output)
    return int(gates.exit_code(gate["outcome"] for gate in built["gates"]))


def regression(text: str) -> float:
    """The share of "10%" or "0.1"; raises UsageError for anything else, and for 100 % and more."""
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise UsageError(f"{text!r} is no share; write --max-regression 10%.") from None
    if not 0 <= value < 1:
        raise UsageError(
            f"{text!r} allows everything; give a share below 100 %, such as --max-regression 10%."
        )
    return value


def _labelled(name: str) -> tuple[str, str]:
    """("3 containers", "b.txt") of "3 containers=b.txt"; a file whose name holds a = is a file."""
    if name == STDIN:
        return "stdin", name
    if "=" in name and not os.path.exists(name):  # noqa: PTH110 - Path.exists raises where a folder on the way may not be entered
        label, file = name.split("=", 1)
        if label and file:
            return label, file
    path = Path(name)
    return path.name if is_folder(path) else path.stem, name


def _rendered(built: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(built, indent=2) + "\n"
    if form == "html":
        from headwind.report import html  # charts take half a second to import

        return html.render(built)
    return {"text": diff.render_text, "md": diff.render_markdown, "csv": diff.render_csv}[form](built)
