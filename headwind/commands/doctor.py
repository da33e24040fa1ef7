"""`headwind doctor`: what this machine lacks for a load test, and the command that mends it."""

from __future__ import annotations

import argparse
import json
import sys

from headwind.errors import Exit
from headwind.stress import checks

_MARKS = {"ok": "ok     ", "warning": "warning", "missing": "missing"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind doctor`."""
    parser.add_argument("--connections", type=int, default=200, help="how many a run is to have")
    parser.add_argument("--format", choices=["text", "json"], default="text")


def execute(options: argparse.Namespace) -> int:
    """Print one line per check; 6 where something needed is missing."""
    found = checks.all_checks(options.connections)
    if options.format == "json":
        json.dump([check.to_json() for check in found], sys.stdout, indent=1)
        print()
    else:
        for check in found:
            print(f"{_MARKS[check.state]}  {check.name}: {check.says}")
            if check.mend:
                print(f"         -> {check.mend}")
    return Exit.MISSING if any(check.state == "missing" for check in found) else Exit.DONE
