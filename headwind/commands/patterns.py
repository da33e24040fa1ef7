"""`headwind run --profile FILE`: load patterns on one server, or on several beside one another."""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headwind.commands.explain import asked_gates
from headwind.commands.loading import again_command, confirm, plan_of, seed_of
from headwind.commands.showing import show_experiment
from headwind.errors import Exit, GateNotJudgedError, MissingError, UsageError
from headwind.stress import environment, folder, generator, pattern_report, pattern_run, profile
from headwind.stress.interrupt import Interrupt
from headwind.stress.pattern_run import BrokenOffError, Measured
from headwind.stress.plan import Plan
from headwind.stress.profile import Endpoint, Profile
from headwind.stress.standing import standing
from headwind.stress.variants import Configuration, axis_of, url_of

_HELP_SHORTEN = "carry the pattern out in a fraction of its time, to try it out"


def add_patterns(parser: argparse.ArgumentParser) -> None:
    """Add the options of load patterns."""
    group = parser.add_argument_group("a load pattern instead of one load")
    group.add_argument(
        "--profile",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="stages of users or rates from a YAML file (profiles/); several are carried out one after the other",
    )
    group.add_argument("--shorten", type=float, default=1.0, metavar="FACTOR", help=_HELP_SHORTEN)
    group.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="'NAME: COMMAND or URL'",
        help="with --profile, twice or more: the same patterns on servers beside one another",
    )


def execute(options: argparse.Namespace) -> int:
    """Carry the patterns out, write the folder, print the answer; the exit code is the objectives'."""
    stand_in = url_of(options.against) if options.against and not options.url else None
    base = plan_of(options, url=stand_in)
    if not 1 <= options.shorten < math.inf:
        raise UsageError(f"--shorten {options.shorten:g} would lengthen the pattern; give 1 or more.")
    servers = _servers(options, base)
    into = folder.create(options.reports, options.label) if not options.dry_run else Path()
    patterns = _patterns(options, base, None if options.dry_run else into / "bodies")
    if options.dry_run:
        _describe(patterns)
        return Exit.DONE
    wrk = generator.find(options.wrk, may_install=True)
    for server in servers:
        confirm(server.plan(base), yes=options.yes)
    seed = seed_of(options)
    measured = Measured()
    ended, broken = _measure(servers, patterns, base, wrk, into, seed, measured)
    document = pattern_report.document(
        measured,
        titles=[pattern.title for pattern in patterns],
        source=", ".join(str(path) for path in options.profile),
        ended=ended,
        broken=broken,
        planned=len(servers) * sum(len(pattern.stages) for pattern in patterns),
        seed=seed,
        again=again_command(options),
        environment={"machine": environment.machine(), "software": environment.software()},
    )
    folder.write_json(into / "experiment.json", document)
    show_experiment(into, options.format)
    if isinstance(broken, MissingError):
        raise broken
    if broken:
        raise GateNotJudgedError(f"{broken}; what was measured until then is in {into}.")
    return _exit_code(document, into, interrupted=ended == "interrupted")


def _measure(
    servers: Sequence[Configuration],
    patterns: Sequence[Profile],
    base: Plan,
    wrk: generator.Wrk,
    into: Path,
    seed: int,
    measured: Measured,
) -> tuple[str, BrokenOffError | MissingError | None]:
    """Carry all patterns out on all servers into `measured`: how that ended, and by what where it broke off.

    Raises MissingError where it broke off before anything was measured.
    """
    with Interrupt() as interrupt:
        try:
            for server in servers:
                own = folder.create(into, server.name)
                with standing(server.plan(base), own, interrupt) as stood:
                    pattern_run.warm_up(stood, patterns[0], wrk, own, seed, interrupt)
                    for pattern in patterns:
                        place = folder.create(own, pattern.title)
                        pattern_run.carry_out(
                            stood, pattern, wrk, place, seed, interrupt, server=server.name, measured=measured
                        )
        except pattern_run.Interrupted:
            return "interrupted", None
        except (BrokenOffError, MissingError) as error:
            if not measured.parts:
                raise
            return "broken", error
    return "done", None


def _servers(options: argparse.Namespace, base: Plan) -> tuple[Configuration, ...]:
    if not options.against:
        return (Configuration("server"),)
    return axis_of(against=options.against, base=base).configurations


def _patterns(options: argparse.Namespace, base: Plan, bodies: Path | None) -> list[Profile]:
    """The patterns asked for, with the command line's objectives beside their own.

    Raises UsageError for options that a profile's own lines stand for.
    """
    target, objectives = asked_gates(options)
    for name, given, instead in (
        ("--rate", options.rate is not None, "`rate:` in a stage of it"),
        ("--mix", bool(options.mix), "`endpoints:` in it"),
        ("--target", target is not None, "--slo, such as 'rps>100'"),
    ):
        if given:
            raise UsageError(f"a load pattern does not take {name}; give {instead}.")
    found = told_apart([_pattern(path, base, bodies, options.shorten) for path in options.profile])
    return [replace(one, objectives=(*one.objectives, *objectives)) for one in found]


def told_apart(patterns: Sequence[Profile]) -> list[Profile]:
    """The patterns, of which a second one of the same title is called "title (2)": results are told by title."""
    taken = {one.title for one in patterns}
    seen: set[str] = set()
    apart = []
    for one in patterns:
        title = one.title
        if title in seen:
            title = next(
                made for k in itertools.count(2) if (made := f"{one.title} ({k})") not in taken | seen
            )
        seen.add(title)
        apart.append(replace(one, title=title))
    return apart


def _pattern(path: Path, base: Plan, bodies: Path | None, shorten: float) -> Profile:
    flights = generator.lua_folder() / "flights.jsonl"
    made = profile.read(path, flights=flights, into=bodies)
    if not made.endpoints:
        traffic = base.traffic[0]
        url_path = traffic.path or "/" + base.url.partition("://")[2].partition("/")[2]
        method = traffic.method or ("POST" if traffic.bodies else "GET")
        if traffic.script:
            raise UsageError(
                f"{path}: a pattern sends by itself; name `endpoints:` in it instead of --script."
            )
        made = replace(made, endpoints=(Endpoint(method, url_path, 1.0, traffic.bodies),))
    return made.shortened(shorten) if shorten > 1 else made


def _describe(patterns: list[Profile]) -> None:
    for pattern in patterns:
        print(f"pattern  {pattern.title}")
        for stage in pattern.stages:
            print(f"  stage  {stage.words}")
        for endpoint in pattern.endpoints:
            print(f"  send   {endpoint.name}, weight {endpoint.weight:g}")


def _exit_code(document: dict[str, object], into: Path, *, interrupted: bool) -> int:
    if interrupted:
        print(f"headwind: interrupted; the stages that were whole are in {into}.", file=sys.stderr)
        return Exit.INTERRUPTED
    gates = document["gates"]
    assert isinstance(gates, list)
    outcomes = {gate["outcome"] for gate in gates}
    if "failed" in outcomes:
        return Exit.GATE_FAILED
    return Exit.GATE_NOT_JUDGED if "not_judged" in outcomes else Exit.DONE
