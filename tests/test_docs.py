"""The documentation is true: its commands parse, its targets exist, its quoted output is what is printed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from headwind.cli import COMMANDS, parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[str]:
    """Shell lines of the fenced `sh` blocks and of inline code, continuation lines joined."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    inline = re.findall(r"`((?:headwind|make|python -m parser) [^`]+)`", FENCE.sub("", page.read_text()))
    return [line.strip() for line in [*text.splitlines(), *inline] if line.strip()]


def headwind_calls() -> list[tuple[str, str]]:
    calls = []
    for page in PAGES:
        for line in commands(page):
            for part in re.split(r"\s*(?:\||&&|;)\s+", line):
                words = re.sub(r"^(?:\w+=\S* )*", "", part)
                words = re.sub(r"^(?:\S*python3? -m parser)\b", "headwind explain", words)
                words = re.sub(r"^(?:\S*python3? -m headwind)\b", "headwind", words)
                if re.match(r"(?:uvx )?headwind ", words):
                    calls.append((str(page.relative_to(ROOT)), words.removeprefix("uvx ")))
    return calls


@pytest.mark.parametrize(("page", "call"), headwind_calls())
def test_every_documented_call_is_taken_by_the_command_line(page: str, call: str) -> None:
    words = shlex.split(call, comments=True)[1:]
    words = [word for word in words if word not in {"...", "[...]"}]
    redirect = next((i for i, word in enumerate(words) if word.startswith((">", "<", "2>"))), len(words))
    if len(words) == 1:  # the command's name in a sentence
        assert words[0] in COMMANDS
        return
    if "--help" not in words:
        parser(words[0]).parse_args(words[:redirect])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {match for line in commands(page) for match in re.findall(r"^make ([a-z-]+)", line)}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()]
    assert not missing


def test_the_index_lists_every_page() -> None:
    folder = ROOT / "docs"
    listed = set(re.findall(r"\]\(([^)#\s]+\.md)\)", (folder / "README.md").read_text()))
    pages = {str(page.relative_to(folder)) for page in folder.rglob("*.md")}
    assert listed == pages - {"README.md"}


def test_every_command_is_documented() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    assert not [name for name in COMMANDS if f"headwind {name}" not in text]


def test_the_readme_quotes_what_explain_prints(tmp_path: Path) -> None:
    run, said = blocks(ROOT / "README.md", "text")[:2]
    (tmp_path / "wrk.txt").write_text(run)
    done = subprocess.run(
        [sys.executable, "-m", "parser", "wrk.txt", "--target", "50000"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.strip() == said.strip()
