"""gunicorn's configuration: `gunicorn -c service/gunicorn.conf.py service.app:app`, settings from the environment."""

import os
import sys
from pathlib import Path

# Before XGBoost is loaded: a thread per core in every worker would fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# XGBoost imports scikit-learn, and with it pandas, where they are installed: 2 s and 95 MB that serving never uses.
sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]

chdir = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, chdir)

from service import master  # noqa: E402
from service.settings import Settings, SettingsError  # noqa: E402

try:
    settings = Settings.from_environment()
except SettingsError as error:
    sys.exit(str(error))

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.workers
worker_class = "service.worker.Worker"
backlog = settings.backlog
keepalive = settings.keepalive_s
timeout = 30
graceful_timeout = settings.graceful_timeout_s
loglevel = settings.log_level
accesslog = None
control_socket_disable = True

_slots = master.Slots.shared()
_slots.expect(settings.workers)
pre_fork = _slots.pre_fork
post_fork = _slots.post_fork
child_exit = _slots.child_exit


def on_starting(server: object) -> None:
    """Refuse to start with one sentence rather than with a worker's traceback."""
    master.start(settings)


def on_reload(server: object) -> None:
    """Before the new workers are forked."""
    master.reload(server, settings)
