"""`headwind run` as a user meets it, where all goes well: real servers, real wrk."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import subprocess
from importlib.resources import files as files_of
from pathlib import Path

import jsonschema
import psutil
import pytest

from tests.stress.servers import serving
from tests.stress.tool import QUICK, Headwind, ours, server, until, wrk_is_loading

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


def test_a_run_leaves_its_folder_and_prints_the_verdict(headwind: Headwind) -> None:
    headwind.always["run"] = []
    done = headwind.run(
        "run", "--command", server(), *QUICK, "--warmup", "1s", "--label", "a first try", "--target", "10"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = headwind.left()
    assert folder.name.endswith("-a-first-try")
    assert f"report: reports/{folder.name}/report.html" in done.stdout
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        "wrk.txt", "run.json", "environment.json", "exact.jsonl", "samples.jsonl", "report.html", "report.md",
    }  # fmt: skip
    assert not {name for name in files if name.startswith(("exact-", "wrk-", "."))}
    schema = json.loads(files_of("headwind.report").joinpath("schemas/run.schema.json").read_text())
    jsonschema.validate(headwind.json("run.json"), schema)
    (run,) = headwind.json("run.json")["runs"]
    assert run["requests"] > 100
    assert run["timeout_s"] == 30
    assert run["late"] == 0
    assert run["interrupted"] is False
    assert run["warnings"] == []
    assert sum(run["histogram"]["counts"]) == run["requests"]
    assert str(run["requests"]) in (folder / "wrk.txt").read_text()


@pytest.mark.parametrize("cached", [True, False])
def test_reports_say_when_the_server_said_that_its_cache_is_on(headwind: Headwind, cached: bool) -> None:
    headwind.always["run"] = []
    headwind.run("run", "--command", server(*(["--cached"] if cached else [])), *QUICK)
    assert headwind.json("environment.json")["cached"] is cached
    codes = {finding["code"] for finding in headwind.json("run.json")["findings"]}
    assert ("cached_answers" in codes) == cached
    assert ("cache is on" in (headwind.left() / "report.md").read_text()) == cached


def test_what_a_result_depends_on_is_recorded(headwind: Headwind) -> None:
    headwind.run("run", "--command", server(), *QUICK, "--warmup", "1s", "--workers", "3")
    record = headwind.json("environment.json")
    assert record["warmup"]["duration_s"] == 1
    assert record["warmup"]["requests"] > 100
    assert record["server"]["workers"] == 3
    assert record["server"]["ready_after_s"] > 0
    assert record["machine"]["cpus"] == psutil.cpu_count()
    assert record["software"]["wrk"]
    assert record["started_at"] < record["ended_at"]
    assert abs(record["clock_step_s"]) < 0.5
    assert shlex.split(record["again"])[:2] == ["headwind", "run"]
    assert record["interrupted"] is None


def test_server_and_wrk_are_watched(headwind: Headwind) -> None:
    headwind.run("run", "--command", "true && " + server(), *QUICK, "--duration", "2s")
    samples = [json.loads(line) for line in (headwind.left() / "samples.jsonl").read_text().splitlines()]
    assert len(samples) >= 4
    times = [sample["t_s"] for sample in samples]
    assert times == sorted(times)
    assert times[-1] > 1.9
    last = next(sample for sample in reversed(samples) if sample["t_s"] < 1.8)["processes"]
    assert {row["role"] for row in last} == {"server", "generator"}
    assert "sh" not in {row["name"] for row in last}, "a shell that waits is no server process"
    assert max(row["cpu_s"] for row in last if row["role"] == "server") > 0.05
    assert all(row["parent_pid"] for row in last)
    assert all(row["rss_bytes"] > 0 and row["threads"] > 0 for row in last)
    watching = headwind.json("environment.json")["monitor"]
    assert 0 < watching["cpu_share_of_one_core"] < 0.05


def test_a_running_server_is_loaded_and_watched_without_a_command(headwind: Headwind) -> None:
    with serving() as url:
        done = headwind.run("run", "--url", url, *QUICK)
    assert done.returncode == 0, done.stderr
    samples = (headwind.left() / "samples.jsonl").read_text()
    assert '"role":"server"' in samples


def test_late_answers_are_counted_from_the_histogram(headwind: Headwind) -> None:
    headwind.run(
        "run", "--command", server("--stall", "0.8", "--stall-after", "1"), *QUICK, "--duration", "2s",
        "--late", "500ms",
    )  # fmt: skip
    (run,) = headwind.json("run.json")["runs"]
    assert run["late"] == 4
    assert run["late_threshold_s"] == 0.5
    assert run["errors"]["timeout"] == 0


def test_a_mixed_load_has_a_row_per_endpoint(headwind: Headwind) -> None:
    done = headwind.run(
        "run", "--command", server(), "--mix", "GET /=1", "--mix", "POST /v1/prediction=3", "--mix", "GET /missing=1",
        "--threads", "3", "--connections", "10", "--duration", "1s", "--warmup", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = headwind.json("run.json")["runs"]
    rows = {row["name"]: row for row in run["endpoints"]}
    assert list(rows) == ["GET /", "POST /v1/prediction", "GET /missing"]
    assert run["requests"] == sum(row["requests"] for row in rows.values())
    assert rows["GET /missing"]["failures"] == rows["GET /missing"]["requests"] > 0
    assert rows["GET /"]["failures"] == 0
    assert run["connections"] == 10
    assert sum(run["histogram"]["counts"]) == run["requests"]
    assert (headwind.left() / "wrk.txt").read_text().count("Requests/sec:") == 3
    assert len((headwind.left() / "exact.jsonl").read_text().splitlines()) == 3


def test_bodies_and_script_are_sent(headwind: Headwind, tmp_path: Path) -> None:
    log, bodies = tmp_path / "log.jsonl", tmp_path / "bodies.txt"
    bodies.write_text("one\ntwo\n")
    done = headwind.run("run", "--command", server("--log", str(log)), "--bodies", str(bodies), *QUICK)
    assert done.returncode == 0, done.stderr
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    posted = [row for row in sent if row["head"].startswith("POST")]
    assert {row["body"] for row in posted} == {"one", "two"}
    recorded = headwind.json("environment.json")["generator"]["sent"][0]
    assert recorded["name"] == "bodies.txt"
    assert len(recorded["sha256"]) == 64


def test_secrets_reach_the_server_and_nothing_else(headwind: Headwind, tmp_path: Path) -> None:
    process = headwind.start(
        "run", "--command", server("--talk"), *QUICK, "--duration", "2s",
        "--url", "http://ann:hush0@127.0.0.1:{port}/x?page=1&token=hush1", "--header", "X-Mine: Bearer $SECRET",
        SECRET="hush2",
    )  # fmt: skip
    assert until(lambda: wrk_is_loading(tmp_path))
    seen = [line for line in ours(tmp_path) if "observe.lua" in line]
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert seen
    assert not [line for line in seen if "hush" in line]
    # The server prints every request. That each got its secrets is to be seen by what is masked in its log.
    heard = (headwind.left() / "server.log").read_text()
    assert heard.count("GET /x?page=1&token=*** HTTP") > 10
    assert heard.count("X-Mine: Bearer ***") > 10
    assert heard.count("Authorization: Basic ") > 10
    basic = base64.b64encode(b"ann:hush0").decode()
    for path in headwind.left().iterdir():
        text = path.read_text()
        assert "hush" not in text, path.name
        assert basic not in text, path.name
    assert "hush" not in out + err


def engine_answers() -> bool:
    docker = shutil.which("docker")
    return (
        bool(docker)
        and not subprocess.run([docker or "", "version"], capture_output=True, check=False).returncode
    )


@pytest.mark.containers
@pytest.mark.skipif(not engine_answers(), reason="no Docker engine answers: `docker version`")
def test_dockers_wrk_measures_the_same_way(headwind: Headwind) -> None:
    done = headwind.run(
        "run", "--command", server(), "--wrk", "docker", "--mix", "GET /=1", "--mix", "POST /x=1", "--threads", "2",
        "--connections", "4", "--duration", "2s", "--warmup", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = headwind.json("run.json")["runs"]
    assert [row["name"] for row in run["endpoints"]] == ["GET /", "POST /x"]
    assert sum(run["histogram"]["counts"]) == run["requests"] > 100
    samples = (headwind.left() / "samples.jsonl").read_text()
    assert '"role":"generator"' in samples
