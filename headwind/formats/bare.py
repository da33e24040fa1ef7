"""A text without what CI logs, containers, loggers, quotes, boxes, strings and HTML put around a tool's lines.

wrk's reader looks through all of that by itself. The other readers are asked about the text as it is and about this
one, since each is used to the lines that its tool prints.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Line = tuple[int, str]  # its number in the text, and what is left of it

_ESCAPE = r"\\{1,4}r\\{1,4}n|\\{1,4}(?:(?P<end>[nr])|(?P<tab>t)|(?P<quote>%s)|u(?P<code>[0-9a-fA-F]{4}))"
_ESCAPED, _ESCAPED_BUT_QUOTES = re.compile(_ESCAPE % "[\"'/]"), re.compile(_ESCAPE % "/")
# JSON in a string; a quotation mark alone is a message's: "Get \\"http://h/\\": EOF".
_QUOTED_KEY = re.compile(r"[{,\[][ \t]*\\+\"|\\+\"[ \t]*:[ \t]*(?:\\+\"|[0-9{\[\-]|true|false|null)|\\n\\+\"")
_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_NUMBER_CELL = re.compile(
    r"^[ \t]*(?:<(?:tr|pre|code)[^<>\n]{0,200}>){0,2}<(span|td)\b[^<>\n]{0,200}>[ \t]*[0-9]{1,6}[ \t]*</\1>",
    re.M | re.I,
)
_LINE_TAG = re.compile(
    r"^[ \t]*<(?:p|div|tr|li|pre)\b[^<>\n]{0,200}>|</(?:p|div|tr|li|pre)>[ \t]*$", re.M | re.I
)
_BLOCK_TAG = re.compile(r"</?(?:br|p|div|tr|li|pre|h[1-6]|table|ul|ol)\b[^<>\n]{0,200}>", re.I)
_INLINE_TAG = re.compile(
    r"</?(?:code|span|b|i|u|strong|em|samp|tt|kbd|font|a|td|th|tbody|details|summary|small)\b[^<>\n]{0,200}>",
    re.I,
)
_DATE = r"[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[T _]"
_TIME = rf"(?:{_DATE})?[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:[.,][0-9]{{1,9}})?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?"
_LEVEL = r"(?:DEBUG|INFO|WARNING|WARN|ERROR|NOTICE|debug|info|notice)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"


@dataclass(frozen=True, slots=True)
class _Wrap:
    """Something that stands before each of several lines. `least`: of so many lines one after the other, blank ones
    aside. `same`: in the same words; `counts`: with a number that grows by one from line to line."""

    shape: re.Pattern[str]
    anywhere: re.Pattern[str]  # the same at the beginning of any line of a text
    least: int = 3
    same: bool = False
    counts: bool = False


def _wrap(shape: str, *, least: int = 3, same: bool = False, counts: bool = False) -> _Wrap:
    return _Wrap(re.compile(shape), re.compile(f"^(?:{shape})", re.M), least, same, counts)


_WRAPS = (
    _wrap(rf"\s{{0,8}}\[?{_TIME}\]?(?:$|[ \t]|(?=\|))", least=2),  # CI systems, loggers
    _wrap(rf"{_MONTH} [ 0-9][0-9] (?=[0-9]{{2}}:)", least=2),  # syslog; its time is taken next
    _wrap(r"(?:[\w.\-]{1,60} )?[\w./@\-]{1,60}\[[0-9]{1,9}\]: ?", same=True),  # journal: host name[pid]:
    _wrap(r"std(?:out|err) [FP] ?", least=2),  # Kubernetes
    _wrap(r"[0-9]{2}[OE][+ ]", same=True),  # GitLab
    _wrap(r"#[0-9]{1,4} [0-9]{1,6}\.[0-9]{1,3} ", least=3),  # docker build
    _wrap(rf"(?:- )?(?:[\w.\-]{{1,60}} - )?\[?{_LEVEL}\]?(?: - |:[\w.\-]{{0,60}}:? ?|\s+(?:- )?)", least=3),
    _wrap(r"[^\t|]{1,100}\t[^\t|]{1,100}\t(?:\ufeff)?", same=True),  # gh run view --log
    _wrap(r"[A-Za-z0-9][\w./\-]{0,62}[ \t]*\| ?", same=True),  # compose
    _wrap(r"(?:[\w./\-]{1,120}\.\w{1,8}[:\-])?(?P<count>[0-9]{1,7})[:\-]", counts=True),  # grep -n, grep -Hn
    _wrap(r"[\w./\-]{1,120}\.\w{1,8}[:\-]", same=True),  # grep -H
    _wrap(r" {0,8}(?P<count>[0-9]{1,7})(?:\t| {1,2}|: ?)", counts=True),  # cat -n
    _wrap(r"[ \t]*(?:&gt;|>)[ \t]?", least=3),
    _wrap(r"[ \t]*(?:#(?! target)|//|\*|--|;)(?: |$)", same=True),
    _wrap(r"\[[A-Za-z0-9][\w./:\-]{0,80}\] ?|[A-Za-z][\w.\-]{0,62}: ", least=6, same=True),  # a pod, a host
    _wrap(r"(?:[+\-]|[\u2502|] )", least=6, same=True),  # a diff, a list, a terminal's pane
)
# What stands around each of several lines: the same sign before and behind it, or one behind it.
_IN_QUOTES = re.compile(
    r"[ \t]*-? *(?P<sign>[\"'`])(?P<inner>[^\"'`\\]*(?:\\.[^\"'`\\]*)*?)(?:\\r)?(?:\\n)?(?P=sign) *[,+]? *"
)
_IN_TICKS = re.compile(r"[ \t]*(?:[\-*] )?`(?P<inner>[^`]*)`[ \t]*[,;]?")
_IN_RECORD = re.compile(
    r'[ \t]*\{.{0,300}?"(?:log|message|msg|line|text|stdout)" ?: ?"(?P<inner>(?:[^"\\]|\\.)*?)(?:\\r)?(?:\\n)?"[ ,}].*'
)
_IN_BOX = re.compile(
    r"[ \t]*[\u2502\u2503\u2551|](?P<inner>[^\u2502\u2503\u2551|]*)[\u2502\u2503\u2551|][ \t]*"
)
_BEFORE_SIGN = re.compile(r"(?P<inner>.*?) ?(?P<sign>\\|\$|<br ?/?>)[ \t]*")
_LEAST_AROUND = 3
# Where a line of vegeta, ab, hey, oha or bombardier begins, for those who pasted a report without its line ends.
_LABEL = re.compile(
    r"(?:Requests|Duration|Latencies|Bytes In|Bytes Out|Success|Status Codes)\s+\[|Error Set:"
    r"|Server Software:|Server Hostname:|Server Port:|Document Path:|Document Length:|Concurrency Level:"
    r"|Time taken for tests:|Complete requests:|Failed requests:|Write errors:|Non-2xx responses:|Keep-Alive requests:"
    r"|Total transferred:|HTML transferred:|Requests per second:|Time per request:|Transfer rate:"
    r"|Connection Times \(ms\)|(?<!\()Connect: +[0-9]|Processing: +[0-9]|Waiting: +[0-9]|Total:\s+[0-9]"
    r"|Percentage of the requests"
    r"|(?<=\s)[0-9]{1,3}%\s+[0-9]+(?=\s|$)|(?<=\s)[0-9]{1,3}(?:\.[0-9]+)?% in [0-9]"
    r"|Summary:|Success rate:|Slowest:|Fastest:|Average:|Requests/sec:|Total data:|Size/request:|Size/sec:"
    r"|Response time (?:histogram|distribution):|Latency distribution:|Details \(average|Status code distribution:"
    r"|Error distribution:|(?<=\s)\[[0-9]{1,18}\]\s+(?=[0-9A-Za-z])"
    r"|Statistics +Avg|Reqs/sec +[0-9]|Latency +[0-9.]+[mu\u00b5n]?s|Latency Distribution|HTTP codes:|1xx - |others - "
    r"|Throughput:|(?<=\s)[0-9]{1,3}%\s+[0-9.]+[mu\u00b5n]?s"
)
_LEAST_JOINED = 5
_LONGEST_OF_ONE = 120  # characters of a line that is one of a tool's
_ROUNDS = 3  # a quoted CI log of a container has three wraps around a line
_MOST_EMPTY = 2  # lines that were empty before, one after the other
_SPACINGS = (3, 2)
_LEAST_SPACED = 6  # lines with text, each followed by an empty one


@dataclass(frozen=True, slots=True)
class Bare:
    """The text that is left, and for each of its lines the number of the line it comes from."""

    text: str
    numbers: Sequence[int]


def bare(text: str) -> Bare | None:
    """A cleaned text without its wraps; None where it has none."""
    lines = list(enumerate(text.split("\n"), 1))
    for frame in (_IN_QUOTES, _IN_TICKS, _IN_RECORD):
        lines = _unframed(lines, frame)
    lines = _unescaped(lines)
    for _ in range(_ROUNDS):
        before = lines
        for frame in (_IN_BOX, _IN_QUOTES, _IN_TICKS, _BEFORE_SIGN):
            lines = _unframed(lines, frame)
        joined = "\n".join([line for _, line in lines])
        for wrap in _WRAPS:
            taken = _without(lines, joined, wrap)
            if taken is not lines:
                lines, joined = taken, "\n".join([line for _, line in taken])
        if lines is before:
            break
    lines = [part for line in _single_spaced(lines) for part in _apart(line)]
    found = "\n".join([line for _, line in lines])
    return None if found == text else Bare(found, [number for number, _ in lines])


def _unescaped(lines: list[Line]) -> list[Line]:
    """The lines, with the ones in strings and HTML as lines of their own."""
    text = before = "\n".join([line for _, line in lines])
    if "<" in text and ">" in text:
        text = _LINE_TAG.sub("", _NUMBER_CELL.sub("", text))
        text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\v", text))
    if "&" in text and ";" in text:
        text = "\n".join([html.unescape(line).replace("\n", "\v") for line in text.split("\n")])
        text = text.replace("\xa0", " ")
    if "\\x" in text:
        text = _BYTES.sub(_characters, text)
    if "\\" in text:
        text = (_ESCAPED if _QUOTED_KEY.search(text) else _ESCAPED_BUT_QUOTES).sub(_character, text)
    if text == before:
        return lines
    numbers = [number for number, _ in lines]
    parts = zip(numbers, text.split("\n"), strict=True)
    return [(number, part) for number, line in parts for part in line.split("\v")]


def _characters(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace").replace("\n", "\v")


def _character(match: re.Match[str]) -> str:
    if match["tab"]:
        return "\t"
    if match["quote"]:
        return ("\\" if match[0].startswith(3 * "\\") else "") + match["quote"]  # in a string of a string
    if match["code"]:
        character = chr(int(match["code"], 16))
        return character if character.isprintable() else " "
    return "\v"


def _without(lines: list[Line], text: str, wrap: _Wrap) -> list[Line]:
    """The lines without a wrap, where enough of them one after the other have it; `text` is all of them."""
    if sum(1 for _ in wrap.anywhere.finditer(text)) < wrap.least:
        return lines
    match = wrap.shape.match
    found = [match(line) for _, line in lines]
    if sum(one is not None for one in found) < wrap.least:
        return lines
    result: list[Line] | None = None
    for begin, end in _runs(lines, found, wrap):
        result = list(lines) if result is None else result
        for at in range(begin, end):
            one = found[at]
            if one is not None:
                result[at] = (lines[at][0], lines[at][1][one.end() :])
    return lines if result is None else result


def _runs(lines: Sequence[Line], found: Sequence[re.Match[str] | None], wrap: _Wrap) -> list[tuple[int, int]]:
    """Where enough lines one after the other have the wrap: begin and end of each."""
    runs: list[tuple[int, int]] = []
    begin, count, before, expected = 0, 0, "", -1
    for at in range(len(lines) + 1):
        one = found[at] if at < len(lines) else None
        if one is None and at < len(lines) and not wrap.counts and not lines[at][1].strip():
            continue
        number = int(one["count"]) if one is not None and wrap.counts else -1
        goes_on = (
            one is not None
            and count > 0
            and (not wrap.same or one[0] == before)
            and (not wrap.counts or number == expected)
        )
        if not goes_on:
            if count >= wrap.least:
                runs.append((begin, at))
            begin, count = at, 0
        if one is not None:
            count, before, expected = count + 1, one[0], number + 1
    return runs


def _unframed(lines: list[Line], frame: re.Pattern[str]) -> list[Line]:
    """The lines without a frame around each, where enough of them one after the other have it."""
    found = [frame.fullmatch(line) for _, line in lines]
    if sum(one is not None for one in found) < _LEAST_AROUND:
        return lines
    result: list[Line] | None = None
    begin = 0
    for at in range(len(lines) + 1):
        if at < len(lines) and (found[at] is not None or not lines[at][1].strip()):
            continue
        having = [(one, index) for index in range(begin, at) if (one := found[index]) is not None]
        if len(having) >= _LEAST_AROUND:
            result = list(lines) if result is None else result
            for one, index in having:
                result[index] = (lines[index][0], one["inner"])
        begin = at + 1
    return lines if result is None else result


def _apart(line: Line) -> list[Line]:
    """A line on which several of a tool's lines were joined, as lines of their own."""
    number, text = line
    starts = [match.start() for match in _LABEL.finditer(text)] if len(text) > _LONGEST_OF_ONE else []
    if len(starts) < _LEAST_JOINED:
        return [line]
    ends = [*starts, len(text)]
    return [(number, text[: starts[0]]), *((number, text[at:end]) for at, end in pairwise(ends))]


def _single_spaced(lines: list[Line]) -> list[Line]:
    """The lines without the empty one behind each, where a whole text was pasted with such."""
    kept: list[Line] = []
    at = 0
    while at < len(lines):
        if not lines[at][1].strip():
            kept.append(lines[at])
            at += 1
            continue
        step, end = next(
            ((step, end) for step in _SPACINGS if (end := _spaced_until(lines, at, step))), (1, at + 1)
        )
        kept += lines[at:end:step]
        at = end
    return kept


def _spaced_until(lines: Sequence[Line], at: int, step: int) -> int:
    """Where a text ends of which only every so many-th line says anything; 0 where too few do."""
    end, having, empty = at, 0, 0
    while end + step <= len(lines) and not any(line.strip() for _, line in lines[end + 1 : end + step]):
        says = bool(lines[end][1].strip())
        having, empty = having + says, 0 if says else empty + 1
        if empty > _MOST_EMPTY:
            break
        end += step
    return end if having >= _LEAST_SPACED else 0
