"""The house keeps its shape: who may import whom, and every public name says what it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VALUES = ("headwind", "headwind.run", "headwind.histogram", "headwind.samples", "headwind.errors")

# folder of headwind/ -> the folders of headwind/ it may import besides itself and the values
MAY_IMPORT = {
    "formats": set[str](),
    "statistics": set[str](),
    "analysis": {"formats", "statistics"},
    "report": {"analysis", "statistics", "formats"},
    "stress": {"report", "analysis", "statistics", "formats"},
    "commands": {"stress", "report", "analysis", "statistics", "formats"},
}
# The pure folders touch no process, socket or clock. `formats` opens the files it is asked to read.
IMPURE = {"subprocess", "socket", "time", "threading", "multiprocessing", "asyncio", "signal", "psutil"}


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_dependencies_point_one_way(folder: str) -> None:
    for path in python_files(f"headwind/{folder}"):
        for name in imported(ast.parse(path.read_text())):
            parts = name.split(".")
            assert parts[0] not in {"service", "bench", "tests"}, f"{path} imports {name}"
            if parts[0] == "headwind" and len(parts) > 1 and parts[1] in MAY_IMPORT:
                allowed = MAY_IMPORT[folder] | {folder}
                assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("folder", ["analysis", "statistics", "report"])
def test_pure_folders_touch_no_process_socket_or_clock(folder: str) -> None:
    for path in python_files(f"headwind/{folder}"):
        roots = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
        assert not roots & IMPURE, f"{path.relative_to(ROOT)} imports {sorted(roots & IMPURE)}"


def test_the_service_imports_nothing_of_the_tool() -> None:
    for path in python_files("service"):
        roots = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
        assert not roots & {"headwind", "parser"}, path


@pytest.mark.parametrize("folder", ["headwind", "parser", "service", "bench"])
def test_every_module_and_public_class_says_what_it_is(folder: str) -> None:
    silent = []
    for path in python_files(folder):
        text = path.read_text()
        tree = ast.parse(text)
        if text.strip() and not ast.get_docstring(tree):
            silent.append(str(path.relative_to(ROOT)))
        silent += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert not silent
