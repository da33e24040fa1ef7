"""What one measured run is to be: frozen, checked, and free of machines and clocks."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headwind.errors import UsageError
from headwind.stress.schedule import Arrival

DEFAULT_CONNECTIONS = 200
_MAX_PORT = 65_535
DEFAULT_TIMEOUT_S = 30  # far above the default lateness: nothing that matters is cut off
DEFAULT_LATE_S = 2.0  # wrk's own default timeout, which published results silently use
_MIX = re.compile(
    r"(?P<method>[A-Z]+) (?P<path>/[^\s=@]*(?:\?\S*?)?)(?:=(?P<weight>[0-9]+))?(?:@(?P<file>.+))?"
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one wrk sends. `path` replaces the URL's; the script or the bodies' lines say what is sent, else nothing is.

    `weight` is its share of the connections, in units of the sum over all traffic of the run.
    """

    method: str | None = None
    path: str | None = None
    weight: int = 1
    script: Path | None = None
    bodies: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.method or 'GET'} {self.path or '/'}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide what is sent; prediction.lua reads its flights from beside itself."""
        beside = self.script.with_name("flights.jsonl") if self.script else None
        flights = beside if self.script and self.script.name == "prediction.lua" else None
        return tuple(file for file in (self.script, self.bodies, flights) if file is not None)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: the target, the load, and what is asked of the result.

    `url` and `command` may hold `{port}`, `command` also `{workers}`. Header values may hold `$NAME`, which stands for
    an environment variable and is looked up only where the load is started.
    """

    url: str
    command: str | None = None
    traffic: tuple[Traffic, ...] = (Traffic(),)
    threads: int = 4
    connections: int = DEFAULT_CONNECTIONS
    duration_s: int = 45
    timeout_s: int = DEFAULT_TIMEOUT_S
    late_s: float = DEFAULT_LATE_S
    warmup_s: int = 3
    workers: int = 1
    port: int | None = None
    ready: str | None = None  # path; None: /ready where there is one, else any answer
    ready_timeout_s: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict)
    script_arguments: tuple[str, ...] = ()
    label: str = "run"
    environment: Mapping[str, str] = field(default_factory=dict)  # of the server that is started
    schedule: Arrival | None = None  # None: a closed loop, as fast as answers come

    def __post_init__(self) -> None:
        for name in ("threads", "connections", "duration_s", "timeout_s", "workers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.removesuffix('_s')} must be at least 1, not {getattr(self, name)}.")
        wrks = len(self.traffic)
        if self.connections < max(self.threads, wrks):
            raise UsageError(
                f"{self.connections} connections do not give each of {max(self.threads, wrks)} threads one; "
                "lower --threads or raise --connections."
            )
        if self.late_s >= self.timeout_s:
            raise UsageError(
                f"late answers ({self.late_s:g} s) are counted among those that wrk still records, so --timeout "
                f"({self.timeout_s} s) must be longer than --late."
            )
        check_url(self.url)
        if self.port is not None and not 1 <= self.port <= _MAX_PORT:
            raise UsageError(f"{self.port} is no port; --port takes 1 to {_MAX_PORT}.")


def check_url(url: str) -> None:
    """Raise UsageError for what cannot be loaded; only reading `port` shows that the standard library refuses it."""
    try:
        parts = urllib.parse.urlsplit(url.replace("{port}", "80"))
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise UsageError(
            f"{url!r} is no URL to load; it starts with http:// or https:// and a host, and its port, if any, "
            f"is 1 to {_MAX_PORT}."
        )


def parse_mix(text: str) -> Traffic:
    """`METHOD PATH[=WEIGHT][@FILE]`: FILE is a wrk script (.lua) or has one request body per line."""
    match = _MIX.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"--mix {text!r} is not METHOD PATH=WEIGHT, such as 'GET /=1' or 'POST /v1/prediction=3'; "
            "@FILE after the weight names a wrk script or a file with one request body per line."
        )
    weight = int(match["weight"] or 1)
    if weight < 1:
        raise UsageError(f"--mix {text!r} gives a weight of 0; leave the endpoint out instead.")
    file = Path(match["file"]) if match["file"] else None
    is_script = file is not None and file.suffix == ".lua"
    return Traffic(
        match["method"],
        match["path"],
        weight,
        script=file if is_script else None,
        bodies=None if is_script else file,
    )


def shares(total: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """`total` in whole parts proportional to the weights by largest remainder, each at least 1.

    Raises ValueError where there are more parts than things to share.
    """
    if total < len(weights):
        raise ValueError(f"{total} cannot be shared by {len(weights)}")
    ideal = [weight / sum(weights) * total for weight in weights]
    parts = [max(1, int(share)) for share in ideal]
    while sum(parts) != total:
        step = 1 if sum(parts) < total else -1
        movable = [i for i in range(len(parts)) if parts[i] + step >= 1]
        parts[max(movable, key=lambda i: step * (ideal[i] - parts[i]))] += step
    return tuple(parts)
