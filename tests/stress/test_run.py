"""`headwind run` as a user meets it: real servers, real wrk, and everything that can go wrong on the way."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files as files_of
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from tests.stress.servers import PROGRAM, serving

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]
ROOT = Path(__file__).parents[2]
QUICK = ["--threads", "1", "--connections", "4", "--duration", "1s", "--warmup", "0"]


def server(*options: str) -> str:
    """A command that starts the test server with these faults."""
    return shlex.join([sys.executable, str(PROGRAM), *options]) + " --port {port}"


class Headwind:
    """Starts `headwind` in a folder of its own and finds what it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports = folder / "reports"
        # Charts take seconds to draw, and most tests do not look at them.
        self.always = {"run": ["--no-page"], "doctor": []}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "headwind", *arguments, *self.always[arguments[0]]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Interrupt what a failed test left running: headwind ends its server and wrk then."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=60)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def left(self) -> Path:
        """The one run's folder that was written."""
        (only,) = (path for path in self.reports.iterdir() if path.is_dir())
        return only

    def json(self, name: str) -> Any:
        return json.loads((self.left() / name).read_text())


@pytest.fixture
def headwind(tmp_path: Path) -> Iterator[Headwind]:
    """Afterwards nothing of what was started may live."""
    tool = Headwind(tmp_path)
    yield tool
    tool.end()
    assert until(lambda: not ours(tmp_path)), f"left behind: {ours(tmp_path)}"


def ours(folder: Path) -> list[str]:
    """Command lines of processes that work in a test's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(shlex.join(process.cmdline()))
    return found


def until(holds: Callable[[], object], patience_s: float = 15) -> bool:
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def one_sentence(text: str) -> str:
    """A failure is said in one line on stderr."""
    assert "Traceback" not in text
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("headwind: ")
    return lines[0]


def wrk_is_loading(folder: Path) -> bool:
    return any("/wrk -t" in line or line.startswith("wrk -t") for line in ours(folder))


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
    last = samples[-2]["processes"]
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_under_load_keeps_what_was_measured(
    headwind: Headwind, tmp_path: Path, number: signal.Signals
) -> None:
    process = headwind.start("run", "--command", server(), *QUICK, "--duration", "60s")
    assert until(lambda: wrk_is_loading(tmp_path))
    time.sleep(0.7)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 20, "not after the 60 s that were planned"
    assert "interrupted after" in one_sentence(err)
    (run,) = headwind.json("run.json")["runs"]
    assert run["interrupted"] is True
    assert run["requests"] > 100
    assert "Requests/sec" in (headwind.left() / "wrk.txt").read_text()
    assert "interrupted after" in headwind.json("environment.json")["interrupted"]
    assert "requests" in out


@pytest.mark.parametrize(
    ("faults", "options"),
    [(["--start-delay", "30"], []), ([], ["--warmup", "30s"])],
    ids=["while the server comes up", "while warming up"],
)
def test_an_interrupt_before_the_load_measures_nothing(
    headwind: Headwind, tmp_path: Path, faults: Sequence[str], options: Sequence[str]
) -> None:
    process = headwind.start("run", "--command", server(*faults), *QUICK, *options)
    assert until(lambda: wrk_is_loading(tmp_path) if options else len(ours(tmp_path)) > 1)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was measured" in one_sentence(err)
    assert out == ""
    assert not list(headwind.reports.iterdir())


def test_a_server_that_dies_under_load_is_said(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--die-after", "500"), *QUICK, "--duration", "30s")
    assert done.returncode == 4
    said = one_sentence(done.stderr)
    assert "the server ended with exit code 3, saying 'planted death'" in said
    (run,) = headwind.json("run.json")["runs"]
    assert run["interrupted"] is True
    assert run["requests"] >= 400


def test_a_server_that_dies_at_start_is_said_with_its_last_words(headwind: Headwind) -> None:
    done = headwind.run(
        "run", "--command", f"{sys.executable} -c 'raise SystemExit(\"no model\")' {{port}}", *QUICK
    )
    assert done.returncode == 6
    said = one_sentence(done.stderr)
    assert "exit code 1, saying 'no model' before it was ready" in said
    assert "server.log" in said


def test_a_server_that_never_becomes_ready_is_said(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--start-delay", "30"), *QUICK, "--ready-timeout", "1s")
    assert done.returncode == 6
    assert "was not ready within 1 s" in one_sentence(done.stderr)


def test_a_server_that_never_answers_is_said(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--hang"), *QUICK)
    assert done.returncode == 4
    assert "answered no request" in one_sentence(done.stderr)
    (run,) = headwind.json("run.json")["runs"]
    assert run["requests"] == 0


def test_a_server_that_ignores_sigterm_is_ended_all_the_same(headwind: Headwind) -> None:
    done = headwind.run("run", "--command", server("--stubborn"), *QUICK)
    assert done.returncode == 0, done.stderr


def test_a_taken_port_is_said_with_its_owner(headwind: Headwind) -> None:
    with serving() as url:
        port = url.rpartition(":")[2]
        done = headwind.run("run", "--command", server(), "--port", port, *QUICK)
    assert done.returncode == 2
    assert f"port {port} is taken by" in one_sentence(done.stderr)


def test_a_missing_wrk_is_said_with_the_command_that_installs_it(headwind: Headwind, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    with serving() as url:
        done = headwind.run("run", "--url", url, *QUICK, PATH=str(empty))
    assert done.returncode == 6
    assert "wrk is neither on PATH nor in a running Docker; install it: `" in one_sentence(done.stderr)


def test_a_broken_script_is_said_and_nothing_is_sent(headwind: Headwind, tmp_path: Path) -> None:
    (tmp_path / "mine.lua").write_text("function request( return 1 end")
    for warmup in ("0", "1s"):
        done = headwind.run("run", "--command", server(), "--script", "mine.lua", *QUICK, "--warmup", warmup)
        assert done.returncode == 2
        assert "the wrk script does not load, so nothing was sent: " in one_sentence(done.stderr)


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


def test_nothing_listening_is_said(headwind: Headwind) -> None:
    with serving() as url:
        pass
    done = headwind.run("run", "--url", url, *QUICK)
    assert done.returncode == 6
    assert "start the server, or let --command start it" in one_sentence(done.stderr)
    assert not list(headwind.reports.iterdir())


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
