"""What an experiment cannot do is refused in one sentence, before any server is started or loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwind import cli
from headwind.stress import generator, journal

URL = ["--url", "http://127.0.0.1:1/"]
PROFILE = ["run", *URL, "--profile", "profiles/k6-burst.yaml"]
COMPARE = ["compare", "--command", "serve {port} {workers}", "--workers", "1", "2"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["run", *URL, "--rate", "nan"], "no schedule has nan requests per second"),
        (["run", *URL, "--rate", "inf"], "no schedule has inf requests per second"),
        (["run", *URL, "--rate", "1e12"], "at most 1,000,000"),
        (["run", *URL, "--rate", "0.01", "--duration", "2s"], "nothing is due within 2 s"),
        ([*PROFILE, "--rate", "5"], "`rate:` in a stage"),
        ([*PROFILE, "--mix", "GET /=1"], "`endpoints:` in it"),
        ([*PROFILE, "--target", "5"], "--slo, such as 'rps>100'"),
        ([*PROFILE, "--shorten", "nan"], "give 1 or more"),
        ([*COMPARE, "--rate", "5"], "at one --rate all take the same"),
        ([*COMPARE, "--blocks", "-1"], "give --blocks 3 or more"),
        ([*COMPARE, "--blocks", "0"], "give --blocks 3 or more"),
        ([*COMPARE, "--arrival", "constant"], "Poisson arrivals only"),
        ([*COMPARE, "--seed", "-1"], "--seed -1 is no seed"),
        (["run", *URL, "--rate", "5", "--seed", "-1"], "give a whole number from 0"),
        (["run", *URL, "--arrival", "constant"], "give --rate, or leave it out"),
        (["capacity", *URL, "--seed", "-1"], "--seed -1 is no seed"),
        (["capacity", *URL, "--rate", "100"], "leave --rate and --arrival out"),
        (["capacity", *URL, "--arrival", "constant"], "leave --rate and --arrival out"),
        (
            ["compare", "--command", "gunicorn app:app -w 3 -b :{port}", "--workers", "1", "2"],
            "its own -w 3 overrules WEB_CONCURRENCY",
        ),
        (
            ["compare", "--command", "uvicorn --workers=2 a:b --port {port}", "--workers", "1", "2"],
            "its own --workers=2 overrules",
        ),
        (["capacity", *URL, "--budget", "20s"], "ends before the first step near the capacity"),
        (["capacity", *URL, "--slo", "p99<0ms"], "can hold at no rate"),
    ],
)
def test_it_is_refused_in_one_sentence(
    line: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*line, "--dry-run"]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert told.out == ""


def test_going_on_with_another_budget_or_seed_or_number_of_blocks_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "1-compare"
    into.mkdir()
    journal.declare(into, {"kind": "compare", "budget_s": 600.0, "blocks": 18, "seed": 5})
    monkeypatch.setattr(generator, "find", lambda *_, **__: generator.Wrk("local", "wrk", "4.1.0"))
    for other, said in (
        (["--budget", "20m"], "declared with budget 600; leave --budget out"),
        (["--budget", "10m", "--blocks", "3"], "leave --blocks out"),
        (["--seed", "6"], "declared with seed 5; leave --seed out"),
    ):
        line = [*COMPARE, *other, "--reports", str(tmp_path), "--resume", str(into)]
        assert cli.main(line) == 2
        assert said in capsys.readouterr().err


def test_a_load_that_leaves_this_machine_is_asked_for_with_all_of_its_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "find", lambda *_, **__: generator.Wrk("local", "wrk", "4.1.0"))
    assert cli.main(["capacity", "--url", "http://192.0.2.1:9/", "--budget", "1h"]) == 2
    assert "128 connections for up to 1h, and at rising rates were not agreed to" in capsys.readouterr().err


def test_a_seed_of_0_is_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*COMPARE, "--seed", "0", "--dry-run"]) == 0
    assert "seed 0" in capsys.readouterr().out


def test_a_secret_of_a_url_is_not_told_where_nothing_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://user:pazzword@127.0.0.1:1/v1?api_key=QUERYsecret"
    assert cli.main(["run", "--url", url, "--reports", str(tmp_path)]) == 6
    told = capsys.readouterr()
    assert "nothing answers there" in told.err
    assert "pazzword" not in told.err + told.out
    assert "QUERYsecret" not in told.err + told.out
