"""py-spy, where it is installed: the lines that hold a running Python server's CPU, without starting it anew.

It pauses the process for each look unless told not to; it is told not to, at 50 looks a second. It needs the right to
trace the process (root, or kernel.yama.ptrace_scope 0, or a child of ours).
"""

from __future__ import annotations

import linecache
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from headwind.analysis.diagnosis.observations import AgentView
from headwind.stress.interrupt import Interrupt
from headwind.stress.probes import WrkRun, await_end
from headwind.stress.requests import Request

LOOKS_PER_S = 50
_FRAME = re.compile(r"^(?P<function>.*) \((?P<file>.*):(?P<line>\d+)\)$")
WATCHED = ("logging", "json", "re", "ssl", "pickle", "importlib", "copy", "sqlite3", "subprocess")


MISSING = (
    "py-spy is not installed, so the lines that hold this running Python server were not looked at: "
    "`uv tool install py-spy` provides it, or let Headwind start the server (--command)"
)


def available() -> bool:
    """Whether py-spy is on the path."""
    return shutil.which("py-spy") is not None


def spy(
    pid: int, request: Request, connections: int, seconds: float, interrupt: Interrupt
) -> AgentView | str:
    """Load the server for `seconds` and look at `pid` meanwhile; a sentence where it could not be looked at."""
    with tempfile.TemporaryDirectory(prefix="headwind-spy-") as folder:
        out = Path(folder) / "stacks"
        command = ["py-spy", "record", "--pid", str(pid), "--duration", str(max(1, int(seconds) - 1))]
        command += ["--rate", str(LOOKS_PER_S), "--format", "raw", "--nonblocking", "--full-filenames"]
        generator = WrkRun(request, connections, seconds)
        looking = None
        try:
            looking = subprocess.Popen(
                [*command, "--output", str(out)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            said = await_end(looking, seconds + 5, interrupt)
            generated = generator.finish(interrupt)
        finally:
            generator.stop()
            if looking is not None and looking.poll() is None:
                looking.kill()
                looking.wait()
        found = view(out.read_text(), seconds, generated.requests) if out.exists() else None
        return found if found is not None else _why_not(pid, said)


def _why_not(pid: int, said: tuple[str | None, str | None] | None) -> str:
    words = " ".join(((said[1] or "") if said is not None else "").split())
    if "ermission" in words or "not permitted" in words:
        return (
            f"py-spy may not look at process {pid}: run Headwind as root, or set kernel.yama.ptrace_scope to 0; "
            "without it the lines that hold the server are not known"
        )
    return f"py-spy saw nothing of process {pid}" + (f" ({words[:160]})" if words else "")


def view(stacks: str, wall_s: float, requests: int) -> AgentView | None:
    """From py-spy's raw format: `outer;...;inner count` a line, a frame as `function (file:line)`."""
    lines: Counter[tuple[str, str]] = Counter()
    packages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    busy = 0
    for row in stacks.splitlines():
        text, _, count = row.rpartition(" ")
        if not count.isdigit():
            continue
        busy += int(count)
        frames = [match for part in text.split(";") if (match := _FRAME.match(part))]
        files = {match["file"] for match in frames}
        for name in WATCHED:
            if any(f"/{name}/" in file or file.endswith(f"/{name}.py") for file in files):
                packages[name] += int(count)
        inside = [match for match in frames if _is_application(match["file"])]
        for name in {match["function"].rpartition(".")[2] for match in inside[1:]}:
            functions[name] += int(count)
        chosen = inside[-1] if inside else None
        chosen = chosen or (frames[-1] if frames else None)
        if chosen is not None:
            place = f"{Path(chosen['file']).name}:{chosen['line']} {chosen['function']}"
            source = linecache.getline(chosen["file"], int(chosen["line"])).strip()[:200]
            lines[(place, source)] += int(count)
    if not busy:
        return None
    return AgentView(
        wall_s=0.0,  # collections are not timed by py-spy: nothing is said about them
        requests=requests,
        looks=int(wall_s * LOOKS_PER_S),
        lines=tuple((place, source, count / busy) for (place, source), count in lines.most_common(12)),
        packages={name: count / busy for name, count in packages.items()},
        functions={name: count / busy for name, count in functions.most_common(40)},
    )


def _is_application(file: str) -> bool:
    return not (file.startswith("<") or "site-packages" in file or re.search(r"/lib/python3\.", file))
