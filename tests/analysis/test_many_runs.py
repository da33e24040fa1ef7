"""More runs than are compared with one another: judged as they are read, in parts, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headwind.cli import main
from headwind.commands import explain, parts
from headwind.errors import Exit
from headwind.formats import read_path
from headwind.report import document
from tests.analysis.wrk_text import HEALTHY_TEXT, SLOW_TEXT

MANY = document.COMPARED_RUNS + 200


def many(path: Path, count: int = MANY, *, between: str = "") -> str:
    """A file of alternating slow and healthy reports, each a little different."""
    blocks = []
    for at in range(count):
        block = SLOW_TEXT + "Transfer/sec:      8.45KB\n" if at % 3 == 0 else HEALTHY_TEXT
        blocks.append(block.replace("200 connections", f"{200 + at % 7} connections"))
        if at % 250 == 9:
            blocks.append(between)
    path.write_text("".join(blocks))
    return str(path)


def as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["explain", *arguments, "--format", "json"])
    return dict(json.loads(capsys.readouterr().out))


def by_run(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["runs"], row["code"]))


def test_runs_written_as_they_come_are_judged_as_those_held_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = many(tmp_path / "many.txt")
    streamed = as_json([name, "--slo", "p99<250ms"], capsys)
    held = document.build(list(read_path(name)), source=name, slos=["p99<250ms"])
    held = json.loads(json.dumps(held))
    assert streamed["runs"] == held["runs"]
    assert streamed["gates"] == held["gates"]
    assert by_run(streamed["findings"]) == by_run(held["findings"])
    schema = json.loads(files("headwind.report").joinpath("schemas/run.schema.json").read_text())
    jsonschema.validate(
        {**streamed, "runs": streamed["runs"][:50], "findings": streamed["findings"][:50]}, schema
    )
    assert streamed["answer"].startswith("1,200 runs, from 61.8 to 1,300 requests per second")


@pytest.mark.parametrize(
    "between", ["", "some words\n", "Running 5s test @ http://of.no.report/\nand nothing\n"]
)
def test_a_file_judged_in_parts_gives_the_same_document(
    between: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = many(tmp_path / "many.txt", between=between)
    whole = as_json([name], capsys)
    monkeypatch.setattr(explain, "LARGE", 0)
    monkeypatch.setattr(parts, "PIECE", 2**14)
    cut = parts.pieces(Path(name))
    assert cut is not None
    assert len(cut) > 10
    assert as_json([name], capsys) == whole


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe" + SLOW_TEXT.encode("utf-16-le") * MANY,
        SLOW_TEXT.encode() * 10,
        b"".join(
            b"wrk-1  | %bwrk-2  | %b" % (line, line) for line in SLOW_TEXT.encode().splitlines(keepends=True)
        )
        * MANY,
    ],
)
def test_a_file_that_is_not_one_report_after_another_is_not_cut(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_bytes(content)
    assert parts.pieces(path) is None


@pytest.mark.parametrize("prefix", ["", "wrk-1  | ", "> "])
@pytest.mark.parametrize(
    "form",
    [
        "{}",  # without its last line: the slow text ends at Requests/sec
        "{}Transfer/sec:      8.45KB\n\n",
        "$ wrk -t4 -c200 -d45s --timeout 10s http://localhost:8000/v1/prediction\n{}Transfer/sec:      8.45KB\n",
        "{}Transfer/sec:      8.45KB\n-----------\n200: 2788 responses\n",
        "```\n{}Transfer/sec:      8.45KB\n```\nWe ran it again.\r\n",
    ],
)
def test_reports_with_anything_between_are_shared_out_and_give_the_same_document(
    form: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    block = "".join(prefix + line for line in form.format(SLOW_TEXT).splitlines(keepends=True))
    path = tmp_path / "many.txt"
    path.write_bytes(block.encode() * MANY)
    whole = as_json([str(path)], capsys)
    assert len(whole["runs"]) == MANY
    monkeypatch.setattr(explain, "LARGE", 0)
    monkeypatch.setattr(parts, "PIECE", 2**15)
    cut = parts.pieces(path)
    assert cut is not None
    assert len(cut) > 10
    assert as_json([str(path)], capsys) == whole


def test_gates_judge_all_runs_where_the_report_shows_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.txt"
    path.write_text(HEALTHY_TEXT * MANY + SLOW_TEXT)
    assert main(["explain", str(path), "--slo", "rps>1000"]) == Exit.GATE_FAILED
    captured = capsys.readouterr()
    assert "the first 1,000 of 1,201 runs" in captured.err
    path.write_text(HEALTHY_TEXT * MANY)
    assert main(["explain", str(path), "--slo", "rps>1000"]) == Exit.DONE


def test_the_sources_of_several_files_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = many(tmp_path / "a.txt"), many(tmp_path / "b.txt", 3)
    built = as_json([first, second], capsys)
    assert built["sources"] == [first] * MANY + [second] * 3


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """The largest resident set of the process itself, after 10 MB of reports, stays under 200 MB."""
    name = many(tmp_path / "many.txt", 20_000)
    code = (
        "import resource, sys; from headwind.cli import main;"
        "main(['explain', sys.argv[1], '--format', 'json', '-o', sys.argv[2]]);"
        "print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))"
    )
    # A process's maximum counts what its parent held when it was forked, and pytest may be large by now: a shell of
    # its own lies between.
    out = subprocess.run(
        [
            "/bin/sh",
            "-c",
            '"$@"; exit $?',
            "sh",
            sys.executable,
            "-c",
            code,
            name,
            str(tmp_path / "out.json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(out.stdout) * unit < 200 * 2**20
