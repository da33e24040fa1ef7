"""k6: the end-of-test summary of the console (before and since v1), `--summary-export` and `handleSummary` JSON.

`http_req_failed` is a rate of *failures*: its passes, and the number at the tick, are the requests that failed.
`--summary-export` writes true for a threshold that was crossed, handleSummary writes ok. http_req_duration leaves out
connecting and TLS. The console cuts times to two decimals. Failures of all kinds are one number.
"""

from __future__ import annotations

from headwind.formats import k6_console, k6_json
from headwind.run import Run

__all__ = ["read", "recognises"]


def recognises(text: str) -> bool:
    """k6's metrics are followed by dots on the console, and keep their names in JSON."""
    return k6_console.recognises(text) or k6_json.recognises(text)


def read(text: str, source: str) -> list[Run]:
    """The runs of k6 in the text, console and JSON."""
    found = [*k6_json.read(text), *k6_console.read(text)]
    return sorted(found, key=lambda run: run.lines or (0, 0))
