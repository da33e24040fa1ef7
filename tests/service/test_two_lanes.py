"""Both ways to serve POST /v1/prediction answer alike: whatever is sent, by property."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.fakes import fresh_app
from tests.service.running import FLIGHT, PREDICT, started

pytestmark = pytest.mark.filterwarnings("error")
CODES = ["UA", "AA", "B6", "EWR", "JFK", "LGA", "IAH", "SFO", "ZZ", "", "ua", "\x00", "é"]
Json = object


class Lanes:
    """The same service with the fast lane and without, asked the same."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._contexts = [started(fresh_app(fast_lane=lane)) for lane in ("on", "off")]
        self._clients = [self._runner.run(context.__aenter__()) for context in self._contexts]

    def ask(self, content: bytes, headers: list[tuple[str, str]]) -> list[httpx.Response]:
        async def both() -> list[httpx.Response]:
            return [
                await client.post(PREDICT, content=content, headers=httpx.Headers(headers))
                for client in self._clients
            ]

        return self._runner.run(both())

    def close(self) -> None:
        for context in self._contexts:
            self._runner.run(context.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    both = Lanes()
    yield both
    both.close()


def same(answers: list[httpx.Response]) -> None:
    """Status, headers and body, byte for byte."""
    fast, ordinary = answers
    assert fast.status_code == ordinary.status_code
    assert sorted(fast.headers.multi_items()) == sorted(ordinary.headers.multi_items())
    assert fast.content == ordinary.content


departures = st.one_of(
    st.datetimes().map(lambda when: when.strftime("%Y-%m-%dT%H:%M")),
    st.sampled_from(
        ["2013-07-04T17:05:59", "2013-07-04 17:05", "2012-02-29T00:00", "2013-07-04T17:05Z", "1372957500"]
    ),
)
values: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from(CODES),
    departures,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
)
good_flights = st.fixed_dictionaries(
    {
        "airline": st.sampled_from(["UA", "AA", "DL", "B6"]),
        "origin": st.sampled_from(["EWR", "JFK", "LGA"]),
        "destination": st.sampled_from(["IAH", "ATL", "ORD", "MIA", "SFO", "LAX"]),
        "departure": departures,
    }
)
any_objects = st.dictionaries(st.sampled_from([*FLIGHT, "extra", "Airline", ""]), values, max_size=6)
texts = st.one_of(
    good_flights, any_objects, st.recursive(values, lambda inner: st.lists(inner, max_size=3))
).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@st.composite
def duplicated_keys(draw: st.DrawFn) -> bytes:
    """An object whose keys may come twice: the last one counts, in both lanes."""
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(list(FLIGHT)), st.sampled_from([*CODES, FLIGHT["departure"]])))
    )
    pairs += draw(st.permutations(list(FLIGHT.items())))
    return ("{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}").encode()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good body with some bytes replaced, inserted or cut."""
    body = bytearray(json.dumps(draw(good_flights)).encode())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(body)


bodies = st.one_of(texts, mutated(), duplicated_keys(), st.binary(max_size=40))
content_types = st.sampled_from(
    ["application/json"] * 6
    + [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/problem+json",
        "text/plain",
        "",
        "nonsense",
    ]
)


@given(bodies, content_types)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_lanes_answer_alike_whatever_the_body_and_content_type(
    lanes: Lanes, body: bytes, kind: str
) -> None:
    same(lanes.ask(body, [("content-type", kind)]))


@given(good_flights)
@settings(max_examples=200, deadline=None)
def test_both_lanes_predict_alike(lanes: Lanes, flight: dict[str, str]) -> None:
    answers = lanes.ask(json.dumps(flight).encode(), [("content-type", "application/json")])
    same(answers)
    if answers[0].status_code == 200:
        assert set(answers[0].json()) == {"delayed", "probability"}


def test_both_lanes_answer_alike_without_or_with_two_content_types(lanes: Lanes) -> None:
    body = json.dumps(FLIGHT).encode()
    for kinds in ([], ["application/json", "text/plain"], ["text/plain", "application/json"]):
        same(lanes.ask(body, [("content-type", kind) for kind in kinds]))


def test_the_fast_lane_is_what_answers_when_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the comparison above would compare a lane with itself."""
    import service.fast_lane

    asked = []
    original = service.fast_lane._validate

    def noted(body: bytes) -> object:
        asked.append(body)
        return original(body)

    monkeypatch.setattr(service.fast_lane, "_validate", noted)
    both = Lanes()
    same(both.ask(json.dumps(FLIGHT).encode(), [("content-type", "application/json")]))
    both.close()
    assert len(asked) == 1
