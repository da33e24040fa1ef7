"""Published outputs of other tools than wrk ($HEADWIND_CORPUS): their totals, taken a second time by simpler means."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from headwind.run import Run
from tests.formats.test_corpus import FOLDER, read

pytestmark = pytest.mark.skipif(not FOLDER, reason="HEADWIND_CORPUS names no folder of real outputs")


def files(*patterns: str) -> list[str]:
    folder = Path(FOLDER or "/nowhere")
    return sorted(str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern))


def numbers(pattern: str, text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(pattern, text, re.MULTILINE)]


def close(runs: list[Run], name: str, wanted: list[float]) -> None:
    assert [getattr(run, name) for run in runs] == pytest.approx(wanted), name


@pytest.mark.parametrize("path", files("locust/*.csv"))
def test_locust(path: str) -> None:
    text, (run,) = read(path)
    rows = list(csv.DictReader(io.StringIO(text)))
    if "Timestamp" in rows[0]:
        totals = [row for row in rows if row["Name"] == "Aggregated"]
        assert run.requests == int(totals[-1]["Total Request Count"])
        assert run.requests_per_s is None
        assert run.timeline is not None
        assert sum(run.timeline.responses) == run.requests
        return
    *named, total = rows
    assert total["Name"] in ("Aggregated", "Total")
    assert [end.requests for end in run.endpoints] == [int(row["Request Count"]) for row in named]
    assert [end.name.split()[-1] for end in run.endpoints] == [row["Name"].split()[-1] for row in named]
    assert run.requests == int(total["Request Count"])
    assert run.errors.status == int(total["Failure Count"])
    assert run.requests_per_s == pytest.approx(float(total["Requests/s"]))
    assert run.latency is not None
    assert run.latency.mean_s == pytest.approx(float(total["Average Response Time"]) / 1e3)
    printed = {key[:-1]: value for key, value in total.items() if key.endswith("%") and value != "N/A"}
    for key, value in printed.items():
        if key != "100":
            assert run.latency.percentiles_s[key] == pytest.approx(float(value) / 1e3)


@pytest.mark.parametrize("path", files("k6/*.json"))
def test_k6_json(path: str) -> None:
    text, (run,) = read(path)
    metrics = json.loads(text)["metrics"]
    requests = metrics["http_reqs"].get("values", metrics["http_reqs"])
    duration = metrics["http_req_duration"].get("values", metrics["http_req_duration"])
    assert run.requests == requests["count"]
    assert run.requests_per_s == pytest.approx(requests["rate"])
    assert run.latency is not None
    assert run.latency.mean_s == pytest.approx(duration["avg"] / 1e3)
    assert run.latency.max_s == pytest.approx(duration["max"] / 1e3)
    assert run.latency.percentiles_s["95"] == pytest.approx(duration["p(95)"] / 1e3)


@pytest.mark.parametrize("path", files("k6/*.txt"))
def test_k6_console(path: str) -> None:
    text, runs = read(path)
    totals = re.findall(r"\bhttp_reqs\.+: +(\d+) +([\d.]+)/s", text)
    close(runs, "requests", [float(count) for count, _ in totals])
    close(runs, "requests_per_s", [float(rate) for _, rate in totals])


@pytest.mark.parametrize("path", files("ab/*.txt"))
def test_ab(path: str) -> None:
    text, runs = read(path)
    close(runs, "requests", numbers(r"Complete requests: +(\d+)", text))
    close(runs, "connections", numbers(r"Concurrency Level: +(\d+)", text))
    close(runs, "requests_per_s", numbers(r"Requests per second: +([\d.]+)", text))
    close(runs, "duration_s", numbers(r"Time taken for tests: +([\d.]+)", text))


@pytest.mark.parametrize("path", files("hey/*.txt", "oha/*.txt"))
def test_hey_and_oha(path: str) -> None:
    text, runs = read(path)
    close(runs, "requests_per_s", numbers(r"Requests/sec:[ \t]+([\d.]+)", text))
    blocks = re.split(r"^.*Requests/sec:", text, flags=re.MULTILINE)[1:]
    answered = [sum(numbers(r"\[[1-5]\d\d\][ \t]+(\d+) responses", block)) for block in blocks]
    close(runs, "requests", answered)


@pytest.mark.parametrize("path", files("fortio/*.json"))
def test_fortio(path: str) -> None:
    text, (run,) = read(path)
    result = json.loads(text)
    assert run.requests == int(result["DurationHistogram"]["Count"])
    assert run.requests_per_s == pytest.approx(result["ActualQPS"])
    assert run.latency is not None
    assert run.latency.max_s == pytest.approx(result["DurationHistogram"].get("Max", run.latency.max_s))
    for row in result["DurationHistogram"].get("Percentiles") or []:
        key = f"{row['Percentile']:.6f}".rstrip("0").rstrip(".")
        if key in run.latency.percentiles_s:
            assert run.latency.percentiles_s[key] == pytest.approx(row["Value"])


@pytest.mark.parametrize("path", files("bombardier/*.txt"))
def test_bombardier(path: str) -> None:
    text, runs = read(path)
    close(
        [run for run in runs if run.tool == "bombardier"],
        "requests_per_s",
        numbers(r"Reqs/sec +([\d.]+)", text),
    )


@pytest.mark.parametrize("path", files("vegeta/*.txt"))
def test_vegeta(path: str) -> None:
    text, runs = read(path)
    totals = re.findall(r"^Requests +\[total, rate.*?\] +(\d+), ([\d.]+)", text, re.MULTILINE)
    close(
        [run for run in runs if run.requests is not None], "requests", [float(count) for count, _ in totals]
    )
    close(
        [run for run in runs if run.requests_per_s is not None],
        "requests_per_s",
        [float(rate) for _, rate in totals],
    )
