"""The options that say what is loaded and how; `run` and the experiments share them."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from headwind.commands.inputs import duration
from headwind.errors import MissingError, UsageError
from headwind.stress import generator, privacy, schedule, target
from headwind.stress.bodies import as_lines
from headwind.stress.plan import (
    DEFAULT_CONNECTIONS,
    DEFAULT_LATE_S,
    DEFAULT_TIMEOUT_S,
    Plan,
    Traffic,
    parse_mix,
)
from headwind.stress.schedule import Schedule

# What the Lua side computes exactly with, in doubles, with room for the seeds of several wrks side by side.
HIGHEST_SEED = 2**52


def add_load(parser: argparse.ArgumentParser, *, varies_workers: bool = False) -> None:
    """Add the options that say what is loaded and how; `varies_workers`: the command has a --workers of its own."""
    _add_server(parser.add_argument_group("the server"), varies_workers=varies_workers)
    _add_sent(parser.add_argument_group("what is sent"))
    _add_pressure(parser.add_argument_group("the load"))
    _add_run(parser.add_argument_group("the run"))


def _add_server(server: argparse._ArgumentGroup, *, varies_workers: bool) -> None:
    server.add_argument("--url", help="what to load; {port} stands for the port of --command")
    server.add_argument(
        "--command",
        dest="server_command",  # `command` is the name of the subcommand
        metavar="'... {port}'",
        help="start this server first, and stop it afterwards; {workers} too",
    )
    server.add_argument("--port", type=int, help="for {port} (default: a free one)")
    if not varies_workers:
        server.add_argument(
            "--workers",
            type=int,
            default=os.cpu_count() or 1,
            help="for {workers} and WEB_CONCURRENCY (default: cores)",
        )
    server.add_argument(
        "--ready", metavar="PATH", help="answers 2xx when the server can take load (default: /ready)"
    )
    server.add_argument(
        "--ready-timeout", default="60s", metavar="60s", help="how long it may take to be ready"
    )
    server.add_argument("--yes", action="store_true", help="load a server on another machine without asking")


def _add_sent(sent: argparse._ArgumentGroup) -> None:
    sent.add_argument("--script", type=Path, help="a wrk script; it is measured without being changed")
    sent.add_argument(
        "--bodies",
        type=Path,
        metavar="FILE",
        help="request bodies for --method: one JSON per line, or a CSV with a header",
    )
    sent.add_argument("--method", help="default: POST with --bodies, else GET")
    sent.add_argument(
        "--mix",
        action="append",
        default=[],
        metavar="'POST /path=3'",
        help="one endpoint and its weight; may be given several times; @FILE after it has its script or bodies",
    )
    sent.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'Name: $VARIABLE'",
        help="$VARIABLE is read from the environment; no value is shown or written anywhere",
    )
    sent.add_argument(
        "--script-arg", action="append", default=[], metavar="ARG", help="passed to the script's init()"
    )


def _add_pressure(load: argparse._ArgumentGroup) -> None:
    load.add_argument("--threads", type=int, default=4)
    load.add_argument(
        "--connections",
        type=int,
        help=f"default: {DEFAULT_CONNECTIONS}; with --rate {schedule.DEFAULT_CONNECTIONS}",
    )
    load.add_argument(
        "--rate",
        type=float,
        metavar="PER_SECOND",
        help="send on a schedule, whatever the server does; latency counts from the due time",
    )
    load.add_argument(
        "--arrival", choices=["poisson", "constant"], help="of the requests of --rate (default: poisson)"
    )
    load.add_argument("--seed", type=int, help="of the schedule (default: a new one, which is recorded)")
    load.add_argument("--duration", default="45s")
    load.add_argument(
        "--warmup", default="3s", help="load before the measurement, counted nowhere; 0 for none"
    )
    load.add_argument(
        "--timeout",
        default=f"{DEFAULT_TIMEOUT_S}s",
        help="wrk forgets how long slower answers took (default: %(default)s)",
    )
    load.add_argument(
        "--late", default=f"{DEFAULT_LATE_S:g}s", help="an answer is late above this (default: %(default)s)"
    )


def _add_run(run: argparse._ArgumentGroup) -> None:
    run.add_argument("--wrk", help="the wrk to use: a path, or 'docker' (default: the first that works)")
    run.add_argument(
        "--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s"
    )
    run.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def plan_of(options: argparse.Namespace, *, url: str | None = None) -> Plan:
    """The plan that the options of `add_load` describe; `url` stands in where no server is named. Raises UsageError."""
    if options.url is None and options.server_command is None and url is None:
        raise UsageError(
            "nothing to load; give --url of a running server, or --command '... {port}' to start one (make stress, "
            "compare, capacity and diagnose load Headwind's own service)."
        )
    if options.arrival is not None and options.rate is None:
        raise UsageError("--arrival says how the requests of a --rate come; give --rate, or leave it out.")
    planned, connections = None, options.connections
    if connections is None:  # a 0 is refused by the plan
        connections = DEFAULT_CONNECTIONS if options.rate is None else schedule.DEFAULT_CONNECTIONS
    if options.rate is not None:
        planned = Schedule(options.rate, options.arrival or "poisson", seed_of(options))
        lasts_s = whole_seconds(options.duration, "--duration")
        if options.rate * lasts_s < 1:
            raise UsageError(
                f"at {options.rate:g} per second nothing is due within {lasts_s} s; give a longer --duration."
            )
    return Plan(
        url=options.url or url or "http://127.0.0.1:{port}/",
        command=options.server_command,
        traffic=_traffic(options),
        threads=options.threads,
        connections=connections,
        duration_s=whole_seconds(options.duration, "--duration"),
        timeout_s=whole_seconds(options.timeout, "--timeout"),
        late_s=duration(options.late),
        warmup_s=0 if options.warmup in ("0", "0s") else whole_seconds(options.warmup, "--warmup"),
        workers=options.workers if isinstance(options.workers, int) else os.cpu_count() or 1,
        port=options.port,
        ready=options.ready,
        ready_timeout_s=duration(options.ready_timeout),
        headers=dict(map(_header, options.header)),
        script_arguments=tuple(options.script_arg),
        label=getattr(options, "label", "run"),
        schedule=planned,
    )


def seed_of(options: argparse.Namespace) -> int:
    """The --seed, or a new one. Raises UsageError where the generators of numbers take none such."""
    if options.seed is None:
        return schedule.new_seed()
    seed = int(options.seed)
    if not 0 <= seed <= HIGHEST_SEED:
        raise UsageError(f"--seed {seed} is no seed; give a whole number from 0 to {HIGHEST_SEED}.")
    return seed


def whole_seconds(text: str, option: str) -> int:
    """Seconds as wrk takes them; raises UsageError for a fraction."""
    value = duration(text)
    if value != int(value):
        raise UsageError(f"wrk counts whole seconds, and {option} {text} is none; round it.")
    return int(value)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or "\n" in text:
        raise UsageError(f"--header {name!r} is not 'Name: value'.")
    return name.strip(), value.strip()


def _traffic(options: argparse.Namespace) -> tuple[Traffic, ...]:
    flights = generator.lua_folder() / "flights.jsonl"
    if options.mix:
        if options.script or options.bodies or options.method:
            raise UsageError("--mix says what each endpoint gets; leave --script, --bodies and --method out.")
        rows = [parse_mix(text) for text in options.mix]
        # Without a file of its own, a POST gets the flights: the service's own payload.
        rows = [
            replace(row, bodies=flights) if row.method == "POST" and not (row.script or row.bodies) else row
            for row in rows
        ]
    else:
        rows = [Traffic(method=options.method, script=options.script, bodies=options.bodies)]
    for row in rows:
        for file in (row.script, row.bodies):
            if file is not None and not file.is_file():
                raise UsageError(f"{file} is no file; give the path of a wrk script or of request bodies.")
    folder = None if getattr(options, "dry_run", False) else options.reports / ".bodies"
    return tuple(replace(row, bodies=as_lines(row.bodies, folder) if row.bodies else None) for row in rows)


def confirm(plan: Plan, *, yes: bool, lasts: str | None = None) -> None:
    """Ask before a load leaves this machine, with how long it `lasts` where that is not the plan's duration.

    Raises UsageError where nobody agrees.
    """
    host = urlsplit(plan.url.replace("{port}", "80")).hostname or ""
    if yes or target.is_local(host):
        return
    question = (
        f"{host} is not this machine: {plan.connections} connections for {lasts or f'{plan.duration_s} s'}"
    )
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(f"{question}. Are you allowed to load it? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    raise UsageError(f"{question} were not agreed to; add --yes if you are allowed to load it.")


def again_command(options: argparse.Namespace) -> str:
    """The command line that runs the same again, without secrets."""
    words: list[str] = []
    for word in options.argv:
        option, equals, value = word.partition("=")
        if equals and option in _WITH_SECRETS:
            words.append(f"{option}={_WITH_SECRETS[option](value)}")
        elif words and words[-1] in _WITH_SECRETS:
            words.append(_WITH_SECRETS[words[-1]](word))
        elif word != "--yes":
            words.append(word)
    return privacy.shown_command(["headwind", *words])


_WITH_SECRETS = {
    "--header": lambda text: privacy.shown_header(*_header(text)),
    "--url": lambda text: privacy.split_url(text).shown,
}


def describe(plan: Plan, options: argparse.Namespace, again: str) -> None:
    """What `execute` would do, on stdout."""
    port = plan.port or "<free port>"
    url = privacy.split_url(plan.url.replace("{port}", str(port))).shown
    if plan.command:
        started = plan.command.replace("{port}", str(port)).replace("{workers}", str(plan.workers))
        print(f"start    {privacy.scrub(started)}")
    print(f"wait     until {url} can take load, at most {plan.ready_timeout_s:g} s")
    try:
        wrk = generator.find(options.wrk)
        print(f"with     wrk {wrk.version} ({wrk.kind}: {wrk.program})")
    except MissingError as error:
        print(f"with     no wrk yet: {error}")
    print(f"warm up  {plan.warmup_s} s")
    threads = f"{plan.threads} threads, {plan.connections} connections"
    if plan.schedule:
        print(f"rate     {plan.schedule.words}")
    print(f"load     {threads}, {plan.duration_s} s, wrk's timeout {plan.timeout_s} s")
    for row in plan.traffic:
        what = row.script or row.bodies
        print(
            f"send     {row.name}"
            + (f" from {what}" if what else "")
            + (f", weight {row.weight}" if len(plan.traffic) > 1 else "")
        )
    print(f"late     above {plan.late_s:g} s")
    print(f"write    {options.reports}/<time>-{plan.label}/")
    print(f"again    {again}")
