"""`headwind run`: one measured run of a server that this starts, or that runs already."""

from __future__ import annotations

import argparse
import shutil
import sys

from headwind.commands import patterns
from headwind.commands.explain import add_gates, asked_gates, rendered
from headwind.commands.loading import add_load, again_command, confirm, describe, plan_of
from headwind.commands.patterns import add_patterns
from headwind.errors import Exit, GateNotJudgedError, HeadwindError, UsageError
from headwind.report import document
from headwind.stress import folder, generator, reports, trial
from headwind.stress.interrupt import Interrupt
from headwind.stress.progress import Progress
from headwind.stress.trial import Trial


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind run`."""
    add_load(parser)
    parser.add_argument("--label", default="run", help="goes into the name of the report's folder")
    parser.add_argument("--format", choices=["text", "json", "md"], default="text")
    parser.add_argument(
        "--no-page", action="store_true", help="no report.html and .md; `headwind report` makes them later"
    )
    add_gates(parser)
    add_patterns(parser)


def execute(options: argparse.Namespace) -> int:
    """Run once, write the folder, print the report; the exit code is the gates'."""
    if options.profile:
        return patterns.execute(options)
    if options.against or options.shorten != 1:
        raise UsageError("--against and --shorten belong to a load pattern; name one with --profile FILE.")
    # The plan first: `make` works the target out of the duration, and a wrong one is to be called that.
    plan = plan_of(options)
    wanted, objectives = asked_gates(options)
    again = again_command(options)
    if options.dry_run:
        describe(plan, options, again)
        return Exit.DONE
    wrk = generator.find(options.wrk, may_install=True)
    confirm(plan, yes=options.yes)
    into = folder.create(options.reports, plan.label)
    with Interrupt() as interrupt:
        try:
            result = trial.run(plan, wrk, into, interrupt=interrupt, progress=Progress(), again=again)
        except HeadwindError:
            # Of a load that never began only the server's last words are worth keeping.
            if not (into / "server.log").exists():
                shutil.rmtree(into, ignore_errors=True)
            raise
        built = reports.judge(result, target=wanted, slos=objectives)
        if result.runs:
            # The verdict first: nobody shall wait for charts.
            sys.stdout.write(rendered(built, options.format, to_terminal=True))
            sys.stdout.flush()
            page = None if options.no_page else reports.render(result)
            if options.format == "text":
                print(f"\nreport: {page or into / 'run.json'}")
    return _exit_code(result, document.exit_code(built))


def _exit_code(result: Trial, by_gates: int) -> int:
    """130 where the user stopped it, 4 where something else did or nothing was answered, else the gates' code."""
    if result.stopped_by_user:
        kept = f"what was measured is in {result.folder}"
        if not result.runs:
            kept = "nothing was measured"
            shutil.rmtree(result.folder, ignore_errors=True)
        print(f"headwind: {result.interruption}; {kept}.", file=sys.stderr)
        return Exit.INTERRUPTED
    if result.interruption:
        raise GateNotJudgedError(
            f"{result.interruption}; what was measured until then is in {result.folder}."
        )
    if not any(run.requests for run in result.runs):
        raise GateNotJudgedError(
            f"the server took the connections but answered no request; all that is known is in {result.folder}."
        )
    return by_gates
