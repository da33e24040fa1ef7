"""The list of warnings in docs/formats.md is the list of the code."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_WARN = {
    "warn",
    "note",
    "ReadWarning",
}  # what a warning is made with: Run.warn, the notes of wrk's reader, the value


def _codes_of_the_code() -> set[str]:
    found = set()
    for path in (_ROOT / "headwind").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if called in _WARN and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found


def _listed_codes() -> list[str]:
    text = (_ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([a-z_0-9]+)` \|", text.split("## Warnings")[1], re.M)


def test_every_warning_is_listed_once_and_every_listed_one_exists() -> None:
    listed = _listed_codes()
    assert [code for code, count in Counter(listed).items() if count > 1] == []
    assert set(listed) == _codes_of_the_code()


def test_the_list_is_in_order() -> None:
    assert _listed_codes() == sorted(_listed_codes())
