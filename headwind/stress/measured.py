"""What one trial of a comparison measured, and whether it may count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headwind.analysis import usage
from headwind.stress import trial
from headwind.stress.journal import TrialRow

# Evidence on which a trial is discarded; none of it depends on what the configuration does.
STEAL_SHARE = 0.05
CLOCK_STEP_S = 0.1
OTHERS_SHARE = 0.10
COUNTED_APART = 0.05  # a server counts requests that wrk no longer waited for, and those for its state


def row_of(
    result: trial.Trial,
    planned_s: float,
    block: int,
    position: int,
    setting: int,
    attempt: int,
    where: Path,
) -> TrialRow:
    """The line of the journal for a trial whose load was to last `planned_s`.

    A load that its server's death cut short is a result over the whole of that time: a rate over the time for which
    the server lived would make a server that dies as good as one that does not.
    """
    run = result.runs[0] if result.runs else None
    requests = run.requests or 0 if run else 0
    lived_s = run.duration_s or 0.0 if run else 0.0
    duration_s = max(lived_s, planned_s) if result.interruption else lived_s
    failed = run.errors.status or 0 if run else 0
    seen = usage.of(result.samples, lived_s or None)
    servers = seen.role("server") if seen else []
    spent = [one.cores for one in (*servers, *(seen.role("proxy") if seen else []))]
    counted, worker_shares = shares_of(result, requests, seen.workers if seen else [])
    # CPU was used, and requests answered, only while the server lived.
    rate = requests / lived_s if lived_s else 0.0
    return TrialRow(
        block=block,
        position=position,
        configuration=setting,
        attempt=attempt,
        folder=str(where),
        started_at=result.environment.get("started_at"),
        took_s=0.0,
        requests=requests,
        failed=failed,
        duration_s=duration_s,
        good_per_s=(requests - failed) / duration_s if duration_s else 0.0,
        cpu_s_per_request=sum(spent) / rate if servers and rate else None,
        rss_bytes=sum(max(one.rss_bytes) for one in servers) if servers else None,
        worker_shares=worker_shares,
        shares_of=counted,
        others_cores=seen.others_cores if seen else None,
        steal_share=seen.steal_share if seen else None,
        cut=result.interruption,
    )


def shares_of(
    result: trial.Trial, requests: int, workers: Sequence[usage.ProcessUsage]
) -> tuple[str, tuple[float, ...]]:
    """Each worker's share, the largest first: of the requests where the server counted them, else of the CPU.

    A server that counts only a part of what was answered (one of several behind a proxy) has not counted.
    """
    counted = sorted(result.environment.get("worker_requests") or [], reverse=True)
    if counted and abs(sum(counted) / max(requests, 1) - 1) <= COUNTED_APART:
        return "requests", tuple(round(one / sum(counted), 4) for one in counted)
    cores = sum(one.cores for one in workers)
    return "CPU", tuple(round(one.cores / cores, 4) for one in workers) if cores > 0 else ()


def verdict_on(result: trial.Trial, row: TrialRow, *, servers_known: bool) -> tuple[str | None, bool]:
    """Why the trial cannot count, and whether it ran beside other load; nothing of it looks at the server's speed."""
    if not result.runs and result.interruption is None:
        return "wrk left no report", False
    step_s = result.environment.get("clock_step_s") or 0.0
    if abs(step_s) > CLOCK_STEP_S:
        return f"the clock was set by {step_s:.2f} s", False
    cpus = result.samples[0].cpus if result.samples else 1
    stolen = (row.steal_share or 0.0) > STEAL_SHARE
    # A server in a container of another engine would count as "others"; and where one of the configurations is such a
    # server, looking at the load of others for the rest alone would discard by configuration.
    others = servers_known and (row.others_cores or 0.0) > OTHERS_SHARE * cpus
    return None, stolen or others
