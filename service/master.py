"""What gunicorn's master does: checks before the start, and a metrics slot for every worker."""

import os
import socket
import sys
from typing import Any, Self

from service.metrics import METRICS, SLOTS, Metrics
from service.settings import Settings


def check_port(settings: Settings) -> None:
    """Exit with a sentence if the port is taken; a master that inherits its sockets (USR2) has it already."""
    if "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(
                f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}): "
                "set PORT to a free port or stop what listens there."
            )


def check_model(settings: Settings) -> None:
    """Exit with a sentence if the model cannot be served.

    The master keeps the libraries that were imported for it, so that a worker that replaces a killed one is forked
    with them and serves at once; each worker still loads the model file itself.
    """
    import service.app  # noqa: F401
    from service.model import ModelError, load_model

    try:
        load_model(settings.model_path)
    except ModelError as error:
        sys.exit(str(error))


class Slots:
    """Gives each worker the lowest free metrics slot, as gunicorn's hooks."""

    _instance: "Slots | None" = None

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._taken: dict[int, int] = {}

    @classmethod
    def shared(cls) -> Self:
        """The one of this process: a reload runs the configuration file again and must keep the slots."""
        if cls._instance is None:
            cls._instance = cls(METRICS)
        assert isinstance(cls._instance, cls)
        return cls._instance

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Before the fork, in the master."""
        used = set(self._taken.values())
        # More workers than slots share the last one: its counts may then miss some, but nothing fails.
        slot = next((slot for slot in range(SLOTS - 1) if slot not in used), SLOTS - 1)
        self._taken[worker.age] = slot

    def post_fork(self, server: Any, worker: Any) -> None:
        """After the fork, in the worker."""
        self._metrics.enter(self._taken[worker.age])

    def child_exit(self, server: Any, worker: Any) -> None:
        """After a worker ended, in the master."""
        slot = self._taken.pop(worker.age, None)
        if slot is not None:
            self._metrics.vacate(slot)
