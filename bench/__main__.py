"""`python -m bench [NAME...]`: run all benchmarks, or those named; `--list` says which there are.

A benchmark is a module of this package with `main(argv) -> int`; it prints a table and writes `results/<name>.json`.
Modules called `soak_*` are the long checks of `python -m bench.soak`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

SOAK = "soak_"


def found(*, soak: bool = False) -> dict[str, str]:
    """Names of the benchmarks, or of the long checks, with the first line of the docstring. Nothing is imported."""
    names = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        has_main = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
        runs_others = path.stem in ("__main__", "soak")
        if has_main and not runs_others and path.stem.startswith(SOAK) == soak:
            names[path.stem.removeprefix(SOAK)] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return names


def main(argv: Sequence[str] | None = None, *, soak: bool = False) -> int:
    """Run the benchmarks (or long checks) one after the other; the exit code is the worst of theirs."""
    parser = argparse.ArgumentParser(prog="python -m bench" + (".soak" if soak else ""))
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(argv)
    known = found(soak=soak)
    if options.list:
        print("\n".join(f"{name:<14}{line}" for name, line in known.items()))
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}, but {', '.join(known) or 'none yet'}.")
    worst = 0
    for name in options.names or known:
        print(f"\n## {name}: {known[name]}\n", flush=True)
        module = importlib.import_module(f"bench.{SOAK if soak else ''}{name}")
        # Options of one of them would be strange to the others: those are given to `python -m bench.NAME`.
        worst = max(worst, module.main([]))
    return worst


if __name__ == "__main__":
    sys.exit(main())
