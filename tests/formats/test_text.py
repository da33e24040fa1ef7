"""Text from anywhere becomes plain, and nothing in it can speak to a terminal or give a secret away."""

from __future__ import annotations

import pytest

from headwind.formats.text import MAX_NAME, clean, decode, safe_name, safe_url


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_encoding_is_recognised(encoding: str) -> None:
    text = "Running 45s test @ http://localhost\n  4 threads and 200 connections\n"
    assert decode(text.encode(encoding)) == text


def test_cleaning_takes_escapes_and_controls_and_keeps_lines() -> None:
    dirty = "\x1b[1;32mone\x1b[0m\r\n\x1b]8;;http://x\x07two\x1b]8;;\x07\rth\x07ree\u00a0^[[Afour\u200b\n"
    assert clean(dirty) == "one\ntwo\nthree four\n"


def test_plain_text_stays_as_it_is() -> None:
    assert clean("a\tb 測試 µs ✓\n") == "a\tb 測試 µs ✓\n"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("http://user:pa%40ss@host:80/x?a=1", "http://host:80/x?a=1"),
        (
            "https://h/p?api_key=abc&b=2&Access-Token=zz#top",
            "https://h/p?api_key=***&b=2&Access-Token=***#top",
        ),
        ("http://h/?pass%77ord=hidden", "http://h/?pass%77ord=***"),
        ("http://h/a@b?keyboard=qwerty", "http://h/a@b?keyboard=qwerty"),
        ("http://h/\x1b[31mred\x07", "http://h/red"),
    ],
)
def test_urls_lose_their_secrets(url: str, safe: str) -> None:
    assert safe_url(url) == safe


def test_names_are_bounded() -> None:
    assert len(safe_name("x" * 10_000)) == MAX_NAME + 1


def test_strings_of_the_terminal_and_soft_hyphens_are_removed() -> None:
    assert clean("\x1b_bk;t=1700000000\x07Running \x1bPq#0\x1b\\30s") == "Running 30s"
    assert clean("Lat\u00adency") == "Latency"
