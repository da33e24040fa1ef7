"""wrk: found on this machine, in Docker, or installed; run, and stopped by SIGINT so that it reports."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headwind.errors import MissingError
from headwind.stress.plan import Traffic

DOCKER_IMAGE = "williamyeh/wrk"
_ANSWER_TIMEOUT_S = 15
_LUA = "observe.lua"


@dataclass(frozen=True, slots=True)
class Wrk:
    """A wrk that can be run: `kind` is "local" or "docker", `program` its path or its image; `is_wrk2`: it takes -R."""

    kind: str
    program: str
    version: str
    is_wrk2: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """One wrk process to run: `url` without secrets, `private` the environment that carries them."""

    url: str
    threads: int
    connections: int
    duration_s: int
    timeout_s: int
    traffic: Traffic
    exact: Path | None  # where the Lua side appends its report, if it shall
    script_arguments: tuple[str, ...] = ()
    private: Mapping[str, str] = field(default_factory=dict)
    rate_per_s: float | None = None  # for wrk2, which keeps the schedule itself


def lua_folder() -> Path:
    """Where the Lua files are: in the wheel inside the package, in a clone beside it."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "wrk", package.parent / "wrk"):
        if (folder / "measure.lua").is_file():
            return folder
    raise MissingError(
        f"Headwind's Lua files are neither in {package / 'wrk'} nor in {package.parent / 'wrk'}; "
        "install it again."
    )


def find(wanted: str | None = None, *, may_install: bool = False) -> Wrk:
    """The wrk to use: `wanted` is None (the first that works), "docker", or a program.

    Raises MissingError with the command to type where there is none.
    """
    if wanted == "docker":
        found = _docker()
        if found is None:
            raise MissingError(
                f"Docker does not answer or cannot get {DOCKER_IMAGE}; `docker info` says why."
            )
        return found
    found = _local(wanted or "wrk")
    if found is None and wanted is not None:
        raise MissingError(f"{wanted} does not run as wrk; give --wrk the path of a wrk, or 'docker'.")
    found = found or _docker() or (_installed() if may_install else None)
    if found is None:
        raise MissingError(f"wrk is neither on PATH nor in a running Docker; install it: `{install_hint()}`.")
    return found


def install_hint() -> str:
    """The one command that puts wrk on this machine."""
    if sys.platform == "darwin":
        return "brew install wrk"
    if shutil.which("apt-get"):
        return "apt-get install wrk" if os.geteuid() == 0 else "sudo apt-get install wrk"
    if shutil.which("docker"):
        return f"docker pull {DOCKER_IMAGE}"
    return "git clone https://github.com/wg/wrk && make -C wrk"


def _output(command: list[str], timeout_s: float = _ANSWER_TIMEOUT_S) -> str | None:
    """What a command prints, whatever its exit code; None where it cannot be run or does not end."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.decode(errors="replace")


def _version(text: str | None) -> str | None:
    """The version from `wrk -v` (which exits with 1): "wrk debian/4.1.0-3+b2 [epoll] Copyright ..."."""
    line = (text or "").strip().splitlines()[:1]
    if not line or not line[0].startswith("wrk "):
        return None
    return line[0].split("[")[0].removeprefix("wrk ").strip() or None


def _local(program: str) -> Wrk | None:
    path = shutil.which(program)
    told = _output([path, "-v"]) if path else None
    version = _version(told)
    # Both say their version and then their usage; only wrk2's has a rate.
    return Wrk("local", path, version, "--rate" in (told or "")) if path and version else None


def _docker() -> Wrk | None:
    docker = shutil.which("docker")
    if docker is None or not answers([docker, "version", "--format", "{{.Server.Version}}"]):
        return None
    has_image = answers([docker, "image", "inspect", DOCKER_IMAGE])
    if not has_image and not answers([docker, "pull", "-q", DOCKER_IMAGE], 300):
        return None
    version = _version(_output([docker, "run", "--rm", "--network", "none", DOCKER_IMAGE, "-v"], 60))
    return Wrk("docker", DOCKER_IMAGE, version) if version else None


def answers(command: list[str], timeout_s: float = _ANSWER_TIMEOUT_S) -> bool:
    """Whether a command ends well, and in time."""
    try:
        result = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _installed() -> Wrk | None:
    """wrk by the system's package manager, where that asks no question."""
    if sys.platform == "darwin":
        commands = [["brew", "install", "--quiet", "wrk"]]
    elif shutil.which("apt-get"):
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        install = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        commands = [[*install, "update"], [*install, "install", "-y", "--no-install-recommends", "wrk"]]
    else:
        return None
    print("wrk is missing; installing it with the system's package manager ...", file=sys.stderr)
    for command in commands:
        if shutil.which(command[0]) is None or not answers(command, 300):
            return None
    return _local("wrk")


