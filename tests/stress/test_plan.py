"""What a run is to be: splitting, parsing, refusing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwind.cli import parser
from headwind.commands.loading import plan_of
from headwind.errors import UsageError
from headwind.stress.plan import Plan, Traffic, parse_mix, shares


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6).map(tuple), st.integers(0, 300))
def test_shares_add_up_and_follow_the_weights(weights: tuple[int, ...], spare: int) -> None:
    total = len(weights) + spare
    parts = shares(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 1
    for part, weight in zip(parts, weights, strict=True):
        ideal = weight / sum(weights) * total
        assert part <= max(1, ideal + 1), (
            "nobody gets more than their weight, but the one that everybody needs"
        )


def test_shares_of_a_mix_with_room() -> None:
    assert shares(200, (1, 3)) == (50, 150)
    assert shares(4, (1, 3)) == (1, 3)


def test_too_few_to_share_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be shared"):
        shares(1, (1, 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /=1", Traffic("GET", "/", 1)),
        ("POST /v1/prediction=3", Traffic("POST", "/v1/prediction", 3)),
        ("GET /search?q=a&n=2=5", Traffic("GET", "/search?q=a&n=2", 5)),
        ("GET /health", Traffic("GET", "/health", 1)),
        ("PUT /x=2@bodies.jsonl", Traffic("PUT", "/x", 2, bodies=Path("bodies.jsonl"))),
        ("PUT /x=2@mine.lua", Traffic("PUT", "/x", 2, script=Path("mine.lua"))),
    ],
)
def test_a_mix_is_read(text: str, expected: Traffic) -> None:
    assert parse_mix(text) == expected


@pytest.mark.parametrize("text", ["", "/", "get /", "GET", "GET /=0", "GET x=1"])
def test_a_wrong_mix_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(UsageError, match="--mix"):
        parse_mix(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": 0},
        {"connections": 3, "threads": 4},
        {"late_s": 30.0},
        {"url": "localhost:8000"},
        {"url": "ftp://localhost/"},
        {"url": "http://localhost:99999/"},
        {"url": "http://localhost:abc/"},
        {"url": "http://[::1/"},
        {"port": 0},
        {"port": 70_000},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Plan(**{"url": "http://localhost/", **wrong})  # type: ignore[arg-type]


def test_a_connection_count_of_zero_is_refused_and_not_taken_for_the_default() -> None:
    words = ["run", "--url", "http://localhost/", "--connections", "0"]
    with pytest.raises(UsageError, match="connections must be at least 1"):
        plan_of(parser("run").parse_args(words))
