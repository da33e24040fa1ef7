"""What the wrks of one run left, as Runs: their texts joined with what the Lua side wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headwind import formats
from headwind.errors import HeadwindError, MissingError, UsageError
from headwind.formats.exact import attach_exact
from headwind.run import Run
from headwind.stress import folder, mixed, schedule
from headwind.stress.generator import Generator, Load
from headwind.stress.plan import Plan


def collect(
    into: Path, plan: Plan, generators: list[Generator], loads: list[Load], record: Mapping[str, Any]
) -> list[Run]:
    """Join the wrks' files into the folder's and read them; a mixed load gives one Run with a row per endpoint."""
    runs: list[Run] = []
    names, texts, complaints, reports = [], [], [], []
    for one, load in zip(generators, loads, strict=True):
        text = text_of(one.stdout)
        exact = _exact(load.exact)
        texts.append(text)
        complaints.append(text_of(one.stderr))
        reports += [json.dumps(exact)] if exact else []
        for found in formats.read_text(text, "wrk.txt", tool="wrk", timeout_s=plan.timeout_s)[:1]:
            found = replace(found, late_threshold_s=plan.late_s, started_at=record["started_at"])
            found = replace(found, rate_target_per_s=load.rate_per_s or found.rate_target_per_s)
            if exact is None:
                found = found.warn("no_exact", "The Lua side wrote no report, so no histogram is exact.")
            else:
                found = attach_exact(found, exact, late_threshold_s=plan.late_s)
                if plan.schedule:
                    found = schedule.apply(found, exact, _requests(into, load, len(runs) + 1))
            runs.append(replace(found, interrupted=found.interrupted or record["interrupted"] is not None))
            names.append(load.traffic.name)
    folder.write_text(into / "wrk.txt", "\n".join(texts))
    folder.write_text(into / "exact.jsonl", "".join(line + "\n" for line in reports))
    if any(complaints):
        folder.write_text(into / "wrk-stderr.txt", "\n".join(complaints))
    for one, load in zip(generators, loads, strict=True):
        for piece in (one.stdout, one.stderr, load.exact):
            if piece:
                piece.unlink(missing_ok=True)
    if not runs and any(complaints):
        raise failure(record["url"], " ".join(complaints))
    return [mixed.combine(names, runs, record["url"])] if len(loads) > 1 and runs else runs


def _requests(into: Path, load: Load, number: int) -> schedule.Requests | None:
    """Every request's times, kept in the folder as `requests-<number>.bin`."""
    draft = load.exact and load.exact.with_name(load.exact.name + ".requests")
    if not draft or not draft.exists():
        return None
    kept = draft.replace(into / f"requests-{number}.bin")
    return schedule.read_requests(kept)


def _exact(path: Path | None) -> dict[str, Any] | None:
    """The Lua side's report, if it wrote one; a line that was cut by a kill is no report."""
    if path is None or not path.exists():
        return None
    try:
        report: dict[str, Any] = json.loads(path.read_text())
        return report
    except ValueError:
        return None


def failure(url: str, complaint: str) -> HeadwindError:
    """Why wrk did nothing: a script that is broken is the caller's, anything else is missing here."""
    if "script does not load" in complaint:
        return UsageError(sentence(complaint))
    return MissingError(f"wrk could not load {url}: {sentence(complaint)}")


def text_of(path: Path) -> str:
    """A file's text; empty where there is no file."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def sentence(complaint: str) -> str:
    """What a program complained of, in one line that ends with a full stop."""
    line = " ".join(complaint.split())
    return (line[:200] or "it said nothing").rstrip(".") + "."
