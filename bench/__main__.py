"""`python -m bench [NAME...]`: run all benchmarks, or those named; `--list` says which there are.

A benchmark is a module of this package with `main(argv) -> int`; it prints a table and writes `results/<name>.json`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

NOT_RUN_BY_NAME = {"__init__", "__main__", "common", "soak"}  # soak is `python -m bench.soak`


def found() -> dict[str, str]:
    """Names of the benchmarks, each with the first line of its docstring. Nothing is imported."""
    names = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        has_main = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
        if path.stem not in NOT_RUN_BY_NAME and not path.stem.startswith("soak") and has_main:
            names[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks one after the other; the exit code is the worst of theirs."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    options, rest = parser.parse_known_args(argv)
    known = found()
    if options.list:
        print("\n".join(f"{name:<14}{line}" for name, line in known.items()))
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(known) or 'none yet'}.")
    worst = 0
    for name in options.names or known:
        print(f"\n## {name}: {known[name]}\n", flush=True)
        worst = max(worst, importlib.import_module(f"bench.{name}").main(rest))
    return worst


if __name__ == "__main__":
    sys.exit(main())
