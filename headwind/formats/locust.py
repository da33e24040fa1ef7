"""Locust: `_stats.csv`, `_stats_history.csv`, the console's tables and `--json` (locust/stats.py, from 0.9 to 2.4x).

Percentiles come from response times rounded to two digits: above 100 ms they are up to 5 % off. Failures are whatever
the test called a failure, of all kinds together. Users are no connections: they may wait between requests.
"""

from __future__ import annotations

from headwind.formats import locust_console, locust_csv, locust_json
from headwind.run import Run

__all__ = ["read", "recognises"]


def recognises(text: str) -> bool:
    """The columns of its files and tables, or the keys of its JSON."""
    return locust_csv.recognises(text) or locust_console.recognises(text) or locust_json.recognises(text)


def read(text: str, source: str) -> list[Run]:
    """The runs of Locust in the text, whatever their form."""
    found = [run for form in (locust_csv, locust_json) if form.recognises(text) for run in form.read(text)]
    if locust_console.recognises(text):
        # With --json the tables go to stderr: a log of both tells one test twice, and JSON tells it exactly.
        told = {(run.requests, run.errors.status) for run in found}
        found += [run for run in locust_console.read(text) if (run.requests, run.errors.status) not in told]
    return sorted(found, key=lambda run: run.lines or (0, 0))
