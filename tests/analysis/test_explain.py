"""`headwind explain`: its options, formats and exit codes, on files, folders and stdin."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headwind.cli import main
from headwind.errors import Exit
from tests.analysis.watched import HEALTHY_PROCESSES, watched
from tests.analysis.wrk_text import HEALTHY_TEXT, SLOW_TEXT


@pytest.fixture
def slow(tmp_path: Path) -> str:
    (tmp_path / "slow.txt").write_text(SLOW_TEXT)
    return str(tmp_path / "slow.txt")


@pytest.fixture
def fast(tmp_path: Path) -> str:
    (tmp_path / "fast.txt").write_text(HEALTHY_TEXT)
    return str(tmp_path / "fast.txt")


def explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["explain", *arguments, "--format", "json"])
    return dict(json.loads(capsys.readouterr().out))


def test_no_gate_asked_for_is_success(slow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", slow]) == Exit.DONE
    assert capsys.readouterr().out.startswith(
        "61.8/s at 200 connections, 22.0 % of the answers later than 2 s"
    )


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (["--target", "2788"], Exit.DONE),
        (["--target", "50000"], Exit.GATE_FAILED),
        (["--slo", "p99<250ms"], Exit.GATE_FAILED),
        (["--slo", "p99<5s"], Exit.GATE_NOT_JUDGED),
        (["--slo", "p99<5s", "--slo", "rps>1000"], Exit.GATE_FAILED),
        (["--slo", "rps>61", "--slo", "p75<2.1s"], Exit.DONE),
    ],
)
def test_the_exit_code_is_the_gates(
    gate: list[str], expected: Exit, slow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", slow, *gate]) == expected


def test_objectives_of_a_file_and_of_options_are_all_judged(
    slow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gates.yaml").write_text("target: 50000\nslo: [errors<0.1%]\n")
    built = explained([slow, "--gates", str(tmp_path / "gates.yaml"), "--slo", "rps>60"], capsys)
    assert isinstance(built["gates"], list)
    assert [gate["metric"] for gate in built["gates"]] == ["requests", "rps", "errors"]


@pytest.mark.parametrize(
    ("content", "words"),
    [("slo: [p99", "line 1"), ("slo: 3", "list of objectives"), (None, "cannot be read")],
)
def test_a_broken_file_of_objectives_is_one_sentence(
    content: str | None, words: str, slow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gates.yaml"
    if content is not None:
        path.write_text(content)
    assert main(["explain", slow, "--gates", str(path)]) == Exit.USAGE
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_known_timeout_is_no_assumption(slow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained([slow], capsys)["assumptions"] != []
    built = explained([slow, "--timeout", "2s"], capsys)
    assert built["assumptions"] == []


def test_another_threshold_for_late_is_counted_only_where_it_can_be(
    slow: str, fast: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = explained([slow, "--late", "1s"], capsys)["runs"]
    assert (run["late"], run["late_threshold_s"]) == (None, 1.0)
    (run,) = explained([fast, "--late", "300ms"], capsys)["runs"]
    assert run["late"] == 0


@pytest.mark.parametrize("value", ["0", "-1s", "soon", "2 parsecs"])
def test_a_duration_that_is_none_is_refused(
    value: str, slow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", slow, f"--timeout={value}"]) == Exit.USAGE
    assert "2s" in capsys.readouterr().err


def test_several_files_make_one_document_that_names_each(
    slow: str, fast: str, capsys: pytest.CaptureFixture[str]
) -> None:
    built = explained([slow, fast], capsys)
    assert built["sources"] == [slow, fast]
    assert len(built["runs"]) == 2
    main(["explain", slow, fast])
    assert capsys.readouterr().out.startswith("2 runs, from 61.8 to 1,300 requests per second")


def test_stdin_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SLOW_TEXT.encode())))
    built = explained(["-"], capsys)
    assert built["source"] == "<stdin>"


def test_a_folder_brings_its_samples_and_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "wrk.txt").write_text(HEALTHY_TEXT)
    samples = watched(HEALTHY_PROCESSES, cpus=4, busy_cores=3.5)
    lines = [json.dumps(sample.to_json()) for sample in samples]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n" + lines[-1][:20])  # killed while it wrote
    built = explained([str(folder)], capsys)
    assert "noisy_host" in [row["code"] for row in built["findings"]]


def test_a_text_without_a_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("wrk is a load generator.\n")
    assert main(["explain", str(path)]) == Exit.UNREADABLE
    error = capsys.readouterr().err
    assert error.startswith("headwind: ")
    assert error.count("\n") == 1


def test_an_output_that_cannot_be_written_is_one_sentence(
    slow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", slow, "-o", str(tmp_path / "no" / "out.txt")]) == Exit.USAGE
    assert "cannot be written" in capsys.readouterr().err


def test_text_needs_nothing_heavy(slow: str) -> None:
    code = (
        "import sys; from headwind.cli import main; main(['explain', sys.argv[1]]);"
        "heavy = {'numpy', 'scipy', 'pandas', 'jinja2', 'altair', 'psutil', 'yaml'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, slow], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_alias_does_the_same(slow: str) -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-m", *words, slow, "--target", "50000"],
            capture_output=True,
            text=True,
            check=False,
        )
        for words in (["parser"], ["headwind", "explain"])
    ]
    assert outputs[0].stdout == outputs[1].stdout != ""
    assert [done.returncode for done in outputs] == [3, 3]
