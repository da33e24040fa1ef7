"""The settings that Headwind can apply to a server it starts, by environment variables alone.

gunicorn reads GUNICORN_CMD_ARGS and WEB_CONCURRENCY, uvicorn UVICORN_<OPTION> and WEB_CONCURRENCY; numeric libraries
read their own. What the command line says itself wins over these, so a knob that does nothing shows as equivalent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headwind.errors import UsageError
from headwind.stress.interventions import THREAD_SETTINGS


@dataclass(frozen=True, slots=True)
class Knob:
    """One change: a name, the environment that makes it, and the causes that it is meant to cure."""

    name: str
    settings: Mapping[str, str]
    cures: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.settings.items())


def known(command: str) -> list[Knob]:
    """Those that could do something to this command."""
    cores = os.cpu_count() or 1
    ours = "service/gunicorn.conf.py" in command or "service.app" in command
    found = [
        Knob(
            f"workers {count}",
            {"WEB_CONCURRENCY": str(count), **({"WORKERS": str(count)} if ours else {})},
            CPU,
        )
        for count in sorted({1, cores, 2 * cores})
    ]
    found.append(
        Knob("one numeric thread", dict.fromkeys(THREAD_SETTINGS, "1"), ("thread_oversubscription",))
    )
    if ours:
        found += [
            Knob("loop asyncio", {"SERVER_LOOP": "asyncio"}),
            Knob("loop uvloop", {"SERVER_LOOP": "uvloop"}),
            Knob("batch wait 2 ms", {"BATCH_WAIT_MS": "2"}),
            Knob("batch wait 0", {"BATCH_WAIT_MS": "0"}, ("batch_window",)),
        ]
    elif "gunicorn" in command:
        found += [
            Knob(
                f"{threads} request threads",
                {"GUNICORN_CMD_ARGS": f"-k gthread --threads {threads}"},
                WAITING,
            )
            for threads in (16, 64)
        ]
        found.append(Knob("keep-alive 75 s", {"GUNICORN_CMD_ARGS": "--keep-alive 75"}, ("no_keepalive",)))
    elif "uvicorn" in command:
        found += [
            Knob("loop uvloop", {"UVICORN_LOOP": "uvloop"}),
            Knob("parser httptools", {"UVICORN_HTTP": "httptools"}),
            Knob("keep-alive 75 s", {"UVICORN_TIMEOUT_KEEP_ALIVE": "75"}, ("no_keepalive",)),
        ]
    return found


CPU = ("workers_below_cores", "cpu_bound", "blocking_in_event_loop", "serial_section", "threadpool_limit")
WAITING = ("threadpool_limit", "no_keepalive", "pure_delay")


def asked(texts: Iterable[str]) -> list[Knob]:
    """Knobs from `NAME=value,value`; raises UsageError."""
    found = []
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.isidentifier() or not values:
            raise UsageError(f"--set {text!r} is not NAME=value,value.")
        found += [Knob(f"{name}={value}", {name: value}) for value in values.split(",")]
    return found


def in_order(knobs: Iterable[Knob], causes: Iterable[str]) -> list[Knob]:
    """Those that cure a diagnosed cause first."""
    named = list(causes)
    return sorted(knobs, key=lambda knob: not any(code in named for code in knob.cures))
