"""How a load pattern ends: a server that dies, a user who stops it, and what of it is kept and reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwind.errors import MissingError
from headwind.stress import pattern_run, trial
from headwind.stress.generator import Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.pattern_run import BrokenOffError, Interrupted, Measured
from headwind.stress.plan import Plan
from headwind.stress.profile import Profile
from headwind.stress.schedule import Requests, read_requests
from headwind.stress.standing import Stood
from headwind.stress.trial import Trial
from tests.experiments.test_pattern_results import asked, built, crowd, evenly, pattern


def written(requests: Requests, path: Path) -> None:
    """The file that the Lua side leaves: see `read_requests`."""
    times = [requests.due_s, requests.taken_s, requests.sent_s, requests.done_s]
    raw = b"".join(np.nan_to_num(one * 1e6, nan=0.0).astype(np.float64).tobytes() for one in times)
    path.write_bytes(raw + requests.status.tobytes() + requests.endpoint.tobytes())


def test_a_turn_taken_before_the_start_was_taken_by_a_free_connection(tmp_path: Path) -> None:
    prompt = evenly(100, 1.0)
    early = prompt.taken_s.copy()
    early[:64] = -0.0008  # as many as there are connections
    written(replace(prompt, taken_s=early), tmp_path / "requests-1.bin")
    found = read_requests(tmp_path / "requests-1.bin")
    assert (found.taken_s <= found.due_s).all()
    assert len(found.send_lag_s) == 100


class Loads:
    """Stands for wrk: the k-th load leaves the k-th outcome, which is requests and why it ended early, or an error."""

    def __init__(self, *outcomes: tuple[Requests, str | None] | MissingError) -> None:
        self.outcomes = list(outcomes)
        self.is_stopped = False

    def __call__(self, plan: Plan, wrk: Wrk, into: Path, **_others: object) -> Trial:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, MissingError):
            raise outcome
        written(outcome[0], into / "requests-1.bin")
        return Trial(into, (), (), {}, outcome[1], stopped_by_user=self.is_stopped)


def carried_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile, loads: Loads, died: str | None = None
) -> tuple[Measured, Exception]:
    monkeypatch.setattr(trial, "run", loads)
    monkeypatch.setattr(Stood, "died", lambda _: died if not loads.outcomes else None)
    stood, measured = Stood(Plan(url="http://127.0.0.1:9/")), Measured()
    with pytest.raises((BrokenOffError, Interrupted)) as broken:
        pattern_run.carry_out(
            stood,
            profile,
            Wrk("local", "wrk", "4.1.0"),
            tmp_path,
            1,
            Interrupt(),
            server="server",
            measured=measured,
        )
    return measured, broken.value


def test_a_server_that_dies_in_a_load_is_told_and_what_was_measured_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, two = crowd("errors<90%", "errors<1%", rate_per_s=100), replace(crowd(), kind="users")
    profile = replace(pattern(one, two), objectives=asked("errors<90%"))
    death = "the server ended with exit code 3, saying 'out of luck', after 0.7 s of load"
    loads = Loads((evenly(200, 2.0, sent=70), death))
    measured, broken = carried_out(monkeypatch, tmp_path, profile, loads)
    document = built(measured.parts, *measured.totals, ended="broken", planned=2, broken=broken)
    assert document["answer"].startswith(f"Broke off in t, crowd: {death}; 1 of 2 stages were not begun.")
    assert "crowd: 130 of its 200 requests were due and never sent" in document["answer"]
    assert [gate["outcome"] for gate in document["gates"]] == ["not_judged", "failed", "not_judged"]
    assert "held" not in document["answer"]
    assert {row["name"]: row["good"] for row in document["trust"]}["carried out"] is False
    assert document["totals"][0]["requests"] == 200


def test_a_server_that_dies_between_two_loads_loses_nothing_that_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, two = crowd("errors<1%", rate_per_s=100), replace(crowd(), kind="users", name="after")
    gone = MissingError("http://127.0.0.1:9/: nothing answers there (refused); start the server.")
    loads = Loads((evenly(200, 2.0), None), gone)
    measured, broken = carried_out(
        monkeypatch, tmp_path, pattern(one, two), loads, "the server ended with exit code 3"
    )
    assert str(broken) == "the server ended with exit code 3"
    assert [(part.stage, part.requests) for part in measured.parts] == [("crowd", 200), ("crowd", 200)]
    assert [part.requests for part in measured.totals] == [200]
    assert [one.held for one in measured.parts[0].judged] == [True]


def test_a_server_that_dies_in_one_of_several_stages_of_a_load_is_told_with_all_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, two = crowd(rate_per_s=100), replace(crowd(rate_per_s=100), name="after")
    loads = Loads((evenly(400, 4.0, sent=250), "the server ended with exit code 3"))
    measured, broken = carried_out(monkeypatch, tmp_path, pattern(one, two), loads)
    assert isinstance(broken, BrokenOffError)
    assert broken.stage == "crowd to after"
    assert [part.unsent for part in measured.parts if part.endpoint == "all"] == [0, 150]


def test_a_server_that_is_not_ours_and_gone_is_told_by_what_no_longer_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, two = crowd(rate_per_s=100), replace(crowd(), kind="users", name="after")
    loads = Loads(
        (evenly(200, 2.0), None), MissingError("http://x/: nothing answers there; start the server.")
    )
    measured, broken = carried_out(monkeypatch, tmp_path, pattern(one, two), loads)
    document = built(measured.parts, ended="broken", planned=2, broken=broken)
    assert document["answer"].startswith(
        "Broke off in t, after: http://x/: nothing answers there; 1 of 2 stages"
    )


@pytest.mark.parametrize(
    ("stopped_at_s", "whole"), [(5.0, ["one", "two"]), (4.05, ["one"]), (3.0, ["one"]), (1.0, [])]
)
def test_stages_that_were_over_when_the_user_stopped_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stopped_at_s: float, whole: list[str]
) -> None:
    stages = [replace(crowd("errors<1%", rate_per_s=100), name=name) for name in ("one", "two", "three")]
    loads = Loads((evenly(600, 6.0, sent=round(100 * stopped_at_s)), "interrupted"))
    loads.is_stopped = True
    if stopped_at_s == 4.05:  # the last answers of the second stage had not come yet
        loads.outcomes[0][0].done_s[395:] = np.nan  # type: ignore[index]
    profile = replace(pattern(*stages), objectives=asked("errors<1%"))
    measured, stop = carried_out(monkeypatch, tmp_path, profile, loads)
    assert isinstance(stop, Interrupted)
    document = built(measured.parts, *measured.totals, ended="interrupted")
    kept = [row for row in document["stages"] if row["endpoint"] == "all"]
    assert [(row["name"], row["requests"], row["fails"]) for row in kept] == [
        (name, 200, 0) for name in whole
    ]
    assert [row["requests"] for row in document["totals"]] == [200 * len(whole)] * bool(whole)
    outcomes = [gate["outcome"] for gate in document["gates"]]
    assert outcomes == [*["held"] * len(whole), *["not_judged"] * bool(whole)]
    assert document["answer"].startswith(
        "Interrupted; what was whole:" if whole else "Interrupted before a stage"
    )


def test_a_plan_without_a_warm_up_sends_nothing_before_the_pattern(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads = Loads((evenly(10, 1.0), None))
    monkeypatch.setattr(trial, "run", loads)
    for warmup_s, left in ((0, 1), (3, 0)):
        stood = Stood(Plan(url="http://127.0.0.1:9/", warmup_s=warmup_s))
        wrk = Wrk("local", "wrk", "4.1.0")
        pattern_run.warm_up(stood, pattern(crowd()), wrk, tmp_path, 1, Interrupt())
        assert len(loads.outcomes) == left


DYING = """
import asyncio, os, sys
doomed = []
def die():
    print("out of luck", flush=True)
    os._exit(3)
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            if b"/ready" not in head and not doomed:
                doomed.append(asyncio.get_running_loop().call_later(float(sys.argv[2]), die))
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`")
@pytest.mark.load
def test_a_server_that_dies_of_a_pattern_ends_it_with_its_exit_code_and_its_last_words(
    tmp_path: Path,
) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    (tmp_path / "p.yaml").write_text(
        "endpoints: [GET /]\nslo: [errors<99.9%]\n"
        "stages: [{name: one, users: 1, for: 1s}, {name: two, rate: 40, for: 8s}, {name: three, users: 1, for: 1s}]\n"
    )
    line = [sys.executable, "-m", "headwind", "run", "--profile", str(tmp_path / "p.yaml"), "--wrk", "wrk"]
    line += ["--command", f"exec {sys.executable} {tmp_path / 'dying.py'} {{port}} 5", "--ready", "/ready"]
    line += ["--url", "http://127.0.0.1:{port}/", "--reports", str(tmp_path / "reports")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 4, done.stderr
    assert "the server ended with exit code 3, saying 'out of luck'" in done.stderr
    (file,) = tmp_path.glob("reports/*/experiment.json")
    document = json.loads(file.read_text())
    assert document["ended"] == "broken"
    assert (
        "Broke off in p, two: the server ended with exit code 3, saying 'out of luck'" in document["answer"]
    )
    assert "1 of 3 stages were not begun" in document["answer"]
    found = {row["name"]: row for row in document["stages"] if row["endpoint"] == "all"}
    assert found["one"]["fails"] == 0
    assert found["two"]["requests"] == 320
    assert 0 < found["two"]["unsent"] < 320
    assert [gate["outcome"] for gate in document["gates"]] == ["not_judged"]
    assert (file.parent / "report.html").exists()
