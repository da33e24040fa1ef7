"""Documents to render: a whole run with everything, the run of which little is known, several runs, a hostile one."""

from __future__ import annotations

import math
from typing import Any

from headwind.analysis import difference
from headwind.analysis.finding import Evidence, Finding
from headwind.histogram import from_counts
from headwind.run import Endpoint, Errors, Latency, Run, ThreadRate
from headwind.samples import ProcessSample, Sample, Timeline
from tests.analysis.runs import slow

HOSTILE = (
    "\"><img src=x onerror=alert(1)><script>alert(2)</script>'`|*[x](javascript:alert(3))\x1b[31m\u202e=1+1"
)

FULL_RUN = Run(
    tool="wrk",
    url="http://localhost:8000/v1/prediction",
    complete=True,
    planned_duration_s=45,
    threads=4,
    connections=200,
    timeout_s=10.0,
    late_threshold_s=2.0,
    late=0,
    requests=68_000,
    duration_s=45.07,
    bytes_read=1.1e7,
    requests_per_s=1508.8,
    bytes_per_s=2.4e5,
    latency=Latency(mean_s=0.1321, stdev_s=0.0713, max_s=0.84, percentiles_s={"50": 0.112, "99": 0.512}),
    thread_requests_per_s=ThreadRate(mean=380, stdev=40, max=510, within_stdev=0.7),
    errors=Errors(0, 0, 0, 0, 12),
    status_codes={"200": 67_988, "503": 12},
    histogram=from_counts(
        {round(90_000 * math.exp(0.0025 * step)): 1 + 900 // (1 + abs(step - 100)) for step in range(900)},
        limit_us=10_000_000,
        expected_interval_us=132_352,
    ),
    timeline=Timeline(
        0.1, tuple(150 + place % 7 for place in range(450)), (0,) * 400 + (1,) * 12 + (0,) * 38
    ),
)

# The run of which stdout tells least: a fifth of its answers came later than wrk's timeout.
CUT_RUN = slow(lines=None, bytes_read=None, thread_requests_per_s=None)

SAMPLES = [
    Sample(
        t_s=tick * 0.5,
        cpus=2,
        host_busy_s=0.98 * tick,
        host_steal_s=0.0,
        processes=(
            ProcessSample(1, "server", "worker", 0.41 * tick, (180 + tick) * 2**20, 44),
            ProcessSample(2, "server", "worker", 0.40 * tick, 181 * 2**20, 44),
            ProcessSample(9, "generator", "wrk", 0.1 * tick, 9 * 2**20, 5),
        ),
    )
    for tick in range(91)
]

FINDINGS = [
    Finding(
        code=f"code_{place}",
        severity=severity,  # type: ignore[arg-type]
        certainty="likely",
        title=f"Finding number {place}",
        evidence=(Evidence("CPU of the server", 1.63, "cores", "samples.jsonl"),),
        advice=f"Do thing {place}.",
        expect=f"Effect {place}.",
        verify=f"headwind run --connections {place}",
    )
    for place, severity in enumerate(("critical", "critical", "warning", "info", "info"), start=1)
]

ENVIRONMENT = {
    "again": "headwind run --connections 200 --duration 45s",
    "versions": {"wrk": "4.1.0"},
    "hashes": {"wrk/prediction.lua": "sha256 2c26b46b68ff"},
}


def gate(text: str, outcome: str, **more: Any) -> dict[str, Any]:
    """A gate's row as the analysis writes it."""
    return {
        "gate": text,
        "metric": "p99",
        "operator": "<",
        "threshold": 0.25,
        "unit": "s",
        "outcome": outcome,
        "measured": None,
        "low": None,
        "high": None,
        "reason": f"{text} {outcome}: so the run says.",
        "run": 0,
        **more,
    }


def document(*runs: Run, **more: Any) -> dict[str, Any]:
    """A `headwind.run/1` document of the runs."""
    return {
        "schema": "headwind.run/1",
        "source": "wrk.txt",
        "sources": None,
        "target": 50_000,
        "answer": "Target met: 68,000 of 50,000 requests; the server is likely saturated.",
        "assumptions": [],
        "trust": [{"name": "valid", "value": "yes", "good": True, "why": "the run is whole"}],
        "findings": [],
        "gates": [],
        "runs": [run.to_json() for run in runs],
        **more,
    }


def full_document() -> dict[str, Any]:
    """One run with findings and a gate of each outcome."""
    gates = [gate("p99<250ms", "failed"), gate("rps>1000", "held"), gate("p99.999<1s", "not_judged")]
    findings = [one.to_json() for one in FINDINGS]
    ruled_out = [{"code": "memory_growth", "evidence": "13 MiB in 45 s"}]
    return document(FULL_RUN, findings=findings, gates=gates, ruled_out=ruled_out)


def hostile_document() -> dict[str, Any]:
    """Every text of the document is an attack."""
    run = Run(
        tool=HOSTILE,
        url=f"http://x/{HOSTILE}",
        complete=True,
        requests=10,
        requests_per_s=1.0,
        latency=Latency(mean_s=0.1, percentiles_s={"50": 0.1, "99": 0.2}),
        endpoints=(Endpoint(HOSTILE, method=HOSTILE, requests=10),),
        status_codes={HOSTILE: 10},
    ).warn(HOSTILE, HOSTILE)
    finding = Finding(
        HOSTILE,
        "critical",
        "likely",
        HOSTILE,
        (Evidence(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        HOSTILE,
        HOSTILE,
        HOSTILE,
    )
    return document(
        run,
        source=HOSTILE,
        answer=HOSTILE,
        findings=[finding.to_json()],
        gates=[gate(HOSTILE, "failed")],
        trust=[{"name": HOSTILE, "value": HOSTILE, "good": None, "why": HOSTILE}],
    )


def comparison_document() -> dict[str, Any]:
    """An experiment that compared worker counts, one of each verdict."""
    return {
        "schema": "headwind.experiment/1",
        "title": "gunicorn workers 1, 2, 4, 8",
        "answer": "2 workers answer 1.62 times as much as 1; 4 are equal within 3 %: take 2.",
        "baseline": "1 worker",
        "margin": 0.03,
        "comparisons": [
            {"name": "2 workers", "ratio": 1.62, "low": 1.55, "high": 1.69, "verdict": "better"},
            {"name": "4 workers", "ratio": 1.005, "low": 0.99, "high": 1.02, "verdict": "equivalent"},
            {"name": "8 workers", "ratio": 0.88, "low": 0.84, "high": 0.92, "verdict": "worse"},
            {"name": "<b>16</b> workers", "ratio": 1.1, "low": None, "high": None, "verdict": "undecided"},
        ],
        "findings": [FINDINGS[0].to_json()],
        "tables": [
            {
                "caption": "Cost",
                "columns": ["Configuration", "CPU", "RSS"],
                "rows": [["2 workers", 0.00012, None]],
            }
        ],
        "again": "headwind compare --workers 1 2 4 8",
    }


def capacity_document() -> dict[str, Any]:
    """An experiment that looked for the highest rate, with its ladder."""
    steps = [
        {
            "rate_per_s": rate,
            "p50_s": 0.002 / (1 - rate / 5200),
            "p99_s": 0.01 / (1 - rate / 5200),
            "held": rate < 4800,
        }
        for rate in (1000, 2000, 3000, 4000, 4500, 4750, 4900, 5100)
    ]
    points = [
        {"connections": c, "rate_per_s": min(c / 0.0021, 5200) * (1 - 0.2 / (1 + c))}
        for c in (1, 2, 4, 8, 16, 32)
    ]
    return {
        "schema": "headwind.experiment/1",
        "title": "capacity",
        "answer": "4,750 requests/s hold p99<250ms.",
        "objective": "p99<250ms",
        "objective_s": 0.25,
        "capacity_per_s": 4750,
        "ceiling_per_s": 5200,
        "steps": steps,
        "ladder": {"points": points, "service_s": 0.0021, "think_s": 0, "ceiling_per_s": 5200},
    }


def profile_document() -> dict[str, Any]:
    """Two load patterns, each carried out on two servers."""
    stages = [
        {
            "name": name,
            "test": test,
            "server": server,
            "endpoint": endpoint,
            "length_s": 10.0,
            "requests": 100 * users,
            "fails": users,
            "p50_s": 0.002 * users / models,
            "p95_s": 0.01 * users / models if endpoint == "all" else None,
        }
        for server, models in (("1 model", 1), ("3 models", 3))
        for test, users in (("5 users", 5), ("50 users", 50))
        for name in ("users come", test)
        for endpoint in ("all", "GET /")
    ]
    return {"schema": "headwind.experiment/1", "title": "patterns", "answer": "done.", "stages": stages}


def diagnosis_document() -> dict[str, Any]:
    """A diagnosis with two causes."""
    evidence = [{"name": "CPU of the server", "value": 1.98, "unit": "cores", "source": "/proc"}]
    return {
        "schema": "headwind.diagnosis/1",
        "url": "http://localhost:8000/v1/prediction",
        "summary": "The CPU is the limit at 6,300/s: make each prediction cheaper or add cores.",
        "causes": [
            {
                "code": "cpu_bound",
                "certainty": "proved",
                "title": "1.98 of 2 cores are used",
                "evidence": evidence,
            },
            {
                "code": "gc_pauses",
                "certainty": "possible",
                "title": "Pauses every 2 s",
                "evidence": [],
                "advice": "Freeze.",
            },
        ],
        "ruled_out": [{"code": "fd_limit", "evidence": "212 of 1,048,576 file descriptors were open"}],
        "ceiling_per_s": 6300.0,
        "ceiling_reached": True,
        "unloaded_s": 0.0004,
        "load_s": 31.0,
        "notes": ["The server was already running, so it could not be started with other settings."],
    }


def difference_document(*labels: str) -> dict[str, Any]:
    """A whole and a cut run in turn, side by side under these labels, with regression gates."""
    runs = [(FULL_RUN, CUT_RUN)[place % 2] for place in range(len(labels))]
    sides = [
        difference.side(run, f"{label}.txt", label, at)
        for at, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]
    return difference.compare(sides, max_regression=0.1)
