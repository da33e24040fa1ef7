"""The server under load: started by a command and stopped again, or found running; waited for until it answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import psutil

from headwind.errors import MissingError, UsageError
from headwind.stress import privacy
from headwind.stress.interrupt import Interrupt
from headwind.stress.server import locate

_STOP_PATIENCE_S = 5.0
_TAIL_BYTES = 4096
REPLICAS = "headwind.stress.replicas"  # the module that starts several servers and nginx in front of them
_BODY_BYTES = 65536


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_local(host: str) -> bool:
    """Whether every address of the name belongs to this machine. A name that does not resolve raises MissingError."""
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except socket.gaierror as error:
        raise MissingError(
            f"the host {host!r} is not known here ({error.strerror}); check the URL."
        ) from None
    own = {address.address.partition("%")[0] for row in psutil.net_if_addrs().values() for address in row}
    addresses = {str(row[4][0]).partition("%")[0] for row in found}
    return all(address in own or address.startswith("127.") or address == "::1" for address in addresses)


def listeners(port: int) -> list[int]:
    """Process ids that listen on a port, as far as this user may see them, parents before children."""
    pids = set()
    with contextlib.suppress(psutil.AccessDenied):
        for row in psutil.net_connections(kind="tcp"):
            if row.status == psutil.CONN_LISTEN and row.laddr and row.laddr.port == port and row.pid:
                pids.add(row.pid)
    return sorted(pids)


class Found:
    """A server that runs already: the processes that listen on its port now, and their children as they come and go."""

    def __init__(self, port: int) -> None:
        # Once only: asking every process for its sockets costs more CPU than all else that is watched.
        self._pids = set(listeners(port))
        if any(_is_docker_proxy(pid) for pid in self._pids):
            # Docker's proxy only passes bytes on: the server is what listens behind it, where that can be seen.
            self._pids = set(locate(port).roots)

    def working(self) -> set[int]:
        """The ids of its processes that live now."""
        for pid in self._roots():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._pids |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
        self._pids = {pid for pid in self._pids if _is_alive(pid)}
        return set(self._pids)

    def _roots(self) -> set[int]:
        roots = set()
        for pid in self._pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).ppid() not in self._pids:
                    roots.add(pid)
        return roots


def refuse_taken(port: int) -> None:
    """Raise UsageError where something listens on the port already."""
    if not _is_taken(port):
        return
    owners = listeners(port)
    who = f" by {psutil.Process(owners[0]).name()} (pid {owners[0]})" if owners else ""
    raise UsageError(f"port {port} is taken{who}; stop that, or choose another with --port.")


def _is_taken(port: int) -> bool:
    # Asked in both ways: macOS lets 127.0.0.1 be bound beside a listener on all addresses.
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


class Server:
    """A server started by a shell command, with its output in a file, in a session of its own."""

    def __init__(
        self, command: str, log: Path, *, workers: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.log = command, log
        # gunicorn and uvicorn read this variable where the command line does not say.
        variables = {**os.environ, "WEB_CONCURRENCY": str(workers), **(environment or {})}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._family = {self.pid}

    def died(self) -> str | None:
        """A clause saying how the server ended, with its last words; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        said = last_line(self.log)
        hint = " (it must stay in the foreground)" if code == 0 else ""
        return f"the server ended with {how}{hint}" + (f", saying {said!r}" if said else "")

    def family(self) -> set[int]:
        """The ids of the server's processes that live now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            self._family |= {child.pid for child in process.children(recursive=True)}
        return {pid for pid in self._family if _is_alive(pid)}

    def working(self) -> set[int]:
        """The living processes without the shell, or Headwind's own starter of replicas, that only waits for them, and
        without the proxy that it starts before them; none where docker's command line stands for containers."""
        family = self.family() - self.proxies()
        if any(_is_docker(pid) for pid in family):
            return set()  # what serves are containers of the engine, no children of the command
        return {pid for pid in family if not _only_waits(pid)} or family

    def proxies(self) -> set[int]:
        """The ids of the nginx that stands before replicas, its workers included; empty for any other server."""
        starters = {pid for pid in self.family() if _starts_replicas(pid)}
        return {pid for starter in starters for pid in _nginx_of(starter)}

    def stop(self) -> None:
        """SIGTERM to all of it, and after some seconds SIGKILL to what is left."""
        pids = self.family()
        self._signal_all(pids, signal.SIGTERM)
        end = time.monotonic() + _STOP_PATIENCE_S
        while time.monotonic() < end and (self._process.poll() is None or any(map(_is_alive, pids))):
            time.sleep(0.02)
        self._signal_all({pid for pid in pids if _is_alive(pid)}, signal.SIGKILL)
        self._process.wait()

    def _signal_all(self, pids: set[int], number: signal.Signals) -> None:
        if self._process.poll() is None or number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # A child that left the session is not in the group.
                if os.getsid(pid) != self.pid:
                    os.kill(pid, number)


