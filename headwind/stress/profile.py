"""Load patterns from YAML: stages of users or rates, bursts, think times, several endpoints; errors name their line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from headwind.analysis import gates
from headwind.analysis.gates import Objective
from headwind.errors import UsageError
from headwind.formats.units import seconds
from headwind.stress.bodies import as_lines
from headwind.stress.yaml_file import root_of

MOST_USERS = 512  # each is a thread of wrk
SHORTEST_S = 0.4
_KINDS = ("users", "rate", "steps", "burst")
_STAGE_KEYS = {
    "users": {"name", "users", "for", "slo"},
    "rate": {"name", "rate", "for", "arrival", "slo"},
    "steps": {"name", "steps", "each", "slo"},
    "burst": {"name", "burst", "iterations", "at_most", "slo"},
}
_ENDPOINT_KEYS = {"request", "weight", "bodies"}
_PROFILE_KEYS = {"title", "think", "endpoints", "stages", "slo"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of request. `bodies` has one body per line; None sends none. Weights are relative."""

    method: str
    path: str
    weight: float = 1.0
    bodies: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Stage:
    """From `first` to `last` users, or requests per second, linearly over `length_s`; a burst has `iterations` each."""

    name: str
    kind: str  # "users", "rate" or "burst"
    first: float
    last: float
    length_s: float
    arrival: str = "poisson"
    iterations: int | None = None
    objectives: tuple[Objective, ...] = ()

    @property
    def words(self) -> str:
        what = "/s" if self.kind == "rate" else " user" if self.first == self.last == 1 else " users"
        level = f"{self.first:g}" if self.first == self.last else f"{self.first:g} to {self.last:g}"
        each = f", {self.iterations} iterations each" if self.iterations else ""
        return f"{level}{what}{each}, {'at most ' if self.iterations else ''}{self.length_s:g} s"


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole load pattern; `think_s` is uniform between its two ends."""

    title: str
    endpoints: tuple[Endpoint, ...]
    stages: tuple[Stage, ...]
    think_s: tuple[float, float] = (0.0, 0.0)
    objectives: tuple[Objective, ...] = ()

    def shortened(self, factor: float) -> Profile:
        """The same pattern in a fraction of its time; users, rates and names stay."""
        stages = tuple(
            replace(stage, length_s=max(SHORTEST_S, round(stage.length_s / factor, 1)))
            for stage in self.stages
        )
        return replace(self, stages=stages, think_s=(self.think_s[0] / factor, self.think_s[1] / factor))

    def groups(self) -> list[tuple[Stage, ...]]:
        """Stages that one wrk carries out: neighbours of one kind; a burst stands alone."""
        groups: list[list[Stage]] = []
        for stage in self.stages:
            alike = groups and groups[-1][0].kind == stage.kind and groups[-1][0].arrival == stage.arrival
            if alike and stage.kind != "burst":
                groups[-1].append(stage)
            else:
                groups.append([stage])
        return [tuple(group) for group in groups]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one wrk is told of a group of stages: points in (seconds, users or requests per second)."""

    kind: str
    points: tuple[tuple[float, float], ...]
    arrival: str
    think_s: tuple[float, float]
    iterations: int | None
    endpoints: str
    seed: int
    patience_s: int
    is_exact: bool = True

    @property
    def connections(self) -> int:
        """A connection for each user; for rates enough that the server, not the generator, makes requests wait."""
        if self.kind == "rate":
            return 64
        return max(1, math.ceil(max(users for _, users in self.points)))

    @property
    def length_s(self) -> float:
        return self.points[-1][0]

    @property
    def words(self) -> str:
        return f"{self.kind} at {self._text()}, seed {self.seed}"

    def _text(self) -> str:
        return ",".join(f"{at:.6f}:{value:.6f}" for at, value in self.points)

    def part(self, index: int, weights: Sequence[int]) -> Pattern:
        """The whole: endpoints are mixed inside one wrk."""
        return self

    def variables(self, duration_s: float, threads: int, connections: int) -> dict[str, str]:
        common = {
            "HEADWIND_SEED": str(self.seed),
            "HEADWIND_CONNECTIONS": str(connections),
            "HEADWIND_ENDPOINTS": self.endpoints,
        }
        if self.kind == "rate":
            return common | {
                "HEADWIND_RATE": self._text(),
                "HEADWIND_SCHEDULE_S": repr(self.length_s),
                "HEADWIND_ARRIVAL": self.arrival,
            }
        limit = {"HEADWIND_ITERATIONS": str(self.iterations)} if self.iterations else {}
        low, high = self.think_s
        think = {"HEADWIND_THINK_MS": repr(low * 1e3), "HEADWIND_THINK_TO_MS": repr(high * 1e3)}
        return common | think | limit | {"HEADWIND_USERS": self._text()}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def pattern_of(profile: Profile, group: Sequence[Stage], seed: int, patience_s: int) -> Pattern:
    """The group's points one after the other; a jump between stages is two points at one time."""
    points: list[tuple[float, float]] = []
    at = 0.0
    for stage in group:
        points += [(at, stage.first), (at + stage.length_s, stage.last)]
        at += stage.length_s
    rows = [
        f"{one.method}\t{one.path}\t{one.weight!r}\t{one.bodies.resolve() if one.bodies else '-'}"
        for one in profile.endpoints
    ]
    first = group[0]
    return Pattern(
        kind="rate" if first.kind == "rate" else "users",
        points=tuple(points),
        arrival=first.arrival,
        think_s=(0.0, 0.0) if first.kind == "burst" else profile.think_s,
        iterations=first.iterations,
        endpoints="\n".join(rows),
        seed=seed,
        patience_s=patience_s,
    )


