"""What a report says, before any format: one document -> one `Content`, which HTML and Markdown both lay out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal
from urllib.parse import urlsplit

from headwind import words
from headwind.analysis.finding import Finding
from headwind.formats.text import safe_url
from headwind.report.tables import Table, environment_tables, number_tables
from headwind.run import Run
from headwind.samples import Sample

Tone = Literal["good", "bad", "unsure", "neutral"]
_URL = re.compile(r"https?://\S+")
FIRST_FINDINGS = 3
NAMED_RUNS = 8
GATES_IN_ORDER = 8
# A generator busier than this share of one core per thread may itself be what limits the figures.
GENERATOR_BUSY = 0.85
# Above this share of all cores a process that wants to run has to wait for one.
MACHINE_BUSY = 0.97


@dataclass(frozen=True, slots=True)
class Fact:
    """One mark of the strip of trust: what was looked at, what came out, and why that is good or not."""

    label: str
    value: str
    tone: Tone = "neutral"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A judged objective: as it was asked, "held", "failed" or "not judged", and why."""

    name: str
    verdict: str
    reason: str
    run: int  # which of the document's runs it judged, from 0

    @property
    def tone(self) -> Tone:
        tones: dict[str, Tone] = {"held": "good", "failed": "bad"}
        return tones.get(self.verdict, "unsure")


@dataclass(frozen=True, slots=True)
class Told:
    """A finding as it is told: once, with the runs it is about where there are several."""

    finding: Finding
    where: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything of a run's report but its pictures."""

    title: str
    source: str
    answer: str
    trust: tuple[Fact, ...]
    gates: tuple[Gate, ...]
    findings: tuple[Told, ...]
    ruled_out: tuple[tuple[str, str], ...]  # cause, and the figure that excludes it
    numbers: tuple[Table, ...]
    again: str | None
    environment: tuple[Table, ...]
    notes: tuple[str, ...]
    raw_text: str | None

    @property
    def told_gates(self) -> tuple[Gate, ...]:
        """The gates as asked for; where there are too many to see at once, the failed first and the held last."""
        if len(self.gates) <= GATES_IN_ORDER:
            return self.gates
        order = {"failed": 0, "not judged": 1}
        return tuple(sorted(self.gates, key=lambda one: order.get(one.verdict, 2)))

    @property
    def first(self) -> tuple[Told, ...]:
        """The findings of the first screen."""
        return self.findings[:FIRST_FINDINGS]

    @property
    def further(self) -> tuple[Told, ...]:
        return self.findings[FIRST_FINDINGS:]


def build(
    document: Mapping[str, Any],
    runs: Sequence[Run],
    *,
    samples: Sequence[Sample] = (),
    environment: Mapping[str, Any] | None = None,
    raw_text: str | None = None,
) -> Content:
    """The report's words for a `headwind.run/1` document whose runs were read as `runs`."""
    findings = _told([Finding.from_json(row) for row in document.get("findings") or ()], len(runs))
    source = str(document.get("source") or "standard input")
    run = runs[0] if len(runs) == 1 else None
    return Content(
        title=_title(runs, source),
        source=source,
        answer=str(document.get("answer") or _title(runs, source)),
        trust=_trust(document, run, samples) if run else _trust_of_many(runs),
        gates=tuple(gate(row) for row in document.get("gates") or ()),
        findings=findings,
        ruled_out=ruled_out(document),
        numbers=number_tables(runs, document.get("sources")),
        again=again(environment),
        environment=environment_tables(environment),
        notes=tuple(dict.fromkeys(_notes(document, runs))),
        raw_text=_URL.sub(lambda found: safe_url(found[0]), raw_text) if raw_text else None,
    )


def _told(findings: Sequence[Finding], runs: int) -> tuple[Told, ...]:
    """Of several runs, findings of one code become one: the first, which is the gravest, and where else it holds."""
    if runs <= 1:
        return tuple(Told(finding) for finding in findings)
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    return tuple(Told(alike[0], _where(alike)) for alike in by_code.values())


def _where(alike: Sequence[Finding]) -> str:
    """Which runs findings of one code are about: "run 3", "runs 1, 2, 5 and 17 more", or nothing for all."""
    if any(not finding.runs for finding in alike):
        return ""
    # The first is the one whose numbers are shown, so it leads.
    places = list(dict.fromkeys(place + 1 for finding in alike for place in finding.runs))
    if len(places) == 1:
        return f"run {places[0]}"
    shown = ", ".join(map(str, places[:NAMED_RUNS]))
    more = f" and {len(places) - NAMED_RUNS} more" if len(places) > NAMED_RUNS else ""
    return f"runs {shown}{more}; the numbers are of run {places[0]}"


