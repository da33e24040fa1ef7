"""Comparisons: the journal, the settings that are refused, and the words of the result."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import psutil
import pytest

from headwind.errors import UsageError
from headwind.report import folder as rendering
from headwind.run import Run
from headwind.statistics.verdicts import Plan as Family
from headwind.stress import compare, comparison, comparison_report, measured, target, trial, variants
from headwind.stress.compare import Options, declaration
from headwind.stress.comparison import finalists_of
from headwind.stress.generator import Wrk
from headwind.stress.interrupt import Interrupt
from headwind.stress.journal import Journal, TrialRow
from headwind.stress.plan import Plan
from headwind.stress.server import Server
from headwind.stress.variants import axis_of

BASE = Plan(url="http://127.0.0.1:{port}/", command="serve {port} {workers}", duration_s=10, warmup_s=2)


def row(block: int, setting: int, rate: float, **changes: Any) -> TrialRow:
    values: dict[str, Any] = {
        "block": block,
        "position": setting,
        "configuration": setting,
        "attempt": 1,
        "folder": "trials/x",
        "started_at": None,
        "took_s": 10.0,
        "requests": int(rate * 10),
        "failed": 0,
        "duration_s": 10.0,
        "good_per_s": rate,
        "cpu_s_per_request": 1e-4,
        "rss_bytes": 100_000_000 * (setting + 1),
        "worker_shares": (1.0,),
        "others_cores": 0.1,
        "steal_share": 0.0,
    }
    return TrialRow(**{**values, **changes})


def trials(rates: Sequence[float], blocks: int, noise: float = 0.005) -> list[TrialRow]:
    generator = np.random.default_rng(1)
    return [
        row(block, setting, rate * float(np.exp(noise * generator.standard_normal())))
        for block in range(blocks)
        for setting, rate in enumerate(rates)
    ]


def told(rates: Sequence[float], blocks: int = 8, noise: float = 0.005) -> dict[str, Any]:
    axis = axis_of(workers=[2**k for k in range(len(rates))], base=BASE)
    declared = declaration(axis, BASE, Options(3600, 8, 0.03, seed=1), "again")
    rows = trials(rates, blocks, noise)
    kept = {(one.block, one.configuration): one for one in rows}
    judgement = comparison.judge(kept, Family.from_json(declared["design"]), seed=1)
    return comparison_report.document(declared, rows, judgement, ended="answered")


def test_equal_settings_are_called_equal_and_the_cheaper_one_is_advised_with_what_it_saves() -> None:
    answer = told([1000, 2000, 2004])["answer"]
    assert "2 workers and 4 workers are equal within 3 %: take 2 workers, it saves 100 MB." in answer
    assert "more than 1 worker" in answer


def test_a_single_best_setting_is_advised_with_its_gain_and_its_cost() -> None:
    answer = told([1000, 1860])["answer"]
    assert answer.startswith("Take 2 workers.")
    assert "% [" in answer
    assert "100 MB more memory" in answer


def test_what_is_undecided_says_how_many_blocks_would_decide() -> None:
    document = told([1000, 1020], noise=0.08)
    assert document["comparisons"][0]["verdict"] == "undecided"
    assert "would probably decide" in document["answer"] or "would not decide" in document["answer"]


def test_what_more_time_would_buy_is_reckoned_by_the_time_that_trials_took() -> None:
    rows = [replace(one, took_s=40.0) for one in trials([1000, 1060], 4, noise=0.04)]
    answer = judged(rows)["answer"]
    asked = re.search(r"--blocks (\d+) --budget (\d+)m", answer)
    assert asked
    # Two trials of 40 s a block, the latency's share, and a fifth for what does not go as planned.
    blocks, minutes = int(asked[1]), int(asked[2])
    assert minutes == pytest.approx((blocks * 80 + 36) / 60 * 1.2, abs=0.6)


def test_the_scatter_and_what_it_lets_be_found_are_told() -> None:
    notes = [note["message"] for note in told([1000, 1030], noise=0.1)["assumptions"]]
    (scatter,) = [note for note in notes if note.startswith("Trials scattered by")]
    assert "after 8 blocks a difference is probably found from some" in scatter


def test_the_document_is_what_its_schema_says() -> None:
    schema = json.loads((resources.files("headwind.report") / "schemas/experiment.schema.json").read_text())
    for rates in ([1000, 2000, 2004], [1000, 1020]):
        jsonschema.validate(told(rates), schema)


def test_before_a_whole_block_nothing_is_said() -> None:
    document = told([1000, 1500], blocks=0)
    assert document["answer"].startswith("Nothing can be said yet")
    assert document["comparisons"] == []


def judged(rows: list[TrialRow], configurations: int = 2) -> dict[str, Any]:
    axis = axis_of(against=[f"{name}: serve {name} {{port}}" for name in "abc"[:configurations]], base=BASE)
    declared = declaration(axis, BASE, Options(3600, 8, 0.03, seed=1), "again")
    kept = {(one.block, one.configuration): one for one in rows if one.discarded is None}
    judgement = comparison.judge(kept, Family.from_json(declared["design"]), seed=1)
    return comparison_report.document(declared, rows, judgement, ended="answered")


def test_a_setting_that_answers_nothing_well_is_worse_and_said_to_answer_nothing() -> None:
    rows = [replace(one, good_per_s=0.0) if one.configuration == 1 else one for one in trials([163, 163], 4)]
    document = judged(rows)
    assert document["comparisons"][0]["verdict"] == "worse"
    assert document["answer"] == "Take a. b answered nothing well."
    json.dumps(document, allow_nan=False)
    nothing = judged([replace(one, good_per_s=0.0) for one in rows])
    assert nothing["answer"].startswith("No configuration answered anything well")


def died_after(lived_s: float, tmp_path: Path) -> trial.Trial:
    """A trial of 10 s whose server answered 1,000/s until it died."""
    run = Run(tool="wrk", requests=int(1000 * lived_s), duration_s=lived_s)
    said = "the server ended with exit code 3, after 5.0 s of load"
    return trial.Trial(tmp_path, (run,), (), {}, said)


def test_a_server_that_died_is_rated_over_the_time_that_was_planned(tmp_path: Path) -> None:
    died = measured.row_of(died_after(5.0, tmp_path), 10, 0, 0, 1, 1, Path("trials/x"))
    assert (died.good_per_s, died.duration_s) == (500.0, 10)
    assert died.cut is not None
    silent = replace(died_after(5.0, tmp_path), runs=())
    nothing = measured.row_of(silent, 10, 0, 0, 1, 1, Path("trials/x"))
    assert measured.verdict_on(silent, nothing, servers_known=True) == (None, False)
    assert comparison.logs_of({(0, 0): nothing}, 1, "good_per_s")[0, 0] == pytest.approx(np.log(0.05))


def test_a_server_that_died_is_told_and_never_the_cheap_one_among_equals() -> None:
    said = "the server ended with exit code 3, after 9.9 s of load"
    rows = [replace(one, cut=said if one.configuration == 0 else None) for one in trials([1000, 1001], 8)]
    document = judged(rows)
    assert "are equal within 3 %: take b" in document["answer"]
    assert "it saves" not in document["answer"]
    assert f"The load broke off before its time: a in 8 of 8 trials ({said});" in document["answer"]
    lasted = next(one for one in document["trust"] if one["name"] == "loads that lasted")
    assert (lasted["value"], lasted["good"]) == ("8 of 16", False)
    ranking, counts = document["tables"][0], document["tables"][-1]
    assert {line[1]: line[ranking["columns"].index("broke off")] for line in ranking["rows"]} == {
        "a": "8",
        "b": "0",
    }
    assert f"yes, {said}" in {line[-1] for line in counts["rows"]}


def test_a_url_in_any_place_lends_its_path_to_a_command() -> None:
    url, command = "docker: http://127.0.0.1:8000/v1/prediction?a=1", "process: serve {port}"
    for both in ([url, command], [command, url]):
        assert variants.url_of(both) == "http://127.0.0.1:{port}/v1/prediction?a=1"
    assert variants.url_of([command, "other: serve2 {port}"]) == "http://127.0.0.1:{port}/"
    assert variants.url_of([url, "b: http://127.0.0.1:9/"]) == "http://127.0.0.1:8000/v1/prediction?a=1"


def test_going_on_with_another_command_or_margin_is_refused() -> None:
    axis, options = axis_of(workers=[1, 2], base=BASE), Options(3600, 8, 0.03, 1)
    before = declaration(axis, BASE, options, "again")
    compare.same_experiment(before, before)
    other = replace(BASE, command="serve --slow {port} {workers}")
    with pytest.raises(UsageError, match="had another command"):
        compare.same_experiment(before, declaration(axis, other, options, "again"))
    with pytest.raises(UsageError, match="margin of 3 %"):
        compare.same_experiment(before, declaration(axis, BASE, replace(options, margin=0.1), "again"))


def test_a_worker_class_that_the_command_does_not_take_is_refused() -> None:
    with pytest.raises(UsageError, match="the command does not take"):
        axis_of(worker_classes=["sync", "gthread"], base=BASE)


def test_many_blocks_are_not_advised_but_a_quieter_machine() -> None:
    wild = [
        replace(one, good_per_s=one.good_per_s * (0.75 if one.block % 2 else 1.08))
        if one.configuration
        else one
        for one in trials([1000, 1000], 4)
    ]
    answer = judged(wild)["answer"]
    assert "--blocks" not in answer
    assert "a quieter machine or a longer --duration" in answer


def test_fewer_blocks_than_are_judged_are_refused() -> None:
    with pytest.raises(UsageError, match="--blocks 3 or more"):
        declaration(axis_of(workers=[1, 2], base=BASE), BASE, Options(3600, 2, 0.03, 1), "")


def test_after_one_block_nothing_is_called_undecidable() -> None:
    answer = judged(trials([1000, 1100], 1))["answer"]
    assert answer == "Undecided between b and a after 1 block: nothing is judged before 3."


def test_of_equals_one_whose_memory_is_unknown_is_not_taken_for_cheap() -> None:
    rows = trials([1000, 1001], 8)
    both = judged(rows)["answer"]
    assert "take a, it saves 100 MB" in both
    unknown = judged([replace(one, rss_bytes=None) if one.configuration == 0 else one for one in rows])[
        "answer"
    ]
    assert "take b." in unknown


def test_a_document_can_be_rendered_and_names_every_discard(tmp_path: Path) -> None:
    axis = axis_of(workers=[1, 2], base=BASE)
    declared = declaration(axis, BASE, Options(3600, 8, 0.03, seed=1), "again")
    rows = [*trials([1000, 2000], 4), row(4, 1, 10.0, discarded="the clock was set by 3.00 s")]
    kept = {(one.block, one.configuration): one for one in rows if one.discarded is None}
    judgement = comparison.judge(kept, Family.from_json(declared["design"]), seed=1)
    document = comparison_report.document(declared, rows, judgement, ended="answered")
    (tmp_path / "experiment.json").write_text(json.dumps(document))
    rendering.render(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "the clock was set by" in page
    assert "Take 2 workers" in page
    assert any("1 worker 0, 2 workers 1" in note["message"] for note in document["assumptions"])


def test_of_the_noisy_trials_only_the_kept_ones_are_counted() -> None:
    discarded = row(3, 0, 900.0, noisy=True, discarded="other load on the machine")
    kept = [replace(one, noisy=one.block == 0) for one in trials([1000, 2000], 4)]
    quiet = next(one for one in judged([*kept, discarded])["trust"] if one["name"] == "quiet machine")
    assert quiet["why"] == "2 kept trials ran beside other load"


def test_the_load_of_others_discards_trials_of_every_setting_or_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tool="wrk", requests=1000, duration_s=10.0)
    sound = trial.Trial(tmp_path, (run,), (), {}, None)
    monkeypatch.setattr(trial, "run", lambda *_, **__: sound)
    monkeypatch.setattr(measured, "row_of", lambda *_: row(0, 0, 100.0, others_cores=1.0))
    servers = ["a: serve a {port}", "b: serve b {port}"]
    for against, discarded in ((servers, True), ([servers[0], "b: http://127.0.0.1:9/"], False)):
        axis = axis_of(against=against, base=BASE)
        declared = declaration(axis, BASE, Options(3600, 8, 0.03, seed=1, with_latency=False), "again")
        under = compare.Comparison(axis, BASE, Wrk("local", "wrk", "4.1.0"), tmp_path, declared, Interrupt())
        for setting in (0, 1):
            told = under._trial(0, 0, setting)
            assert told is not None
            assert (told.discarded is not None) == discarded


def test_many_settings_are_searched_and_few_compared_pairwise() -> None:
    few = declaration(axis_of(workers=[1, 2, 4], base=BASE), BASE, Options(3600, 8, 0.03, 1), "")
    many = declaration(axis_of(workers=range(1, 9), base=BASE), BASE, Options(3600, 8, 0.03, 1), "")
    assert (few["is_search"], many["is_search"]) == (False, True)


def test_a_search_names_one_setting_and_judges_the_others_beside_it() -> None:
    axis = axis_of(workers=range(1, 9), base=BASE)
    declared = declaration(axis, BASE, Options(36000, 8, 0.03, seed=1), "again")
    rows = trials([1000, 1900, 2400, 2000, 1900, 1800, 1700, 1600], 3, 0.01)
    kept = {(one.block, one.configuration): one for one in rows}
    design = comparison.design_of(8, 8, margin=0.03)
    judgement = comparison.judge(kept, design, seed=1)
    document = comparison_report.document(declared, rows, judgement, ended="answered")
    assert judgement.over
    assert document["answer"].startswith("Take 3 workers")
    assert {line["verdict"] for line in document["comparisons"]} == {"worse"}


def test_a_budget_without_room_for_three_blocks_is_refused_with_the_one_that_has() -> None:
    axis = axis_of(workers=[1, 2, 4], base=BASE)
    with pytest.raises(UsageError, match=r"give --budget 3m or more"):
        declaration(axis, BASE, Options(60, None, 0.03, 1), "")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "one thing at a time"),
        ({"workers": [1, 2], "replicas": [1, 2]}, "one thing at a time"),
        ({"workers": [2]}, "two or more different values"),
        ({"workers": [2, 2]}, "two or more different values"),
        ({"settings": ["BATCHING"]}, "is not NAME=value,value"),
        ({"against": ["http://a/", "http://b/"]}, "is not 'NAME: COMMAND'"),
        ({"workers": [0, 1]}, "at least one worker"),
    ],
)
def test_an_axis_that_makes_no_sense_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        axis_of(**asked, base=BASE)


def test_settings_reach_the_servers_environment_and_its_command() -> None:
    base = Plan(url="http://127.0.0.1:{port}/", command="serve --mode {MODE}")
    on, off = axis_of(settings=["MODE=on,off"], base=base).configurations
    assert on.plan(base).environment == {"MODE": "on"}
    assert off.plan(base).command == "serve --mode off"


def test_secrets_of_a_url_are_not_written_down() -> None:
    axis = axis_of(against=["a: http://me:secret@h/", "b: http://h/?token=secret"], base=BASE)
    assert "secret" not in json.dumps([one.to_json() for one in axis.configurations])


def test_finalists_are_the_leader_and_what_is_not_proved_worse() -> None:
    kept = {(one.block, one.configuration): one for one in trials([1000, 2000, 2004], 8)}
    judgement = comparison.judge(kept, Family(3, 8), seed=1)
    assert sorted(finalists_of(judgement)) == [1, 2]


def test_a_line_that_a_kill_cut_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(row(0, 0, 1000))
    journal.add(row(0, 1, 2000))
    path = tmp_path / "trials.jsonl"
    path.write_text(path.read_text() + '{"block": 1, "posi')
    again = Journal(tmp_path)
    assert [one.configuration for one in again.rows] == [0, 1]
    again.add(row(1, 0, 1000))
    assert len(Journal(tmp_path).rows) == 3


def test_a_discarded_trial_does_not_count(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(row(0, 0, 10.0, discarded="wrk left no report"))
    journal.add(row(0, 0, 1000.0, attempt=2))
    assert journal.kept()[0, 0].good_per_s == 1000.0


def test_a_proxy_of_docker_is_never_taken_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["sleep", "60"])
    try:
        monkeypatch.setattr(target, "listeners", lambda port: [proxy.pid])
        monkeypatch.setattr(target, "_is_docker_proxy", lambda pid: pid == proxy.pid)
        monkeypatch.setattr(target, "locate", lambda port: Server(port, {server.pid}))
        assert target.Found(80).working() == {server.pid}
        monkeypatch.setattr(target, "locate", lambda port: Server(port, set()))
        assert target.Found(80).working() == set()
    finally:
        for process in (proxy, server):
            process.kill()
            process.wait()


def test_a_command_that_takes_the_number_of_replicas_starts_them_itself() -> None:
    base = Plan(
        url="http://127.0.0.1:{port}/", command="P={port} exec docker compose up --scale api={replicas}"
    )
    axis = axis_of(replicas=[1, 3], base=base)
    commands = [row.plan(base).command for row in axis.configurations]
    assert commands == [f"P={{port}} exec docker compose up --scale api={count}" for count in (1, 3)]


def test_dockers_command_line_is_not_taken_for_the_server(tmp_path: Path) -> None:
    stub = tmp_path / "docker"
    stub.symlink_to("/bin/sleep")
    server = target.Server(f"exec {stub} 60", tmp_path / "server.log", workers=1)
    try:
        while not psutil.Process(server.pid).name().startswith("docker"):
            assert server.died() is None
        assert server.working() == set()
    finally:
        server.stop()
