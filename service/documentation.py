"""The OpenAPI document: says exactly which flights are accepted, as the loaded model knows them."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.model import Description

_DETAIL = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
_RETRY = {
    "Retry-After": {"description": "Seconds until it is worth trying again", "schema": {"type": "string"}}
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    413: {"description": "The body is too large", "content": {"application/json": {"schema": _DETAIL}}},
    503: {
        "description": "Over capacity or not ready",
        "content": {"application/json": {"schema": _DETAIL}},
        "headers": _RETRY,
    },
}

MOST_ROUTES = 100
"""Origins beyond which the document does not list the routes: it would be too long to read."""


def describe(api: FastAPI, description: Callable[[], Description | None]) -> None:
    """Predicts from airline, route and scheduled departure whether a flight departs more than 15 minutes late."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = get_openapi(
                title=api.title, version=api.version, description=api.description, routes=api.routes
            )
            known = description()
            if known is None:
                return document
            _narrow(document["components"]["schemas"]["Flight"], known)
            _allow_scalar_errors(document["components"]["schemas"])
            api.openapi_schema = document
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _narrow(flight: dict[str, Any], known: Description) -> None:
    """List the codes, and for each origin where it flies."""
    properties, routes = flight["properties"], known.catalogue.routes
    properties["airline"]["enum"] = sorted(known.catalogue.airlines)
    properties["origin"]["enum"] = sorted(routes)
    properties["destination"]["enum"] = known.catalogue.destinations
    if len(routes) <= MOST_ROUTES:
        flight["oneOf"] = [
            {"properties": {"origin": {"const": origin}, "destination": {"enum": sorted(reached)}}}
            for origin, reached in sorted(routes.items())
        ]


def _allow_scalar_errors(schemas: dict[str, Any]) -> None:
    """FastAPI documents `loc` and `msg` of an error; `input` can be any JSON and `ctx` any object."""
    if "ValidationError" in schemas:
        schemas["ValidationError"]["properties"]["input"] = {"title": "Input"}
