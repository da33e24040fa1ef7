"""Labelled lines in a text: where a tool prints "Requests per second:  42 [#/sec]", the label, the rest, the line.

One compiled pattern of all labels of a tool finds them anywhere in the text, so that what surrounds a run (prompts,
compose prefixes, fences, prose) needs no rule of its own; a label inside a sentence is not taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Made = TypeVar("Made")
SOFT_END = "\x0b"  # ends a line that is no line of the file: "\n" inside a JSON string, "<br>"
_ENDS = re.compile(rf"[\n{SOFT_END}]")
_ESCAPED = re.compile(r"\\(?:(?P<end>r?\\?n)|(?P<tab>t)|(?P<quote>\")|u(?P<code>[0-9a-fA-F]{4}))")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#34;": '"', "&nbsp;": " ", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))
_TAG = re.compile(
    r"</?(?:pre|code|p|br|div|span|table|tr|td|li|b|i|strong|em|details|summary)\b[^<>\n]{0,200}>", re.I
)
# An escape, a tag or an entity that the end of the text cuts in two. A line end may have been put behind it since;
# behind "&" it may not, because a URL can end so.
_UNFINISHED = re.compile(
    r"(?:\\+(?:r\\*|u[0-9a-fA-F]{0,3})?|<(?:/|/?[a-zA-Z][^<>\n]{0,200})?)(?=\s*\Z)|&#?\w{0,8}\Z"
)
_LONGEST_UNFINISHED = 260
# What may stand before a label on its line: indentation, quote and comment marks, or anything (a container's name, a
# time stamp, a prompt) that ends in a separator.
_FRAME = re.compile(
    r"(?:[\s>#*/|\u2502;'\"`,\[\-]*|.{0,120}[|\u2502>\])\"'`]\s*|\s*(?:\S{1,80}\s+){1,2}|.{0,60}:\s+|[\d\s:.,TZ/+\-]+)"
    r"(?:[0-9]{1,15}k?\s)?"  # a number that belongs to the label: "51k requests in"
)
_OWN_NUMBER = re.compile(r"[0-9]{1,15}k?\s$")
_MAX_GAP = (
    400  # lines between two fields of one run; progress output lies between, a different matter does not
)


@dataclass(frozen=True, slots=True)
class Field:
    """A label of the text and what follows it on its line."""

    name: str  # the label's name in the tool's pattern
    label: str  # as printed
    rest: str
    line: int  # from 1
    prefix: str  # what stands before the label on its line
    end: int  # offset in the text where the line ends
    cut: bool  # the text ends here without a line end: the last word may be half of what was printed

    @property
    def words(self) -> list[str]:
        """The words of the rest; where the text is cut, without a last word that may have lost its end."""
        words = self.rest.split()
        # A Go or wrk duration ends in "s", a share in "%": what ends so is whole. "5.4m" may have been "5.4ms".
        if self.cut and words and not words[-1].endswith(("s", "%", ")", "]", ",")):
            words.pop()
        return words

    def word(self, index: int) -> str:
        """One word of the rest, "" where there is none."""
        words = self.words
        return words[index] if -len(words) <= index < len(words) else ""


def labels(patterns: Mapping[str, str]) -> re.Pattern[str]:
    """One pattern of all labels, given in the order in which the tool prints them: name -> regular expression
    without groups and alternatives. Where all begin with a letter, `re` skips to the letters: the name is therefore
    an empty group behind its label (25 times faster on a log, measured with ab's 24 labels)."""
    return re.compile("|".join(f"{pattern}(?P<{name}>)" for name, pattern in patterns.items()))


def plain(text: str) -> str:
    """The text with what JSON strings and HTML did to it undone; lines keep their numbers. Half an escape, tag or
    entity at the very end is left out: it is no sign that another text follows."""
    text = text[:-_LONGEST_UNFINISHED] + _UNFINISHED.sub("", text[-_LONGEST_UNFINISHED:])
    if "\\n" in text or "\\t" in text or "\\u" in text:
        text = _ESCAPED.sub(_unescaped, text)
    if "&" in text:
        text = _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)
    if "</" in text or "<br" in text or "<pre" in text:
        text = _TAG.sub(SOFT_END, text)
    return text


def _unescaped(match: re.Match[str]) -> str:
    if match["end"]:
        return SOFT_END
    if match["tab"]:
        return "\t"
    if match["quote"]:
        return '"'
    character = chr(int(match["code"], 16))
    return character if character.isprintable() else " "


def fields(text: str, pattern: re.Pattern[str], *, framed: bool = True) -> Iterator[Field]:
    """The labels of the text, at most one a line, in order; only those with nothing but a frame before them, unless
    the caller looks at the prefix itself (`framed=False`)."""
    position, line, counted = 0, 1, 0
    length = len(text)
    while (match := pattern.search(text, position)) is not None:
        start = text.rfind("\n", 0, match.start()) + 1
        start = max(start, text.rfind(SOFT_END, start, match.start()) + 1)
        end_match = _ENDS.search(text, match.end())
        end = end_match.start() if end_match else length
        if match.end() == match.start():
            position = match.end() + 1
            continue
        prefix = text[max(start, match.start() - 300) : match.start()]
        if framed and not _FRAME.fullmatch(prefix):
            position = match.end()
            continue
        line += text.count("\n", counted, match.start())
        counted = match.start()
        name = match.lastgroup
        assert name is not None  # every alternative of `labels` is a named group
        yield Field(name, match[0], text[match.end() : end], line, prefix, end, cut=end_match is None)
        position = end


def blocks(
    found: Iterable[Field], pattern: re.Pattern[str], repeats: Iterable[str] = (), gap: int = _MAX_GAP
) -> Iterator[list[Field]]:
    """The fields run by run. A tool prints its fields in the order of its labels; one that comes again (unless it
    `repeats`), one that belongs before what was seen, and one after more than `gap` lines begin another run."""
    rank = pattern.groupindex
    again = frozenset(repeats)
    block: list[Field] = []
    highest = -1
    for field in found:
        place = rank[field.name]
        backwards = place < highest or (place == highest and field.name not in again)
        if block and (backwards or field.line - block[-1].line > gap):
            yield block
            block, highest = [], -1
        block.append(field)
        highest = max(highest, place)
    if block:
        yield block


def read_blocks(
    text: str, pattern: re.Pattern[str], read: Callable[[list[Field], str], Made | None], *, gap: int
) -> list[Made]:
    """What `read` makes of every block of the text, given the fields and the readable text they are from."""
    readable = plain(text)
    made = (read(block, readable) for block in blocks(fields(readable, pattern), pattern, gap=gap))
    return [one for one in made if one is not None]


def following(text: str, field: Field, limit: int = 200) -> Iterator[str]:
    """The lines after a field's, without their ends and without the frame of the field's line, at most `limit`."""
    start = field.end + 1
    frame = _OWN_NUMBER.sub("", field.prefix).rstrip("\u2502 \t")
    for _ in range(limit):
        if start > len(text):
            return
        match = _ENDS.search(text, start)
        end = match.start() if match else len(text)
        line = text[start:end]
        yield line[len(frame) :] if frame and line.startswith(frame) else line
        start = end + 1


def is_cut_minute(text: str, line: str) -> bool:
    """Whether the text ends in a line whose last unit may have lost its end: "6.10m" of "6.10ms"."""
    return line.endswith("m") and text.endswith(line)


def first(block: Iterable[Field], name: str) -> Field | None:
    """The first field of that name."""
    return next((field for field in block if field.name == name), None)


def span(block: Sequence[Field]) -> tuple[int, int]:
    """First and last line of a run."""
    return block[0].line, block[-1].line