class Generator:
    """One wrk process. Its stdout and stderr go to files, so nothing is lost whatever happens to us."""

    def __init__(self, wrk: Wrk, load: Load, stdout: Path, stderr: Path) -> None:
        self.wrk = wrk
        self.command, self._variables = command(wrk, load)
        self.container = f"headwind-{secrets.token_hex(6)}" if wrk.kind == "docker" else None
        if self.container:
            self.command[3:3] = ["--name", self.container]
        self.stdout, self.stderr = stdout, stderr
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The process on this machine whose CPU time is wrk's; None before the start, or in a virtual machine."""
        if self._pid is None and self._process and self.exit_code is None:
            self._pid = _pid_in(self.container) if self.container else self._process.pid
        return self._pid

    def unmeasured(self) -> str | None:
        """wrk's complaint that it could not load our Lua: it goes on with plain GETs then, which nobody asked for."""
        lines = self.stderr.read_text(errors="replace").splitlines() if self.stderr.exists() else []
        return next((line for line in lines if _LUA in line), None)

    def start(self) -> None:
        # A session of its own: a Ctrl-C at the terminal reaches us, and we end wrk in good order.
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **self._variables},
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -n where signal n ended it."""
        return self._process.poll() if self._process else None

    def interrupt(self) -> None:
        """SIGINT: wrk ends now and prints its full report (SIGTERM would lose it)."""
        self._signal(signal.SIGINT)

    def end(self, patience_s: float) -> int | None:
        """Wait so long for the end, then kill; the exit code."""
        if self._process is None:
            return None
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if self.container:
            answers(["docker", "kill", "--signal", number.name, self.container])
        with contextlib.suppress(ProcessLookupError):
            # The docker client passes SIGINT on, and a second one is harmless: wrk only sets a flag.
            os.killpg(self._process.pid, number)


def _pid_in(container: str) -> int | None:
    """The container's first process as this machine numbers it; None where the engine runs elsewhere."""
    said = _output(["docker", "inspect", "--format", "{{.State.Pid}}", container]) or ""
    is_number = said.strip().isdigit() and int(said) > 0
    return int(said) if is_number and Path(f"/proc/{said.strip()}").exists() else None


def command(wrk: Wrk, load: Load) -> tuple[list[str], dict[str, str]]:
    """The command line that runs this load, and the environment it needs beside ours."""
    # An empty name is no file: a HEADWIND_EXACT of the caller's own environment must not be inherited.
    variables = {"HEADWIND_EXACT": str(load.exact.resolve()) if load.exact else "", **load.private}
    for name, file in (("HEADWIND_SCRIPT", load.traffic.script), ("HEADWIND_BODIES", load.traffic.bodies)):
        if file is not None:
            variables[name] = str(file.resolve())
    if load.traffic.method is not None:
        variables["HEADWIND_METHOD"] = load.traffic.method
    options = [
        f"-t{load.threads}",
        f"-c{load.connections}",
        f"-d{load.duration_s}s",
        "--timeout",
        f"{load.timeout_s}s",
        "--latency",
        *([f"-R{load.rate_per_s:g}"] if load.rate_per_s else []),
    ]
    rest = [load.url, *(["--", *load.script_arguments] if load.script_arguments else [])]
    if wrk.kind == "local":
        return [wrk.program, *options, "-s", str(lua_folder() / _LUA), *rest], variables
    return _docker_command(options, rest, load, variables)


def _docker_command(
    options: list[str], rest: list[str], load: Load, variables: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    volumes = [f"{lua_folder()}:/headwind:ro"]
    if load.exact:
        volumes.append(f"{load.exact.parent.resolve()}:/out")
        variables["HEADWIND_EXACT"] = f"/out/{load.exact.name}"
    for name, file in (("HEADWIND_SCRIPT", load.traffic.script), ("HEADWIND_BODIES", load.traffic.bodies)):
        if file is not None:
            volumes.append(f"{file.resolve().parent}:/{name.lower()}:ro")
            variables[name] = f"/{name.lower()}/{file.name}"
    line = ["docker", "run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"]
    if sys.platform == "darwin":
        # "host" is the engine's virtual machine there; this name leads out of it.
        rest = [_through_vm(rest[0]), *rest[1:]]
    for volume in volumes:
        line += ["--volume", volume]
    for name in variables:
        line += ["--env", name]  # the value comes from our environment and stays out of the process list
    return [*line, DOCKER_IMAGE, *options, "-s", f"/headwind/{_LUA}", *rest], variables


def _through_vm(url: str) -> str:
    for host in ("//localhost", "//127.0.0.1"):
        url = url.replace(host, "//host.docker.internal", 1)
    return url


def wait_for(generators: list[Generator], until: float) -> bool:
    """Whether all have ended by the monotonic time `until`; returns as soon as they have."""
    while any(generator.exit_code is None for generator in generators):
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
    return True
