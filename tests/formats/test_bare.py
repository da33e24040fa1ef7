"""What stands around every line of a report changes nothing of what is read from it, and two logs in one come apart."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

import pytest

from headwind.formats import read_text
from headwind.formats.bare import bare
from headwind.formats.sources import put_apart
from headwind.run import Run
from tests.formats.printed import SAMPLES
from tests.formats.tool_text import TOOLS, fixture

HEY = fixture("hey/flaky.txt")
AB = fixture("ab/plain.txt")
OHA = next(text for tool, text in SAMPLES if tool == "oha" and not text.lstrip().startswith("{"))
VEGETA = next(text for tool, text in SAMPLES if tool == "vegeta" and not text.lstrip().startswith("{"))
H2LOAD = fixture("h2load/plain.txt")
AUTOCANNON = fixture("autocannon/plain.txt")
BOMBARDIER = next(
    text for tool, text in SAMPLES if tool == "bombardier" and not text.lstrip().startswith("{")
)
TEXTS = {"hey": HEY, "ab": AB, "oha": OHA, "vegeta": VEGETA, "h2load": H2LOAD, "bombardier": BOMBARDIER}


def each(form: str) -> Callable[[str], str]:
    """The text with every line in a form: {at} is its number, {line} the line."""
    return lambda text: "".join(
        form.format(at=at, line=line) + "\n" for at, line in enumerate(text.splitlines(), 1)
    )


WRAPS: dict[str, Callable[[str], str]] = {
    "GitHub Actions": each("2026-03-05T12:34:01.{at:07d}Z {line}"),
    "GitLab": each("2026-03-05T12:34:01.123456Z 01O {line}"),
    "Jenkins": each("[2026-03-05T12:34:01.123Z] {line}"),
    "gh run view": each("bench\tRun load\t2026-03-05T12:34:01.{at:07d}Z {line}"),
    "journal": each("Mar 05 12:34:01 host bench[12345]: {line}"),
    "Kubernetes": each("2026-03-05T12:34:01.123456789Z stdout F {line}"),
    "logging": each("2026-03-05 12:34:05,123 - bench - INFO - {line}"),
    "root logger": each("INFO:root:{line}"),
    "compose": each("load-1  | {line}"),
    "docker build": each("#12 3.456 {line}"),
    "grep -n": each("{at}:{line}"),
    "grep -H": each("results.txt:{line}"),
    "grep -Hn": each("out/results.txt:{at}:{line}"),
    "cat -n": each("{at:6d}\t{line}"),
    "cat -A": each("{line}$"),
    "twice quoted": each("> > {line}"),
    "hard breaks": each("{line}\\"),
    "Ansible": each('        "{line}",'),
    "every other line empty": each("{line}\n"),
    "two empty lines": each("{line}\n\n"),
    "json-file": lambda text: "".join(
        json.dumps({"log": line + "\n", "stream": "stdout", "time": "2026-03-05T12:34:01Z"}) + "\n"
        for line in text.splitlines()
    ),
    "notebook": lambda text: json.dumps({"outputs": [{"text": text.splitlines(keepends=True)}]}, indent=1),
    "HTML lines": lambda text: "<p>" + "<br>\n".join(map(html.escape, text.splitlines())) + "</p>",
    "HTML on one line": lambda text: "<p>" + "<br>".join(map(html.escape, text.splitlines())) + "</p>",
    "in a container of a CI system": lambda text: WRAPS["Jenkins"](WRAPS["compose"](text)),
}


def told(runs: list[Run]) -> list[dict[str, object]]:
    return [{name: value for name, value in run.to_json().items() if name != "lines"} for run in runs]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("tool", TEXTS)
def test_what_stands_around_the_lines_changes_nothing(tool: str, wrap: str) -> None:
    text = TEXTS[tool]
    expected = told(read_text(text, "test"))
    assert len(expected) == 1
    assert told(read_text(WRAPS[wrap](text), "test")) == expected


def test_lines_are_those_of_the_whole_text() -> None:
    (plain,) = read_text(HEY, "test")
    wrapped = "a log\n\n" + WRAPS["every other line empty"](HEY)
    (run,) = read_text(wrapped, "test")
    assert plain.lines
    assert run.lines
    assert run.lines[0] == 2 * plain.lines[0] + 1
    lines = wrapped.splitlines()
    assert lines[run.lines[0] - 1] == HEY.splitlines()[plain.lines[0] - 1]


@pytest.mark.parametrize(
    "text", [HEY, AB, "", "a\nb\n", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n"]
)
def test_a_text_without_wraps_has_no_other_form(text: str) -> None:
    assert bare(text) is None


def test_a_report_joined_onto_one_line_is_whole_or_says_what_is_missing() -> None:
    for tool, text in TEXTS.items():
        (whole,) = read_text(text, "test")
        for run in read_text(" ".join(text.splitlines()), "test"):
            assert run.tool == tool
            assert run.requests in (None, whole.requests)
            assert run.requests_per_s in (None, whole.requests_per_s)
            assert not run.complete or (
                run.latency and whole.latency and run.latency.mean_s == whole.latency.mean_s
            )


@pytest.mark.parametrize(
    "prefix", ["load-{}  | ", "[pod/{}/wrk] ", "node-0{}: ", "[{}] ", "12:00:00 load.{} | "]
)
@pytest.mark.parametrize("tool", ["hey", "oha", "vegeta", "ab"])
def test_two_reports_whose_lines_alternate_come_apart(tool: str, prefix: str) -> None:
    first, second = TEXTS[tool].splitlines(), changed(TEXTS[tool]).splitlines()
    mixed = "".join(
        f"{prefix.format(1)}{one}\n{prefix.format(2)}{two}\n" for one, two in zip(first, second, strict=True)
    )
    expected = read_text(TEXTS[tool], "test") + read_text(changed(TEXTS[tool]), "test")
    assert told(read_text(mixed, "test")) == told(expected)


def changed(text: str) -> str:
    """Another run of the same tool: figures with a 1 in them have a 2 instead."""
    return text.replace("1", "2")


def test_reports_one_after_the_other_are_left_as_they_are() -> None:
    text = each("load-1  | {line}")(HEY) + each("load-2  | {line}")(HEY)
    assert put_apart(text) is None


def test_every_tool_with_labelled_lines_is_here() -> None:
    assert set(TEXTS) <= set(TOOLS)
