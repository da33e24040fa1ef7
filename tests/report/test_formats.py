"""Every format says the same, and no text of a document can become markup, a formula or a terminal's command."""

from __future__ import annotations

import csv as csv_module
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from headwind.analysis import difference
from headwind.errors import UnreadableError
from headwind.report import csv, diff, html, junit, markdown
from headwind.report import text as terminal
from headwind.report.plain import cell, clean, visible
from headwind.report.tables import Table, number_tables
from headwind.run import Endpoint, Run
from headwind.samples import ProcessSample, Sample
from tests.report.documents import (
    CUT_RUN,
    ENVIRONMENT,
    FULL_RUN,
    HOSTILE,
    SAMPLES,
    capacity_document,
    comparison_document,
    diagnosis_document,
    difference_document,
    document,
    full_document,
    gate,
    hostile_document,
)

PNG = b"\x89PNG\r\n\x1a\n"


def test_html_leads_with_the_answer_the_trust_the_gates_and_three_findings() -> None:
    page = html.render(full_document(), samples=SAMPLES, environment=ENVIRONMENT, raw_text="Running 45s test")
    wanted = ["Target met", "the run is whole", "p99&lt;250ms", "Finding number 1", "Finding number 3"]
    wanted += ["Latency by percentile", "Finding number 4", "memory growth", "The load"]
    wanted += ["headwind run --connections 200", "sha256 2c26", "Running 45s test"]
    body = page[page.index("<main") :]
    places = [body.index(text) for text in wanted]
    assert places == sorted(places)


def test_html_is_one_file_that_loads_nothing() -> None:
    page = html.render(full_document(), samples=SAMPLES, environment=ENVIRONMENT, raw_text="x")
    assert len(page.encode()) < 1_500_000
    assert not re.search(r"<(?:link|img|iframe|object)\b|<script[^>]+src|@import|url\(", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_the_same_document_gives_the_same_page() -> None:
    assert html.render(document(CUT_RUN)) == html.render(document(CUT_RUN))


def test_a_text_that_is_not_stated_is_never_a_zero() -> None:
    page = html.render(document(Run(tool="wrk", url="http://x/")))
    rows = re.findall(r'<th scope="row">([^<]+)</th><td>([^<]+)</td>', page)
    assert dict(rows)["Requests answered"] == "not stated"
    assert dict(rows)["Errors on read"] == "not stated"


def test_hostile_text_shows_as_text_in_html() -> None:
    page = html.render(hostile_document(), environment={HOSTILE: HOSTILE, "again": HOSTILE}, raw_text=HOSTILE)
    several = html.render({**hostile_document(), "runs": hostile_document()["runs"] * 2})
    for text in (page, several):
        assert text.count("<script") == 1
        assert "<img" not in text
        assert "&lt;script&gt;alert(2)" in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_hostile_text_shows_as_text_in_markdown() -> None:
    text = markdown.render(
        hostile_document(), environment={HOSTILE: HOSTILE}, raw_text=f"```\n{HOSTILE}\n~~~~"
    )
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert "<img" not in page
    assert "<script" not in page
    assert "<a " not in page
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    "name",
    [
        *("see https://evil.example/ now", "www.evil.example", "WWW.evil.example", "ftp://e.example/`x`"),
        *(
            "me@evil.example",
            "mailto:me",
            "@user",
            "user/repo#12",
            "GH-7",
            ":smile:",
            ":100:",
            "a|http://b|c",
        ),
    ],
)
def test_a_name_does_not_become_a_link_a_mention_or_a_picture_in_markdown(name: str) -> None:
    run = Run(tool="locust", requests=5, endpoints=(Endpoint(name, requests=5),), complete=True)
    side = [difference.side(run, "a.txt", name, at) for at in range(2)]
    for text in (markdown.render(document(run)), diff.render_markdown(difference.compare(side))):
        page = MarkdownIt("commonmark").enable("table").render(text)
        assert "<code>" in page
        left = re.sub(r"<code>.*?</code>|<[^<>]+>", "", page, flags=re.DOTALL)
        assert not re.search(r"://|www\.|mailto|@\w|#1|gh-7|:\w+:", left, re.IGNORECASE)


