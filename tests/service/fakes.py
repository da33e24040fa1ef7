"""Models and apps made for tests: slow, broken or counting, behind the real service."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from service.app import create_app
from service.catalogue import Row
from service.metrics import METRICS, Metrics
from service.model import DelayModel, load_model
from service.settings import Settings


class SlowModel(DelayModel):
    """The real model with a pause per row: its capacity is 500 rows per second on any machine."""

    row_s = 0.002

    def predict(self, rows: Sequence[Row]) -> list[int]:
        time.sleep(self.row_s * len(rows))
        return super().predict(rows)


class CountingModel(DelayModel):
    """The real model that remembers how many rows each call had."""

    def predict(self, rows: Sequence[Row]) -> list[int]:
        self.calls = [*getattr(self, "calls", []), len(rows)]
        return super().predict(rows)


class BrokenModel(DelayModel):
    """Fails whenever `broken` is set."""

    broken = False

    def predict(self, rows: Sequence[Row]) -> list[int]:
        if self.broken:
            raise RuntimeError("the model broke")
        return super().predict(rows)


class FailsOnPairs(DelayModel):
    """Fails where it is asked for two flights; other calls, as those that it is tried and warmed up with, succeed."""

    def predict(self, rows: Sequence[Row]) -> list[int]:
        if len(rows) == 2:
            raise RuntimeError("the model broke")
        return super().predict(rows)


def loader(kind: type[DelayModel]) -> Callable[[Path], DelayModel]:
    """For `create_app(load=...)`."""
    return partial(load_model, kind=kind)


def slow_app() -> ASGIApp:
    """`gunicorn 'tests.service.fakes:slow_app()'`: about 500 flights per second and worker."""
    return create_app(Settings.from_environment(), METRICS, loader(SlowModel))


def slow_worker() -> int:
    """`python -c 'from tests.service.fakes import slow_worker; slow_worker()'`: a model worker at 500 rows/s."""
    from service.model_worker import main

    return main(SlowModel)


def failing_worker() -> int:
    """As `slow_worker`, with a model that fails on pairs."""
    from service.model_worker import main

    return main(FailsOnPairs)


def fresh_app(load: Callable[[Path], DelayModel] = load_model, **settings: Any) -> ASGIApp:
    """An app with metrics of its own."""
    return create_app(Settings(**settings), Metrics(2), load)
