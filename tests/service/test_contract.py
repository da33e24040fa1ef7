"""The service against its own OpenAPI document, and against requests that are no HTTP."""

import asyncio
from collections.abc import Iterator

import pytest

from bench.raw_http import fuzz
from bench.soak_http import schemathesis
from tests.service.running import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("contract"), KEEPALIVE_S="1", REQUEST_TIMEOUT_S="1") as running:
        yield running


def test_schemathesis_finds_nothing(server: Server) -> None:
    nothing_found, said = schemathesis(server.port, 15)
    assert nothing_found, said
    assert "No issues found" in said


def test_mutated_raw_requests_meet_no_500_no_crash_and_no_hang(server: Server) -> None:
    workers = server.workers()
    verdict = asyncio.run(fuzz(server.port, 1500, seed=7))
    assert verdict.faults == []
    assert {"200", "400", "422", "413"} <= set(verdict.statuses)
    assert server.workers() == workers
    assert server.predict()[0] == 200
    assert "Traceback" not in server.log.read_text()
