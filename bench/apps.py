"""What the service is measured beside, each an ASGI app for the same gunicorn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from service.app import create_app
from service.artifact import ARTIFACT
from service.catalogue import FEATURES
from service.metrics import Metrics
from service.model import BASIS_POINTS, feature_types, load_model
from service.schemas import Flight
from service.settings import Settings

ANSWER = b'{"delayed":false,"probability":0.1234}'
_HEADERS = [(b"content-length", str(len(ANSWER)).encode()), (b"content-type", b"application/json")]


class FlightIn(BaseModel):
    """The request of the empty endpoint: four strings, as little validation as FastAPI does."""

    airline: str
    origin: str
    destination: str
    departure: str


class PredictionOut(BaseModel):
    """The response of the empty endpoint."""

    delayed: bool
    probability: float


async def _lifespan(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The ceiling: reads the body and answers with as many bytes as a prediction has."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    return await send({"type": "http.response.body", "body": ANSWER})


empty = FastAPI()


@empty.post("/v1/prediction")
async def answer_nothing(flight: FlightIn) -> PredictionOut:
    """FastAPI with models and no work."""
    return PredictionOut(delayed=False, probability=0.1234)


@empty.get("/ready")
async def empty_ready() -> None:
    """Ready as soon as it answers."""


def textbook() -> FastAPI:
    """As tutorials write it: a `def` endpoint that makes a DataFrame and a DMatrix for every request."""
    model = load_model(ARTIFACT)
    features = list(model.description.features)
    app = FastAPI()

    @app.post("/v1/prediction")
    def predict(flight: Flight) -> PredictionOut:
        table: Any = pd.DataFrame([dict(zip(FEATURES, model.encode(flight), strict=True))])[features]
        matrix = xgboost.DMatrix(
            table.astype(np.float32),
            feature_types=feature_types(features),
            enable_categorical=True,
            nthread=1,
        )
        probability = float(model._booster.predict(matrix)[0])
        return PredictionOut(
            delayed=probability * BASIS_POINTS >= model.threshold_bp, probability=round(probability, 4)
        )

    @app.get("/ready")
    def ready() -> None: ...

    return app


class Uncounted(Metrics):
    """Counts nothing, to measure what counting costs."""

    def answered(self, status: int, count: int, seconds: float) -> None: ...

    def batch(self, rows: int) -> None: ...

    def loop_lag(self, seconds: float, queue_depth: int) -> None: ...


def without_metrics() -> ASGIApp:
    """The service without metrics."""
    return create_app(Settings.from_environment(), Uncounted(1), lambda path: load_model(Path(path)))
