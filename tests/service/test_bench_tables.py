"""The documentation shows what was measured: its tables are those of the committed results."""

import re

from bench.common import RESULTS
from bench.tables import PAGE, alike, section, written


def test_the_page_shows_the_committed_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page
    assert "<!-- bench:serving -->" in page


def test_every_bar_of_a_committed_result_is_told_with_whether_it_held() -> None:
    for name in re.findall(r"<!-- bench:(\w+) -->", PAGE.read_text(encoding="utf-8")):
        text = section(name)
        if not (RESULTS / f"{name}.json").exists():
            assert "Not measured yet" in text


def test_rows_of_several_tables_are_told_apart() -> None:
    assert alike([{"a": 1}, {"a": 2}, {"b": 3}]) == [[{"a": 1}, {"a": 2}], [{"b": 3}]]
