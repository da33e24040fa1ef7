"""All tools' readers: whatever surrounds a run, wherever it is cut, and whatever was done to it."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwind.formats import read_text
from headwind.run import Run
from tests.formats.printed import SAMPLES
from tests.formats.tool_text import FIXTURES, TOOLS, contradictions, fixture, read_as

_OF_FIXTURES = [
    (path.parent.name, f"{path.parent.name}/{path.name}")
    for path in sorted(FIXTURES.glob("*/*"))
    if path.stem not in ("refused", "time-out") or path.parent.name != "ab"
]
CASES = [pytest.param(tool, fixture(name), id=name) for tool, name in _OF_FIXTURES] + [
    pytest.param(tool, text, id=f"printed-{tool}-{number}") for number, (tool, text) in enumerate(SAMPLES)
]


def _same(found: list[Run], expected: list[Run]) -> bool:
    return [_without_lines(run) for run in found] == [_without_lines(run) for run in expected]


def _without_lines(run: Run) -> dict[str, object]:
    return {name: value for name, value in run.to_json().items() if name != "lines"}


@pytest.mark.parametrize(("tool", "text"), CASES)
def test_a_tools_output_is_its_own_and_no_other_tools(tool: str, text: str) -> None:
    assert {run.tool for run in read_text(text, "test")} == {tool}


@pytest.mark.parametrize(("tool", "text"), CASES)
def test_line_ends_prompts_fences_and_prose_around_a_run_change_nothing(tool: str, text: str) -> None:
    expected = read_as(text, tool)
    assert expected
    around = (
        "# Load test\n\nWe ran it twice; requests per second matter.\n\n```text\n"
        f"$ {tool} --help\n{text.rstrip()}\n```\n\nDone.\n"
    )
    for variant in (text.replace("\n", "\r\n"), "\ufeff" + text, around):
        assert _same(read_as(variant, tool), expected)
        assert _same(read_text(variant, "test"), expected)


@pytest.mark.parametrize(("tool", "text"), [case for case in CASES if "csv" not in str(case.id)])
def test_prefixes_on_every_line_change_nothing(tool: str, text: str) -> None:
    for prefix in ("bench-1  | ", "> ", "    ", "# "):
        if prefix == "# " and tool in ("fortio", "locust"):
            continue  # these print lines that begin with # themselves
        prefixed = "".join(prefix + line for line in text.splitlines(keepends=True))
        assert _same(read_as(prefixed, tool), read_as(text, tool)), prefix


@pytest.mark.parametrize(("tool", "text"), CASES)
def test_a_run_inside_a_json_string_is_read_as_if_it_stood_alone(tool: str, text: str) -> None:
    if text.lstrip().startswith(("{", "[")):
        inside = json.dumps({"stdout": text})
        assert len(read_as(inside, tool)) == len(read_as(text, tool))
    elif tool != "locust":
        inside = json.dumps({"outputs": [{"text": text.splitlines(keepends=True)}]}, indent=1)
        assert len(read_as(inside, tool)) == len(read_as(text, tool))


@pytest.mark.parametrize(("tool", "text"), CASES)
def test_two_runs_in_a_file_are_two_runs(tool: str, text: str) -> None:
    once = read_as(text, tool)
    twice = read_as(f"{text.rstrip()}\n\n== again ==\n\n{text}", tool)
    assert _same(twice, once * 2) or tool == "locust"
    assert len(twice) == 2 * len(once)
    if all(run.lines for run in twice):
        assert all(
            before.lines[1] < after.lines[0]
            for before, after in pairwise(twice)
            if before.lines and after.lines
        )


def _last_table(text: str) -> int:
    """Where the last of Locust's tables has its first row: what was printed before is another, earlier table."""
    end = text.find("Response time percentiles")
    return text.find("\n", text.find("---", text.rfind("# reqs", 0, end))) if "# reqs" in text else 0


@pytest.mark.parametrize(
    ("tool", "text"),
    [case for case in CASES if "history" not in str(case.id)],  # its last row is its total
)
def test_a_cut_run_says_less_but_nothing_else(tool: str, text: str) -> None:
    whole = read_as(text, tool)
    rng = random.Random(len(text))
    places = range(_last_table(text), len(text))
    for place in {*rng.sample(places, min(60, len(places))), *places[-60:]}:
        if text[place - 1 : place] == "\n":
            continue  # between two lines nothing shows that there was more
        for part, full in zip(read_as(text[:place], tool), whole, strict=False):
            assert not contradictions(part, full), text[max(0, place - 60) : place]


