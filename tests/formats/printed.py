"""Printers of tools' formats, written from the tools' printing code for these tests, and independent of the readers.

A printer takes a source of randomness and gives a text with what a reader must find in it: the value, and the size of
the last digit that was printed.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.formats import printed_by_go, printed_summaries, printed_tables
from tests.formats.printed_values import Printed

PRINTERS: dict[str, tuple[Callable[[random.Random], Printed], ...]] = {
    "ab": (printed_tables.ab_text,),
    "autocannon": (printed_tables.autocannon_table,),
    "bombardier": (printed_by_go.bombardier_text, printed_by_go.bombardier_json),
    "fortio": (printed_by_go.fortio_text, printed_by_go.fortio_json),
    "h2load": (printed_tables.h2load_text,),
    "hey": (printed_by_go.hey_text,),
    "k6": (printed_summaries.k6_console,),
    "locust": (printed_tables.locust_console, printed_tables.locust_csv),
    "oha": (printed_summaries.oha_text, printed_summaries.oha_json),
    "vegeta": (printed_by_go.vegeta_text, printed_by_go.vegeta_json),
}
SAMPLES = [
    (tool, printer(random.Random(11)).text) for tool, printers in PRINTERS.items() for printer in printers
]
