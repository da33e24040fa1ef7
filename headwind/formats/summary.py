"""The summary that hey invented and oha took over: labelled times, a histogram, percentiles, codes, errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headwind.formats.causes import bad_status, cause
from headwind.formats.documents import amount
from headwind.formats.fields import Field, blocks, fields, first, following, is_cut_minute, labels
from headwind.formats.units import seconds
from headwind.histogram import percentile_key

_LABELS = labels(
    {
        "summary": r"Summary:",
        "success": r"Success rate:",
        "total": r"Total:",
        "slowest": r"Slowest:",
        "fastest": r"Fastest:",
        "average": r"Average:",
        "rate": r"Requests/sec:",
        "data": r"Total data:",
        "data_of_boom": r"Total Data Received:",
        "size": r"Size/request:",
        "per_second": r"Size/sec:",
        "note": r"Note:\s+Distributions are for first",
        "histogram": r"Response time histogram:",
        "distribution": r"Latency distribution:",
        "response_distribution": r"Response time distribution:",
        "breakdown": r"Response time [dh]i[a-z]{6,10} \((?=[2-5]xx)",
        "details": r"Details \(average, fastest, slowest\):",
        "codes": r"Status code distribution:",
        "errors": r"Error distribution:",
    }
)
_PERCENTILE = re.compile(r"[^0-9]*([0-9]{1,3}(?:\.[0-9]+)?)% in ([0-9.]+) ([a-z\u00b5\u03bc]+)")
_CODE = re.compile(r"[^\[]*\[([1-9][0-9]{2})\]\s+([0-9]{1,18}) resp")
_ERROR = re.compile(r"[^\[]*\[([0-9]{1,18})\]\s+(\S.*)")
_EARLY_CODES = 15  # lines that the status codes of early versions take before the histogram
Block = Sequence[Field]


def summaries(text: str) -> Iterator[Block]:
    """The labelled lines of each summary in a `plain` text."""
    waiting: list[Field] = []
    for block in blocks(fields(text, _LABELS), _LABELS, ("breakdown",), gap=40):
        # boom, and hey up to 0.1.1, print the status codes before the histogram.
        goes_on = block[0].name == "histogram" and waiting and waiting[-1].name == "codes"
        if goes_on and block[0].line - waiting[-1].line <= _EARLY_CODES:
            waiting += block
            continue
        if waiting:
            yield waiting
        waiting = list(block)
    if waiting:
        yield waiting


def time(block: Block, name: str) -> float | None:
    """The seconds of a labelled time with its unit in a word of its own."""
    field = first(block, name)
    words = field.words if field else []
    return seconds(words[0] + words[1].rstrip(".")) if len(words) > 1 else None  # boom ends it as a sentence


def rate(block: Block) -> float | None:
    """Requests per second."""
    field = first(block, "rate")
    return amount(field.word(0)) if field else None


def percentiles(block: Block, text: str) -> dict[str, float]:
    """The percentiles in seconds; those that are NaN are left out."""
    field = first(block, "distribution") or first(block, "response_distribution")
    found: dict[str, float] = {}
    for line in following(text, field, 20) if field else ():
        match = _PERCENTILE.match(line)
        if match is None and "% in NaN" not in line:
            break
        value = seconds(match[2] + match[3]) if match and not is_cut_minute(text, line) else None
        if match is not None and value is not None and float(match[1]) > 0:  # "0%": hey had too few requests
            found[percentile_key(float(match[1]))] = value
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the requests ended. A part is None where it is missing or may have been cut."""

    codes: Mapping[str, int] | None  # responses by status code
    messages: Sequence[tuple[str, int]] | None  # errors of requests without a response, with their counts
    last_line: int

    @property
    def responses(self) -> int | None:
        """Requests with a response."""
        return None if self.codes is None else sum(self.codes.values())

    @property
    def unanswered(self) -> int:
        """Requests without a response, as far as they are known."""
        return sum(count for _, count in self.messages or ())

    @property
    def status(self) -> int | None:
        """Responses with a code above 399."""
        return None if self.codes is None else bad_status(self.codes)


def outcome(block: Block, text: str, rate_per_s: float | None, duration_s: float | None) -> Outcome:
    """The two last sections. At the end of the text nothing shows that a section is whole, other than its sum: rate
    and time tell how many requests there were, with those that failed or, in other versions, without."""
    code_rows, codes_end = _rows(first(block, "codes"), text, _CODE)
    message_rows, messages_end = _rows(first(block, "errors"), text, _ERROR)
    answered: dict[str, int] = {}
    for code, count in code_rows:
        answered[code] = answered.get(code, 0) + int(count)
    failed = [(message, int(count)) for count, message in message_rows]
    total, unanswered = sum(answered.values()), sum(count for _, count in failed)
    fits = any(agrees(total + extra, rate_per_s, duration_s) for extra in (unanswered, 0))
    codes: dict[str, int] | None = answered
    messages: list[tuple[str, int]] | None = failed
    if first(block, "codes") is None or (not answered and not failed) or not (codes_end or fits):
        codes = messages = None
    elif first(block, "errors") is None:
        messages = [] if fits or _goes_on(text, block[-1], len(code_rows)) else None
    elif not failed or not (messages_end or fits):
        messages = None
    elif _is_cut(first(block, "errors"), len(failed), text) and cause(failed[-1][0]) not in (
        "connect",
        "timeout",
    ):
        messages = None  # what is missing of the last message could name another kind
    rows = message_rows if block[-1].name == "errors" else code_rows
    return Outcome(codes, messages, block[-1].line + len(rows))


def _rows(field: Field | None, text: str, row: re.Pattern[str]) -> tuple[list[tuple[str, str]], bool]:
    """The rows of a section, and whether something after them shows that there were no more."""
    found: list[tuple[str, str]] = []
    lines = following(text, field, 1000) if field else iter(())
    for line in lines:
        match = row.match(line)
        if match is None:
            more = next(lines, None) is not None
            return found, more or (bool(line.strip()) and not line.strip().startswith("["))
        found.append((match[1], match[2]))
    return found, False


def _is_cut(field: Field | None, rows: int, text: str) -> bool:
    """Whether the last row of a section ends with the text, without a line end."""
    return field is not None and len(list(following(text, field, rows + 1))) == rows


def _goes_on(text: str, field: Field, rows: int) -> bool:
    """Whether what follows a section of so many rows shows that no errors come: another text, or two blank lines,
    where the heading of the errors would have come after one."""
    lines = [line.strip() for line in following(text, field, rows + 4)][rows:]
    return (
        len(lines) > 2 or any(lines[:-1]) or (bool(lines) and not "Error distribution:".startswith(lines[-1]))
    )


def agrees(requests: int, rate_per_s: float | None, duration_s: float | None) -> bool:
    """Whether a count is what rate and time say, as far as they are printed: four decimals each."""
    if rate_per_s is None or duration_s is None:
        return False
    return abs(requests - rate_per_s * duration_s) <= 0.6 + 1e-4 * (rate_per_s + duration_s)
