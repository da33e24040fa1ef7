"""The API: its routes, and how its parts are put together. `service.app:app` is what a server runs."""

import asyncio
import contextlib
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from service.access_log import AccessLog
from service.batching import Batcher
from service.cache import Cached
from service.catalogue import Row, UnknownFlight
from service.documentation import RESPONSES, describe
from service.errors import invalid_response, overloaded_response, unknown_flight, unreadable_response
from service.fast_lane import PATH, FastLane
from service.gathering import Gatherer, Overloaded, Predictor
from service.metrics import METRICS, Metrics
from service.middleware import BodyLimit, CountRequests
from service.model import BASIS_POINTS, DelayModel, ModelError, load_model, open_model, read_model
from service.schemas import Flight, ModelInfo, Prediction, Readiness, ServiceInfo, Status
from service.settings import Settings, SettingsError

NAME = "flight-delay"
VERSION = "0.1.0"
MAX_FLIGHTS = 1000
LAG_PERIOD_S = 0.25
START_LIMIT_S = 15.0
"""How long GET /ready waits for the other workers: one that cannot start must not keep those that can from serving."""
_UNPARSABLE = "There was an error parsing the body"


@dataclass(slots=True)
class Parts:
    """What a running app consists of; `None` until it has started."""

    settings: Settings
    metrics: Metrics
    load: Callable[[Path], DelayModel]
    model: DelayModel | None = None
    predictor: Predictor | None = None
    began_s: float = field(default_factory=time.monotonic)
    complete: bool = False

    def missing(self) -> str | None:
        """Why no load should come yet, or None. At a start all workers are waited for: connections that are opened
        before stay with those that were up, for as long as they are kept."""
        if self.predictor is None:
            return "The model is not loaded yet."
        if not self.complete:
            alive, expected = self.metrics.alive(), self.metrics.expected or 1
            self.complete = alive >= expected or time.monotonic() - self.began_s > START_LIMIT_S
            if not self.complete:
                return f"{alive} of {expected} workers are up."
        return self.predictor.ready()

    def running(self) -> tuple[DelayModel, Predictor]:
        """Raises 503 while the model is not loaded."""
        if self.model is None or self.predictor is None:
            raise HTTPException(503, "The model is not loaded yet.", {"retry-after": "1"})
        return self.model, self.predictor


def make_predictor(settings: Settings, model: DelayModel, metrics: Metrics) -> Predictor:
    """What SERVING names, behind a cache if one is switched on."""
    if settings.serving == "queue":
        from service.queueing import QueuePredictor

        inner: Gatherer = QueuePredictor(model.id, settings, metrics)
    else:
        inner = Batcher(model, settings, metrics)
    return Cached(inner, settings.cache_entries, metrics) if settings.cache_entries else inner


