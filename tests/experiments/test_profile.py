"""Load patterns: what a profile may say, what is refused with its line, and every ready-made one in short."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from headwind.commands.patterns import told_apart
from headwind.errors import UsageError
from headwind.stress import pattern_report
from headwind.stress.bodies import as_lines
from headwind.stress.pattern_run import Measured, Part
from headwind.stress.profile import Profile, pattern_of, read
from headwind.stress.schedule import Requests, read_requests
from tests.stress.servers import serving

PROFILES = Path(__file__).parents[2] / "profiles"
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`")


def profile(tmp_path: Path, text: str) -> Profile:
    file = tmp_path / "pattern.yaml"
    file.write_text(text)
    flights = tmp_path / "flights.jsonl"
    flights.write_text('{"a": 1}\n')
    return read(file, flights=flights, into=tmp_path / "bodies")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("stages: [", 1, "this is no YAML"),
        ("", 1, "the profile is empty"),
        ("title: x", 1, "needs `stages:`"),
        ("stages:\n  - users: 5\n    for: 10", 3, "must be a duration such as 30s"),
        ("stages:\n  - users: 5", 2, "needs `for:`"),
        ("stages:\n  - user: 5\n    for: 10s", 2, "needs one of burst, rate, steps, users"),
        ("stages:\n  - users: 5\n    for: 10s\n    sloo: [p99<1s]", 4, "has no key 'sloo'"),
        ("stages:\n  - users: many\n    for: 10s", 2, "must be a number, not 'many'"),
        ("stages:\n  - users: 5000\n    for: 10s", 2, "from 0 to 512"),
        ("stages:\n  - users: [1, 2, 3]\n    for: 10s", 2, "[from, to]"),
        ("stages:\n  - users: 0\n    for: 10s", 2, "send nothing"),
        ("stages:\n  - users: 0.4\n    for: 10s", 2, "users must be a whole number, not 0.4"),
        ("stages:\n  - users: [0, 1.5]\n    for: 10s", 2, "users must be a whole number, not 1.5"),
        ("stages:\n  - rate: 0.1\n    for: 1s", 3, "nothing is due within 1 s"),
        ("stages:\n  - rate: 5\n    for: 10s\n    arrival: evenly", 4, "poisson or constant"),
        ("stages:\n  - burst: 5\n    at_most: 10s", 2, "needs `iterations:`"),
        ("stages:\n  - users: 5\n    for: 10s\nslo:\n  - p99<fast", 5, "is no objective"),
        ("endpoints:\n  - get /\nstages:\n  - users: 1\n    for: 9s", 2, "is not METHOD /path"),
        ("endpoints:\n  - request: POST /\n    bodies: no.jsonl\nstages: []", 3, "is no file beside"),
        ("stages: []", 1, "at least one entry"),
        ("stages:\n  - users: 5\n    users: 6\n    for: 10s", 3, "given twice"),
        ("stages:\n  - {users: 1, for: 1s}\n[a, b]: c", 3, "a key that is no word"),
        ("stages:\n  - {users: 1, for: 1s, ? {a: b} : c}", 2, "a key that is no word"),
        ('endpoints:\n  - "GET /a\\nPOST /b"\nstages: []', 2, "is not METHOD /path"),
        ("endpoints:\n  - GET /a b\nstages: []", 2, "is not METHOD /path"),
        ("think: [5s, 1s]\nstages:\n  - {users: 1, for: 1s}", 1, "5 s is longer than 1 s"),
    ],
)
def test_a_profile_with_an_error_is_refused_with_line_and_reason(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    with pytest.raises(UsageError) as refused:
        profile(tmp_path, text)
    assert f"line {line}" in str(refused.value)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "line"),
    [(b"title: a\nthink: \x01\n", 2), (b"title: a\n# \xff\n", 2), (b"stages: " + b"[" * 5000, 1)],
)
def test_a_file_that_is_no_yaml_is_refused_with_its_line(tmp_path: Path, raw: bytes, line: int) -> None:
    path = tmp_path / "profile.yaml"
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=f"line {line}: "):
        read(path, flights=tmp_path, into=tmp_path)


def test_stages_of_one_kind_become_one_pattern_with_a_jump_between_them(tmp_path: Path) -> None:
    made = profile(
        tmp_path, "stages:\n  - {users: [0, 5], for: 5s}\n  - {users: 50, for: 10s}\n  - {rate: 9, for: 3s}"
    )
    users, rates = made.groups()
    assert pattern_of(made, users, 1, 5).points == ((0, 0), (5, 5), (5, 50), (15, 50))
    assert pattern_of(made, users, 1, 5).connections == 50
    assert pattern_of(made, rates, 1, 5).kind == "rate"


def test_patterns_of_one_title_are_told_apart(tmp_path: Path) -> None:
    named = [
        profile(tmp_path, f"title: {title}\nstages: [{{users: 1, for: 1s}}]")
        for title in ("same", "same", "other", "same (2)", "same")
    ]
    assert [one.title for one in told_apart(named)] == ["same", "same (3)", "other", "same (2)", "same (4)"]


def test_the_ready_made_suites_are_what_their_names_promise(tmp_path: Path) -> None:
    made = {path.stem: read(path, flights=tmp_path, into=tmp_path) for path in PROFILES.glob("*.yaml")}
    burst, gradual, constant = (made[f"k6-{name}"] for name in ("burst", "gradual", "constant"))
    assert [(s.first, s.iterations, s.length_s) for s in burst.stages] == [(5, 20, 10)]
    assert len(gradual.stages) == 3
    assert sum(stage.length_s for stage in gradual.stages) == 240
    assert max(stage.last for stage in gradual.stages) == 20
    assert [(s.kind, s.first, s.arrival, s.length_s) for s in constant.stages] == [
        ("rate", 10, "constant", 60)
    ]
    for users in (5, 50):
        pair = made[f"locust-{users}"]
        assert (pair.stages[0].last, pair.stages[0].length_s) == (users, users)  # one new user per second
        assert [one.name for one in pair.endpoints] == ["GET /", "POST /v1/prediction"]


def run(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any], Path]:
    line = [sys.executable, "-m", "headwind", "run", "--reports", str(tmp_path), "--wrk", "wrk", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)
    (file,) = tmp_path.glob("*/experiment.json")
    return done, json.loads(file.read_text()), file.parent


def requests_of(into: Path) -> Requests:
    """The times of the one group of stages that was carried out."""
    (path,) = (path for path in into.glob("*/*/*/requests-1.bin"))
    return read_requests(path)


def test_bodies_of_one_name_from_two_folders_stay_two_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(f"who\n{name}\n")
    first, second = (as_lines(tmp_path / name / "x.csv", tmp_path / "out") for name in ("a", "b"))
    assert [json.loads(path.read_text()) for path in (first, second)] == [{"who": "a"}, {"who": "b"}]


@needs_wrk
@pytest.mark.load
def test_every_ready_made_profile_runs_in_a_shortened_form(tmp_path: Path) -> None:
    files = sorted(PROFILES.glob("*.yaml"))
    named = [word for path in files for word in ("--profile", str(path))]
    with serving() as url:
        done, document, into = run(tmp_path, "--url", url, *named, "--shorten", "200")
    assert done.returncode in (0, 3), done.stderr  # a busy machine may miss an objective
    stages = [row for row in document["stages"] if row["endpoint"] == "all"]
    tests = {"burst", "gradual", "constant", "5 users", "50 users", "spike", "steps"}
    assert {row["test"] for row in stages} == tests
    assert all(row["fails"] == 0 for row in stages)
    assert next(row["requests"] for row in stages if row["test"] == "burst") == 100
    assert {row["test"]: row["requests"] for row in document["totals"]} == {
        test: sum(row["requests"] for row in stages if row["test"] == test) for test in tests
    }
    schema = json.loads((resources.files("headwind.report") / "schemas/experiment.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert "Endpoints over each whole test" in done.stdout
    assert (into / "report.html").exists()


@needs_wrk
@pytest.mark.load
def test_users_come_think_and_leave_as_the_pattern_says(tmp_path: Path) -> None:
    file = tmp_path / "pattern.yaml"
    file.write_text(
        "think: 100ms\nendpoints: [GET /a, {request: GET /b, weight: 3}]\n"
        "stages: [{users: [0, 8], for: 1s}, {users: 8, for: 1s}, {users: [8, 0], for: 1s}]\n"
    )
    with serving() as url:
        done, document, into = run(tmp_path, "--url", url, "--profile", str(file))
    assert done.returncode == 0, done.stderr
    requests = requests_of(into)
    # Eight users with 100 ms between their requests: eighty per second, and half of that while they come and go.
    middle = ((requests.due_s >= 1) & (requests.due_s < 2)).sum()
    first, last = (requests.due_s < 1).sum(), (requests.due_s >= 2).sum()
    # A busy machine makes users slower, never faster.
    assert 20 <= middle <= 82
    assert 0.2 < first / middle < 0.85
    assert 0.2 < last / middle < 0.85
    shares = np.bincount(requests.endpoint) / len(requests.endpoint)
    assert shares == pytest.approx([0.25, 0.75], abs=0.12)
    assert {row["endpoint"] for row in document["stages"]} == {"all", "GET /a", "GET /b"}


@needs_wrk
@pytest.mark.load
def test_a_rate_that_grows_is_due_as_its_integral_says(tmp_path: Path) -> None:
    file = tmp_path / "pattern.yaml"
    file.write_text(
        "stages: [{rate: [0, 400], for: 1s, arrival: constant}, {rate: 100, for: 1s, arrival: constant}]"
    )
    with serving() as url:
        done, _, into = run(tmp_path, "--url", url, "--profile", str(file))
    assert done.returncode == 0, done.stderr
    due = requests_of(into).due_s
    # The k-th request of a rate 400 t is due at sqrt(k / 200).
    ramp = due[due < 1]
    assert len(ramp) == pytest.approx(200, abs=1)
    assert ramp == pytest.approx(np.sqrt(np.arange(len(ramp)) / 200), abs=1e-4)
    assert (due >= 1).sum() == pytest.approx(100, abs=1)


@needs_wrk
@pytest.mark.load
def test_a_missed_objective_fails_the_run_and_names_its_stage(tmp_path: Path) -> None:
    file = tmp_path / "pattern.yaml"
    file.write_text("stages: [{name: slow one, rate: 50, for: 1s, slo: [p50<1ms]}]")
    with serving("--delay", "0.02") as url:
        done, document, _ = run(tmp_path, "--url", url, "--profile", str(file))
    assert done.returncode == 3
    assert [(gate["stage"], gate["outcome"]) for gate in document["gates"]] == [("slow one", "failed")]


@needs_wrk
@pytest.mark.load
def test_a_burst_counts_the_time_that_it_took_and_says_what_was_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "pattern.yaml"
    file.write_text(
        "slo: [rps>15]\n"
        "stages:\n"
        "  - {name: whole, burst: 4, iterations: 10, at_most: 9s}\n"
        "  - {name: short, burst: 2, iterations: 50, at_most: 1s}\n"
    )
    with serving("--delay", "0.05") as url:
        done, document, _ = run(tmp_path, "--url", url, "--profile", str(file))
    assert done.returncode == 0, done.stderr
    assert document["gates"][-1]["outcome"] == "held", document["gates"]
    assert "whole was cut off" not in document["answer"]
    assert "short was cut off by its time" in document["answer"]
    assert "of its 100 requests were never sent" in document["answer"]


def part(server: str, counts: list[int], p95_s: float) -> Part:
    total = sum(counts)
    return Part(
        server, "50 users", "all of it", "all", 30.0, total, 0, total / 30, 0.01, p95_s, 0.1, tuple(counts)
    )


def built(parts: list[Part]) -> dict[str, Any]:
    return pattern_report.document(
        Measured(parts),
        titles=["50 users"],
        source="x",
        ended="done",
        seed=1,
        again="again",
        environment={},
    )


def test_the_report_says_when_scaling_pays_and_when_not() -> None:
    one = part("1 model", [100, 104, 98, 101, 99, 103], 0.2)
    more = part("3 models", [220, 214, 230, 219, 222, 216], 0.1)
    same = part("3 models", [101, 99, 102, 100, 98, 103], 0.2)
    assert "scaling pays" in built([one, more])["answer"]
    assert "scaling buys no throughput" in built([one, same])["answer"]
    assert "in too short a run to judge" in built([part("1", [100], 0.1), part("3", [200], 0.1)])["answer"]


def test_a_ramp_that_both_servers_see_hides_no_difference() -> None:
    ramp = [20 * k for k in range(1, 11)] + [200] * 12
    noise = np.random.default_rng(1)
    one, same, more = (
        part(str(k), (noise.poisson(ramp) * f).astype(int).tolist(), 0.1)
        for k, f in ((1, 1), (2, 1), (3, 1.25))
    )
    assert "scaling pays" in built([one, more])["answer"]
    line = built([one, same])["scaling"][0]
    assert 0.9 < line["low"] < 1 < line["high"] < 1.1


def test_a_server_that_answers_nothing_well_is_named() -> None:
    silent = replace(part("1", [100] * 6, 0.1), fails=600, slices=(0,) * 6)
    document = built([silent, part("3", [100] * 6, 0.1)])
    assert "scaling pays, 1 answered nothing well and 3 did" in document["answer"]
    json.dumps(document, allow_nan=False)
    assert (
        "3 answered nothing well and 1 did"
        in built([part("1", [9] * 6, 0.1), replace(silent, server="3")])["answer"]
    )


def test_a_csv_becomes_one_object_per_row(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('airline,minutes,zip\nUA,17,007\n"A, B",2.5,\n')
    lines = as_lines(table, tmp_path / "out").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"airline": "UA", "minutes": 17, "zip": "007"},
        {"airline": "A, B", "minutes": 2.5, "zip": ""},
    ]
    with pytest.raises(UsageError, match="no rows"):
        as_lines(_file(tmp_path, "a,b\n"), tmp_path / "out")
    with pytest.raises(UsageError, match="line 2: more cells"):
        as_lines(_file(tmp_path, "a\n1,2\n"), tmp_path / "out")


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.csv"
    path.write_text(text)
    return path
