"""The Lua side under a real wrk: what it sends, what it reports, and that a user's own script keeps working."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headwind.histogram import undo_correction
from tests.stress.servers import serving

LUA = Path(__file__).parents[2] / "wrk"
PREFIX = "headwind.wrk/1 "

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of wrk/ in a folder of its own, with flights that the test knows."""
    copy = tmp_path / "lua"
    copy.mkdir()
    for file in LUA.glob("*.lua"):
        shutil.copy(file, copy)
    bodies = [json.dumps({"flight": number}) for number in range(1000)]
    (copy / "flights.jsonl").write_text("\n".join(bodies) + "\n")
    return copy


def wrk(
    *arguments: str | Path, environment: dict[str, str] | None = None, cwd: Path = Path("/")
) -> subprocess.CompletedProcess[str]:
    """Run wrk; from `/`, so that nothing can depend on the working directory."""
    return subprocess.run(
        ["wrk", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        timeout=60,
        check=False,
    )


def reported(text: str) -> dict[str, Any]:
    """The one machine-readable line of a wrk output."""
    lines = [line for line in text.splitlines() if line.startswith(PREFIX)]
    assert len(lines) == 1, text
    report: dict[str, Any] = json.loads(lines[0].removeprefix(PREFIX))
    return report


def printed_requests(text: str) -> int:
    return next(int(line.split()[0]) for line in text.splitlines() if " requests in " in line)


def requests_logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_flight_is_posted_and_threads_start_at_places_of_their_own(
    folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    with serving("--log", str(log), "--delay", "0.02") as url:
        run = wrk("-t4", "-c4", "-d1s", "-s", folder / "prediction.lua", url + "/v1/prediction")
    assert run.returncode == 0, run.stderr
    sent = requests_logged(log)
    assert all(row["head"].startswith("POST /v1/prediction HTTP/1.1\r\n") for row in sent)
    assert all("Content-Type: application/json" in row["head"] for row in sent)
    assert all(
        int(row["head"].split("Content-Length: ")[1].split("\r\n")[0]) == len(row["body"]) for row in sent
    )
    flights = Counter(json.loads(row["body"])["flight"] for row in sent)
    # Four threads send some 50 flights each; from one common place they would send the same ones.
    assert len(flights) > 0.9 * sum(flights.values()) > 100


def test_the_exact_report_agrees_with_what_wrk_prints(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "exact.jsonl"
    with serving("--fail-every", "10") as url:
        run = wrk(
            "-t2", "-c8", "-d1s", "--timeout", "7s", "-s", folder / "prediction.lua", url, "--", f"--exact={file}"
        )  # fmt: skip
    short, whole = reported(run.stdout), json.loads(file.read_text())
    requests = printed_requests(run.stdout)
    assert short["requests"] == whole["requests"] == requests > 100
    assert whole["source"] == "ffi"
    assert whole["threads"] == 2
    assert whole["timeout_us"] == 7_000_000
    codes = whole["status_codes"]
    assert set(codes) == {"200", "503"}
    # Each thread's last response may still be counted after wrk took its sum.
    assert requests <= sum(codes.values()) <= requests + 8
    assert codes["503"] == pytest.approx(requests / 10, abs=3)
    assert f"Non-2xx or 3xx responses: {whole['errors']['status']}" in run.stdout
    timeline = whole["timeline"]
    assert timeline["slot_us"] == 100_000
    assert sum(timeline["responses"]) == sum(codes.values())
    assert sum(timeline["errors"]) == codes["503"]
    assert 10 <= len(timeline["responses"]) <= 13
    assert "histogram" not in short
    assert "timeline" not in short


def test_the_histogram_is_whole(folder: Path, tmp_path: Path) -> None:
    """Undoing wrk's hidden correction leaves exactly the requests that did not time out."""
    file = tmp_path / "exact.jsonl"
    with serving("--delay", "0.005", "--stall", "0.6", "--stall-after", "0.8") as url:
        wrk(
            "-t2", "-c8", "-d2s", "-s", folder / "observe.lua", url, environment={"HEADWIND_EXACT": str(file)}
        )
    report = json.loads(file.read_text())
    histogram = dict(zip(report["histogram"]["values"], report["histogram"]["counts"], strict=True))
    step = report["duration_us"] // (report["requests"] // 8)
    assert sum(histogram.values()) > report["requests"], "the stall was meant to trigger the correction"
    raw = undo_correction(histogram, step)
    assert sum(raw.values()) == report["requests"] - report["errors"]["timeout"]
    assert max(raw) == report["latency_us"]["max"] > 500_000


def test_late_answers_are_counted_and_left_out_of_the_histogram(folder: Path) -> None:
    with serving("--stall", "1.4", "--stall-after", "0.3") as url:
        run = wrk(
            "-t1", "-c4", "-d2s", "--timeout", "1s", "-s", folder / "observe.lua", url, "--", "--histogram"
        )
    report = reported(run.stdout)
    histogram = dict(zip(report["histogram"]["values"], report["histogram"]["counts"], strict=True))
    raw = undo_correction(histogram, report["duration_us"] // (report["requests"] // 4))
    assert report["timeout_us"] == 1_000_000
    assert report["errors"]["timeout"] == 4, "each of the four connections waits out the stall"
    assert max(raw) == report["latency_us"]["max"] < 1_000_000
    assert sum(raw.values()) == report["requests"] - 4


def test_a_run_without_an_answer_reports_null_and_not_zero(folder: Path) -> None:
    with serving("--hang") as url:
        run = wrk("-t1", "-c2", "-d1s", "-s", folder / "observe.lua", url, "--", "--histogram")
    report = reported(run.stdout)
    assert report["requests"] == 0
    assert report["latency_us"] is None
    assert report["histogram"] == {"values": [], "counts": []}
    assert report["status_codes"] == {}


USERS_SCRIPT = """
local threads = {}
local seen = 0
function setup(thread) threads[#threads + 1] = thread; thread:set("number", #threads) end
function init(args)
  wrk.headers["X-Arguments"] = table.concat(args, ",")
  wrk.headers["X-Thread"] = tostring(number)
  wrk.headers["X-Beside"] = debug.getinfo(1, "S").source:match("([^/]*)$")
end
function request() return wrk.format("PUT", "/mine", nil, "body") end
function response(status, headers, body) answers = (answers or 0) + 1 end
function done(summary, latency, requests)
  local answered = 0
  for _, thread in ipairs(threads) do answered = answered + thread:get("answers") end
  print("mine saw " .. answered .. " of " .. summary.requests)
end
"""


def test_a_users_own_hooks_and_arguments_still_work(folder: Path, tmp_path: Path) -> None:
    log, script, exact = tmp_path / "log.jsonl", tmp_path / "mine.lua", tmp_path / "exact.jsonl"
    script.write_text(USERS_SCRIPT)
    with serving("--log", str(log)) as url:
        run = wrk(
            "-t2", "-c2", "-d1s", "-s", folder / "observe.lua", url, "--", "one", f"--exact={exact}", "--two",
            environment={"HEADWIND_SCRIPT": str(script)},
        )  # fmt: skip
    seen, requests = next(
        (int(line.split()[2]), int(line.split()[4]))
        for line in run.stdout.splitlines()
        if line.startswith("mine saw")
    )
    assert requests == printed_requests(run.stdout) == json.loads(exact.read_text())["requests"]
    assert sum(reported(run.stdout)["status_codes"].values()) == seen
    heads = [row["head"] for row in requests_logged(log)]
    assert all(head.startswith("PUT /mine ") for head in heads)
    assert all("X-Arguments: one,--two\r\n" in head for head in heads)
    assert all("X-Beside: mine.lua\r\n" in head for head in heads)
    assert {head.split("X-Thread: ")[1][0] for head in heads} == {"1", "2"}


def test_a_script_that_measures_itself_is_measured_once(folder: Path, tmp_path: Path) -> None:
    exact = tmp_path / "exact.jsonl"
    variables = {"HEADWIND_SCRIPT": str(folder / "prediction.lua"), "HEADWIND_EXACT": str(exact)}
    with serving() as url:
        run = wrk("-t2", "-c2", "-d1s", "-s", folder / "observe.lua", url, environment=variables)
    assert sum(reported(run.stdout)["status_codes"].values()) <= printed_requests(run.stdout) + 2
    assert len(exact.read_text().splitlines()) == 1


def test_an_error_in_a_users_done_does_not_cost_the_measurement(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "mine.lua"
    script.write_text("function done() error('broken report') end")
    with serving() as url:
        run = wrk(
            "-t1",
            "-c1",
            "-d1s",
            "-s",
            folder / "observe.lua",
            url,
            environment={"HEADWIND_SCRIPT": str(script)},
        )
    assert run.returncode != 0
    assert "broken report" in run.stderr + run.stdout
    assert reported(run.stdout)["requests"] > 0


def test_a_script_that_does_not_load_sends_nothing(folder: Path, tmp_path: Path) -> None:
    log, script = tmp_path / "log.jsonl", tmp_path / "mine.lua"
    script.write_text("function request( return 1 end")
    with serving("--log", str(log)) as url:
        run = wrk(
            "-t1",
            "-c1",
            "-d1s",
            "-s",
            folder / "observe.lua",
            url,
            environment={"HEADWIND_SCRIPT": str(script)},
        )
    assert run.returncode == 1
    assert run.stderr.startswith("the wrk script does not load, so nothing was sent: ")
    assert "mine.lua:1" in run.stderr
    assert requests_logged(log) == []


def test_headers_and_path_can_come_from_the_environment(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with serving("--log", str(log)) as url:
        wrk(
            "-t1", "-c1", "-d1s", "-s", folder / "prediction.lua", url + "/shown",
            environment={"HEADWIND_HEADERS": "Authorization: Bearer a:b\nX-Two: 2", "HEADWIND_PATH": "/p?key=s"},
        )  # fmt: skip
    head = requests_logged(log)[0]["head"]
    assert head.startswith("POST /p?key=s HTTP/1.1\r\n")
    assert "Authorization: Bearer a:b\r\n" in head
    assert "X-Two: 2\r\n" in head


def test_without_response_hook_there_is_a_histogram_but_no_time_line(folder: Path) -> None:
    with serving() as url:
        run = wrk(
            "-t1", "-c1", "-d1s", "-s", folder / "prediction.lua", url, "--", "--histogram",
            environment={"HEADWIND_RESPONSES": "off"},
        )  # fmt: skip
    report = reported(run.stdout)
    assert report["status_codes"] is None
    assert report["timeline"] is None
    assert sum(report["histogram"]["counts"]) >= report["requests"] > 0


def test_a_script_can_be_found_relative_to_the_working_directory(folder: Path) -> None:
    with serving() as url:
        run = wrk("-t1", "-c1", "-d1s", "-s", "prediction.lua", url, cwd=folder)
    assert reported(run.stdout)["requests"] > 0


NO_FFI = 'package.loaded.ffi = nil; package.preload.ffi = function() error("no ffi here") end\n'


def test_without_ffi_the_histogram_is_read_by_index(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "mine.lua"
    script.write_text(NO_FFI)
    with serving("--delay", "0.01") as url:
        run = wrk(
            "-t1", "-c2", "-d1s", "-s", folder / "observe.lua", url, "--", "--histogram",
            environment={"HEADWIND_SCRIPT": str(script)},
        )  # fmt: skip
    report = reported(run.stdout)
    assert report["source"] == "latency(i)"
    assert report["timeout_us"] is None
    histogram = dict(zip(report["histogram"]["values"], report["histogram"]["counts"], strict=True))
    raw = undo_correction(histogram, report["duration_us"] // (report["requests"] // 2))
    assert sum(raw.values()) == report["requests"] > 50


DESCRIBE = """
local function fake(struct)
  local proxy = newproxy(true)
  local meta = getmetatable(proxy)
  meta.__len = function() return struct.distinct end
  meta.__call = function(_, i) return i * 1000, 2 end
  meta.__index = function(_, name)
    if name == "percentile" then return function(_, p) return p end end
    return struct[name]
  end
  return proxy
end
local exact = dofile(os.getenv("EXACT_LUA"))
local errors = { connect = 0, read = 0, write = 0, status = 0, timeout = 0 }
local summary = { duration = 1e6, requests = 6, bytes = 1, errors = errors }
local latency = fake({ distinct = %s, min = 1000, max = %s, mean = 2000, stdev = 0/0 })
print("described " .. exact.describe(summary, latency, 1, nil, nil))
os.exit(0)
"""


@pytest.mark.parametrize(
    ("distinct", "largest", "source"), [(3, 3000, "latency(i)"), (20_000, 2_000_000, "percentiles")]
)
def test_what_cannot_be_read_in_time_is_left_to_percentiles(
    folder: Path, tmp_path: Path, distinct: int, largest: int, source: str
) -> None:
    script = tmp_path / "describe.lua"
    script.write_text(NO_FFI + DESCRIBE % (distinct, largest))
    run = wrk("-s", script, "http://127.0.0.1:1", environment={"EXACT_LUA": str(folder / "exact.lua")})
    line = next(line for line in run.stdout.splitlines() if line.startswith("described "))
    report = json.loads(line.removeprefix("described "))
    assert report["source"] == source
    assert (report["histogram"] is None) == (source == "percentiles")
    assert report["latency_us"]["percentiles"]["99.9"] == 100  # whole microseconds
    assert report["latency_us"]["stdev"] is None
