"""What wrk and wrk2 print, recognised line by line wherever it stands in a line: items, without judging their order.

A physical line may hold several of wrk's (escaped newlines of JSON, HTML breaks, a paste that lost its line ends),
with prefixes of any kind (timestamps, compose, quotes, fences) and annotations behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge

from headwind.quick import quick

# Units as wrk prints them; then the micro sign of other tools and what wrong decoding makes of it.
_TIME_UNIT = r"(?:us|ms|s|m|h|[µμ]s|Âµs|Î¼s|┬╡s|╬╝s|[?\ufffd]s)"
_DURATION = rf"(?:[-+]?(?:nan|inf)|[0-9]+(?:\.[0-9]+)?){_TIME_UNIT}?"
TOKEN = re.compile(
    rf" *([-+]?(?:nan|inf)(?:{_TIME_UNIT}|%|(?![A-Za-z]))"
    # Two decimals end a number that the next one touches (1000.00ms1000.00ms has a unit between, 849.99849.99 not).
    r"|(?:[0-9]+\.[0-9]{2}(?=[0-9]+\.[0-9])|[0-9]+(?:\.[0-9]{1,9})?)"
    rf"(?:{_TIME_UNIT}(?![A-Za-z])|[kKMGTP](?![A-Za-z])|%)?)"
)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One kind of line: a string that is always in it, how far before that string it may begin, and its shape."""

    kind: str
    literal: str
    before: int
    shape: re.Pattern[str]


def _pattern(kind: str, literal: str, shape: str, *, before: int = 0) -> _Pattern:
    return _Pattern(kind, literal, before, re.compile(shape))


# A row's columns are read by `Item.tokens`, so that a row cut anywhere still gives the columns that are whole.
_URL = r"[^\s\"`\\]*"
_BEFORE_URL = r"(?:[\"'`<]|\[(?=https?:))?"  # quotes, <URL>, and the text of Markdown's [URL](URL)
_COUNT = r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+"  # wrk prints no commas; people who copy its figures put them in
_COLON = r"[:\uff1a][ *_]*"  # also in bold, and as wide as a Chinese character
_NOT_IN_WORD = r"(?<![A-Za-z0-9])"
PATTERNS = (
    _pattern(
        "header",
        "test @",
        rf"{_NOT_IN_WORD}Running +(?P<planned>[0-9]+(?:\.[0-9]+)?[smh]) +test @ *{_BEFORE_URL}(?P<url>{_URL})",
        before=40,
    ),
    _pattern(
        "making",
        "requests to",
        rf"{_NOT_IN_WORD}Making +(?P<making>[0-9]+) +requests to +{_BEFORE_URL}(?P<url>{_URL})",
        before=40,
    ),
    _pattern("part", "Test Results @", rf"{_NOT_IN_WORD}Test Results @ *(?P<url>{_URL})", before=1),
    _pattern("overall", "Overall Statistics", r"-Overall Statistics-", before=1),
    _pattern(
        "threads",
        "thread",
        r"(?<![\w.,])(?P<threads>[0-9]+) +threads? +and +(?P<connections>[0-9]+)(?= +conn| *$| +con?$| +c$)",
        before=40,
    ),
    _pattern("calibration", "Thread calibration", r"Thread calibration: *mean"),
    _pattern(
        "stats",
        "Thread Stats",
        r"Thread Stats(?P<columns>(?: +(?:Avg|Stdev|Min|Max|[0-9]{1,2}(?:\.[0-9]{1,6})?%|\+/- *Stdev))+)",
    ),
    _pattern(
        "distribution",
        "Latency Distribution",
        rf"{_NOT_IN_WORD}Latency Distribution(?P<table>(?: *\(HdrHistogram *- *(?:Recorded|Uncorrected))?)",
        before=1,
    ),
    _pattern("latency", "Latency", rf"{_NOT_IN_WORD}Latency:? +(?=[-+0-9ni])", before=1),
    _pattern("rate", "Req/", rf"{_NOT_IN_WORD}Req/[Ss]ec:? +(?=[-+0-9ni])", before=1),
    _pattern(
        "requests",
        "requests in",
        rf"(?<![\w.,-])(?P<requests>{_COUNT}) +requests in +(?P<runtime>{_DURATION})"
        r"(?P<read>[,\uff0c] *(?P<bytes>[0-9a-z.+-]+[KMGTPk]?B) +read)?",
        before=40,
    ),
    # A line that lost its ends goes on with wrk's next ones, and with the same of the next run.
    _pattern(
        "socket",
        "Socket errors:",
        r"Socket errors:(?P<socket>[^\n]*?)(?=Non-2xx|Requests/sec|Socket errors:|$)",
    ),
    _pattern("status", "Non-2xx", r"Non-2xx or 3xx responses: *(?P<status>-?[0-9]+)"),
    _pattern(
        "per_second",
        "Requests/sec",
        rf"{_NOT_IN_WORD}Requests/sec{_COLON}(?P<per_second>-?(?:nan|inf)|(?:{_COUNT})(?:\.[0-9]*)?)",
        before=1,
    ),
    _pattern(
        "transfer",
        "Transfer/sec",
        rf"{_NOT_IN_WORD}Transfer/sec{_COLON}(?P<transfer>-?(?:nan|inf)B|[0-9]+(?:\.[0-9]*)?[KMGTPk]?B?)",
        before=1,
    ),
    # Renderers of Markdown take the sign away.
    *(
        _pattern("summary", f"[{name} ", rf"#?\[(?P<name>{name})(?P<figures> *=[^\]\n]*)\]?", before=1)
        for name in ("Mean", "Max", "Buckets")
    ),
    _pattern("spectrum", "TotalCount", r"Percentile +TotalCount", before=40),
    _pattern("exact", "headwind.wrk/1", r"headwind\.wrk/1 +(?P<exact>\{[^\n]*)"),
    _pattern("command", "wrk", r"(?<![\w.-])wrk2? +(?P<arguments>-[^\n]*?)(?=Running [0-9]|$)", before=1),
    _pattern("foreign", "goroutine(s)", r"goroutine\(s\) running"),
    _pattern(
        "foreign", "connections", r"^\W*[0-9]+ connections(?: with [0-9]+ pipelining factor)?\W*$", before=40
    ),  # autocannon
)
# These two look like much else, so they are asked only where a table is open.
_PERCENT = _pattern(
    "percent",
    "%",
    rf"(?<![\w.,])(?P<percent>[0-9]{{1,3}}(?:\.[0-9]+)?)% +(?P<value>{_DURATION})(?![\w.%])",
    before=12,
)
_SPECTRUM_ROW = _pattern("spectrum", ".", r"(?<![\w.])[0-9]+\.[0-9]{3} +[01]\.[0-9]{6} +[0-9]+", before=400)
_IN_TABLES = (*PATTERNS, _PERCENT, _SPECTRUM_ROW)
_MAY_HOLD_SEVERAL = 200  # characters of a line that may be several of wrk's whose line ends were lost
_MAY_HOLD_MANY = 4000

