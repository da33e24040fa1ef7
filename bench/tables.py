"""The tables of docs/serving.md, written again from the committed results."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from bench.common import RESULTS, table
from bench.servers import ROOT

PAGE = ROOT / "docs" / "serving.md"
_SECTION = re.compile(r"(<!-- bench:(\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def section(name: str) -> str:
    """The rows, bars and sentences of a result as Markdown, with where and when they were measured."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return f"Not measured yet: `python -m bench.{name}`.\n"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    machine = result["machine"]
    where = f"`python -m bench.{name}`, {result['at'][:10]}, commit {str(result['commit'])[:9]}"
    where += " with changes in no commit, " if str(result["commit"]).endswith("+") else ", "
    if "trees" in result:
        where += f"`service/` as in git tree {str(result['trees']['service'])[:9]}, "
    where += f"{machine['cpu']}, {machine['cpus']} cores"
    # The load average when it ended: on a machine that others use too, ratios tell more than rates.
    where += f", load average {machine['load_average'][0]:.1f} at the end."
    parts = [where + "\n", *(table(rows) for rows in alike(result["rows"]))]
    if result.get("bars"):
        parts.append(table(result["bars"]))
    if result.get("said"):
        parts.append("\n".join(f"- {sentence}" for sentence in result["said"]) + "\n")
    return "\n".join(parts)


def alike(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Consecutive rows with the same columns: a result may hold several tables."""
    groups: list[list[dict[str, Any]]] = []
    for row in rows:
        if groups and list(groups[-1][0]) == list(row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def written(page: str) -> str:
    """The page with every section between its markers as the results say."""
    return _SECTION.sub(lambda found: found[1] + section(found[2]) + found[3], page)


def main(argv: Sequence[str] | None = None) -> int:
    """Write docs/serving.md."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"written to {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
