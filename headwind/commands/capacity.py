"""`headwind capacity`: the highest rate at which a server still holds an objective, and how users fare below it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from headwind.analysis import gates
from headwind.commands.inputs import duration
from headwind.commands.loading import add_load, again_command, confirm, plan_of, seed_of
from headwind.commands.showing import show_experiment
from headwind.errors import Exit, MissingError, UsageError
from headwind.stress import capacity, folder, generator, step
from headwind.stress.interrupt import Interrupt
from headwind.stress.standing import standing


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind capacity`."""
    parser.add_argument(
        "--slo",
        action="append",
        default=[],
        metavar="'p99<250ms'",
        help="what must hold; may be given several times (default: p99<250ms)",
    )
    parser.add_argument(
        "--budget", default=f"{step.CAPACITY_BUDGET_S:g}s", help="time for the search (default: %(default)s)"
    )
    add_load(parser)
    parser.add_argument("--format", choices=["text", "json", "md"], default="text")


def execute(options: argparse.Namespace) -> int:
    """Search, write the folder, print the answer."""
    objectives = [gates.parse(text) for text in options.slo or ["p99<250ms"]]
    step.check_objectives(objectives)
    if options.rate is not None or options.arrival is not None:
        raise UsageError(
            "capacity looks for the rate itself, with Poisson arrivals; leave --rate and --arrival out, or measure at "
            "one rate with `headwind run --rate`."
        )
    plan = plan_of(options)
    seed = seed_of(options)
    plan = replace(plan, connections=options.connections or capacity.DEFAULT_CONNECTIONS, label="capacity")
    capacity.check(plan)
    budget_s = duration(options.budget)
    step.check_budget(budget_s, plan.connections)
    again = again_command(options)
    if options.dry_run:
        print(f"search   the highest Poisson rate that holds {', '.join(one.text for one in objectives)}")
        print(f"ladder   1, 2, 4, ... {plan.connections} connections, {step.RUNG_S} s each")
        print(f"budget   {options.budget}, then 50, 70 and 90 % of the ceiling where not measured yet")
        print(f"again    {again}")
        return Exit.DONE
    wrk = generator.find(options.wrk, may_install=True)
    confirm(plan, yes=options.yes, lasts=f"up to {options.budget}, and at rising rates")
    into = folder.create(options.reports, "capacity")
    with Interrupt() as interrupt, standing(plan, into, interrupt) as stood:
        search = capacity.Capacity(
            stood.plan,
            wrk,
            into,
            objectives,
            interrupt,
            budget_s=budget_s,
            seed=seed,
            again=again,
        )
        try:
            ended = search.run()
        except MissingError:
            show_experiment(into, options.format)
            raise
    show_experiment(into, options.format)
    if ended == "interrupted":
        print(f"headwind: interrupted; what was measured is in {into}.", file=sys.stderr)
        return Exit.INTERRUPTED
    return Exit.DONE
