"""Runs to judge, made by hand: a healthy one, and the slow one whose findings are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headwind.run import Errors, Latency, Run, ThreadRate

SLOW = Run(
    tool="wrk",
    url="http://localhost:8000/v1/prediction",
    lines=(1, 8),
    complete=True,
    planned_duration_s=45.0,
    threads=4,
    connections=200,
    late_threshold_s=2.0,
    late=613,
    requests=2788,
    duration_s=45.10,
    bytes_read=390318.08,
    requests_per_s=61.82,
    latency=Latency(mean_s=1.46, stdev_s=0.30913, max_s=2.0, within_stdev=0.7126),
    thread_requests_per_s=ThreadRate(mean=21.25, stdev=24.38, max=232.0, within_stdev=0.9089),
    errors=Errors(connect=0, read=0, write=0, timeout=613, status=0),
)

# 200 connections at 1,300/s: each waits 154 ms; Req/Sec times threads is Requests/sec, nothing failed, nothing late.
HEALTHY = Run(
    tool="wrk",
    url="http://localhost:8000/v1/prediction",
    lines=(1, 12),
    complete=True,
    planned_duration_s=45.0,
    threads=4,
    connections=200,
    late_threshold_s=2.0,
    late=0,
    requests=58594,
    duration_s=45.06,
    bytes_read=8_300_000.0,
    requests_per_s=1300.35,
    bytes_per_s=184_000.0,
    latency=Latency(
        mean_s=0.15322,
        stdev_s=0.01841,
        max_s=0.29011,
        within_stdev=0.72,
        percentiles_s={"50": 0.1517, "75": 0.1634, "90": 0.1771, "99": 0.2135},
    ),
    thread_requests_per_s=ThreadRate(mean=326.4, stdev=48.0, max=480.0, within_stdev=0.71),
    errors=Errors(connect=0, read=0, write=0, timeout=0, status=0),
)


def slow(**changes: Any) -> Run:
    """The slow run with some of its values changed."""
    return replace(SLOW, **changes)


def healthy(**changes: Any) -> Run:
    """The healthy run with some of its values changed."""
    return replace(HEALTHY, **changes)
