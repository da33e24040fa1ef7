"""Outputs of load tools, damaged at random: what a reader must survive, and what must hold of what it gives."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headwind.formats import read_text
from headwind.formats.text import decode
from headwind.run import Run
from tests.formats.exact_object import exact_object
from tests.formats.printed import SAMPLES
from tests.formats.printer import Report, Report2, Row

FIXTURES = Path(__file__).parent / "fixtures"
_RANKS = (50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 99.999, 100.0)
_COMMON: dict[str, Any] = {
    "url": "http://user:secret@localhost:8080/a?token=1&x=2",
    "threads": 4,
    "connections": 200,
    "latency": Row(999_999, 309_130, 1_999_000, 71.26),
    "rate": Row(21.25, 849.99, 2320, 90.89),
    "requests": 2788,
    "bytes_read": 390_318,
}
# What a mutation puts in: parts of formats, edges of numbers, and what breaks careless text handling.
TOKENS = (
    *("\n", "\r\n", "\r", "\t", " ", "\0", "\x1b[31m", "\ufeff", "\u2028", "\u00a0", "\\n", "\\u0000"),
    *("&nbsp;", "<br>", "```\n"),
    *("wrk-1  | ", "> ", "^C", "-", ".", ",", '"', "{", "}", "[", "]", "%", "=1+1", "|", "\ud800", "µs", "🚀"),
    *("nan", "-nan", "-nanus", "inf", "0", "9" * 25, "1e999", "-1", "307445734491.24m", "0.00us", "1000.00m"),
    *("Running 45s test @ http://x/", "  4 threads and 200 connections\n", "Thread Stats", "    Latency ", "Req/Sec"),
    *("Latency Distribution\n", " requests in ", "B read", "Socket errors: ", "Requests/sec: ", "Transfer/sec: "),
    *("Thread calibration: mean lat.", "#[Mean    = ", "Test Results @ ", "-Overall Statistics-", "headwind.wrk/1 {"),
)  # fmt: skip


LONGEST_S = 2.0  # of processor time, for a text of at most 200,000 characters

# What a mutation puts around every line.
WRAPS = (
    *(
        "2026-03-05T12:34:01.{at:07d}Z {line}",
        "[2026-03-05T12:34:01.123Z] {line}",
        "{at}:{line}",
        "{at:6d}\t{line}",
    ),
    *(
        "INFO:root:{line}",
        "> {line}",
        '        "{line}",',
        "{line}\\",
        "{line}<br>",
        "{line}\n",
        "| {line} |",
    ),
    *('{{"log":"{line}\\n","stream":"stdout"}}', "-{line}", "[pod/{at}] {line}", "<p>{line}</p>"),
)


def seeds() -> list[str]:
    """Whole outputs of every tool that is read."""
    plain = Report(**_COMMON, duration_s=45, runtime_us=45_100_000, errors=(0, 0, 0, 613), status=3)
    ranks = {rank: 1000.0 * rank for rank in _RANKS}
    second = Report2(**_COMMON, duration_s=90, runtime_us=90_000_000, ranks_us=ranks, uncorrected_us=ranks)
    fragment = "".join(plain.text().splitlines(keepends=True)[2:])
    exact = json.dumps(exact_object({1000: 2175}, connections=200, timeouts=613, duration_us=45_100_000))
    document = json.dumps(
        {"schema": "headwind.run/1", "runs": [run.to_json() for run in read_text(plain.text(), "")]}
    )
    own = [plain.text(), second.text(), fragment, plain.text() + f"headwind.wrk/1 {exact}\n", document]
    fixtures = [
        decode(path.read_bytes()) for path in sorted(FIXTURES.glob("*/*")) if path.stat().st_size < 40_000
    ]
    return own + [text for _, text in SAMPLES] + fixtures


def mutated(text: str, others: list[str], random_: random.Random) -> str:
    """The text after one to six random damages."""
    for _ in range(random_.randint(1, 6)):
        at = random_.randrange(len(text) + 1)
        end = min(len(text), at + random_.choice((1, 1, 2, 5, 20, 200)))
        match random_.randrange(11):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + random_.choice(TOKENS) + text[at:]
            case 2:
                text = text[:at] + random_.choice(TOKENS) + text[end:]
            case 3:
                text = text[:at] + text[at:end] * random_.randint(2, 9) + text[end:]
            case 4:
                text = text[:at] if random_.random() < 0.5 else text[at:]
            case 5:
                text = text[:at] + chr(random_.randrange(1, 0x2100)) + text[at + 1 :]
            case 6:
                other = random_.choice(others)
                start = random_.randrange(len(other) + 1)
                text = text[:at] + other[start : start + random_.choice((5, 50, 500))] + text[at:]
            case 7:
                lines = text.split("\n")
                random_.shuffle(lines)
                text = "\n".join(lines)
            case 8:
                text = re.sub(r"\d+", lambda _: str(random_.choice((0, 1, 7, 10**9, 10**30))), text, count=3)
            case 9:
                form = random_.choice(WRAPS)
                text = "\n".join(
                    form.format(at=number, line=line) for number, line in enumerate(text.split("\n"))
                )
            case 10:
                text = "\n".join(
                    f"s{random_.choice('12')}  | {line}"
                    for line in (f"{text}\n{random_.choice(others)}").split("\n")
                )
    return text[:200_000]


def check(text: str) -> int:
    """Read the text as every tool would, and hold what must hold; returns the number of runs.

    Raises AssertionError where a run holds what no run may, or where reading took more than two seconds.
    """
    began = time.perf_counter()
    runs = read_text(text, "fuzz")
    if (
        time.perf_counter() - began > LONGEST_S
    ):  # or the machine had other things to do; its clock is slow to ask
        began = time.process_time()
        read_text(text, "fuzz")
        assert time.process_time() - began < LONGEST_S, "reading took too long"
    for run in runs:
        assert_sound(run)
    return len(runs)


def assert_sound(run: Run) -> None:
    """No secret, no control character, no negative or infinite number; and the run survives its JSON."""
    data = run.to_json()
    for name, value in _leaves(data):
        if isinstance(value, str):
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", value), (
                f"{name}: {value!r}"
            )
        elif isinstance(value, (int, float)):
            assert math.isfinite(value), f"{name}: {value}"
            assert 0 <= value < 2**63, f"{name}: {value}"
    assert Run.from_json(json.loads(json.dumps(data, allow_nan=False))) == run
    assert not re.search(r"(?:^|://)user:secret@", run.url or "")


def _leaves(value: Any, name: str = "run") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{name} key", key
            yield from _leaves(inner, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner, name)
    elif value is not None:
        yield name, value
