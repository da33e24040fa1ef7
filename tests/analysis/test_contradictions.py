"""Advice and figures that the run's own numbers would contradict: each case was once told wrongly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwind.analysis import answer, context, difference, rules
from headwind.analysis.finding import Finding
from headwind.cli import main
from headwind.report import document, text
from headwind.run import Errors, Latency, ReadWarning, Run
from tests.analysis.runs import HEALTHY, SLOW, healthy, slow

CLEAN = Errors(connect=0, read=0, write=0, timeout=0, status=0)


def found(run: Run, code: str, *, target: int | None = None) -> Finding:
    return next(one for one in rules.judge(context.of(run, "wrk.txt", target=target)) if one.code == code)


def codes(run: Run, *, target: int | None = None) -> set[str]:
    return {one.code for one in rules.judge(context.of(run, "wrk.txt", target=target))}


def scheduled(per_s: float) -> Run:
    return healthy(
        tool="wrk2", rate_target_per_s=per_s, requests=1201, duration_s=120.0, requests_per_s=10.0, late=None
    )


def test_a_target_missed_by_errors_alone_asks_for_no_shorter_latency() -> None:
    run = healthy(errors=replace(CLEAN, status=58594))
    missed = found(run, "target_missed", target=50_000)
    assert "Mend the errors first" in missed.advice
    assert "down to" not in missed.advice
    slower = found(SLOW, "target_missed", target=50_000)
    assert "down to 180 ms" in slower.advice


def test_a_target_above_the_rate_asked_for_is_no_fault_of_the_server() -> None:
    missed = found(scheduled(10.0), "target_missed", target=5_000)
    assert "Ask for a higher rate" in missed.advice
    assert "however fast the server answers" in missed.advice
    held_back = found(scheduled(1000.0), "target_missed", target=5_000)
    assert "Ask for a higher rate" not in held_back.advice


def test_a_target_is_not_missed_by_an_interrupted_run() -> None:
    run = slow(interrupted=True)
    assert "target_missed" not in codes(run, target=50_000)
    told = answer.sentence(context.of(run, "wrk.txt", target=50_000), [])
    assert told.startswith("Target not judged, the run was interrupted")
    assert "target_missed" in codes(SLOW, target=50_000)


def test_late_answers_are_not_blamed_for_more_time_than_they_can_hold() -> None:
    # 5 answers of at most 30 s are 150 s; Little's law misses 2,100 s.
    few = healthy(
        requests=750_123,
        duration_s=30.0,
        requests_per_s=25_004.1,
        connections=100,
        late=5,
        latency=Latency(mean_s=0.0012, stdev_s=0.001, max_s=0.0024, within_stdev=0.9),
        errors=replace(CLEAN, timeout=5),
    )
    assert "more than the late answers can hold" in found(few, "mean_understated").title
    assert "the 613 late answers are not in it" in found(SLOW, "mean_understated").title


def test_a_long_run_with_few_answers_is_told_to_run_for_longer_than_it_did() -> None:
    few = healthy(requests=274, duration_s=31.1, requests_per_s=8.82)
    told = found(few, "run_short")
    assert told.title.startswith("The run has few answers")
    assert "Measure for at least 114 s" in told.advice
    assert "Measure for at least 30 s" in found(healthy(duration_s=5.0), "run_short").advice


def test_failures_of_all_kinds_are_not_called_error_answers() -> None:
    run = replace(
        HEALTHY,
        tool="locust",
        errors=Errors(status=124),
        warnings=(ReadWarning("errors_not_split", "one number for all kinds"),),
    )
    assert "of all kinds 124" in found(run, "requests_failed").title
    assert "124 failed requests not counted" in found(run, "target_missed", target=60_000).title
    split = replace(run, warnings=())
    assert "status 124" in found(split, "requests_failed").title


@pytest.mark.parametrize(
    ("write", "meant"), [(4, "were closed before"), (114_949, "tried to reconnect as fast as it could")]
)
def test_a_few_failed_writes_are_no_reconnect_loop(write: int, meant: str) -> None:
    assert meant in found(healthy(errors=replace(CLEAN, write=write)), "write_errors").title


@pytest.mark.parametrize(("read", "certainty"), [(58_594, "likely"), (300, "proved")])
def test_a_guess_why_connections_broke_is_not_called_proved(read: int, certainty: str) -> None:
    assert found(healthy(errors=replace(CLEAN, read=read)), "read_errors").certainty == certainty


def test_a_loopback_address_alone_does_not_prove_one_machine() -> None:
    assert found(HEALTHY, "same_host").certainty == "likely"


def test_a_rate_that_only_pipelining_gives_is_not_judged_by_littles_law() -> None:
    fast = healthy(
        requests=110_603_088,
        duration_s=30.01,
        requests_per_s=3_685_234.33,
        connections=128,
        latency=Latency(mean_s=0.0007743, stdev_s=0.002, max_s=0.04031, within_stdev=0.9),
    )
    assert "synthetic_samples" not in codes(fast)
    assert "pipelining" in found(fast, "requests_overlap").title
    slower = replace(fast, requests=1_274_289, requests_per_s=42_443.34)
    assert "requests_overlap" not in codes(slower)
    corrected = replace(slower, latency=Latency(mean_s=0.0223, stdev_s=0.02, max_s=0.59, within_stdev=0.9))
    assert "unless the script sends several requests at once" in found(corrected, "synthetic_samples").title


@pytest.mark.parametrize("run", [SLOW, HEALTHY, slow(errors=replace(SLOW.errors, status=900, read=400))])
def test_one_run_fits_a_terminal_of_24_lines_with_its_prompt(run: Run) -> None:
    built = document.build([run], source="wrk.txt", target=50_000, slos=["p99<250ms", "errors<0.1%"])
    shown = text.render(built).splitlines()
    assert len(shown) <= 23
    assert shown[0].startswith("Target ")


def test_the_mean_by_littles_law_stands_beside_a_printed_one_that_leaves_time_out() -> None:
    shown = text.render(document.build([SLOW], source="wrk.txt", target=50_000))
    assert "printed   mean 1.46 s (3.12 to 3.24 s by Little's law), max 2 s" in shown
    assert "Little" not in text.render(document.build([HEALTHY], source="wrk.txt"))


@pytest.mark.parametrize("runs", [1, 3])
def test_no_gate_is_left_out_of_the_text_however_many_were_asked(runs: int) -> None:
    asked = ["p50<1s", "p90<1s", "rps>1", "errors<1%", "mean<1s", "p99<1ms"]
    shown = text.render(document.build([HEALTHY] * runs, source="wrk.txt", slos=asked))
    for objective in asked:
        assert f" {objective}: " in shown
    assert "FAILED    p99<1ms" in shown


def test_diff_rests_no_percentile_on_answers_that_are_not_in_the_figures() -> None:
    labels = [difference.side(run, "wrk.txt", label, 0) for run, label in ((HEALTHY, "a"), (SLOW, "b"))]
    notes = " ".join(difference.compare(labels, max_regression=None)["notes"])
    assert "a: of 58,594 answers, p99.9 is the highest" in notes
    assert "b: of" not in notes


def test_a_file_of_objectives_given_as_one_is_told_the_right_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "wrk.txt", "--slo", "gates.yaml"]) == 2
    assert "give it as --gates gates.yaml" in capsys.readouterr().err


def test_a_latency_with_the_generators_own_lag_in_it_can_hold_but_not_fail_an_objective() -> None:
    late = healthy(warnings=(ReadWarning("generator_late", "p99 168.3 ms with connections free"),))
    built = document.build([late], source="wrk.txt", slos=["p99<250ms", "p99<50ms", "rps>1000"])
    assert [gate["outcome"] for gate in built["gates"]] == ["held", "not_judged", "held"]
    assert "the generator itself sent late" in built["answer"]
    sound = document.build([HEALTHY], source="wrk.txt", slos=["p99<50ms"])
    assert [gate["outcome"] for gate in sound["gates"]] == ["failed"]
