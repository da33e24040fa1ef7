"""Tokens of load tools become SI numbers, or nothing."""

from __future__ import annotations

import pytest

from headwind.formats import units


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("309.13ms", 0.30913),
        ("1.46s", 1.46),
        ("0.00us", 0.0),
        ("8.25m", 495.0),
        ("2.00h", 7200.0),
        ("12µs", 12e-6),
        ("12μs", 12e-6),
        ("250", None),
        ("1.2.3s", None),
        ("-nanus", None),
        ("12KB", None),
        ("", None),
    ],
)
def test_durations(token: str, expected: float | None) -> None:
    assert units.seconds(token) == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [("21.25", 21.25), ("0.85k", 850.0), ("0.57k", 570.0), ("1.22M", 1.22e6), ("nan", None), ("3ms", None)],
)
def test_counts(token: str, expected: float | None) -> None:
    assert units.count(token) == expected


@pytest.mark.parametrize(
    ("token", "expected"), [("381.17KB", 390318.08), ("0.00B", 0.0), ("0.90GB", 966367641.6), ("12", None)]
)
def test_sizes(token: str, expected: float | None) -> None:
    assert units.size(token) == expected


def test_shares() -> None:
    assert [units.share(token) for token in ("71.26%", "-nan%", "100.00%", "3")] == [0.7126, None, 1.0, None]


def test_whole_numbers() -> None:
    tokens = ("2788", "1,234,567", "1,23", "-1", "9" * 19, "")
    assert [units.whole(token) for token in tokens] == [2788, 1234567, None, None, None, None]