def _only_waits(pid: int) -> bool:
    """A shell that waits for what it started, or the starter of replicas."""
    try:
        process = psutil.Process(pid)
        shell = process.name() in ("sh", "bash", "dash", "zsh") and bool(process.children())
        return shell or _starts_replicas(pid)
    except psutil.Error:
        return False


def _is_docker(pid: int) -> bool:
    try:
        return psutil.Process(pid).name() in ("docker", "docker-compose")
    except psutil.Error:
        return False


def _starts_replicas(pid: int) -> bool:
    try:
        return REPLICAS in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _nginx_of(pid: int) -> set[int]:
    try:
        masters = [child for child in psutil.Process(pid).children() if child.name() == "nginx"]
        workers = [child for master in masters for child in master.children()]
    except psutil.Error:
        return set()
    return {process.pid for process in (*masters, *workers)}


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_docker_proxy(pid: int) -> bool:
    try:
        return psutil.Process(pid).name() == "docker-proxy"
    except psutil.Error:
        return False


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, without control characters, at most 200 characters."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return "".join(character for character in last if character.isprintable())[:200]


def ask(url: str, timeout_s: float, path: str | None = None) -> int:
    """The status of one GET of the URL (or of another path on its host). Raises as `get` does."""
    return get(url, timeout_s, path)[0]


def get(url: str, timeout_s: float, path: str | None = None) -> tuple[int, bytes]:
    """Status and the body's first 64 KB of one GET of the URL (or of another path on its host).

    Raises TimeoutError where no answer came, ConnectionError where nothing listens or the connection was closed.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or "localhost"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # wrk does not check certificates either.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    try:
        connection.request("GET", path or parts.path or "/", headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(_BODY_BYTES)
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {error!r}") from None
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from None
    finally:
        connection.close()


def is_ready(url: str, ready: str | None, timeout_s: float) -> bool:
    """Whether the server can take load: the `ready` path answers 2xx or 3xx; where none was named, /ready answers
    anything but 503 (a server without that route answers 404, and can take load). Raises as `ask` does."""
    status = ask(url, timeout_s, ready or "/ready")
    return status < 400 if ready else status != 503


def says_cached(url: str, ready: str | None, timeout_s: float = 2.0) -> bool:
    """Whether the answer about readiness is a JSON object that says `"cache": "on"`, as the service's does."""
    try:
        told = json.loads(get(url, timeout_s, ready or "/ready")[1])
    except (TimeoutError, ConnectionError, ValueError):
        return False
    return isinstance(told, dict) and told.get("cache") == "on"


def wait_ready(
    url: str,
    interrupt: Interrupt,
    *,
    patience_s: float,
    ready: str | None = None,
    server: Server | None = None,
) -> float | None:
    """Seconds until the server could take load; None if interrupted meanwhile.

    Raises MissingError where it dies, or is not ready within `patience_s`. A server that we did not start gets no
    time to come up: nothing listening is an error at once.
    """
    shown = privacy.split_url(url).shown
    began = time.monotonic()
    last = "nothing listens there"
    while (waited := time.monotonic() - began) < patience_s:
        if interrupt.requested:
            return None
        if server and (death := server.died()):
            raise MissingError(f"{death} before it was ready; all its output is in {server.log}.")
        try:
            if is_ready(url, ready, min(2.0, patience_s - waited)):
                return time.monotonic() - began
            last = "it says that it is not ready"
        except TimeoutError:
            last = "it takes connections but does not answer"
        except ConnectionError as error:
            last = f"nothing answers there ({error})"
            if server is None:
                raise MissingError(f"{shown}: {last}; start the server, or let --command start it.") from None
        interrupt.wait(0.05)
    advice = f"its output is in {server.log}" if server else "check the server, or name a path with --ready"
    raise MissingError(f"{shown} was not ready within {patience_s:g} s: {last}; {advice}.")
