"""Which tools can be read. Adding one is a module `headwind/formats/<name>.py` and one line here.

The module has two functions (docs/formats.md, "Adding a tool", tells what they get and owe):

    def recognises(text: str) -> bool: ...
    def read(text: str, source: str) -> list[Run]: ...
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from headwind.run import Run

# name of the module: strings of which at least one is in every output of the tool. A module is imported only when
# one of its strings is in the text, so that a small file of one tool does not pay for all the others.
HINTS: dict[str, tuple[str, ...]] = {
    "headwind": ("headwind.run/1",),
    "locust": ("Request Count", "# requests", "# reqs", "num_requests"),
    "k6": ("http_req", "iteration_duration", "iterations"),
    "vegeta": ("[total, ", "[total,rate", "[min, mean", "[mean, 50", "[ratio]", "50th"),
    "oha": ("Success rate:", "latencyPercentiles"),
    "hey": ("Fastest:", "Average:"),
    "ab": ("ApacheBench", "[#/sec]"),
    "bombardier": ("Bombarding", "Reqs/sec", "numberOfConnections"),
    "autocannon": ("97.5%", "p97_5", "Req/Bytes counts", "Latency (ms)", "pipelining"),
    "h2load": (" req/s, ", "status codes:"),
    "fortio": ("DurationHistogram", "Aggregated Function Time"),
    # The readers above know what is theirs; wrk's takes what is left, fragments of runs included.
    "wrk": ("Running", "Making", "Thread", "threads", "Latency", "Req/", "requests"),
}


class Reader(Protocol):
    """What a tool's module has."""

    def recognises(self, text: str) -> bool:
        """Whether the text holds output of this tool, and not of one that looks like it."""

    def read(self, text: str, source: str) -> list[Run]:
        """The runs of this tool in the text, in order, each with its lines; an empty list where there is none."""


def load(name: str) -> Reader:
    """The module that reads the tool `name`; KeyError where there is none."""
    if name not in HINTS:
        raise KeyError(name)
    return cast(Reader, importlib.import_module(f"headwind.formats.{name}"))


def hinted(text: str) -> list[str]:
    """Names of the tools whose strings are in the text, in the order of `HINTS`."""
    return [name for name, strings in HINTS.items() if any(string in text for string in strings)]