# Every line that can begin a report has one of these (a threads line alone begins none), however it is surrounded.
BEGINNINGS = ("test @", "requests to", "Thread ", "Latency", "[Mean ")

_FENCE = re.compile(r"[^A-Za-z0-9]*(?:```|~~~|</pre>|</code>)[^A-Za-z0-9]*[a-z]{0,8}\s*")
# The number of a line, a time since the start, the hash of a commit: these differ from line to line of one source.
_COUNTER = re.compile(r"[0-9.]+[a-z]{0,3}|(?=[a-f]*[0-9])[0-9a-f]{7,40}")
_COMPOSE = re.compile(r" *([A-Za-z0-9][A-Za-z0-9_.-]{0,62}) *\|")
# JSON in JSON doubles its backslashes; more than four of them are no escape, and counting them all takes time.
_ESCAPED_BREAK = re.compile(r"\\{1,4}r\\{1,4}n|\\{1,4}[nr]")
_COLOUR = re.compile(r"(?:\x1b|\\{1,4}(?:x1[bB]|033|e|u001[bB]))?\[(?:[0-9]{1,3}(?:;[0-9]{1,3}){0,4})?m")
_ESCAPED_CHARACTER = re.compile(r"\\{1,4}u([0-9A-Fa-f]{4})")
_HTML_BREAK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?pre|/h[1-6])(?:\s[^<>]{0,200})?/?>", re.I)
_HTML_CELL = re.compile(r"</?t[dh](?:\s[^<>]{0,200})?>", re.I)
_NUMBER_CELL = re.compile(
    r"^\s*(?:<(?:tr|pre|code)[^<>]{0,200}>\s*){0,2}<(span|td)\b[^<>]{0,200}>\s*[0-9]{1,6}\s*</\1>", re.I
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_HTML_TAG = re.compile(
    r"</?(?:a|b|i|u|em|strong|code|samp|tt|kbd|var|span|font|table|tbody|ul|ol|small|big|sub|sup|details"
    r"|summary|blockquote|center|figure|html|body)(?:\s[^<>]{0,200})?/?>",
    re.I,
)


@quick
@dataclass(frozen=True, slots=True)
class Item:
    """One recognised line of wrk: its kind, the match, and whether the text ends inside it."""

    kind: str
    match: re.Match[str]
    line: int
    place: int  # the line's number among those of its own source
    cut_at: int | None  # where the text ends without a newline, if it does on this line

    def text(self, group: str) -> str | None:
        """A group's text; None where the end of the text touches it, so that more may have followed."""
        value: str | None = self.match[group]
        return None if value is None or self.match.end(group) == self.cut_at else value

    def tokens(self) -> list[str]:
        """The columns that follow, up to the first thing that is none; a last one is left out where the end of the
        text touches it and more could have followed ("309.13m" of "309.13ms", but not "2.00s")."""
        found = []
        position = self.match.end()
        while match := TOKEN.match(self.match.string, position):
            position = match.end()
            at_end = self.cut_at is not None and position >= self.cut_at - 1
            if (
                at_end
                and self.match.string[position:] in ("", ".")
                and not match[1].endswith(("s", "%", "k", "M", "G", "T", "P"))
            ):
                break
            found.append(match[1])
        return found


def items(line: str, number: int, place: int, *, cut: bool = False, in_table: bool = False) -> Iterator[Item]:
    """The items of one physical line in their order.

    `cut` when the text ends on it without a newline; `in_table` where a latency distribution or a spectrum is open,
    whose rows are looked for only then, and in lines that may hold several of wrk's.
    """
    asked = _IN_TABLES if in_table else PATTERNS
    present = [pattern for pattern in asked if pattern.literal in line]
    if not present and "</span" not in line:  # a highlighter may put every word into one
        return
    pieces = _logical(line)
    several = len(pieces) > 1 or len(line) > _MAY_HOLD_SEVERAL
    for index, piece in enumerate(pieces):
        if several or piece is not line:
            asked = _IN_TABLES if in_table or several else PATTERNS
            present = [pattern for pattern in asked if pattern.literal in piece]
        cut_at = len(piece) if cut and index == len(pieces) - 1 else None
        for _, kind, match in _in_order(piece, present):
            yield Item(kind, match, number, place, cut_at)


def _in_order(piece: str, present: list[_Pattern]) -> Iterable[tuple[int, str, re.Match[str]]]:
    if len(piece) > _MAY_HOLD_MANY:
        # Merged as they come: a line of megabytes would fill the memory with matches.
        return merge(*[_matches(pattern, piece) for pattern in present], key=_start)
    found = [match for pattern in present for match in _matches(pattern, piece)]
    if len(found) > 1:
        found.sort(key=_start)
    return found


def _start(found: tuple[int, str, re.Match[str]]) -> int:
    return found[0]


def says_nothing(text: str) -> bool:
    """Whether no line of a cleaned text is of wrk's but a command line, nor shows that a run was interrupted."""
    return "^C" not in text and all(
        item.kind == "command" for line in text.split("\n") for item in items(line, 0, 0)
    )


def _character(match: re.Match[str]) -> str:
    """The character of an entity. Browsers take "&copy" too, which in a URL begins the name of a parameter."""
    import html.entities  # only here: it loads a table of two thousand names

    if match[0][1] == "#":
        return html.unescape(match[0])
    return html.entities.html5.get(match[0][1:], match[0])


def is_fence(line: str) -> bool:
    """A line that only ends a code block."""
    return ("`" in line or "~" in line or "<" in line) and _FENCE.fullmatch(line) is not None


def service(line: str) -> str | None:
    """The compose service a line's prefix names (`wrk-1  | ...`), so that interleaved services come apart."""
    match = _COMPOSE.match(line) if "|" in line else None
    return match[1] if match and not _COUNTER.fullmatch(match[1]) else None


def _matches(pattern: _Pattern, piece: str) -> Iterator[tuple[int, str, re.Match[str]]]:
    for match in pattern.shape.finditer(piece, max(0, piece.find(pattern.literal) - pattern.before)):
        yield match.start(), pattern.kind, match


def _logical(line: str) -> list[str]:
    """The lines that one physical line stands for."""
    if "**" in line:  # a figure in bold
        line = line.replace("**", "")
    if "[" in line:  # colours of which the log kept all but the escape character, or spelled it
        line = _COLOUR.sub("", line)
    if "\\" in line:
        line = _ESCAPED_CHARACTER.sub(lambda match: chr(int(match[1], 16)), line)
        line = _ESCAPED_BREAK.sub("\n", line).replace("\\t", " ").replace('\\"', '"').replace("\\/", "/")
        line = line.replace("\\%", "%")  # LaTeX
    if "<" in line:
        line = _NUMBER_CELL.sub("", line)
        line = _HTML_TAG.sub("", _HTML_CELL.sub(" ", _HTML_BREAK.sub("\n", line)))
    if "&" in line and ";" in line:
        line = _ENTITY.sub(_character, line).replace("\xa0", " ")
    return line.split("\n") if "\n" in line else [line]
