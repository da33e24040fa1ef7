"""The wheel alone, in an empty environment far from the sources: a run of a foreign server, and a report of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.stress.servers import serving

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

pytestmark = [
    pytest.mark.load,
    pytest.mark.timeout(300),
    pytest.mark.skipif(UV is None, reason="uv is not installed: it is in requirements-dev.txt"),
]


def do(*command: str | Path, cwd: Path) -> str:
    """Run a command without this clone on the import path; its stdout."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=cwd, env=clean, check=False
    )
    if result.returncode and ("error sending request" in result.stderr or "dns error" in result.stderr):
        pytest.skip("the package index cannot be reached, so nothing can be installed")
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    do(UV or "uv", "build", "--quiet", "--wheel", "--out-dir", out, ROOT, cwd=out)
    (built,) = out.glob("headwind-*.whl")
    return built


def test_the_wheel_holds_the_lua_and_nothing_of_the_service(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    lua = {f"headwind/wrk/{path.name}" for path in (ROOT / "wrk").iterdir() if path.is_file()}
    assert {"headwind/wrk/measure.lua", "headwind/wrk/flights.jsonl"} <= lua <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"headwind", "parser"}


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on PATH: `apt install wrk`")
def test_the_wheel_works_alone(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    home.mkdir()
    do(UV or "uv", "venv", "--quiet", "--python", sys.executable, "env", cwd=home)
    do(UV or "uv", "pip", "install", "--quiet", "--python", "env/bin/python", wheel, cwd=home)
    headwind = home / "env" / "bin" / "headwind"
    with serving() as url:
        said = do(
            headwind, "run", "--url", url, "--threads", "1", "--connections", "4", "--duration", "1s",
            "--warmup", "0", "--label", "alone", cwd=home,
        )  # fmt: skip
    page = Path(said.split("report: ")[1].strip())
    assert "<html" in (home / page).read_text()
    assert "requests" in do(headwind, "explain", page.parent / "wrk.txt", cwd=home)
    assert "requests" in do(home / "env/bin/python", "-m", "parser", page.parent, cwd=home)
