"""The documentation shows what was measured: its tables are those of the committed results."""

import re

from bench.common import RESULTS
from bench.queue_scaling import row, sentence
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


def test_what_more_model_workers_bought_is_said_in_words_and_noise_is_called_nothing() -> None:
    one = [(500.0, 10.0, 0)] * 3
    bought = row("2 ms a flight", 200, one, [(1400.0, 9.0, 0), (1500.0, 9.0, 4), (1450.0, 9.0, 0)])
    assert (bought["3 against 1"], bought["3 workers, refused"]) == (2.9, 4)
    assert sentence(bought) == (
        "2 ms a flight, 200 connections: 3 model workers answered 2.9 times (2.8 to 3.0 over the rounds) what 1 did."
    )
    noise = row("real model", 1, one, [(600.0, 9.0, 0), (480.0, 9.0, 0), (590.0, 9.0, 0)])
    assert sentence(noise) == (
        "real model, 1 connection: 3 model workers bought nothing, 1.18 times (0.96 to 1.2 over the rounds) what 1 "
        "answered."
    )
