"""What load tools write when a request brings no answer, sorted into the error kinds of a Run.

The mapping is in docs/formats.md ("Error kinds"). wrk counts kinds; the tools written in Go, Rust and Python print
messages of their HTTP client, and a message says what happened only roughly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from headwind.run import Errors, Run

# The first that matches decides: "dial tcp 10.0.0.1:80: i/o timeout" never had a connection.
_KINDS = (
    (
        "connect",
        re.compile(
            r"\bdial|refused|no such host|unreachable|cannot assign|\bconnect(?:ion)?[:( ]*(?:error|fail|timed)"
            r"|lookup |\bdns\b|resolve|handshake|certificate|x509|\btls\b|\bssl\b|too many open files|no route",
            re.I,
        ),
    ),
    ("timeout", re.compile(r"time[d]?[ -]?out|deadline|timeout", re.I)),
    ("write", re.compile(r"\bwrite\b|broken pipe|EPIPE", re.I)),
    (
        "read",
        re.compile(r"\bread\b|reset|\bEOF\b|closed|hang ?up|aborted|malformed|unexpected|body|empty", re.I),
    ),
)
# Its words say nothing of what happened: "https://tls.example.com/timeout".
_ADDRESS = re.compile(r"\"[^\"]{0,2000}://[^\"]{0,2000}\"|\([a-z]+://[^\s()]*\)|[a-z]+://\S+")
_STATUS = re.compile(r"[1-9][0-9]{2}")


def cause(message: str) -> str | None:
    """The kind of a client's error message; None where it fits none."""
    message = _ADDRESS.sub(" ", message[:2000])
    return next((kind for kind, pattern in _KINDS if pattern.search(message)), None)


def errors_of(messages: Iterable[tuple[str, int]], status: int | None) -> tuple[Errors, int]:
    """Counts by kind, and how many fitted none: they are in `read`, as requests sent that brought no whole answer."""
    counts = {"connect": 0, "read": 0, "write": 0, "timeout": 0}
    unknown = 0
    for message, count in messages:
        kind = cause(message)
        if kind is None:
            kind, unknown = "read", unknown + count
        counts[kind] += count
    return Errors(**counts, status=status), unknown


def status_codes(codes: Mapping[str, int]) -> dict[str, int]:
    """Without keys that are no status code: 0 and -1 stand for requests without an answer."""
    return {code: count for code, count in codes.items() if _STATUS.fullmatch(code)}


def bad_status(codes: Mapping[str, int]) -> int:
    """Responses with a status code above 399."""
    return sum(count for code, count in status_codes(codes).items() if code > "399")


def warn_unknown(run: Run, unknown: int) -> Run:
    """The run with a warning where messages fitted no kind."""
    if not unknown:
        return run
    return run.warn(
        "errors_unclassified", f"{unknown} errors fit no kind that Headwind knows and are counted under read."
    )
