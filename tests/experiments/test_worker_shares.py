"""The share of each worker: of the requests where the server counts them, of the CPU where it does not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwind.analysis import usage
from headwind.samples import ProcessSample, Sample
from headwind.stress import measured, trial
from headwind.stress.around import Around, requests_by_worker

TEXT = """\
# TYPE flight_delay_requests_total counter
flight_delay_requests_total{status="200"} 900.0
flight_delay_worker_requests_total{status="200",worker="0"} 500.0
flight_delay_worker_requests_total{status="422",worker="0"} 100.0
flight_delay_worker_requests_total{status="200",worker="1"} 1.2e+03
flight_delay_worker_queue_depth{worker="0"} 7.0
"""


@pytest.fixture
def metrics() -> Iterator[tuple[str, list[str]]]:
    """A server whose /metrics is the last text of the list."""
    texts = [TEXT]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = texts[-1].encode()
            self.send_response(200 if self.path == "/metrics" and body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/prediction", texts
    server.shutdown()
    server.server_close()
    thread.join()


def test_requests_are_summed_by_worker_over_their_statuses(metrics: tuple[str, list[str]]) -> None:
    assert requests_by_worker(metrics[0]) == {"0": 600.0, "1": 1200.0}


def test_what_grew_while_the_load_went_on_is_recorded(metrics: tuple[str, list[str]]) -> None:
    url, texts = metrics
    around = Around(url, asks=True)
    texts.append(TEXT.replace(" 500.0", " 800.0") + 'flight_delay_worker_requests_total{worker="2"} 50.0\n')
    assert around.ended(0)["worker_requests"] == [300, 0, 50]


def test_a_server_without_such_counters_or_far_away_has_none(metrics: tuple[str, list[str]]) -> None:
    url, texts = metrics
    assert Around(url, asks=False).ended(0)["worker_requests"] is None
    texts.append("")
    assert Around(url, asks=True).ended(0)["worker_requests"] is None
    assert requests_by_worker("http://127.0.0.1:1/") == {}


def result(worker_requests: list[int] | None) -> trial.Trial:
    return trial.Trial(Path(), (), (), {"worker_requests": worker_requests}, None)


def workers(*cores: float) -> list[usage.ProcessUsage]:
    rows = [
        tuple(ProcessSample(k + 10, "server", "python", t * core, 1 << 26, 1) for k, core in enumerate(cores))
        for t in range(10)
    ]
    seen = usage.of([Sample(float(t), 2, 0.0, 0.0, row) for t, row in enumerate(rows)], 9.0)
    assert seen is not None
    return seen.workers


def test_counted_requests_are_preferred_and_named() -> None:
    assert measured.shares_of(result([250, 750]), 1000, workers(0.5, 0.5)) == ("requests", (0.75, 0.25))


@pytest.mark.parametrize("counted", [None, [], [120, 130], [5000, 5000]])
def test_cpu_is_named_where_not_all_requests_were_counted(counted: list[int] | None) -> None:
    assert measured.shares_of(result(counted), 1000, workers(0.6, 0.2)) == ("CPU", (0.75, 0.25))
