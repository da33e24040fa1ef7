"""Text from outside, made harmless for every format: control and direction characters become visible marks.

A load tool's output and a URL may hold terminal escapes, which some terminal would obey when a report is printed or
pasted, or characters that turn the reading direction and so make a line say something else than it shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# C0 without tab and newline, DEL, C1, lone surrogates, non-characters, and what turns or hides text.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
# What makes a formula at the beginning of a cell, in full width too; a cell begins behind every sign that a spreadsheet
# may take for the separator.
_FORMULA = re.compile(r"^(?=\t)|(?:^|(?<=[;\t|]))(?=[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20])")
_UNIT = re.compile(r"(?<=\d) (?=(?:%|[mu]?s\b|min\b|[KMGT]?i?B\b|cores?\b))")


def _mark(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's own pictures of the control characters
    return f"<U+{code:04X}>"


def visible(text: str) -> str:
    """The text with every unseen character replaced by a mark; tabs and newlines stay, CR LF becomes a newline."""
    return _UNSEEN.sub(_mark, text.replace("\r\n", "\n"))


def cell(text: str) -> str:
    """The text of a CSV cell that no spreadsheet takes for a formula: an apostrophe before it makes it text again,
    also where the spreadsheet separates cells by a semicolon or a tab."""
    return _FORMULA.sub("'", text)


def pieces(sentence: str) -> list[tuple[bool, str]]:
    """A sentence of ours as (is it code, text) pieces: what stands between backticks is code."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:  # a backtick without its fellow is just a backtick
        return [(False, sentence)]
    return [(place % 2 == 1, part) for place, part in enumerate(parts) if part]


def typeset(sentence: str) -> str:
    """Arrows as arrows, and a number kept on one line with its unit."""
    return _UNIT.sub("\u00a0", sentence.replace(" -> ", " \u2192 "))


def clean(value: Any) -> Any:
    """A JSON value with `visible` applied to every string in it, keys included."""
    if isinstance(value, str):
        return visible(value) if not value.isascii() or not value.isprintable() else value
    if isinstance(value, Mapping):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        # Time lines and histograms are long lists of numbers: nothing in them to clean.
        return value if not value or isinstance(value[0], int | float) else [clean(one) for one in value]
    return value
