"""`headwind diff`: any formats side by side, what single runs can show, regression gates, and its tables."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headwind.analysis import difference
from headwind.cli import main
from headwind.errors import Exit
from headwind.histogram import from_counts
from headwind.report import diff
from headwind.run import Endpoint, Errors, Latency, Run
from tests.analysis.runs import HEALTHY, SLOW, healthy
from tests.analysis.wrk_text import HEALTHY_TEXT, SLOW_TEXT


def compared(*runs: Run, max_regression: float | None = None) -> dict[str, Any]:
    sides = [difference.side(run, f"{at}.txt", f"run{at}", at) for at, run in enumerate(runs)]
    return difference.compare(sides, max_regression=max_regression)


def outcomes(built: dict[str, Any]) -> dict[str, str]:
    return {gate["metric"]: gate["outcome"] for gate in built["gates"]}


def locust(requests: int, failed: int, rps: float, p50: float) -> Run:
    rows = (
        Endpoint("/", "GET", requests // 4, 0, rps / 4, Latency(mean_s=p50 / 2)),
        Endpoint(
            "/v1/prediction", "POST", requests - requests // 4, failed, rps * 3 / 4, Latency(mean_s=p50)
        ),
    )
    return Run(
        tool="locust",
        complete=True,
        requests=requests,
        requests_per_s=rps,
        duration_s=60.0,
        latency=Latency(
            mean_s=p50,
            max_s=p50 * 9,
            percentiles_s={
                "50": p50,
                "66": p50,
                "95": p50 * 3,
                "99": p50 * 5,
                "99.9": p50 * 8,
                "99.99": p50 * 9,
            },
        ),
        errors=Errors(status=failed),
        endpoints=rows,
    )


ONE, THREE = locust(4000, 80, 66.0, 0.250), locust(4020, 0, 67.0, 0.090)


def test_ratios_stand_beside_the_baseline() -> None:
    built = compared(HEALTHY, healthy(requests_per_s=1365.4))
    (row,) = built["differences"]
    assert row["ratios"]["rps"] == pytest.approx(1.05, abs=1e-4)
    assert row["ratios"]["p99"] == pytest.approx(1.0)
    assert row["failed_share_change"] == 0.0


def test_figures_that_a_run_does_not_prove_have_no_ratio() -> None:
    (row,) = compared(SLOW, HEALTHY)["differences"]
    assert row["ratios"]["p99"] is None
    assert row["ratios"]["mean"] is None
    assert row["ratios"]["rps"] == pytest.approx(1300.35 / 61.82)


@pytest.mark.parametrize(
    ("changes", "metric", "expected"),
    [
        ({"requests_per_s": 1171.0}, "rps", "held"),
        ({"requests_per_s": 1170.0}, "rps", "failed"),
        ({"requests_per_s": None, "duration_s": None}, "rps", "not_judged"),
        ({"errors": Errors(0, 0, 0, 0, 58)}, "errors", "held"),
        ({"errors": Errors(0, 0, 0, 0, 60)}, "errors", "failed"),
        ({"latency": Latency(mean_s=0.169, max_s=0.29)}, "mean", "failed"),
        ({"latency": Latency(mean_s=0.168, max_s=0.29)}, "mean", "held"),
        ({"latency": Latency(mean_s=0.15, max_s=0.29, percentiles_s={"99": 0.24})}, "p99", "failed"),
        ({"latency": Latency(mean_s=0.15, max_s=0.29, percentiles_s={"99": 0.23})}, "p99", "held"),
    ],
)
def test_a_regression_is_beyond_the_allowed_share(
    changes: dict[str, Any], metric: str, expected: str
) -> None:
    assert outcomes(compared(HEALTHY, healthy(**changes), max_regression=0.10))[metric] == expected


def test_a_bound_can_prove_a_regression() -> None:
    late = healthy(errors=Errors(0, 0, 0, 6000, 0), late=6000, latency=Latency(mean_s=0.2, max_s=2.0))
    judged = outcomes(compared(HEALTHY, late, max_regression=0.10))
    assert judged["p99"] == "failed"
    assert judged["errors"] == "failed"


def test_latencies_that_decide_nothing_are_no_gate() -> None:
    judged = outcomes(compared(SLOW, SLOW, max_regression=0.10))
    assert set(judged) == {"rps", "errors"}


def test_an_interrupted_run_is_not_judged() -> None:
    assert set(outcomes(compared(HEALTHY, healthy(interrupted=True), max_regression=0.1)).values()) == {
        "not_judged"
    }


def test_the_containers_table_has_requests_fails_rate_and_share_per_endpoint_and_test() -> None:
    built = compared(ONE, THREE)
    table = dict(diff.tables(built))["Endpoints"]
    assert table[0] == ("endpoint", "run", "requests", "fails", "RPS", "fails %", "mean")
    assert ("POST /v1/prediction", "run0", "3,000", "80", "49.5", "2.67 %", "250 ms") in table
    assert ("POST /v1/prediction", "run1", "3,015", "0", "50.2", "0 %", "90 ms") in table
    assert ("all", "run0", "4,000", "80", "66", "2 %", "250 ms") in table


def test_the_percentile_table_reaches_to_9999_and_says_how_far_it_carries() -> None:
    built = compared(ONE, THREE)
    rows = [row[0] for row in dict(diff.tables(built))["Percentiles"]]
    assert rows == ["percentile", "50", "66", "75", "90", "95", "99", "99.9", "99.99", "max"]
    assert any(
        "of 4,000 answers, p99 is the highest that rests on at least 10" in note for note in built["notes"]
    )


def test_an_endpoint_that_only_one_run_has_is_shown_as_missing() -> None:
    other = Run("k6", requests=5, endpoints=(Endpoint("scenario:burst", None, 5, 0, 1.0),))
    tables = dict(diff.tables(compared(ONE, other)))
    assert ("burst", "run0", "none", "none", "none", "none", "none") in tables["Scenarios"]
    table = tables["Endpoints"]
    assert ("GET /", "run1", "none", "none", "none", "none", "none") in table


def test_k6s_scenarios_groups_and_tags_have_tables_of_their_own() -> None:
    rows = ("scenario:burst", "group:::login", "expected_response:true", "name:GET /")
    run = Run("k6", requests=20, endpoints=tuple(Endpoint(name, None, 5, 0, 1.0) for name in rows))
    built = compared(run, ONE)
    tables = dict(diff.tables(built))
    assert [row["kind"] for row in built["endpoints"][:4]] == ["scenario", "group", "tag", "endpoint"]
    assert [row[0] for row in tables["Scenarios"]] == ["scenario", "burst", "burst", "all", "all"]
    assert [row[0] for row in tables["Groups"]][:2] == ["group", "::login"]
    assert tables["Tagged requests"][1][0] == "expected_response:true"
    names = {row[0] for row in tables["Endpoints"]}
    assert {"name:GET /", "GET /"} <= names
    assert not {"scenario:burst", "burst"} & names


def test_unknown_percentiles_are_bounds_and_printed_ones_that_are_not_measured_are_marked() -> None:
    corrected = healthy(latency=Latency(mean_s=0.15, max_s=1.9, percentiles_s={"50": 0.1, "99": 0.9}))
    table = dict(diff.tables(compared(SLOW, corrected)))["Percentiles"]
    cells = {row[0]: row[1:] for row in table}
    assert cells["99"] == ("> 2 s", "900 ms*")
    assert cells["max"] == ("> 2 s", "1.90 s")


def test_an_exact_histogram_gives_its_percentiles_plainly() -> None:
    exact = healthy(histogram=from_counts({1000: 990, 5000: 10}))
    cells = {row[0]: row[1:] for row in dict(diff.tables(compared(exact, exact)))["Percentiles"]}
    assert cells["99.9"] == ("5 ms", "5 ms")


def test_a_single_pair_claims_no_significance() -> None:
    built = compared(HEALTHY, healthy(requests_per_s=1400.0))
    assert built["answer"].endswith("One run each shows no significance.")
    assert "headwind compare" in built["notes"][0]
    text = diff.render_text(built)
    assert "significantly" not in text
    assert "better" not in text


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (ONE, "The tools differ (locust, wrk)"),
        (healthy(connections=100), "The load differs (100, 200"),
        (healthy(url="http://other:8000/"), "The URLs differ"),
        (healthy(duration_s=10.0), "The durations differ"),
        (healthy(interrupted=True), "was interrupted"),
        (SLOW, "22.0 % of the answers came later than 2 s"),
        (healthy(errors=Errors(0, 0, 0, 0, 50_000)), "mostly error answers"),
    ],
)
def test_what_makes_two_runs_unlike_is_said(other: Run, words: str) -> None:
    assert any(words in note for note in compared(HEALTHY, other)["notes"])


def test_alike_runs_get_no_such_note() -> None:
    notes = compared(HEALTHY, HEALTHY)["notes"]
    assert len(notes) == 4, notes  # no significance, how far the percentiles of each carry, the closed loop


def test_users_who_wait_hide_what_replicas_buy() -> None:
    built = compared(locust(4000, 0, 66.0, 0.25), locust(4020, 0, 67.0, 0.09))
    assert any("did not pay in throughput at this load" in note for note in built["notes"])


def test_the_document_follows_its_schema() -> None:
    schema = json.loads(files("headwind.report").joinpath("schemas/diff.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for runs in ((HEALTHY, SLOW), (ONE, THREE), (ONE, Run("k6"))):
        jsonschema.validate(json.loads(json.dumps(compared(*runs, max_regression=0.1))), schema)


def test_labels_stay_text_in_every_format() -> None:
    hostile = '=cmd()|<script>alert(1)</script>"\x1b[31m'
    sides = [difference.side(HEALTHY, "a.txt", hostile, at) for at in range(2)]
    built = difference.compare(sides)
    assert "\x1b" not in diff.render_text(built)
    assert "<script>" not in diff.render_markdown(built)
    rows = list(csv.reader(io.StringIO(diff.render_csv(built))))
    assert rows[1][0].startswith("'=")


class TestCommand:
    """The command line, on real texts."""

    @pytest.fixture
    def texts(self, tmp_path: Path) -> tuple[str, str]:
        (tmp_path / "slow.txt").write_text(SLOW_TEXT)
        (tmp_path / "fast.txt").write_text(HEALTHY_TEXT)
        return str(tmp_path / "slow.txt"), str(tmp_path / "fast.txt")

    def test_it_names_the_runs_and_exits_with_the_gates(
        self, texts: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        slow, fast = texts
        assert main(["diff", f"before={slow}", f"after={fast}", "--max-regression", "10%"]) == Exit.DONE
        assert capsys.readouterr().out.startswith("after beside before: throughput x 21.0")
        assert main(["diff", fast, slow, "--max-regression", "10%"]) == Exit.GATE_FAILED
        assert main(["diff", fast, slow]) == Exit.DONE

    def test_a_stored_baseline_is_read_back(
        self, texts: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        slow, fast = texts
        kept = str(tmp_path / "baseline.json")
        assert main(["explain", fast, "--format", "json", "-o", kept]) == Exit.DONE
        assert main(["diff", fast, "--baseline", kept, "--max-regression", "1%"]) == Exit.DONE
        assert main(["diff", slow, "--baseline", kept, "--max-regression", "1%"]) == Exit.GATE_FAILED

    @pytest.mark.parametrize("form", ["text", "json", "md", "csv"])
    def test_every_format_names_both_runs(
        self, form: str, texts: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["diff", *texts, "--format", form]) == Exit.DONE
        out = capsys.readouterr().out
        assert "slow" in out
        assert "fast" in out

    @pytest.mark.parametrize("share", ["ten", "100%", "-5%", ""])
    def test_a_share_that_makes_no_sense_is_refused(
        self, share: str, texts: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = main(["diff", *texts, f"--max-regression={share}"])
        assert code == (Exit.USAGE if share else Exit.DONE)

    def test_one_run_is_not_enough(self, texts: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", texts[0]]) == Exit.USAGE
        assert "--baseline" in capsys.readouterr().err
