"""wrk's and wrk2's printing, written from the description of their formats and of nothing of the reader.

Numbers go in exactly as a run has them; what comes out is what wrk would print, columns, thresholds and all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NOTHING = float("nan")


def scaled(value: float, base: str, larger: Sequence[str], step: float, decimals: int = 2) -> str:
    """A number in the largest unit whose 0.85 it reaches; two decimals unless told."""
    unit = base
    for name in larger:
        if not value >= step * 0.85:
            break
        value, unit = value / step, name
    return f"{value:.{decimals}f}{unit}"


def micros(value_us: float, decimals: int = 2) -> str:
    """A time: below a second in us or ms, from a second on in s or m, never in hours."""
    if value_us >= 1e6:
        return scaled(value_us / 1e6, "s", ["m"], 60.0, decimals)
    return scaled(value_us, "us", ["ms"], 1000.0, decimals)


def metric(value: float) -> str:
    return scaled(value, "", ["k", "M", "G", "T"], 1000.0)


def binary(value: float) -> str:
    return scaled(value, "", ["K", "M", "G", "T"], 1024.0)


def column(text: str, width: int) -> str:
    """A column, right-aligned with its unit hanging out by up to two characters, cut at its width."""
    hanging = 2 - (text[-1:].isalpha()) - (text[-2:-1].isalpha())
    width -= hanging
    return f"{text[:width]:>{width}}" + " " * hanging


@dataclass(frozen=True)
class Row:
    """Mean, stdev and max in microseconds or per second, and the share within one stdev in percent."""

    mean: float
    stdev: float
    max: float
    within_percent: float

    def printed(self, name: str, *, time: bool) -> str:
        form = micros if time else metric
        share = f"{self.within_percent:8.2f}%" if self.within_percent == self.within_percent else "    -nan%"
        columns = (column(form(self.mean), 8), column(form(self.stdev), 10), column(form(self.max), 9))
        return f"    {name:<7}  {''.join(columns)}{share}\n"


@dataclass(frozen=True)
class Report:
    """Everything that one report of wrk prints."""

    url: str
    duration_s: int
    threads: int
    connections: int
    latency: Row
    rate: Row
    requests: int
    runtime_us: int
    bytes_read: int
    percentiles_us: Mapping[int, float] = field(default_factory=dict)
    errors: tuple[int, int, int, int] = (0, 0, 0, 0)
    status: int = 0

    def text(self) -> str:
        rate = self.requests / (self.runtime_us / 1e6)
        lines = [
            f"Running {micros(self.duration_s * 1e6, 0)} test @ {self.url}\n",
            f"  {self.threads} threads and {self.connections} connections\n",
            "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n",
            self.latency.printed("Latency", time=True),
            self.rate.printed("Req/Sec", time=False),
        ]
        if self.percentiles_us:
            lines.append("  Latency Distribution\n")
            lines += [
                f"{rank:7.0f}%{column(micros(value), 10)}\n" for rank, value in self.percentiles_us.items()
            ]
        lines.append(
            f"  {self.requests} requests in {micros(self.runtime_us)}, {binary(self.bytes_read)}B read\n"
        )
        if any(self.errors):
            connect, read, write, timeout = self.errors
            lines.append(
                f"  Socket errors: connect {connect}, read {read}, write {write}, timeout {timeout}\n"
            )
        if self.status:
            lines.append(f"  Non-2xx or 3xx responses: {self.status}\n")
        lines.append(f"Requests/sec: {rate:9.2f}\n")
        lines.append(f"Transfer/sec: {binary(self.bytes_read / (self.runtime_us / 1e6)):>10}B\n")
        return "".join(lines)


@dataclass(frozen=True)
class Report2(Report):
    """wrk2's: calibration lines, eight percentiles with three decimals in their rank, and a spectrum."""

    calibrations: int = 1
    uncorrected_us: Mapping[float, float] = field(default_factory=dict)
    ranks_us: Mapping[float, float] = field(default_factory=dict)

    def text(self) -> str:
        lines = super().text().splitlines(keepends=True)
        calibration = "  Thread calibration: mean lat.: 1.184ms, rate sampling interval: 10ms\n"
        body = [*lines[:2], *[calibration] * self.calibrations, *lines[2:5]]
        for title, rows in (
            ("Recorded Latency", self.ranks_us),
            (
                "Uncorrected Latency (measured without taking delayed starts into account)",
                self.uncorrected_us,
            ),
        ):
            if rows:
                body.append(f"  Latency Distribution (HdrHistogram - {title})\n")
                body += [f"{rank:7.3f}%{column(micros(value), 10)}\n" for rank, value in rows.items()]
                body += ["\n", *_spectrum(list(rows.items()))]
        return "".join([*body, *lines[5:]])


def _spectrum(rows: list[tuple[float, float]]) -> list[str]:
    lines = [
        "  Detailed Percentile spectrum:\n",
        "       Value   Percentile   TotalCount 1/(1-Percentile)\n",
        "\n",
    ]
    for index, (rank, value) in enumerate(rows):
        inverse = f"{1 / (1 - rank / 100):12.2f}" if rank < 100 else "         inf"
        lines.append(f"{value / 1e3:12.3f} {rank / 100:12.6f} {index + 1:12d} {inverse}\n")
    top = rows[-1][1] / 1e3
    lines.append(f"#[Mean    = {top / 2:12.3f}, StdDeviation   = {top / 3:12.3f}]\n")
    lines.append(f"#[Max     = {top:12.3f}, Total count    = {len(rows):12d}]\n")
    lines.append("#[Buckets =           27, SubBuckets     =         2048]\n")
    lines.append("----------------------------------------------------------\n")
    return lines
