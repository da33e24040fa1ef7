"""gunicorn's worker: uvicorn, with what the settings say."""

from typing import Any

from uvicorn_worker import UvicornWorker

from service.protocol import guarded
from service.settings import Settings


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
    }
