"""`headwind tune`: try the settings that Headwind can apply itself, and write those that helped to a file."""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwind.commands import diagnose
from headwind.commands.inputs import duration
from headwind.errors import Exit, UsageError
from headwind.stress import knobs
from headwind.stress.diagnose import Options, run
from headwind.stress.interrupt import Interrupt
from headwind.stress.progress import Progress
from headwind.stress.requests import require_wrk
from headwind.stress.tune import Tuning


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind tune`."""
    parser.add_argument("--command", dest="server_command", required=True, metavar="'... {port}'")
    parser.add_argument("--url", help="what to load; a path is enough")
    parser.add_argument("--path", "--url-path", dest="path", help="the same for --url, as a path")
    parser.add_argument("--method")
    parser.add_argument("--body", help="the request's body; @FILE reads it from a file")
    parser.add_argument("--header", action="append", default=[], metavar="'Name: $VARIABLE'")
    parser.add_argument("--script", type=Path, help="a wrk script that builds the requests")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=value,value",
        help="try these values of an environment variable too",
    )
    parser.add_argument("--only-set", action="store_true", help="try nothing but --set")
    parser.add_argument(
        "--no-diagnosis", action="store_true", help="do not diagnose first to order the trials"
    )
    parser.add_argument(
        "--trial", default="4s", metavar="4s", help="how long one run is (default: %(default)s)"
    )
    parser.add_argument("--budget", default="10m", metavar="10m", help="when to stop (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the order of trials (default: a new one, reported)")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the winning settings go")
    parser.set_defaults(pid=None, port=None)


def execute(options: argparse.Namespace) -> int:
    """Try, report, write the settings file."""
    require_wrk()
    trial_s, budget_s = duration(options.trial), duration(options.budget)
    if trial_s < 1 or options.connections < 2:
        raise UsageError("--trial must be at least 1s and --connections at least 2.")
    chosen = knobs.asked(options.set)
    if not options.only_set:
        chosen += knobs.known(options.server_command)
    if not chosen:
        raise UsageError("there is nothing to try: give --set NAME=value,value.")
    request = diagnose.request_of(options)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    progress = Progress()
    with Interrupt() as interrupt:
        try:
            if not options.no_diagnosis:
                settings = Options(
                    request, options.server_command, connections=options.connections, quick=True
                )
                _, found = run(settings, interrupt, progress.show)
                chosen = knobs.in_order(chosen, [cause.code for cause in found.causes])
            tuning = Tuning(
                request=request,
                command=options.server_command,
                connections=options.connections,
                trial_s=trial_s,
                budget_s=budget_s,
                interrupt=interrupt,
                tell=progress.show,
                seed=seed,
            )
            document = tuning.run(chosen)
        finally:
            progress.clear()
    sys.stdout.write(json.dumps(document, indent=2) + "\n" if options.format == "json" else text(document))
    if options.output is not None:
        _write(options.output, document["settings"])
    return Exit.DONE


def _write(path: Path, settings: Mapping[str, str]) -> None:
    """One NAME=value a line, as `env`, systemd's EnvironmentFile= and docker's --env-file read it."""
    lines = [f"{name}={value}" for name, value in settings.items()]
    try:
        path.write_text("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); choose another -o.") from None


def text(document: Mapping[str, Any]) -> str:
    """What each knob bought, and what to use."""
    lines = [_row(row) for row in document["knobs"]]
    if document["together"] is not None:
        best = next(row["name"] for row in document["knobs"] if row["kept"])
        lines += ["", f"together, against {best} alone:", _row(document["together"])]
    lines += [f"{name:<22} not tried: the time was up (--budget)" for name in document["untried"]]
    settings = document["settings"]
    shown = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    lines += ["", f"use: {shown}" if settings else "use: the settings as they are; nothing tried was better"]
    lines.append(
        f"({document['family']}, {100 * document['alpha']:.0f} % errors in all; equivalent: within "
        f"{100 * document['margin']:.0f} %; {document['trials']} trials, {document['discarded']} discarded, "
        f"seed {document['seed']})"
    )
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    says = row["verdict"] if row["verdict"] != "failed" else "the server does not start with it"
    if row["ratio"] is not None:
        says += f", {row['ratio']:.3f} times the throughput"
    if row["low"] is not None:
        says += f" [{row['low']:.3f}, {row['high']:.3f}]"
    blocks = f" ({row['blocks']} blocks{', kept' if row['kept'] else ''})" if row["blocks"] else ""
    return f"{row['name']:<22} {says}{blocks}"