def test_times_and_numbers_stay_plain_in_markdown() -> None:
    assert markdown.text("12:30:45 at 5 m/s, 3 of 4") == "12:30:45 at 5 m/s, 3 of 4"


def test_markdown_holds_the_findings_the_gates_and_every_number() -> None:
    text = markdown.render(full_document(), environment=ENVIRONMENT, raw_text="Running 45s test")
    assert text.startswith("# Target met")
    for wanted in ("Finding number 5", "p99\\<250ms", "68,000", "Do thing 2.", "Running 45s test", "13 MiB"):
        assert wanted in text


def test_markdown_is_written_with_its_pictures_beside_it(tmp_path: Path) -> None:
    written = markdown.write(full_document(), tmp_path / "report.md", samples=SAMPLES)
    text = (tmp_path / "report.md").read_text()
    pictures = [path for path in written if path.suffix == ".png"]
    assert len(pictures) == 6
    for picture in pictures:
        assert picture.read_bytes().startswith(PNG)
        assert f"]({picture.name})" in text


@pytest.mark.parametrize(
    "value",
    [
        "45.1 s",
        "1. first",
        "2) x",
        "- x",
        "+ x",
        "---",
        "===",
        "--target",
        "# x",
        "> x",
        "* x",
        "a_b_c",
        "<b>",
    ],
)
def test_text_shows_as_itself_at_the_start_of_a_line(value: str) -> None:
    page = MarkdownIt("commonmark").render(markdown.text(value))
    shown = value.replace("<", "&lt;").replace(">", "&gt;")
    assert page == f"<p>{shown}</p>\n"


@pytest.mark.parametrize("value", ["`", "a`b``c", "``", "x|y", "", "plain"])
def test_a_code_span_shows_its_value(value: str) -> None:
    page = MarkdownIt("commonmark").render(markdown.code(value.replace("|", "!")))
    assert page.startswith("<p><code>")
    assert page.count("<code>") == 1


def test_the_environment_is_told_in_the_units_of_its_names() -> None:
    said = {"machine": {"memory_bytes": 25276510208, "load_average": [7.67138671875, 5.0], "cpu_quota": None}}
    text = markdown.render(document(FULL_RUN), environment={**said, "warmup": {"duration_s": 3}})
    for row in (
        "| Memory | 23.5 GiB |",
        "| Load average | 7.67, 5 |",
        "| CPU quota | none |",
        "| Duration | 3 s |",
    ):
        assert row in text


@pytest.mark.parametrize(
    ("generator_cpu_s", "machine_cpu_s", "told"),
    [
        (0.1, 1.0, "it had time to spare"),
        (0.1, 1.98, "but the machine had no core to spare"),
        (1.8, 1.9, "it may itself be the limit"),
    ],
)
def test_the_generator_s_headroom_is_what_the_samples_say(
    generator_cpu_s: float, machine_cpu_s: float, told: str
) -> None:
    samples = [
        Sample(
            t, 2, machine_cpu_s * t, 0.0, (ProcessSample(9, "generator", "wrk", generator_cpu_s * t, 1, 4),)
        )
        for t in (0.0, 1.0, 2.0)
    ]
    # When the load ended the generator is gone; that is no sample of it.
    samples.append(Sample(2.5, 2, machine_cpu_s * 2.5, 0.0, ()))
    page = html.render(document(FULL_RUN), samples=samples)
    assert told in page


def test_a_generator_nobody_sampled_is_said_to_be_unwatched() -> None:
    assert "not watched" in html.render(document(FULL_RUN))


def test_csv_has_a_row_a_run_with_units_in_the_names_and_nothing_for_unknown() -> None:
    rows = list(csv_module.DictReader(io.StringIO(csv.render(document(FULL_RUN, CUT_RUN)))))
    assert [row["requests"] for row in rows] == ["68000", "2788"]
    assert rows[0]["latency_p99_s"] == "0.512"
    assert rows[1]["latency_p99_s"] == ""
    assert rows[1]["errors_timeout"] == "613"