def _notes(document: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    """What was assumed, and what looked odd in the source."""
    yield from (str(row["message"]) for row in document.get("assumptions") or ())
    yield from (warning.message for run in runs for warning in run.warnings)


def _title(runs: Sequence[Run], source: str) -> str:
    if len(runs) != 1:
        return f"{len(runs)} runs of {source}"
    return runs[0].url or source


def _trust(document: Mapping[str, Any], run: Run, samples: Sequence[Sample]) -> tuple[Fact, ...]:
    """What the analysis said of the run, then where the load came from and whether its generator kept up."""
    said = facts(document)
    names = {fact.label for fact in said}
    ours = (_place(run), _headroom(run, samples))
    return (*said, *(fact for fact in ours if fact.label not in names))


def facts(document: Mapping[str, Any]) -> tuple[Fact, ...]:
    """The document's own marks of trust."""
    tones: dict[bool | None, Tone] = {True: "good", False: "bad", None: "neutral"}
    return tuple(
        Fact(str(row["name"]), str(row["value"]), tones[row["good"]], str(row["why"]))
        for row in document.get("trust") or ()
    )


def _place(run: Run) -> Fact:
    try:
        host = urlsplit(run.url).hostname if run.url else None
    except ValueError:  # such as an unclosed bracket: the source may hold anything
        host = None
    if host is None:
        return Fact("place", "not stated", "unsure", "the source does not name the server")
    if _is_loopback(host):
        return Fact("place", "same machine", "unsure", "generator and server share its cores")
    return Fact("place", "over a network", "neutral", f"the generator reached {host}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _headroom(run: Run, samples: Sequence[Sample]) -> Fact:
    """How busy the generator's threads were: its CPU seconds over what its threads could have used."""
    label = "generator"
    grown = [_generator_cpu_s(before, after) for before, after in pairwise(samples) if before.t_s >= 0]
    span = sum(seconds for seconds, _ in grown)
    if not run.threads or not span or not any(used for _, used in grown):
        return Fact(label, "not watched", "neutral", "its CPU was not sampled")
    busy = sum(used for _, used in grown) / span / min(run.threads, samples[-1].cpus)
    if busy > GENERATOR_BUSY:
        return Fact(label, f"{words.share(busy)} busy", "bad", "it may itself be the limit")
    if _machine_busy(samples) > MACHINE_BUSY:
        return Fact(label, f"{words.share(busy)} busy", "unsure", "but the machine had no core to spare")
    return Fact(label, f"{words.share(busy)} busy", "good", "it had time to spare")


def _machine_busy(samples: Sequence[Sample]) -> float:
    """The share (0..1) of all cores that anybody used while the load ran."""
    during = [sample for sample in samples if sample.t_s >= 0]
    span = (during[-1].t_s - during[0].t_s) * during[-1].cpus
    return (during[-1].host_busy_s - during[0].host_busy_s) / span if span > 0 else 0.0


def _generator_cpu_s(before: Sample, after: Sample) -> tuple[float, float]:
    """(seconds, CPU seconds) of the generator between two samples; (0, 0) where it was not there in both."""
    earlier = {one.pid: one.cpu_s for one in before.processes if one.role == "generator"}
    used = [one.cpu_s - earlier[one.pid] for one in after.processes if one.pid in earlier]
    return (after.t_s - before.t_s, sum(used)) if used else (0.0, 0.0)


def _trust_of_many(runs: Sequence[Run]) -> tuple[Fact, ...]:
    complete = sum(run.complete and not run.interrupted for run in runs)
    tone: Tone = "good" if complete == len(runs) else "unsure"
    tools = ", ".join(sorted({run.tool for run in runs}))
    return (
        Fact("complete", f"{complete} of {len(runs)} runs", tone),
        Fact("measured by", tools or "unknown"),
    )


def gate(row: Mapping[str, Any]) -> Gate:
    """The gate of a document's row."""
    name, verdict = str(row["gate"]), str(row["outcome"]).replace("_", " ")
    # The sentence repeats the name, which the report shows beside it.
    reason = (
        str(row["reason"]).removeprefix(f"{name} {verdict}: ").removeprefix(f"{name.replace(': ', ', ')}: ")
    )
    return Gate(name, verdict, reason, int(row.get("run") or 0))


def ruled_out(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(cause, the figure that excludes it) of everything that was ruled out."""
    return tuple(
        (words.label(str(row["code"])), str(row["evidence"])) for row in document.get("ruled_out") or ()
    )


def again(values: Mapping[str, Any] | None) -> str | None:
    """The command line that runs the same again, as the environment's record has it; None where it has none."""
    for key in ("again", "run_again", "command"):
        value = (values or {}).get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list | tuple) and value:
            return " ".join(str(part) for part in value)
    return None
