"""The documentation shows what was measured: its tables are those of the committed results."""

import json
import re
import subprocess

import pytest

from bench.common import MEASURED_FOLDERS, RESULTS, ROOT
from bench.queue_scaling import row, sentence
from bench.servers import spent_s
from bench.serving import interval
from bench.tables import PAGE, alike, written


def test_the_page_shows_the_committed_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page
    assert "<!-- bench:serving -->" in page


def test_every_bar_of_a_committed_result_is_on_the_page_with_whether_it_held() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines, bars = page.splitlines(), []
    for name in re.findall(r"<!-- bench:(\w+) -->", page):
        path = RESULTS / f"{name}.json"
        result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        bars += [(next(iter(bar.values())), bar["held"]) for bar in result.get("bars", [])]
    assert len(bars) > 10
    for what, held in bars:
        assert any(line.startswith(f"| {what} |") and line.endswith(f"| {held} |") for line in lines), what


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


def test_the_trees_that_a_committed_result_names_are_in_the_history() -> None:
    """A rebase gives commits new names, but leaves the content of a folder what it is."""
    if git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("not a checkout with its whole history")
    told = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    for folder in MEASURED_FOLDERS:
        named = {one["name"]: one["trees"][folder] for one in told if "trees" in one}
        commits = git("log", "--format=%H", "--", folder).split()
        known = git("cat-file", "--batch-check", given="".join(f"{commit}:{folder}\n" for commit in commits))
        trees = {line[:12] for line in known.splitlines()}
        assert {name: tree for name, tree in named.items() if tree not in trees} == {}


def git(*arguments: str, given: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, input=given, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_a_servers_cpu_time_counts_what_began_under_the_load_and_nothing_of_before() -> None:
    assert spent_s({1: 10.0, 2: 3.0}, {1: 11.0, 3: 0.5}) == 1.5


def test_an_interval_of_ratios_is_students_on_their_logarithms() -> None:
    low, mean, high = interval([0.5, 2.0, 0.5, 2.0])
    assert mean == pytest.approx(1.0)
    # t(0.975, 3) = 3.1824; the logarithms' deviation is ln 2 * sqrt(4/3).
    assert low == pytest.approx(0.2798, abs=1e-4)
    assert high == pytest.approx(3.5736, abs=1e-3)
