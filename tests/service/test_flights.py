import json
import re
from datetime import datetime

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service import inference
from service.artifact import ARTIFACT
from service.catalogue import UnknownFlight
from service.model import DelayModel, columns, load_model
from service.schemas import DEPARTURE, Flight
from tests.service.running import FLIGHT, ROOT


@pytest.fixture(scope="module")
def model() -> DelayModel:
    return load_model(ARTIFACT)


def flight(**changes: object) -> Flight:
    return Flight.model_validate(FLIGHT | changes)


digits = st.integers(0, 99).map("{:02d}".format)


@given(
    st.integers(0, 9999),
    digits,
    digits,
    digits,
    digits,
    st.sampled_from(["", ":30", ":61", "Z", "+01:00", "\n"]),
)
def test_departures_are_accepted_exactly_where_they_are_real_local_times(
    year: int, month: str, day: str, hour: str, minute: str, rest: str
) -> None:
    text = f"{year:04d}-{month}-{day}T{hour}:{minute}{rest}"
    try:
        expected = datetime.strptime(text, "%Y-%m-%dT%H:%M" + (":%S" if rest.startswith(":") else ""))
        real = 1900 <= expected.year <= 2099
    except ValueError:
        real = False
    assert (re.search(DEPARTURE, text) is not None and not text.endswith("\n")) == real
    if real:
        assert flight(departure=text).departure == expected
    else:
        with pytest.raises(ValidationError):
            flight(departure=text)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31)))
def test_every_minute_of_two_centuries_is_a_departure(when: datetime) -> None:
    text = when.strftime("%Y-%m-%dT%H:%M")
    assert flight(departure=text).departure == when.replace(second=0, microsecond=0)


@pytest.mark.parametrize(
    "value", [1372957500, None, True, 1.5, ["2013-07-04T17:05"], "١٩٩٩-07-04T17:05", "2013-W27-4T17:05"]
)
def test_a_departure_of_another_kind_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValidationError, match="for example 2013-07-04T17:05"):
        flight(departure=value)


def test_an_unknown_airline_names_the_known_ones(model: DelayModel) -> None:
    with pytest.raises(
        UnknownFlight, match=r"Unknown airline 'ZZ'; known are 9E .*UA \(United Air Lines Inc\.\)"
    ) as raised:
        model.encode(flight(airline="ZZ"))
    assert raised.value.field == "airline"


def test_an_unknown_origin_names_the_origins(model: DelayModel) -> None:
    with pytest.raises(UnknownFlight, match="flights depart from EWR, JFK, LGA") as raised:
        model.encode(flight(origin="SFO"))
    assert raised.value.field == "origin"


def test_a_route_never_flown_says_where_the_origin_does_fly(model: DelayModel) -> None:
    # LaGuardia's perimeter rule: no flights to the west coast, which Newark does reach.
    model.encode(flight(destination="SFO"))
    with pytest.raises(UnknownFlight, match=r"LGA flies to .*ATL.*ORD") as raised:
        model.encode(flight(origin="LGA", destination="SFO"))
    assert raised.value.field == "destination"
    assert "SFO" not in raised.value.accepted


def test_a_batch_predicts_what_each_flight_alone_predicts(model: DelayModel) -> None:
    lines = (ROOT / "wrk" / "flights.jsonl").read_text().splitlines()[:300]
    rows = [model.encode(Flight(**json.loads(line))) for line in lines]
    together = model.predict(rows)
    assert together == [model.predict([row])[0] for row in rows]
    assert min(together) >= 0
    assert max(together) <= 10_000
    assert np.std(together) > 100, "the model tells flights apart"


def test_predictions_are_those_of_xgboosts_own_python_interface(model: DelayModel) -> None:
    lines = (ROOT / "wrk" / "flights.jsonl").read_text().splitlines()[:500]
    rows = [model.encode(Flight(**json.loads(line))) for line in lines]
    table = np.array(rows, dtype=np.float32)[:, columns(model.description.features)]
    expected = model._booster.inplace_predict(table, validate_features=False)
    assert model.predict(rows) == np.rint(expected * 10_000).astype(int).tolist()


def test_a_table_of_the_wrong_width_is_an_error_of_xgboost(model: DelayModel) -> None:
    with pytest.raises(xgboost.core.XGBoostError):
        inference.predict(model._booster, np.zeros((2, 2), dtype=np.float32))


def test_the_payload_has_a_thousand_distinct_flights_that_the_model_knows(model: DelayModel) -> None:
    lines = (ROOT / "wrk" / "flights.jsonl").read_text().splitlines()
    assert len(set(lines)) == len(lines) >= 1000
    for line in lines:
        model.encode(Flight(**json.loads(line)))
