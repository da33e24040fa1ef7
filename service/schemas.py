"""What goes in and what comes out, as pydantic models; the documented route and the fast lane share them."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_LEAP = r"(?:19(?:0[48]|[2468][048]|[13579][26])|20(?:[02468][048]|[13579][26]))"
DEPARTURE = (
    r"^(?:(?:19|20)[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    rf"|{_LEAP}-02-29)T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$"
)
"""Real dates of 1900 to 2099 with a time; exact, so that the OpenAPI document promises what is accepted."""

_matches_departure = re.compile(DEPARTURE.rstrip("$")).fullmatch

EXAMPLE: dict[str, JsonValue] = {
    "airline": "UA",
    "origin": "EWR",
    "destination": "IAH",
    "departure": "2013-07-04T17:05",
}


def parse_departure(value: object) -> datetime:
    """Local time at the origin, `YYYY-MM-DDTHH:MM`, seconds allowed; no time zone, since the schedule has none."""
    if not isinstance(value, str) or _matches_departure(value) is None:
        raise PydanticCustomError(
            "departure",
            "Scheduled departure in the origin's local time as YYYY-MM-DDTHH:MM, years 1900 to 2099, "
            "without a time zone, for example 2013-07-04T17:05",
        )
    return datetime.fromisoformat(value)


Departure = Annotated[
    datetime,
    PlainValidator(parse_departure),
    WithJsonSchema(
        {
            "type": "string",
            "title": "Departure",
            "description": "Scheduled departure in the origin's local time, without a time zone",
            "pattern": DEPARTURE,
        }
    ),
]


class Flight(BaseModel):
    """One scheduled flight."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    airline: str = Field(description="IATA code of the airline")
    origin: str = Field(description="IATA code of the airport of departure")
    destination: str = Field(description="IATA code of the airport of arrival; the route must be flown")
    departure: Departure


class Prediction(BaseModel):
    """How likely the flight departs more than 15 minutes late, and whether that is above the model's threshold."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"delayed": False, "probability": 0.1234}]})

    delayed: bool
    probability: float = Field(ge=0, le=1, description="Rounded to four decimals")


class ModelInfo(BaseModel):
    """Which model answers, and from which probability on it says `delayed`."""

    id: str = Field(description="First 12 hex digits of the SHA-256 of the model")
    threshold: float
    features: list[str]
    trained_until: str = Field(description="Last day of the training part")


class ServiceInfo(BaseModel):
    """What this service is."""

    name: str
    version: str
    model: ModelInfo
    threshold: float
    cache: Literal["off", "on"] = Field(description="Whether repeated flights may be answered from memory")
    links: dict[str, str]


class Status(BaseModel):
    """`ok`, or why not."""

    status: str


class Readiness(Status):
    """`ok`, and that answers may come from memory, where they may: a load test must know."""

    cache: Literal["on"] = Field(default="on", description="Only there where a cache is switched on")