class _Reader:
    """Walks the YAML's nodes, so that every refusal can name its line."""

    def __init__(self, source: str, folder: Path, flights: Path, into: Path | None) -> None:
        self.source, self.folder, self.flights, self.into = source, folder, flights, into

    def fail(self, node: yaml.Node, reason: str) -> UsageError:
        return UsageError(f"{self.source}, line {node.start_mark.line + 1}: {reason}.")

    def mapping(self, node: yaml.Node, keys: set[str], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, f"{what} must be `key: value` lines with {_list(keys)}")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.fail(key, f"{what} has a key that is no word; there are {_list(keys)}")
            if key.value not in keys:
                raise self.fail(key, f"{what} has no key {key.value!r}; there are {_list(keys)}")
            if key.value in found:
                raise self.fail(key, f"{key.value} is given twice")
            found[key.value] = value
        return found

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.fail(node, f"{what} must be a list with at least one entry")
        return list(node.value)

    def text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self.fail(node, f"{what} must be a text")
        return str(node.value).strip()

    def number(self, node: yaml.Node, what: str, low: float, high: float) -> float:
        try:
            value = float(self.text(node, what))
        except ValueError:
            raise self.fail(node, f"{what} must be a number, not {node.value!r}") from None
        if not low <= value <= high:
            raise self.fail(node, f"{what} must lie from {low:g} to {high:g}, not at {value:g}")
        return value

    def whole(self, node: yaml.Node, what: str, low: int, high: int) -> int:
        value = self.number(node, what, low, high)
        if value != int(value):
            raise self.fail(node, f"{what} must be a whole number, not {value:g}")
        return int(value)

    def duration(self, node: yaml.Node, what: str) -> float:
        text = self.text(node, what)
        value = seconds(text)
        if value is None or not 0 <= value <= 86_400:
            raise self.fail(node, f"{what} must be a duration such as 30s or 4m, not {text!r}")
        return float(value)

    def pair(self, node: yaml.Node, one: Callable[[yaml.Node], float]) -> tuple[float, float]:
        """One value, or a list of two: from and to."""
        if not isinstance(node, yaml.SequenceNode):
            value = one(node)
            return value, value
        if len(node.value) != 2:
            raise self.fail(node, "a list here is [from, to]")
        return one(node.value[0]), one(node.value[1])

    def objectives(self, node: yaml.Node | None) -> tuple[Objective, ...]:
        if node is None:
            return ()
        found = []
        for item in self.items(node, "slo"):
            try:
                found.append(gates.parse(self.text(item, "an objective")))
            except UsageError as error:
                raise self.fail(item, str(error).rstrip(".")) from None
        return tuple(found)

    def profile(self, root: yaml.Node) -> Profile:
        keys = self.mapping(root, _PROFILE_KEYS, "a profile")
        if "stages" not in keys:
            raise self.fail(root, "a profile needs `stages:`")
        think = keys.get("think")
        endpoints: list[Endpoint] = []
        if "endpoints" in keys:
            endpoints = [self.endpoint(node) for node in self.items(keys["endpoints"], "endpoints")]
        stages = [s for node in self.items(keys["stages"], "stages") for s in self.stage(node)]
        return Profile(
            title=self.text(keys["title"], "title") if "title" in keys else Path(self.source).stem,
            endpoints=tuple(endpoints),
            stages=tuple(stages),
            think_s=self._think(think) if think else (0.0, 0.0),
            objectives=self.objectives(keys.get("slo")),
        )

    def _think(self, node: yaml.Node) -> tuple[float, float]:
        low, high = self.pair(node, lambda one: self.duration(one, "think"))
        if low > high:
            raise self.fail(node, f"think is [from, to], and {low:g} s is longer than {high:g} s")
        return low, high

    def endpoint(self, node: yaml.Node) -> Endpoint:
        if isinstance(node, yaml.ScalarNode):
            return self._request(node, node.value, 1.0, None)
        keys = self.mapping(node, _ENDPOINT_KEYS, "an endpoint")
        if "request" not in keys:
            raise self.fail(node, "an endpoint needs `request:`, such as GET /")
        weight = self.number(keys["weight"], "weight", 0.001, 1e6) if "weight" in keys else 1.0
        bodies = self._bodies(keys["bodies"]) if "bodies" in keys else None
        return self._request(keys["request"], self.text(keys["request"], "request"), weight, bodies)

    def _request(self, node: yaml.Node, text: str, weight: float, bodies: Path | None) -> Endpoint:
        method, _, path = text.partition(" ")
        path = path.strip()
        is_sendable = path.isprintable() and " " not in path
        if not method.isalpha() or not method.isupper() or not path.startswith("/") or not is_sendable:
            reason = (
                f"{text!r} is not METHOD /path, such as GET / or POST /v1/prediction (a space in it is %20)"
            )
            raise self.fail(node, reason)
        return Endpoint(method, path, weight, bodies)

    def _bodies(self, node: yaml.Node) -> Path:
        text = self.text(node, "bodies")
        if text == "flights":
            return self.flights
        path = self.folder / text
        if not path.is_file():
            raise self.fail(
                node, f"bodies: {text} is no file beside the profile; `flights` are the built-in ones"
            )
        return as_lines(path, self.into)

    def stage(self, node: yaml.Node) -> list[Stage]:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        kinds = [key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
        kind = next((one for one in _KINDS if one in kinds), None)
        if kind is None:
            raise self.fail(node, f"a stage needs one of {_list(set(_KINDS))}")
        keys = self.mapping(node, _STAGE_KEYS[kind], f"a stage of {kind}")
        objectives = self.objectives(keys.get("slo"))
        name = self.text(keys["name"], "name") if "name" in keys else ""
        if kind == "burst":
            return [self._burst(node, keys, name, objectives)]
        if kind == "steps":
            return self._steps(node, keys, name, objectives)
        if "for" not in keys:
            raise self.fail(node, f"a stage of {kind} needs `for:`, how long it lasts")
        high = MOST_USERS if kind == "users" else 5000
        read_one: Callable[[yaml.Node, str, int, int], float]
        read_one = self.whole if kind == "users" else self.number
        first, last = self.pair(keys[kind], lambda one: read_one(one, kind, 0, high))
        if max(first, last) == 0:
            raise self.fail(keys[kind], f"{kind} of 0 send nothing")
        arrival = self.text(keys["arrival"], "arrival") if "arrival" in keys else "poisson"
        if arrival not in ("poisson", "constant"):
            raise self.fail(keys["arrival"], f"arrival is poisson or constant, not {arrival!r}")
        length_s = self._length(keys["for"], "for")
        if kind == "rate" and (first + last) / 2 * length_s < 1:
            mean = f"{(first + last) / 2:g} per second"
            raise self.fail(keys["for"], f"at {mean} nothing is due within {length_s:g} s; make it longer")
        made = Stage(name, kind, first, last, length_s, arrival, objectives=objectives)
        return [made if name else replace(made, name=made.words)]

    def _length(self, node: yaml.Node, what: str) -> float:
        length_s = self.duration(node, what)
        if length_s < 1:
            raise self.fail(node, f"{what} must be a second or more")
        return length_s

    def _burst(
        self, node: yaml.Node, keys: dict[str, yaml.Node], name: str, objectives: tuple[Objective, ...]
    ) -> Stage:
        if "iterations" not in keys or "at_most" not in keys:
            raise self.fail(node, "a burst needs `iterations:` (of each user) and `at_most:` (a duration)")
        users = self.whole(keys["burst"], "burst", 1, MOST_USERS)
        iterations = self.whole(keys["iterations"], "iterations", 1, 1_000_000)
        at_most = self._length(keys["at_most"], "at_most")
        made = Stage(name, "burst", users, users, at_most, iterations=iterations, objectives=objectives)
        return made if name else replace(made, name=made.words)

    def _steps(
        self, node: yaml.Node, keys: dict[str, yaml.Node], name: str, objectives: tuple[Objective, ...]
    ) -> list[Stage]:
        if "each" not in keys:
            raise self.fail(node, "steps need `each:`, how long each lasts")
        length_s = self._length(keys["each"], "each")
        counts = [self.whole(one, "a step", 1, MOST_USERS) for one in self.items(keys["steps"], "steps")]
        return [
            Stage(f"{name or 'step'} {count}", "users", count, count, length_s, objectives=objectives)
            for count in counts
        ]


def read(path: Path, *, flights: Path, into: Path | None) -> Profile:
    """The profile of a YAML file; bodies from CSV are written as lines into the folder `into` (None: only read).

    Raises UsageError naming the line and the reason.
    """
    root = root_of(path)
    if root is None:
        raise UsageError(f"{path}, line 1: the profile is empty; it needs `stages:`.")
    return _Reader(str(path), path.parent, flights, into).profile(root)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