async def watch_lag(parts: Parts) -> None:
    """Note for ever how late the event loop calls back, and how much waits."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + LAG_PERIOD_S
        await asyncio.sleep(LAG_PERIOD_S)
        depth = parts.predictor.depth() if parts.predictor else 0
        parts.metrics.loop_lag(max(0.0, loop.time() - due_s), depth)


def _prediction(basis_points: int, model: DelayModel) -> Prediction:
    return Prediction(delayed=basis_points >= model.threshold_bp, probability=basis_points / BASIS_POINTS)


def _encoded(model: DelayModel, flight: Flight, *place: int) -> Row:
    try:
        return model.encode(flight)
    except UnknownFlight as error:
        raise unknown_flight(error, getattr(flight, error.field), *place) from None


def add_routes(api: FastAPI, parts: Parts) -> None:
    """The routes of the documented API."""
    _add_predictions(api, parts)
    _add_information(api, parts)


def _add_predictions(api: FastAPI, parts: Parts) -> None:
    @api.post(PATH, summary="Predict one flight", responses=RESPONSES)
    async def predict(flight: Flight) -> Prediction:
        """Whether this scheduled flight departs more than 15 minutes late, and how likely that is."""
        model, predictor = parts.running()
        (basis_points,) = await predictor.predict([_encoded(model, flight)])
        return _prediction(basis_points, model)

    @api.post("/v1/predictions", summary="Predict many flights", responses=RESPONSES)
    async def predict_many(
        flights: Annotated[list[Flight], Body(min_length=1, max_length=MAX_FLIGHTS)],
    ) -> list[Prediction]:
        """Up to 1,000 flights at once; the answers come in the order of the flights."""
        model, predictor = parts.running()
        rows = [_encoded(model, flight, place) for place, flight in enumerate(flights)]
        return [_prediction(basis_points, model) for basis_points in await predictor.predict(rows)]


def _add_information(api: FastAPI, parts: Parts) -> None:
    @api.get("/", summary="What this is")
    async def info() -> ServiceInfo:
        """Name, version, model and where to go on."""
        model, _ = parts.running()
        threshold = model.threshold_bp / BASIS_POINTS
        about = model.description
        return ServiceInfo(
            name=NAME,
            version=VERSION,
            model=ModelInfo(
                id=model.id,
                threshold=threshold,
                features=list(about.features),
                trained_until=about.trained_until,
            ),
            threshold=threshold,
            cache="on" if parts.settings.cache_entries else "off",
            links={"predict": PATH, "documentation": "/docs", "metrics": "/metrics", "ready": "/ready"},
        )

    @api.get("/health", summary="Alive")
    async def health() -> Status:
        """The process answers."""
        return Status(status="ok")

    @api.get(
        "/ready", summary="Ready to predict", responses={200: {"model": Readiness}, 503: {"model": Status}}
    )
    async def ready() -> Response:
        """The model is loaded and can be asked."""
        if missing := parts.missing():
            return JSONResponse({"status": missing}, 503, {"retry-after": "1"})
        cached = {"cache": "on"} if parts.settings.cache_entries else {}
        return JSONResponse({"status": "ok"} | cached)

    @api.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counters of all workers in total, and by worker slot."""
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def add_errors(api: FastAPI) -> None:
    """Answers to what the routes do not handle themselves."""

    @api.exception_handler(Overloaded)
    async def overloaded(_: Request, error: Overloaded) -> Response:
        return overloaded_response(error)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return invalid_response(error)

    @api.exception_handler(StarletteHTTPException)
    async def failed(request: Request, error: StarletteHTTPException) -> Response:
        if error.status_code == 400 and error.detail == _UNPARSABLE:
            return unreadable_response()
        return await http_exception_handler(request, error)


def create_app(
    settings: Settings, metrics: Metrics = METRICS, load: Callable[[Path], DelayModel] = load_model
) -> ASGIApp:
    """The whole service; the model is loaded when the server starts it, once in each worker."""
    parts = Parts(settings, metrics, load)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        model = load(settings.model_path)
        predictor = make_predictor(settings, model, metrics)
        await predictor.start()
        parts.model, parts.predictor = model, predictor
        if metrics.expected is None:
            metrics.begin()
        if lane is not None:
            lane.open(model.encode, model.threshold_bp, predictor)
        # What is loaded now stays for good: without this every full collection walks it, for milliseconds.
        gc.collect()
        gc.freeze()
        watch = asyncio.create_task(watch_lag(parts))
        yield
        watch.cancel()
        await predictor.stop()

    api = FastAPI(
        title="Flight delay", version=VERSION, lifespan=lifespan, description=describe.__doc__ or ""
    )
    add_routes(api, parts)
    add_errors(api)
    describe(api, lambda: parts.model.description if parts.model else None)
    app: ASGIApp = CountRequests(BodyLimit(api, settings.max_body_bytes), metrics)
    lane = FastLane(app, settings.max_body_bytes, metrics) if settings.fast_lane == "on" else None
    app = lane or app
    return app if settings.access_log == "off" else AccessLog(app, accepted=settings.access_log == "all")


inherited_model: bytes | None = None
"""The model file as gunicorn's master read and checked it: all workers, replacements too, serve the same model until
a reload, whatever happens to the file meanwhile. None under other servers, whose processes read the file."""


def _app_from_environment() -> ASGIApp:
    try:
        settings = Settings.from_environment()
        model = open_model(inherited_model or read_model(settings.model_path), settings.model_path)
        app = create_app(settings, load=lambda _: model)
        if sick := os.environ.get("SICK"):
            from service.sickness import infect

            app = infect(app, sick)
    except (SettingsError, ModelError) as error:
        sys.exit(str(error))
    return app


def __getattr__(name: str) -> ASGIApp:
    """`app` is made when a server asks for it: a test that imports this module reads no environment."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = _app_from_environment()
    globals()["app"] = made
    return made