def _mutated(text: str, seed: int) -> str:
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 8)):
        at, length = rng.randrange(len(text) + 1), rng.choice((1, 1, 2, 5, 40, 400))
        piece = rng.choice(
            (
                *(
                    "",
                    "\n",
                    "\x00",
                    "\u2028",
                    "9" * 30,
                    "-1",
                    "nan",
                    "1e999",
                    "%",
                    "{",
                    "[" * 50,
                    '"',
                    "\\",
                    "\u202e",
                ),
                *(
                    "=" * 30,
                    "...:",
                    " | ",
                    "\ud800",
                    "0.0.0",
                    "<b>",
                    "&lt;",
                    "\\n",
                    text[at : at + length] * 2,
                ),
            )
        )
        text = text[:at] + piece + text[at + rng.choice((0, length)) :]
    return text


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(CASES), st.integers(0, 2**32), st.booleans())
def test_mutated_outputs_never_raise_and_always_give_sound_json(case: object, seed: int, asked: bool) -> None:
    tool, text = case.values  # type: ignore[attr-defined]
    mutated = _mutated(text, seed)
    for run in read_as(mutated, tool) if asked else read_text(mutated, "test"):
        document = json.dumps(run.to_json(), allow_nan=False)
        document.encode()
        assert Run.from_json(json.loads(document)) == run
        assert run.lines is not None
        assert 1 <= run.lines[0] <= run.lines[1]
        assert not any(ord(character) < 32 for character in json.loads(document)["url"] or "")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n" * 1000,
        "\x00\x01\x02",
        "a" * 1_000_000,
        "[" * 200_000,
        '{"a":' * 100_000,
        '{"metrics": [' * 20_000,
        "Requests/sec: " * 50_000,
        "=" * 300_000 + ":",
        "." * 300_000 + ":",
        "http_reqs" + "." * 300_000,
        "GET / " * 60_000 + "1 1(",
        "Latencies [" + "mean, " * 100_000,
        "\u2502 " * 200_000,
        "Type,Name,Request Count,response time\n" + "," * 500_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_hostile_texts_end_quickly_without_a_run(tool: str, text: str) -> None:
    assert read_as(text, tool) == []


@pytest.mark.parametrize(
    "text",
    [
        # What other tools print; none of them may be taken for one that Headwind reads.
        "Summary:\n  Count:\t2000\n  Total:\t345.52 ms\n  Slowest:\t15.41 ms\n  Fastest:\t0.66 ms\n"
        "  Average:\t6.83 ms\n  Requests/sec:\t5788.35\n\nLatency distribution:\n  10 % in 3.96 ms\n\n"
        "Status code distribution:\n  [OK]   2000 responses\n",
        "Beginning round 1...\nBenchmarking 256 connections @ http://127.0.0.1:5050 for 15 second(s)\n  Latencies:\n"
        "    Avg      Stdev    Min      Max\n    1.60ms   0.50ms   0.15ms   64.44ms\n  Requests:\n"
        "    Total: 2400000 Req/Sec: 160003.00\n  Transfer:\n    Total: 310.79 MB Transfer Rate: 20.72 MB/Sec\n",
        "Running 10s test @ http://localhost:3000\n10 connections\n\n+---------+------+------+\n"
        "| Stat    | 2.5% | 50%  |\n| Latency | 0 ms | 1 ms |\n12k total requests in 10 seconds, 1.2 MB read.\nDone!\n",
        "Running 60s test @ http://localhost:8080\n  10 goroutine(s) running concurrently\n1557674 requests in "
        "59.6s, 1.47GB read\nRequests/sec:\t\t26100.68\nAvg Req Time:\t\t382\u00b5s\n",
        "| Requests/sec | Average | Slowest |\n|---|---|---|\n| 5000.12 | 0.01 secs | 0.2 secs |\n",
        "hey prints Requests/sec: 5000 on Average: and k6 has http_reqs; vegeta's Success [ratio] was 100.00%.\n",
        "Type,Name,Value\nGET,/,3\n",
        '{"metrics": {"cpu": {"value": 3}}, "latency": {"average": 3}, "summary": {"total": 3}}',
    ],
    ids=["ghz", "rewrk", "autocannon-go", "go-wrk", "table", "prose", "csv", "json"],
)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert [run.tool for run in read_text(text, "test") if run.tool in TOOLS] == []
