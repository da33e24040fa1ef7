"""What gunicorn's master does: checks before the start, and a metrics slot for every worker."""

import errno
import os
import socket
import sys
from typing import Any, Self

from service.metrics import METRICS, SLOTS, Metrics
from service.settings import Settings, SettingsError

_ADVICE = {
    errno.EADDRINUSE: "set PORT to a free port or stop what listens there",
    errno.EACCES: "set PORT to one above 1023, which needs no rights",
}


def check_port(settings: Settings) -> None:
    """Exit with a sentence if the address cannot be listened on; a master that inherits its sockets (USR2) already
    does."""
    if "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            advice = _ADVICE.get(error.errno or 0, "set HOST to an address of this machine")
            sys.exit(f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}): {advice}.")


def take_model(settings: Settings) -> None:
    """Read and check the model file for the workers to come; raises `ModelError` and then changes nothing.

    The master keeps the libraries that are imported for it, so that a worker that replaces a killed one is forked
    with them and serves at once.
    """
    import service.app
    from service.model import open_model, read_model

    packed = read_model(settings.model_path)
    open_model(packed, settings.model_path)
    service.app.inherited_model = packed


def start(settings: Settings) -> None:
    """Exit with one sentence if the port is taken, the model cannot be served or SICK names no illness."""
    check_port(settings)
    from service.model import ModelError

    try:
        if sick := os.environ.get("SICK"):
            from service.sickness import check

            check(sick)
        take_model(settings)
    except (ModelError, SettingsError) as error:
        sys.exit(str(error))


def reload(server: Any, settings: Settings) -> None:
    """Serve the model file as it is now, or go on with the one before if that cannot be served."""
    from service.model import ModelError

    try:
        take_model(settings)
    except ModelError as error:
        server.log.error("%s Serving goes on with the model that was loaded before.", error)


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

    def expect(self, workers: int) -> None:
        """How many workers there are to be."""
        self._metrics.expected = workers

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