def test_csv_cannot_become_a_formula() -> None:
    run = Run(tool="wrk", url="=HYPERLINK(1)", requests=1, complete=True)
    rows = list(csv_module.DictReader(io.StringIO(csv.render(document(run)))))
    assert rows[0]["url"] == "'=HYPERLINK(1)"
    for row in csv_module.reader(io.StringIO(csv.render(hostile_document()))):
        assert not any(text.startswith(("=", "+", "-", "@", "\t")) for text in row)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *((f"{sign}1+1", f"'{sign}1+1") for sign in "=+-@\uff1d\uff0b\uff0d\uff20"),
        *(("  =1", "'  =1"), ("\u3000=1", "'\u3000=1"), ('"=1', "'\"=1"), ("x;=1+1", "x;'=1+1")),
        *(("x; \uff1d1", "x;' \uff1d1"), ("x\t@y", "x\t'@y"), ("\ta", "'\ta"), ("a-b=c+d; e", "a-b=c+d; e")),
    ],
)
def test_no_part_of_a_cell_begins_a_formula(text: str, shown: str) -> None:
    assert cell(text) == shown
    run = Run(tool="locust", requests=5, endpoints=(Endpoint(text, requests=5),), complete=True)
    rows = list(csv_module.DictReader(io.StringIO(csv.render(document(run)))))
    assert rows[1]["endpoint"] == shown


def test_csv_says_which_gates_of_a_run_did_not_hold() -> None:
    gates = [gate("p99<1s", "failed"), gate("rps>1", "held"), gate("mean<1s", "not_judged", run=1)]
    rows = list(csv_module.DictReader(io.StringIO(csv.render(document(FULL_RUN, CUT_RUN, gates=gates)))))
    assert [row["gates_not_held"] for row in rows] == ["p99<1s", "mean<1s"]


def test_a_schedules_two_windows_are_told_apart() -> None:
    """Its requests are all that were due, whenever they were answered; its rate counts only while it lasted."""
    run = replace(
        FULL_RUN, requests=1_010, duration_s=10.0, requests_per_s=99.0, rate_target_per_s=101.0,
        latency_from_send=FULL_RUN.latency,
    )  # fmt: skip
    rows = {row[0]: row[1] for row in number_tables([run])[0].rows}
    assert rows["Requests answered, of those due"] == "1,010"
    assert rows["Answered while the schedule lasted"] == "990"
    assert rows["The same per second"] == "99/s"
    assert "Requests answered" in {row[0] for row in number_tables([FULL_RUN])[0].rows}
    shown = terminal.render(document(run))
    assert "1,010 answered, 990 of them within the schedule's 10 s (99/s)" in shown
    late = terminal.render(document(replace(run, requests=990)))
    assert "990 answered, all within the schedule's 10 s (99/s)" in late


