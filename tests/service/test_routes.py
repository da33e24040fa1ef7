import json
from collections.abc import AsyncIterator

import httpx
import pytest

from service.app import create_app
from service.documentation import RESPONSES
from service.metrics import Metrics
from service.model import load_model
from service.settings import Settings
from tests.service.fakes import BrokenModel, fresh_app, loader
from tests.service.running import FLIGHT, PREDICT, started

pytestmark = pytest.mark.filterwarnings("error")
MANY = "/v1/predictions"


@pytest.fixture(params=["on", "off"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    async with started(fresh_app(fast_lane=request.param)) as client:
        yield client


async def test_a_flight_is_predicted(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, json=FLIGHT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    threshold = (await client.get("/")).json()["threshold"]
    assert answer.json()["delayed"] == (answer.json()["probability"] >= threshold)


async def test_many_flights_are_answered_in_order_like_each_alone(client: httpx.AsyncClient) -> None:
    flights = [FLIGHT | {"departure": f"2013-07-04T{hour:02d}:05"} for hour in range(5, 23)]
    alone = [(await client.post(PREDICT, json=flight)).json() for flight in flights]
    together = await client.post(MANY, json=flights)
    assert together.json() == alone
    assert len({answer["probability"] for answer in alone}) > 3


@pytest.mark.parametrize("count", [0, 1001])
async def test_an_empty_or_too_long_list_is_refused(client: httpx.AsyncClient, count: int) -> None:
    answer = await client.post(MANY, json=[FLIGHT] * count)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]


async def test_a_thousand_flights_are_accepted(client: httpx.AsyncClient) -> None:
    answer = await client.post(MANY, json=[FLIGHT] * 1000)
    assert answer.status_code == 200
    assert len(answer.json()) == 1000


async def test_an_error_within_a_list_names_the_flight(client: httpx.AsyncClient) -> None:
    answer = await client.post(MANY, json=[FLIGHT, FLIGHT | {"origin": "QQQ"}])
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", 1, "origin"]


@pytest.mark.parametrize(
    ("change", "field", "accepted"),
    [
        ({"airline": "ZZ"}, "airline", "UA (United Air Lines Inc.)"),
        ({"origin": "SFO"}, "origin", "EWR, JFK, LGA"),
        ({"destination": "QQQ"}, "destination", "IAH"),
        ({"departure": "2013-02-30T10:00"}, "departure", "YYYY-MM-DDTHH:MM"),
        ({"departure": 5}, "departure", "for example 2013-07-04T17:05"),
        ({"airline": 5}, "airline", "string"),
        ({"airlin": "UA"}, "airlin", "not permitted"),
    ],
)
async def test_bad_input_is_422_that_names_the_field_and_what_is_accepted(
    client: httpx.AsyncClient, change: dict[str, object], field: str, accepted: str
) -> None:
    answer = await client.post(PREDICT, json=FLIGHT | change)
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert detail["loc"] == ["body", field]
    assert accepted in detail["msg"]
    assert set(detail) >= {"type", "loc", "msg", "input"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nan", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000]
)
async def test_a_body_that_is_no_flight_is_422(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(PREDICT, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "-Infinity",
        "1e999",
        '"\\ud800"',
        "[" * 700 + "]" * 700,
        "1" * 4000,
        '"' + "x" * 100_000 + '"',
        '{"a": [NaN]}',
    ],
)
async def test_what_json_cannot_repeat_is_still_422_and_short(client: httpx.AsyncClient, text: str) -> None:
    bodies = (
        json.dumps(FLIGHT).replace('"UA"', text),
        json.dumps(FLIGHT)[:-1] + ', "extra": ' + text + "}",
        json.dumps(FLIGHT)[:-1] + r', "\ud800": 1}',
        text,
        f"[{text}]",
    )
    for body in bodies:
        for path in (PREDICT, MANY):
            answer = await client.post(path, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 422
            assert len(answer.content) < 6000
            assert answer.json()["detail"][0]["loc"][0] == "body"


async def test_a_body_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    body = b" " * 262_145
    for path in (PREDICT, MANY):
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert "262144 bytes" in answer.json()["detail"]


async def test_a_streamed_body_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 8192

    answer = await client.post(PREDICT, content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


async def test_the_root_tells_what_serves_and_that_no_cache_is_on(client: httpx.AsyncClient) -> None:
    about = (await client.get("/")).json()
    assert about["name"] == "flight-delay"
    assert about["cache"] == "off"
    assert about["model"]["features"]
    for link in about["links"].values():
        assert (
            await client.request("POST" if link == PREDICT else "GET", link, json=FLIGHT)
        ).status_code == 200


async def test_unknown_paths_and_methods_are_answered_in_fastapis_shape(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nothing")).json() == {"detail": "Not Found"}
    assert (await client.get(PREDICT)).status_code == 405


async def test_the_document_lists_exactly_what_the_model_knows_and_its_examples_work(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    flight = document["components"]["schemas"]["Flight"]
    assert flight["properties"]["origin"]["enum"] == ["EWR", "JFK", "LGA"]
    for example in flight["examples"]:
        assert (await client.post(PREDICT, json=example)).status_code == 200
    declared = document["paths"][PREDICT]["post"]["responses"]
    assert set(declared) == {"200", "422", *map(str, RESPONSES)}
    assert (await client.get("/docs")).status_code == 200
    for one in flight["oneOf"]:
        origin = one["properties"]["origin"]["const"]
        destination = one["properties"]["destination"]["enum"][0]
        answer = await client.post(PREDICT, json=FLIGHT | {"origin": origin, "destination": destination})
        assert answer.status_code == 200


async def test_metrics_count_requests_by_status_in_total_and_by_worker(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.post(PREDICT, json=FLIGHT)
    await client.post(PREDICT, json={})
    text = (await client.get("/metrics")).text
    assert 'flight_delay_requests_total{status="200"} 3.0' in text
    assert 'flight_delay_worker_requests_total{status="422",worker="0"} 1.0' in text
    assert "flight_delay_batch_flights_sum 3.0" in text
    assert "flight_delay_request_seconds_count 4.0" in text


async def test_a_broken_model_is_500_and_the_service_recovers() -> None:
    for lane in ("on", "off"):
        async with started(fresh_app(loader(BrokenModel), fast_lane=lane)) as client:
            BrokenModel.broken = True
            try:
                answer = await client.post(PREDICT, json=FLIGHT)
            finally:
                BrokenModel.broken = False
            assert (answer.status_code, answer.text) == (500, "Internal Server Error")
            assert (await client.post(PREDICT, json=FLIGHT)).status_code == 200


async def test_json_of_another_encoding_is_understood_alike(client: httpx.AsyncClient) -> None:
    body = json.dumps(FLIGHT)
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        content = body.encode(encoding)
        answer = await client.post(PREDICT, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 200


async def test_ready_waits_for_the_other_workers_at_a_start_and_only_then() -> None:
    metrics = Metrics(3)
    metrics.expected = 2
    app = create_app(Settings(workers=2), metrics, load_model)
    async with started(app) as client:
        metrics.begin()
        answer = await client.get("/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "1 of 2 workers are up."})
        assert (await client.post(PREDICT, json=FLIGHT)).status_code == 200
        metrics.enter(1)
        metrics.begin()
        assert (await client.get("/ready")).status_code == 200
        metrics.vacate(1)
        assert (await client.get("/ready")).status_code == 200, "a worker that was killed is replaced"


async def test_a_cache_answers_alike_is_bounded_and_says_that_it_is_on() -> None:
    async with started(fresh_app(cache_entries=2)) as client:
        flights = [FLIGHT | {"departure": f"2013-07-04T{hour:02d}:05"} for hour in (6, 12, 18)]
        first = [(await client.post(PREDICT, json=flight)).json() for flight in flights]
        again = [(await client.post(PREDICT, json=flight)).json() for flight in flights[1:]]
        assert again == first[1:]
        assert (await client.post(MANY, json=flights)).json() == first
        assert (await client.get("/")).json()["cache"] == "on"
        assert (await client.get("/ready")).json() == {"status": "ok", "cache": "on"}
        text = (await client.get("/metrics")).text
        assert "flight_delay_cache_hits_total 4.0" in text
        assert "flight_delay_batch_flights_sum 4.0" in text
        assert 'flight_delay_requests_total{status="200"} 8.0' in text
