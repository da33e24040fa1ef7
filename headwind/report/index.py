"""`reports/index.html`: every run of a folder of reports, the newest first, each with its answer and its figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headwind import words
from headwind.errors import HeadwindError, UsageError
from headwind.report import folder as folders
from headwind.report.html import page
from headwind.report.plain import clean
from headwind.run import Run

_FOLDER_NAME = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(.+)")
_KINDS = {"run": "Run", "experiment": "Experiment", "diagnosis": "Diagnosis"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the index. `link` is relative to the index; figures are text, empty where the document has none."""

    name: str
    when: str
    label: str
    kind: str
    answer: str
    link: str | None
    rate: str = ""
    p99: str = ""
    failed: str = ""
    gates: str = ""
    tone: str = "neutral"


def write(reports: Path) -> Path:
    """Write the index of the run folders in `reports`. Raises UsageError where there is none."""
    entries = list(entries_of(reports))
    if not entries:
        raise UsageError(f"{reports} holds no run; `headwind run` makes one, or name another folder.")
    target = reports / "index.html"
    folders.write_text(target, render(entries))
    return target


def render(entries: Iterable[Entry]) -> str:
    """The index as one page, the newest first."""
    ordered = sorted(entries, key=lambda entry: entry.name, reverse=True)
    return page("index.html", "All runs", kind="all runs", entries=ordered)


def entries_of(reports: Path) -> Iterable[Entry]:
    """An entry for every run folder in `reports`; one that cannot be read is listed with the reason."""
    for folder in sorted(reports.iterdir()) if reports.is_dir() else ():
        if not folder.is_dir() or not folders.is_run_folder(folder):
            continue
        link = f"{quote(folder.name)}/report.html" if (folder / "report.html").is_file() else None
        try:
            yield entry(folder.name, folders.read_document(folder), link)
        except (HeadwindError, KeyError, TypeError, ValueError) as error:
            when, label = _when(folder.name)
            yield Entry(folder.name, when, label, "Unreadable", clean(str(error)), link, tone="bad")


def entry(name: str, document: Mapping[str, Any], link: str | None) -> Entry:
    """The index's line for a document that lies in the folder `name`."""
    document = clean(document)
    kind = str(document.get("schema", "")).removeprefix("headwind.").partition("/")[0]
    when, label = _when(name)
    runs = [Run.from_json(row) for row in document.get("runs") or ()] if kind == "run" else []
    run = runs[0] if len(runs) == 1 else Run(tool="")
    gates, tone = _gates(document)
    return Entry(
        name=clean(name),
        when=when,
        label=clean(label),
        kind=_KINDS.get(kind, kind or "Unknown"),
        answer=str(document.get("answer") or document.get("source") or ""),
        link=link,
        rate="" if run.requests_per_s is None else words.rate(run.requests_per_s),
        p99=_p99(run),
        failed="" if run.errors.status is None else words.number(run.errors.status),
        gates=gates,
        tone=tone,
    )


def _when(name: str) -> tuple[str, str]:
    """Time and label of a folder's name."""
    found = _FOLDER_NAME.fullmatch(name)
    if found is None:
        return "", name
    year, month, day, hour, minute, second, label = found.groups()
    return f"{year}-{month}-{day} {hour}:{minute}:{second}", label


def _p99(run: Run) -> str:
    if run.histogram is not None and run.histogram.total:
        measured = run.histogram.percentile_s(99)
        limit = run.histogram.limit_us
        if measured is None:
            return f"over {words.seconds(limit / 1e6)}" if limit else words.UNKNOWN
        return words.seconds(measured)
    printed = run.latency.percentiles_s.get("99") if run.latency else None
    return "" if printed is None else words.seconds(printed)


def _gates(document: Mapping[str, Any]) -> tuple[str, str]:
    outcomes = [str(row.get("outcome")) for row in document.get("gates") or ()]
    if not outcomes:
        return "", "neutral"
    failed, open_ = outcomes.count("failed"), outcomes.count("not_judged")
    if failed:
        return f"{failed} of {len(outcomes)} failed", "bad"
    if open_:
        return f"{open_} of {len(outcomes)} not judged", "unsure"
    return "held", "good"
