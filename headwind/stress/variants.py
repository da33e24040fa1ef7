"""The configurations that an experiment puts beside one another: one axis, and the run's plan for each value of it."""

from __future__ import annotations

import re
import shlex
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from headwind.errors import UsageError
from headwind.stress import privacy
from headwind.stress.plan import Plan
from headwind.stress.target import REPLICAS

# gunicorn's and uvicorn's option, which overrules the environment.
_FIXED_WORKERS = re.compile(r"(?<!\S)(?:-w\s*=?\s*|--workers(?:\s+|=))\d+")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One value of the axis: what it changes in the plan of a run. `cost` orders equals: the cheaper is advised."""

    name: str
    cost: float = 0.0
    workers: int | None = None
    replicas: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    url: str | None = None

    def plan(self, base: Plan) -> Plan:
        """The plan of one trial of this configuration."""
        plan = replace(base, label=self.name, environment={**base.environment, **self.settings})
        if self.url is not None:
            plan = replace(plan, url=self.url, command=None)
        command = self.command or plan.command
        for name, value in self.settings.items():
            command = command.replace(f"{{{name}}}", value) if command else None
        if self.replicas is not None and command:
            own = (
                "{replicas}" in command
            )  # it starts them and what stands before them itself, as docker compose does
            command = (
                command.replace("{replicas}", str(self.replicas))
                if own
                else _behind_nginx(command, self.replicas)
            )
        return replace(plan, command=command, workers=self.workers or plan.workers)

    def to_json(self) -> dict[str, Any]:
        """What may be written down: no secret of a URL or a command."""
        row = asdict(self)
        row["url"] = privacy.split_url(self.url).shown if self.url else None
        row["command"] = privacy.scrub(self.command) if self.command else None
        return row


@dataclass(frozen=True, slots=True)
class Axis:
    """What is varied, in words, and its configurations in the order they were given."""

    name: str
    configurations: tuple[Configuration, ...]

    @property
    def all_started_here(self) -> bool:
        """Whether none of the servers runs elsewhere, where its load would pass for that of others."""
        return all(row.url is None for row in self.configurations)


def axis_of(
    *,
    workers: Sequence[int] = (),
    worker_classes: Sequence[str] = (),
    replicas: Sequence[int] = (),
    settings: Sequence[str] = (),
    against: Sequence[str] = (),
    base: Plan,
) -> Axis:
    """The one axis asked for. Raises UsageError where there is none, more than one, or fewer than two values."""
    possible = {
        "workers": [_workers(count) for count in workers],
        "worker class": [Configuration(name, settings={"WORKER_CLASS": name}) for name in worker_classes],
        "replicas": [_replicas(count) for count in replicas],
        "setting": [row for text in settings for row in _settings(text)],
        "server": [_against(text) for text in against],
    }
    asked = {name: rows for name, rows in possible.items() if rows}
    if not asked or len(asked) > 1 or len(settings) > 1:
        raise UsageError(
            "compare varies one thing at a time: give --workers 1 2 4, --worker-class A B, --set NAME=a,b, "
            "--replicas 1 3, or --against twice."
        )
    ((name, rows),) = asked.items()
    names = [row.name for row in rows]
    if len(rows) < 2 or len(set(names)) < len(names):
        raise UsageError(f"{name}: a comparison needs two or more different values, not {', '.join(names)}.")
    if name != "server" and base.command is None:
        raise UsageError(
            f"to vary {name} the server must be started anew each time; give --command '... {{port}}'."
        )
    if name == "worker class" and "{WORKER_CLASS}" not in (base.command or ""):
        raise UsageError(
            "the command does not take {WORKER_CLASS}, and no server reads it by itself; put it where the class goes, "
            "such as gunicorn -k {WORKER_CLASS}."
        )
    if name == "workers" and "{workers}" not in (base.command or ""):
        # gunicorn and uvicorn read WEB_CONCURRENCY, which every server gets; others would not notice.
        known = any(word in (base.command or "") for word in ("gunicorn", "uvicorn"))
        fixed = _FIXED_WORKERS.search(base.command or "")
        if not known or fixed:
            why = f", and its own {fixed[0].strip()} overrules WEB_CONCURRENCY" if known and fixed else ""
            raise UsageError(
                f"the command does not take {{workers}}{why}; put it where the number of workers goes, such as "
                "gunicorn -w {workers}."
            )
    return Axis(name if name != "setting" else settings[0].partition("=")[0], tuple(rows))


def url_of(against: Sequence[str]) -> str:
    """A URL for `--against` without `--url`: of its first URL, at the port of a command where there is one.

    A command and a URL beside one another are the same service in two places, so the path is the same.
    """
    rows = [_against(text) for text in against]
    first = next((row.url for row in rows if row.url), None)
    if all(row.url for row in rows) and first:
        return first
    parts = urllib.parse.urlsplit(first or "http:///")
    query = f"?{parts.query}" if parts.query else ""
    return f"http://127.0.0.1:{{port}}{parts.path or '/'}{query}"


def _workers(count: int) -> Configuration:
    if count < 1:
        raise UsageError(f"a server has at least one worker, not {count}.")
    return Configuration(f"{count} worker{'s' if count > 1 else ''}", cost=count, workers=count)


def _replicas(count: int) -> Configuration:
    if count < 1:
        raise UsageError(f"there is at least one replica, not {count}.")
    return Configuration(f"{count} replica{'s' if count > 1 else ''}", cost=count, replicas=count)


def _settings(text: str) -> list[Configuration]:
    name, equals, values = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"--set {text!r} is not NAME=value,value; such as --set BATCHING=on,off.")
    return [Configuration(f"{name}={value}", settings={name: value}) for value in values.split(",")]


def _against(text: str) -> Configuration:
    name, colon, what = text.partition(":")
    what = what.strip()
    if not colon or not what or name.strip() in ("http", "https"):
        raise UsageError(
            f"--against {text!r} is not 'NAME: COMMAND' or 'NAME: URL'; such as 'docker: http://127.0.0.1:8000/'."
        )
    if what.startswith(("http://", "https://")):
        return Configuration(name.strip(), url=what)
    return Configuration(name.strip(), command=what)


def _behind_nginx(command: str, count: int) -> str:
    """The command line that starts `count` replicas and nginx in front of them on {port}."""
    words = [sys.executable, "-m", REPLICAS, "--count", str(count)]
    return f"exec {shlex.join(words)} --port {{port}} -- {shlex.quote(command.replace('{port}', '%PORT%'))}"