def test_junit_fails_a_failed_gate_and_errors_one_not_judged() -> None:
    root = ElementTree.fromstring(junit.render(full_document()))
    suite = root[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    assert [len(case) for case in suite.findall("testcase")] == [1, 0, 1]


def test_junit_without_gates_asks_for_complete_runs() -> None:
    good = ElementTree.fromstring(junit.render(document(FULL_RUN)))
    bad = ElementTree.fromstring(junit.render(document(FULL_RUN, Run(tool="wrk"))))
    assert (good[0].get("failures"), bad[0].get("failures")) == ("0", "1")


def test_junits_output_keeps_titles_and_advice_apart() -> None:
    lines = (
        ElementTree.fromstring(junit.render(full_document()))[0].findtext("system-out") or ""
    ).splitlines()
    told = full_document()["findings"]
    assert lines[0].endswith(told[0]["title"])
    assert lines[1] == f"  -> {told[0]['advice']}"


def test_junit_stays_xml_with_hostile_text() -> None:
    root = ElementTree.fromstring(junit.render(hostile_document()))
    assert "<script>" in (root[0].findtext("system-out") or "")


def test_unseen_characters_become_marks_and_text_stays() -> None:
    assert visible("a\x1b[31mb\r\n\tc\u202e\ud800") == "a␛[31mb\n\tc<U+202E><U+D800>"
    assert visible("naïve 49 µs, 東京") == "naïve 49 µs, 東京"
    assert clean({"a\x07": ["x\x00", 1, None]}) == {"a␇": ["x␀", 1, None]}


@pytest.mark.parametrize(
    ("made", "wanted", "pictures"),
    [
        (comparison_document(), ["take 2", "\\<b\\>16", "Finding number 1", "Cost", "headwind compare"], 1),
        (capacity_document(), ["4,750 requests/s hold", "Latency against", "Throughput against"], 2),
        (diagnosis_document(), ["1.98 of 2 cores", "fd limit", "already running", "possible"], 0),
    ],
)
def test_experiments_and_diagnoses_are_told_as_html_and_markdown(
    made: dict[str, Any], wanted: list[str], pictures: int, tmp_path: Path
) -> None:
    written = markdown.write(made, tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    page = html.render(made)
    assert len(written) == pictures + 1
    for piece in wanted[:-1] if pictures == 2 else wanted:
        assert piece in text or piece in page
        assert piece.replace("\\<b\\>", "&lt;b&gt;") in page
    assert "<b>16" not in page


def test_a_command_in_a_sentence_is_code_and_a_number_keeps_its_unit() -> None:
    assert html.prose("run `a <b>` for 12 ms -> 3 %") == (
        "run <code>a &lt;b&gt;</code> for 12\u00a0ms \u2192 3\u00a0%"
    )
    assert html.prose("one ` alone") == "one ` alone"
    assert markdown.prose("run `a <b>` for *x*") == "run `a <b>` for \\*x\\*"


def test_of_many_gates_the_failed_ones_lead() -> None:
    gates = [gate(f"g{place}", "held" if place % 3 else "failed", run=place) for place in range(30)]
    page = html.render(document(*[FULL_RUN] * 30, gates=gates))
    assert page.index("<strong>g27<") < page.index("<strong>g1<")
    assert "22 more gates" in page


def test_runs_side_by_side_are_a_page_with_what_they_cannot_show() -> None:
    page = html.render(difference_document("before", "after <b>"))
    assert "after &lt;b&gt;" in page
    assert "<b>" not in page
    assert (
        page.index("One run of each shows")
        < page.index("Requests per second")
        < page.index("<caption>Percentiles")
    )
    assert "rps" in page


def test_hundreds_of_runs_side_by_side_are_one_page_that_names_each() -> None:
    labels = [f"run-{place:03}" for place in range(300)]
    page = html.render(difference_document(*labels))
    assert len(page.encode()) < 1_500_000
    assert all(label in page for label in labels)


def test_a_schema_of_another_version_is_refused_with_a_sentence() -> None:
    with pytest.raises(UnreadableError, match="use the one that wrote it"):
        html.render({"schema": "headwind.run/9", "runs": []})


def test_a_document_read_back_from_disk_renders_the_same() -> None:
    stored = json.loads(json.dumps(full_document()))
    assert markdown.render(stored) == markdown.render(full_document())


def test_tables_stand_side_by_side_where_they_are_narrow_and_several() -> None:
    narrow, wide = (Table("", columns, (columns,)) for columns in (("a", "b", "c"), ("a", "b", "c", "d")))
    groups = html.table_groups([narrow, wide, narrow, narrow])
    assert [(together, len(tables)) for together, tables in groups] == [(False, 1), (False, 1), (True, 2)]


def test_figures_are_set_flush_right_and_words_left() -> None:
    rows = (
        ("1", "2 workers", "1.02 [0.98, 1.06]", "3.12 to 3.24 s", "better", "not stated", "51%, 49%"),
        ("2", "4 workers", "1", "over 2 s", "worse", "12.8 ms", "100%"),
    )
    table = Table("Ranking", ("No.", "a", "b", "c", "d", "e", "f"), rows)
    assert table.figures == (True, False, True, True, False, True, True)
    assert Table("Empty", ("a", "b"), ()).figures == (False, False)
