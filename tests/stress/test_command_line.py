"""What `headwind run` says before anything starts, and `headwind doctor`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.stress.tool import QUICK, Headwind, one_sentence, server

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


def test_reports_that_cannot_be_written_are_said_before_anything_starts(
    headwind: Headwind, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = headwind.run("run", "--command", server(), *QUICK, "--reports", str(tmp_path / "file" / "reports"))
    assert done.returncode == 2
    assert "--reports" in one_sentence(done.stderr)


def test_another_machine_is_not_loaded_without_consent(headwind: Headwind) -> None:
    done = headwind.run("run", "--url", "http://192.0.2.1:9/", *QUICK)
    assert done.returncode == 2
    assert "--yes" in one_sentence(done.stderr)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--url"),
        (["--url", "http://127.0.0.1:1/", "--duration", "1500ms"], "whole seconds"),
        (["--url", "http://127.0.0.1:1/", "--script", "none.lua"], "none.lua"),
        (["--url", "http://127.0.0.1:1/", "--header", "nonsense"], "Name: value"),
        (["--url", "http://127.0.0.1:1/", "--duration", "x", "--target", "0"], "'x' is no duration"),
        (["--url", "http://127.0.0.1:1/", "--mix", "GET /", "--script", "x.lua"], "--mix"),
        (["--url", "http://127.0.0.1:1/", "--target", "many"], "--target: 'many' is no whole number"),
        (["--url", "http://127.0.0.1:1/", "--rate", "fast"], "--rate: 'fast' is no number"),
        (
            ["--url", "http://127.0.0.1:1/", "--profile", "none.yaml"],
            "none.yaml cannot be read (No such file",
        ),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    headwind: Headwind, arguments: Sequence[str], expected: str
) -> None:
    done = headwind.run("run", *arguments)
    assert done.returncode == 2
    assert expected in one_sentence(done.stderr)


def test_a_dry_run_says_everything_and_does_nothing(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server(), "--dry-run", "--header", "X: secret-value")
    assert done.returncode == 0
    assert "http_server.py" in done.stdout
    assert "200 connections" in done.stdout
    assert "secret-value" not in done.stdout
    assert not headwind.reports.exists()


def test_doctor_names_what_is_missing_and_how_to_mend_it(headwind: Headwind, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    fine = headwind.run("doctor", "--format", "json")
    assert fine.returncode == 0, fine.stdout
    assert {row["name"]: row["state"] for row in json.loads(fine.stdout)}["wrk"] == "ok"
    poor = headwind.run("doctor", PATH=str(empty))
    assert poor.returncode == 6
    assert "missing  wrk: neither on PATH nor in a running Docker\n         -> " in poor.stdout
