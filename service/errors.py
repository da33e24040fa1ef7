"""Refusals in the shape that FastAPI gives its own: `{"detail": ...}`."""

import json
import reprlib
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from service.catalogue import UnknownFlight
from service.gathering import Overloaded

LONGEST_ECHO = 1000
"""Characters of the sent value that an error repeats; a longer one is abbreviated."""


def invalid_response(error: RequestValidationError) -> JSONResponse:
    """422 in FastAPI's shape, but safe to send: FastAPI itself repeats whatever was sent, and fails with 500 where
    that is NaN, a lone surrogate or nested too deeply for JSON to say."""
    detail = [
        {**one, "loc": [_sayable(place) for place in one["loc"]], "input": _echo(one.get("input"))}
        for one in error.errors()
    ]
    return JSONResponse({"detail": jsonable_encoder(detail)}, 422)


def _sayable(place: object) -> object:
    """A key as sent, without what UTF-8 cannot say."""
    return (
        place[:LONGEST_ECHO].encode("utf-8", "backslashreplace").decode() if isinstance(place, str) else place
    )


def _echo(value: object) -> object:
    try:
        if len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) <= LONGEST_ECHO:
            return value
    except (TypeError, ValueError, RecursionError):
        pass
    return reprlib.repr(value)


def unknown_flight(error: UnknownFlight, value: str, *place: str | int) -> RequestValidationError:
    """422 that names the field, at `place` within the body, and says what is accepted."""
    detail: dict[str, Any] = {
        "type": error.kind,
        "loc": ("body", *place, error.field),
        "msg": error.message,
        "input": value,
        "ctx": {"accepted": error.accepted},
    }
    return RequestValidationError([detail])


def overloaded_response(error: Overloaded) -> JSONResponse:
    """503 that says when to come back."""
    return JSONResponse({"detail": str(error)}, 503, {"retry-after": str(error.retry_after_s)})


def too_large_response(max_body_bytes: int) -> JSONResponse:
    """413; the connection is closed, since the rest of the body is not read."""
    text = f"The body may have at most {max_body_bytes} bytes: send fewer flights at a time."
    return JSONResponse({"detail": text}, 413, {"connection": "close"})


def unreadable_response() -> JSONResponse:
    """422 for a body that is no JSON text at all: not UTF-8, or nested deeper than it can be read."""
    detail = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}
    reason = {"error": "The body must be JSON in UTF-8, not nested deeply"}
    return JSONResponse({"detail": [detail | {"ctx": reason}]}, 422)
