"""`headwind report PATH...`: render runs again from their folders, and list all runs of a folder of reports."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from headwind.errors import Exit, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind report`."""
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        type=Path,
        default=[Path("reports")],
        help="a run's folder (rendered again) or a folder of them (its index.html is written); default: reports",
    )
    parser.add_argument("--all", action="store_true", help="of a folder of runs, render every run again, too")


def execute(options: argparse.Namespace) -> int:
    """Render what the paths name and print the page to open for each of them."""
    # Charts take half a second to import, which `--help` should not.
    from headwind.report import folder, index

    for path in options.paths:
        if not path.is_dir():
            raise UsageError(f"{path} is no folder; give a run's folder, or the folder that holds all runs.")
        if folder.is_run_folder(path):
            folder.render(path)
            print(path / "report.html")
            continue
        if options.all:
            for one in sorted(path.iterdir()):
                if one.is_dir() and folder.is_run_folder(one):
                    folder.render(one)
                    print(one / "report.html", file=sys.stderr)
        print(index.write(path))
    return Exit.DONE
