"""JSON in a text: whole documents, documents inside logs and Markdown, and what is left of one that was cut."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Predicate = Callable[[Any], bool]

_DECODER = json.JSONDecoder()
_OPENING = re.compile(r'\{(?=\s*["}])|\[(?=\s*\{)')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_SCALAR = re.compile(
    r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity'
)
# What container engines, quotes and comments put before each line.
_PREFIX = re.compile(r"^(?:[\w./\-]{1,60}[ \t]*\|[ \t]?|[ \t]*(?:>|#|//|\*)[ \t]?)", re.M)
_COMMENT = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|//[^\n]*'
)  # a string, which may hold two slashes, or what people explain
_TRAILING_COMMA = re.compile(r",(?=[ \t\n]*[}\]])")
# A document that fails here was cut: inside a string, a number or a word, or between two.
_LAST_WORD = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*\\?|[\w.+\-]*)\s*')
_DEPTH = 12
_WINDOW = 4096  # characters tried first
_LONGEST_WORD = 12  # of what JSON has outside strings: `-Infinity`, the end of a number, an escape
_ATTEMPT = 100  # characters that could be read in the time that a failed attempt takes at least


@dataclass(frozen=True, slots=True)
class Document:
    """One value of the text. `complete`: its end is there; else the objects that were open at the end are `Partial`."""

    value: Any
    lines: tuple[int, int]
    complete: bool = True


class Partial(dict[str, Any]):
    """An object of which only the first members are there."""


def documents(text: str, wanted: Predicate) -> list[Document]:
    """All objects and lists that are `wanted`, in order, also inside others, and the beginning of a last one
    whose end is cut off. Quoted, prefixed and HTML-escaped JSON is tried where the text as it is has none."""
    found = list(_scan(text, wanted))
    if not found and "&quot;" in text:
        text = html.unescape(text)
        found = list(_scan(text, wanted))
    if not found and _PREFIX.search(text):
        found = list(_scan(_PREFIX.sub("", text), wanted))
    if not found and "//" in text:
        found = list(_scan(_TRAILING_COMMA.sub("", _COMMENT.sub(_without_comment, text)), wanted))
    if not found and '""' in text:  # a cell of a CSV file
        found = list(_scan(text.replace('""', '"'), wanted))
    if not found and '\\"' in text:
        found = list(_scan(text.replace('\\"', '"').replace("\\n", "  ").replace("\\t", "  "), wanted))
    return found


def _without_comment(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else ""


def _scan(text: str, wanted: Predicate) -> Iterator[Document]:
    # Every failed attempt costs what it read; the budget keeps hostile nesting linear.
    budget = 8 * len(text) + 100_000
    position, line, counted = 0, 1, 0
    cut_at: int | None = None
    while budget > 0 and (match := _OPENING.search(text, position)) is not None:
        start = match.start()
        try:
            value, end = _decoded(text, start)
        except json.JSONDecodeError as error:
            budget -= error.pos + _ATTEMPT
            # The text ended inside the object: what is there may still be a run's beginning.
            if cut_at is None and _LAST_WORD.fullmatch(text, start + error.pos):
                cut_at = start
            position = start + 1
            continue
        except (RecursionError, ValueError):
            budget -= _WINDOW
            position = start + 1
            continue
        line += text.count("\n", counted, start)
        last = line + text.count("\n", start, end)
        for item in _within(value, wanted):
            cut_at = None
            yield Document(item, (line, last))
        counted, position = start, end
    if cut_at is not None:
        yield from _beginning(text, cut_at, wanted)


def _decoded(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at `start`, and where it ends. Raises as `json` does, with places counted from `start`.

    Tried on a part of the text that grows while it ends inside the value: an error of `json` counts the lines before
    it, which over a whole text of things that are no JSON takes quadratic time.
    """
    window = _WINDOW
    while True:
        part = text[start : start + window]
        try:
            value, end = _DECODER.raw_decode(part)
        except json.JSONDecodeError as error:
            inside = error.pos >= len(part) - _LONGEST_WORD or error.msg.startswith("Unterminated")
            if len(part) < window or not inside:
                raise
            window *= 8
            continue
        return value, start + end


def _beginning(text: str, start: int, wanted: Predicate) -> Iterator[Document]:
    first = text.count("\n", 0, start) + 1
    last = first + text.rstrip().count("\n", start)
    for item in _within(_repaired(text[start:]), wanted):
        yield Document(item, (first, last), complete=False)


def _within(value: Any, wanted: Predicate, depth: int = 0) -> Iterator[Any]:
    if not isinstance(value, dict | list):
        return
    if wanted(value):
        yield value
    elif depth < _DEPTH:
        for child in value.values() if isinstance(value, dict) else value:
            yield from _within(child, wanted, depth + 1)


def _repaired(text: str) -> Any:
    """The whole members of an object that lost its end; None where nothing can be kept."""
    stack: list[str] = []
    safe, closers = 0, ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "{[":
            stack.append("}" if token == "{" else "]")
        elif token in "}]":
            if not stack or stack.pop() != token:
                return None
        elif token != ",":
            continue
        # What stands before a comma is whole, and so is a value that was closed; anything later may be half.
        safe = match.start() if token == "," else match.end()
        closers = "".join(reversed(stack))
        if not stack:
            break
    try:
        return _marked(json.loads(text[:safe] + closers), len(closers))
    except (ValueError, RecursionError):
        return None


def _marked(value: Any, open_levels: int) -> Any:
    """The value with the objects that were open where the text ended, its last ones, marked as Partial."""
    if open_levels and isinstance(value, dict):
        value = Partial(value)
        if value:
            last = next(reversed(value))
            value[last] = _marked(value[last], open_levels - 1)
    elif open_levels and isinstance(value, list) and value:
        value[-1] = _marked(value[-1], open_levels - 1)
    return value


def number(value: Any) -> float | None:
    """A finite number, also one written as a string ("53"); None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not _SCALAR.fullmatch(value) or len(value) > 40:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int):
        return float(value) if abs(value) < 2**63 else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def amount(value: Any) -> float | None:
    """A number that is not negative."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def whole(value: Any) -> int | None:
    """A count: a whole number that is not negative."""
    found = amount(value)
    return int(found) if found is not None and found < 2**63 and found == int(found) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one where it is something else."""
    return value if isinstance(value, dict) else {}


def entire(value: Any) -> Mapping[str, Any] | None:
    """The object where it is whole: members that were cut off would make its sum wrong."""
    return value if isinstance(value, dict) and not isinstance(value, Partial) else None


def string(value: Any) -> str | None:
    """The string, where it is one and not empty."""
    return value if isinstance(value, str) and value else None
