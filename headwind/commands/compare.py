"""`headwind compare`: one thing varied, everything else equal; verdicts with intervals, and what to take."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from headwind.commands.inputs import duration
from headwind.commands.loading import add_load, again_command, confirm, plan_of, seed_of
from headwind.commands.showing import show_experiment
from headwind.errors import Exit, UsageError
from headwind.stress import compare, folder, generator, journal, leftovers, variants
from headwind.stress.interrupt import Interrupt

BUDGET = "5m"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind compare`."""
    varied = parser.add_argument_group("what is varied (one of these)")
    varied.add_argument(
        "--workers", type=int, nargs="+", metavar="N", help="for {workers} and WEB_CONCURRENCY"
    )
    varied.add_argument(
        "--worker-class", nargs="+", metavar="CLASS", help="for {WORKER_CLASS} in the command"
    )
    varied.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=a,b",
        help="an environment variable of the server, and {NAME} in the command",
    )
    varied.add_argument(
        "--replicas",
        type=int,
        nargs="+",
        metavar="N",
        help="of --command, behind a native nginx; for {replicas} where it starts them all, as docker compose does",
    )
    varied.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="'NAME: COMMAND or URL'",
        help="give it twice or more: servers that start by different commands, or run at different URLs",
    )
    add_load(parser, varies_workers=True)
    judged = parser.add_argument_group("how it is judged")
    judged.add_argument("--budget", help=f"time for all of it (default: {BUDGET})")
    judged.add_argument("--blocks", type=int, help="plan so many blocks (default: what fits the budget)")
    judged.add_argument(
        "--margin", default="3%", help="rates this close are equivalent (default: %(default)s)"
    )
    judged.add_argument("--no-latency", action="store_true", help="leave out latency at equal offered rate")
    judged.add_argument(
        "--resume", nargs="?", const="", metavar="FOLDER", help="go on with the last one, or with FOLDER"
    )
    parser.add_argument("--format", choices=["text", "json", "md"], default="text")
    parser.set_defaults(duration="10s", warmup="2s")


def execute(options: argparse.Namespace) -> int:
    """Compare, write the folder, print the answer."""
    if options.rate is not None:
        raise UsageError(
            "compare asks what each setting takes, and at one --rate all take the same; latency at an equal rate is "
            "measured at the end without it."
        )
    if options.arrival is not None:
        raise UsageError("compare measures latency with Poisson arrivals only; leave --arrival out.")
    base = plan_of(options, url=_any_url(options))
    axis = variants.axis_of(
        workers=options.workers or (),
        worker_classes=options.worker_class or (),
        replicas=options.replicas or (),
        settings=options.set,
        against=options.against,
        base=base,
    )
    budget = options.budget or BUDGET
    asked = compare.Options(
        budget_s=duration(budget),
        blocks=options.blocks,
        margin=_margin(options.margin),
        seed=seed_of(options),
        with_latency=not options.no_latency,
    )
    declared = compare.declaration(axis, base, asked, again_command(options))
    if options.dry_run:
        _describe(declared)
        return Exit.DONE
    wrk = generator.find(options.wrk, may_install=True)
    for configuration in axis.configurations:
        confirm(configuration.plan(base), yes=options.yes, lasts=f"up to {budget}")
    into, declared = _folder(options, declared)
    with Interrupt() as interrupt, leftovers.only_one(into) as ended_processes:
        if ended_processes:
            told = "1 process" if ended_processes == 1 else f"{ended_processes} processes"
            print(f"ended {told} that the killed sitting left running", file=sys.stderr)
        experiment = compare.Comparison(axis, base, wrk, into, declared, interrupt)
        ended = experiment.run()
    show_experiment(into, options.format)
    if ended == "interrupted":
        print(
            f"headwind: interrupted; every whole trial is kept in {into}, --resume goes on.", file=sys.stderr
        )
        return Exit.INTERRUPTED
    return Exit.DONE


def _any_url(options: argparse.Namespace) -> str | None:
    """A URL for the checks of the plan where only `--against` names servers."""
    if options.url or options.server_command or not options.against:
        return None
    return variants.url_of(options.against)


def _margin(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 0.5:
        raise UsageError(f"--margin {text!r} is no share between 0 and 50 %; write it as 3%.")
    return value


def _folder(options: argparse.Namespace, declared: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """A new folder with the declaration in it, or the one to go on with and what was declared there."""
    if options.resume is None:
        into = folder.create(options.reports, "compare")
        journal.declare(into, declared)
        return into, declared
    into = Path(options.resume) if options.resume else journal.latest(options.reports, "compare")
    before = journal.declared_in(into)
    for name, given, key in (
        ("--budget", options.budget, "budget_s"),
        ("--blocks", options.blocks, "blocks"),
        ("--seed", options.seed, "seed"),
    ):
        # They were fixed before the first trial: the chance of error is spent over the blocks that were planned then.
        if given is not None and declared[key] != before[key]:
            raise UsageError(
                f"the experiment to go on with was declared with {key.removesuffix('_s')} {before[key]:g}; leave "
                f"{name} out, or leave --resume out to begin one with more."
            )
    compare.same_experiment(before, declared)
    return into, before


def _describe(declared: dict[str, Any]) -> None:
    names = ", ".join(row["name"] for row in declared["configurations"])
    print(f"vary     {declared['axis']}: {names}")
    print(f"blocks   {declared['blocks']}, each some {declared['block_s']:.0f} s, seed {declared['seed']}")
    kind = "a search for one within the margin of the best" if declared["is_search"] else "all pairs"
    print(f"judge    {kind}; equivalent within {declared['design']['margin']:.0%}")
    print(f"budget   {declared['budget_s']:g} s")
    print(f"again    {declared['again']}")
