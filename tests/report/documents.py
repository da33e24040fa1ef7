"""Documents to render: a whole run with everything, the run of which little is known, several runs, a hostile one."""

from __future__ import annotations

import math
from typing import Any

from headwind.analysis.finding import Evidence, Finding
from headwind.histogram import from_counts
from headwind.run import Endpoint, Errors, Latency, Run, ThreadRate
from headwind.samples import ProcessSample, Sample, Timeline

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
CUT_RUN = Run(
    tool="wrk",
    url="http://localhost:8000/v1/prediction",
    complete=True,
    planned_duration_s=45,
    threads=4,
    connections=200,
    late_threshold_s=2.0,
    late=613,
    requests=2788,
    duration_s=45.10,
    requests_per_s=61.82,
    latency=Latency(mean_s=1.46, stdev_s=0.30913, max_s=2.0, within_stdev=0.7126),
    errors=Errors(0, 0, 0, 613, 0),
)

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
