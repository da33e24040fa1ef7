"""What the model knows: airlines, and which routes are flown how far."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.schemas import Flight

Row = tuple[int, int, int, int, int, int, int]
"""One flight as numbers, in the order of `FEATURES`."""

FEATURES = ("airline", "origin", "destination", "distance_mi", "departure_minute", "weekday", "month")
"""Every feature a model may use; categories are positions in the sorted codes, Monday is weekday 0."""

CATEGORICAL = frozenset({"airline", "origin", "destination"})


class UnknownFlight(ValueError):
    """A well-formed flight that the model knows nothing about: `field` is wrong, `message` says what is accepted."""

    def __init__(self, field: str, kind: str, message: str, accepted: list[str]) -> None:
        super().__init__(message)
        self.field = field
        self.kind = kind
        self.message = message
        self.accepted = accepted


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`airlines`: code to name. `routes`: origin to destination to distance in miles."""

    airlines: Mapping[str, str]
    routes: Mapping[str, Mapping[str, int]]

    @property
    def destinations(self) -> list[str]:
        return sorted({code for reached in self.routes.values() for code in reached})


class Encoder:
    """Turns flights into rows by looking up dictionaries that are built once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._airline = {code: number for number, code in enumerate(sorted(catalogue.airlines))}
        destination = {code: number for number, code in enumerate(catalogue.destinations)}
        self._route = {
            (origin, code): (number, destination[code], miles)
            for number, origin in enumerate(sorted(catalogue.routes))
            for code, miles in catalogue.routes[origin].items()
        }

    def __call__(self, flight: Flight) -> Row:
        """The row of `flight`; raises `UnknownFlight`."""
        try:
            airline = self._airline[flight.airline]
            origin, destination, miles = self._route[flight.origin, flight.destination]
        except KeyError:
            raise self._explain(flight) from None
        when = flight.departure
        return (airline, origin, destination, miles, when.hour * 60 + when.minute, when.weekday(), when.month)

    def _explain(self, flight: Flight) -> UnknownFlight:
        airlines, routes = self._catalogue.airlines, self._catalogue.routes
        if flight.airline not in airlines:
            known = ", ".join(f"{code} ({name})" for code, name in sorted(airlines.items()))
            message = f"Unknown airline {flight.airline[:20]!r}; known are {known}"
            return UnknownFlight("airline", "unknown_airline", message, sorted(airlines))
        if flight.origin not in routes:
            known = ", ".join(sorted(routes))
            message = f"Unknown origin {flight.origin[:20]!r}; flights depart from {known}"
            return UnknownFlight("origin", "unknown_origin", message, sorted(routes))
        reached = sorted(routes[flight.origin])
        message = (
            f"No flights from {flight.origin} to {flight.destination[:20]!r}; "
            f"{flight.origin} flies to {', '.join(reached)}"
        )
        return UnknownFlight("destination", "unknown_route", message, reached)
