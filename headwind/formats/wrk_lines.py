"""What wrk and wrk2 print, recognised line by line wherever it stands in a line: items, without judging their order.

A physical line may hold several of wrk's (escaped newlines of JSON, HTML breaks, a paste that lost its line ends),
with prefixes of any kind (timestamps, compose, quotes, fences) and annotations behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Units as wrk prints them; then the micro sign of other tools and what wrong decoding makes of it.
_TIME_UNIT = r"(?:us|ms|s|m|h|[µμ]s|Âµs|Î¼s|┬╡s|╬╝s|[?\ufffd]s)"
_DURATION = rf"(?:[-+]?(?:nan|inf)|[0-9]+(?:\.[0-9]+)?){_TIME_UNIT}?"
TOKEN = re.compile(
    rf"[ \t]*([-+]?(?:nan|inf)(?:{_TIME_UNIT}|%|(?![A-Za-z]))"
    # Two decimals end a number, so that touching columns (1000.00ms1000.00ms) come apart.
    rf"|[0-9]+(?:\.[0-9]{{1,3}})?(?:{_TIME_UNIT}(?![A-Za-z])|[kKMGTP](?![A-Za-z])|%)?)"
)

# One alternative for each kind of line; the first group inside names the kind. What follows a row's name is read by
# `tokens`, so that a row cut anywhere still gives the columns that are whole.
ITEM = re.compile(
    rf"""
    (?<![A-Za-z0-9])Running[ \t]+(?P<header>[0-9]+(?:\.[0-9]+)?[smh])[ \t]+test[ \t]+@[ \t]*(?P<url>\S*)
    | (?<![A-Za-z0-9])Making[ \t]+(?P<making>[0-9]+)[ \t]+requests[ \t]+to[ \t]+(?P<making_url>\S*)
    | (?<![A-Za-z0-9])Test[ \t]Results[ \t]@[ \t]*(?P<part>\S*)
    | (?P<overall>-Overall[ \t]Statistics-)
    | (?<![\w.,])(?P<threads>[0-9]+)[ \t]+threads?[ \t]+and[ \t]+(?P<connections>[0-9]+)
      (?P<threads_tail>[ \t]+conn[a-z]*)?
    | Thread[ \t]calibration:[ \t]*(?P<calibration>mean)
    | Thread[ \t]+Stats(?P<stats>(?:[ \t]+(?:Avg|Stdev|Min|Max|[0-9.]+%|\+/-[ \t]*Stdev))+)
    | (?<![A-Za-z0-9])Latency[ \t]+Distribution
      (?P<distribution>(?:[ \t]*\(HdrHistogram[ \t]*-[ \t]*(?:Recorded|Uncorrected))?)
    | (?<![A-Za-z0-9])Latency:?(?P<latency>)[ \t]+(?=[-+0-9ni])
    | (?<![A-Za-z0-9])Req/[Ss]ec:?(?P<rate>)[ \t]+(?=[-+0-9ni])
    | (?<![\w.,])(?P<percent>[0-9]{{1,3}}(?:\.[0-9]+)?)%[ \t]+(?P<percentile>{_DURATION})(?![\w.%])
    | (?<![\w.,-])(?P<requests>[0-9]+)[ \t]+requests[ \t]+in[ \t]+(?P<runtime>{_DURATION})
      (?P<read>,[ \t]*(?P<bytes>[0-9a-z.+-]+[KMGTPk]?B)[ \t]+read)?
    | Socket[ \t]+errors:(?P<socket>[^\n]*)
    | Non-2xx[ \t]+or[ \t]+3xx[ \t]+responses:[ \t]*(?P<status>-?[0-9]+)
    | (?<![A-Za-z0-9])Requests/sec:[ \t]*(?P<per_second>-?(?:nan|inf)|[0-9]+(?:\.[0-9]*)?)
    | (?<![A-Za-z0-9])Transfer/sec:[ \t]*(?P<transfer>-?(?:nan|inf)B|[0-9]+(?:\.[0-9]*)?[KMGTPk]?B?)
    | \#\[(?P<summary>Mean|Max|Buckets)(?P<summary_tail>[^\]\n]*)\]?
    | (?P<spectrum>Percentile[ \t]+TotalCount|(?<![\w.])[0-9]+\.[0-9]{{3}}[ \t]+[01]\.[0-9]{{6}}[ \t]+[0-9]+)
    | headwind\.wrk/1[ \t]+(?P<exact>\{{[^\n]*)
    | (?P<foreign>goroutine\(s\)[ \t]running)
    """,
    re.VERBOSE,
)
# The group that closes last in each alternative with several groups, and the kind of line it means.
_KIND_OF_LAST = {
    "url": "header",
    "making_url": "making",
    "connections": "threads",
    "threads_tail": "threads",
    "percentile": "percent",
    "runtime": "requests",
    "read": "requests",
    "summary_tail": "summary",
}
_FENCE = re.compile(r"^[^A-Za-z0-9]*(?:```|~~~|</pre>|</code>)[^A-Za-z0-9]*[a-z]{0,8}\s*$")
_COMPOSE = re.compile(r"^[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,62})[ \t]*\|(?:[ \t]|$)")
_ESCAPED_BREAK = re.compile(r"\\+r\\+n|\\+n|\\+r")
_ESCAPED_CHARACTER = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_HTML_BREAK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?pre|/h[1-6])(?:\s[^<>]*)?/?>", re.I)
_HTML_TAG = re.compile(
    r"</?(?:a|b|i|u|em|strong|code|samp|tt|kbd|var|span|font|td|th|table|tbody|ul|ol|small|big|sub|sup|details"
    r"|summary|blockquote|center|figure|html|body)(?:\s[^<>]*)?/?>",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One recognised line of wrk: its kind (a group of ITEM), the match, and whether the text ends inside it."""

    kind: str
    match: re.Match[str]
    line: int
    cut_at: int | None  # where the text ends without a newline, if it does on this line

    def text(self, group: str) -> str | None:
        """A group's text; None where the end of the text touches it, so that more may have followed."""
        value = self.match[group]
        return None if value is None or self.match.end(group) == self.cut_at else value

    def tokens(self, start: int | None = None) -> list[str]:
        """The columns that follow, up to the first thing that is none; a last one is left out where the end of the
        text touches it and more could have followed ("309.13m" of "309.13ms", but not "2.00s")."""
        found = []
        position = self.match.end() if start is None else start
        while match := TOKEN.match(self.match.string, position):
            position = match.end()
            if position == self.cut_at and not match[1].endswith(("s", "%", "k", "M", "G", "T", "P")):
                break
            found.append(match[1])
        return found


def items(line: str, number: int, *, cut: bool = False) -> Iterator[Item]:
    """The items of one physical line in their order; `cut` when the text ends on it without a newline."""
    pieces = _logical(line)
    for index, piece in enumerate(pieces):
        cut_at = len(piece) if cut and index == len(pieces) - 1 else None
        for match in ITEM.finditer(piece):
            last = match.lastgroup or ""
            kind = _KIND_OF_LAST.get(last, last)
            yield Item(kind, match, number, cut_at)


def is_fence(line: str) -> bool:
    """A line that only ends a code block."""
    return ("`" in line or "~" in line or "<" in line) and _FENCE.match(line) is not None


def service(line: str) -> str | None:
    """The compose service a line's prefix names (`wrk-1  | ...`), so that interleaved services come apart."""
    match = _COMPOSE.match(line) if "|" in line else None
    return match[1] if match else None


def _logical(line: str) -> list[str]:
    """The lines that one physical line stands for."""
    if "\\" in line:
        line = _ESCAPED_CHARACTER.sub(lambda match: chr(int(match[1], 16)), line)
        line = _ESCAPED_BREAK.sub("\n", line).replace("\\t", "\t").replace('\\"', '"').replace("\\/", "/")
    if "<" in line:
        line = _HTML_TAG.sub("", _HTML_BREAK.sub("\n", line))
    if "&" in line and ";" in line:
        import html  # only here: it loads a table of two thousand names

        line = html.unescape(line).replace("\xa0", " ")
    return line.split("\n") if "\n" in line else [line]
