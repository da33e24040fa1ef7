"""docs/running.md tells of every option and of every variable, and of none that does not exist."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from headwind.commands import run
from headwind.stress.generator import lua_folder

TEXT = (Path(__file__).parents[2] / "docs" / "running.md").read_text()


def test_every_option_of_run_is_in_the_table_and_no_other() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    run.configure(parser)
    real = {word for action in parser._actions for word in action.option_strings}
    table = TEXT.split("## Options of `headwind run`")[1].split("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `--")]
    told = {word for row in rows for word in re.findall(r"`(--[a-z-]+)`", row)}
    assert told == real


def test_every_variable_exists_in_the_lua() -> None:
    lua = "\n".join(path.read_text() for path in lua_folder().glob("*.lua"))
    told = set(re.findall(r"HEADWIND_[A-Z]+", TEXT))
    assert told
    assert all(f'"{name}"' in lua for name in told)


def test_the_default_of_every_duration_is_told() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    run.configure(parser)
    for action in parser._actions:
        if isinstance(action.default, str) and re.fullmatch(r"[0-9]+s", action.default):
            row = next(line for line in TEXT.splitlines() if f"`{action.option_strings[0]}`" in line)
            assert action.default in row
