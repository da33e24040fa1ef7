"""The gates as JUnit XML, which every CI shows: one test case a gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from headwind.report.content import gate
from headwind.report.plain import clean
from headwind.run import Run


def render(document: Mapping[str, Any]) -> str:
    """A failed gate is a failure; one that could not be judged is an error, so that CI does not take it for held.

    Without gates there is one case: that the source held complete runs.
    """
    document = clean(document)
    runs = [Run.from_json(row) for row in document["runs"]]
    cases = [_case(row) for row in document.get("gates") or ()] or [_completeness(runs)]
    suite = ElementTree.Element(
        "testsuite", {"name": f"headwind {document.get('source') or 'standard input'}"}
    )
    suite.set("tests", str(len(cases)))
    for kind in ("failure", "error"):
        suite.set(f"{kind}s", str(sum(case.find(kind) is not None for case in cases)))
    duration = sum(run.duration_s or 0.0 for run in runs)
    suite.set("time", f"{duration:.3f}")
    suite.extend(cases)
    said = ElementTree.SubElement(suite, "system-out")
    said.text = "\n".join(_line(row) for row in document.get("findings") or ())
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _case(row: Mapping[str, Any]) -> ElementTree.Element:
    judged = gate(row)
    case = ElementTree.Element(
        "testcase", {"classname": f"headwind.run{judged.run + 1}", "name": judged.name}
    )
    if judged.verdict == "failed":
        ElementTree.SubElement(case, "failure", {"message": str(row["reason"])})
    elif judged.verdict != "held":
        ElementTree.SubElement(case, "error", {"message": str(row["reason"])})
    return case


def _completeness(runs: list[Run]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": "headwind", "name": "every run is complete"})
    broken = [place for place, run in enumerate(runs, start=1) if not run.complete or run.interrupted]
    if broken or not runs:
        message = f"incomplete: run {', '.join(map(str, broken))}" if broken else "the source holds no run"
        ElementTree.SubElement(case, "failure", {"message": message})
    return case


def _line(row: Mapping[str, Any]) -> str:
    told = f"{row['severity']} ({row['certainty']}): {row['title']}"
    return f"{told}\n  -> {row['advice']}" if row["advice"] else told
