"""Damaged outputs of every tool: nothing raises, nothing unsound comes out, no input takes more than its length."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwind.formats import read_text
from tests.formats.mutations import TOKENS, check, mutated, seeds
from tests.formats.test_wrk import SATURATED

SEEDS = seeds()


@pytest.mark.parametrize("seed", range(8))
def test_damaged_outputs_are_read_or_refused(seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(250):
        check(mutated(random_.choice(SEEDS), SEEDS, random_))


@given(st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=20)), max_size=60).map("".join))
@settings(max_examples=100)
def test_text_of_parts_of_formats_is_read_or_refused(text: str) -> None:
    check(text)


# Each makes a text of about n characters that a careless expression would take n * n steps for.
HOSTILE: dict[str, Callable[[int], str]] = {
    "digits": lambda n: "9" * n,
    "digit groups": lambda n: "1 " * (n // 2) + "threads and requests in 1 % Latency",
    "spaces": lambda n: "Latency" + " " * n + "x",
    "lines of spaces": lambda n: ("Latency" + " " * 500 + "\n") * (n // 500),
    "headers": lambda n: "Running 45s test @ http://x\n" * (n // 28),
    "headers with threads": lambda n: "Running 1s test @ x\n  1 threads and 1 connections\n" * (n // 50),
    "latency words": lambda n: "Latency 1 % " * (n // 12),
    "tags": lambda n: "Latency <p <a " * (n // 14),
    "entities": lambda n: "Latency &amp &;" * (n // 15),
    "backslashes": lambda n: "Latency " + "\\" * n,
    "escapes": lambda n: "\x1b[" * (n // 2),
    "titles": lambda n: "\x1b]0;" * (n // 4),
    "percents": lambda n: "Latency Distribution\n" + " 50% 1.00ms\n" * (n // 12),
    "fragments": lambda n: "    Latency     1.46s   309.13ms   2.00s    71.26%\n" * (n // 51),
    "services": lambda n: "".join(f"s{i}  | Running 1s test @ x\n" for i in range(n // 28)),
    "open braces": lambda n: '{"a":[' * (n // 6),
    "exact": lambda n: "headwind.wrk/1 {" * (n // 16),
    "runs on a line": lambda n: SATURATED.replace("\n", "\\n") * (n // len(SATURATED)),
    # Ten times as long: a copy of what stands before a report costs little until there are hundreds of reports.
    "many runs on a line": lambda n: SATURATED.replace("\n", " ") * (10 * n // len(SATURATED)),
    "words": lambda n: "requests threads Latency " * (n // 25),
    "quotes": lambda n: '"' * n,
    "commas": lambda n: "Type,Name,Request Count," * (n // 24),
    "returns": lambda n: "\r" * n,
    "empty lines": lambda n: "Average:" + "\n" * n,
    "quoted backslashes": lambda n: "Average:" + ('"' + "\\" * 200 + "\n") * (n // 200),
    "a long quotation": lambda n: 'Average: "' + "\\'" * (n // 2),
    "records": lambda n: "Average:" + '{"log":"' * (n // 8),
    "prefixes": lambda n: "Average:\n" + "2026-03-05T12:34:01Z [a] INFO:x: 12:\n" * (n // 37),
    "labels": lambda n: "Average: Slowest: Fastest: " * (n // 27),
    "sources": lambda n: "".join(f"s{i % 9}  | Summary:\n" for i in range(n // 15)),
    "headers beside": lambda n: "Running 1s test @ x | Running 1s test @ y | " * (n // 44),
    "a diff": lambda n: "@@ -1\n" + "+Running 1s test @ x\n-Running 1s test @ x\n" * (n // 42),
    "JSON that is none": lambda n: '"latencyPercentiles"' + '{"' * (n // 2),
    "cut JSON": lambda n: '{"latencyPercentiles": {"p50": 1, "a": [' * (n // 40),
    "commands": lambda n: "wrk " * (n // 4) + "\n" + SATURATED,
    "Locust's headings": lambda n: "Name # reqs # fails 50% " * (n // 24),
}


def cpu_s(work: Callable[[], object]) -> float:
    """The least processor time of three tries: what others do on the machine does not count."""
    tries = []
    for _ in range(3):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


@pytest.mark.parametrize("name", HOSTILE)
def test_four_times_the_text_takes_about_four_times_the_work(name: str) -> None:
    small, large = HOSTILE[name](20_000), HOSTILE[name](80_000)
    quadratic = 16
    base = max(cpu_s(lambda: read_text(small, "text")), 0.002)  # below that a clock tick decides
    assert cpu_s(lambda: read_text(large, "text")) < 0.65 * quadratic * base
