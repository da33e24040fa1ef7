"""gunicorn's worker: uvicorn, with what the settings say."""

import os
import signal
from types import FrameType
from typing import Any

from uvicorn_worker import UvicornWorker

from service.metrics import METRICS
from service.protocol import guarded
from service.settings import Settings

MASTER_CHECK_S = 1
"""Seconds between looks whether the master still lives."""


class Worker(UvicornWorker):  # type: ignore[misc]
    """Imported by gunicorn after its configuration file has checked the settings."""

    _settings = Settings.from_environment()
    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 (uvicorn-worker reads it as a class attribute)
        "loop": _settings.server_loop,
        "http": guarded(_settings.request_timeout_s),
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _settings.graceful_timeout_s,
        "timeout_notify": MASTER_CHECK_S,
    }

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT, which the master sends when it was interrupted itself: stop as for SIGTERM. (gunicorn's own method
        sets a flag that uvicorn never reads, so that the master would wait for all of the grace period.)"""
        signal.raise_signal(signal.SIGTERM)

    async def callback_notify(self) -> None:
        """Tell the master that this worker lives, and stop where the master does not: a worker left behind by a killed
        master would keep the port, and nobody could stop or replace it. The first call comes once it listens."""
        METRICS.begin()
        await super().callback_notify()
        if os.getppid() != self.ppid:
            self.log.error("The master is gone: this worker stops.")
            signal.raise_signal(signal.SIGTERM)
