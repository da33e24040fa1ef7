"""Every finding speaks where it must and is silent next to it; the cases are in `cases.py`."""

from __future__ import annotations

import pytest

from headwind.analysis import answer, context, rules
from headwind.analysis.excluded import excluded
from headwind.analysis.finding import Finding
from headwind.run import Run
from tests.analysis.cases import CASES, HEALTHY_CASES, all_cases
from tests.analysis.made import (
    Case,
    errors,
    judged,
    of,
    on,
    steady,
    timeline,
)
from tests.analysis.runs import SLOW, healthy, slow
from tests.analysis.watched import HEALTHY_PROCESSES, MASTER, WRK, Process, watched


@pytest.mark.parametrize("code", CASES)
def test_it_speaks_where_it_must(code: str) -> None:
    for case in CASES[code][0]:
        assert code in [finding.code for finding in judged(case)], case


@pytest.mark.parametrize("code", CASES)
def test_it_is_silent_next_to_it(code: str) -> None:
    for case in CASES[code][1]:
        assert code not in [finding.code for finding in judged(case)], case


def test_every_finding_says_all_that_a_finding_says() -> None:
    for case in all_cases():
        for finding in judged(case):
            assert finding.title, finding
            assert finding.advice, finding
            assert finding.expect, finding
            assert finding.verify, finding
            assert finding.evidence, finding
            assert all(row.name and row.source for row in finding.evidence), finding
            assert finding.runs == (0,), finding
            assert Finding.from_json(finding.to_json()) == finding


def test_a_code_is_told_once_and_in_order_of_severity() -> None:
    for case in all_cases():
        found = judged(case)
        codes = [finding.code for finding in found]
        assert len(codes) == len(set(codes)), codes
        ranks = [rules.SEVERITY_RANK[finding.severity] for finding in found]
        assert ranks == sorted(ranks)


@pytest.mark.parametrize("case", HEALTHY_CASES)
def test_a_healthy_run_raises_no_warning(case: Case | Run) -> None:
    assert [finding for finding in judged(case) if finding.severity != "info"] == []


def test_every_code_has_its_cases() -> None:
    """A rule that is added without a case fails here: the codes are read from the rules' own source."""
    import ast
    from pathlib import Path

    import headwind.analysis as package

    codes = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                first = node.args[0]
                codes |= {
                    n.value
                    for n in ast.walk(first)
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                }
    across = {"saturated_across_loads", "not_saturated", "equal_runs_differ"}
    assert codes - across <= set(CASES) | {"script_did_not_run", "every_answer_failed"}
    assert {"late_answers", "stalls", "memory_growth"} <= codes


def test_what_the_figures_speak_against_is_ruled_out_with_its_figure() -> None:
    run = healthy(timeline=timeline(steady()))
    judged_context = context.of(run, "wrk.txt", samples=watched(HEALTHY_PROCESSES))
    ruled_out = {row.code: row.evidence for row in excluded(judged_context, set())}
    assert ruled_out["late_answers"] == "no answer came later than 2 s (wrk's default timeout, assumed)"
    assert ruled_out["mean_understated"].startswith("the mean of 153 ms agrees with Little's law")
    assert ruled_out["generator_limited"] == "the generator's busiest thread used 15 % of a core"
    assert {"stalls", "drift", "worker_restarts", "memory_growth", "noisy_host"} <= set(ruled_out)


@pytest.mark.parametrize("case", all_cases())
def test_nothing_is_both_told_and_ruled_out(case: Case | Run) -> None:
    case = Case(case) if isinstance(case, Run) else case
    judged_context = of(case)
    told = {finding.code for finding in rules.judge(judged_context)}
    assert told.isdisjoint(row.code for row in excluded(judged_context, told))


def test_late_answers_are_given_a_mean_only_where_they_alone_can_fill_the_gap() -> None:
    def title(run: Run) -> str:
        return next(finding.title for finding in judged(run) if finding.code == "mean_understated")

    assert "(they took about 9.02 to 9.53 s each)" in title(SLOW)
    # Three late answers cannot have waited for the missing 4,700 s of a run of 45 s.
    assert "they took" not in title(slow(errors=errors(timeout=3)))


def test_a_run_of_headwind_is_repeated_by_its_own_command() -> None:
    command = "headwind run --url http://x/ --script 'my script.lua' --connections 200"
    (finding,) = [
        one for one in judged(Case(SLOW, environment={"again": command})) if one.code == "saturation_likely"
    ]
    assert finding.verify == f"{command} --connections 100"
    (finding,) = [one for one in judged(SLOW) if one.code == "saturation_likely"]
    assert finding.verify.startswith("wrk -t4 -c100 -d45s --timeout 30s --latency http")


ANSWERS = {
    "limited by the load generator": on(
        MASTER, Process(101, "server", 0.5), Process(200, "generator", 1.2, 0.97)
    ),
    "limited by one full server process": on(MASTER, Process(101, "server", 0.99), WRK, busy_cores=1.6),
    "a lower bound": on(*HEALTHY_PROCESSES, busy_cores=3.5),
    "limited by the CPU": on(MASTER, Process(101, "server", 3.4), WRK, busy_cores=3.95),
    "likely saturated": Case(SLOW),
    "see that the script runs": Case(healthy(errors=errors(status=58_594), status_codes={"405": 58_594})),
}


@pytest.mark.parametrize("told", ANSWERS)
def test_the_answer_is_one_sentence_that_says_what_limits(told: str) -> None:
    case = ANSWERS[told]
    judged_context = of(case)
    sentence = answer.sentence(judged_context, rules.judge(judged_context))
    assert told in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence


def test_a_target_that_an_interrupted_run_did_not_reach_is_not_called_missed() -> None:
    case = Case(healthy(interrupted=True), 58_595)
    told = answer.sentence(of(case), judged(case))
    assert told.startswith("Target not judged, the run was interrupted: 58,594 of 58,595 requests")
