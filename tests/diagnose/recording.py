"""Make observations small enough to keep as a test's input: `python -m tests.diagnose.recording IN.json OUT.json`.

Counters stay as they are. Long rows of answers are thinned out (how many there were is kept), written as
lists, and times are rounded to 10 microseconds.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

ENDPOINT, MISSING, STREAM = 40, 10, 20


def thin(rows: list[Any], most: int) -> list[Any]:
    """At most `most` of the rows, in order, chosen at random: even spacing could keep step with a server's own."""
    chance = random.Random(1)
    return rows if len(rows) <= most else [rows[i] for i in sorted(chance.sample(range(len(rows)), most))]


def short(answer: dict[str, Any], base_s: float) -> list[Any]:
    """The fields in order, times relative to the first, trailing defaults left out."""
    row: list[Any] = [answer["kind"]]
    row += [round(answer[name] - base_s, 5) for name in ("due_s", "sent_s")]
    row.append(None if answer["connect_s"] is None else round(answer["connect_s"], 5))
    row.append(None if answer["done_s"] is None else round(answer["done_s"] - base_s, 5))
    row += [answer["status"], answer["closed"], answer["retry_after"], answer["size"], answer["group"]]
    while row[-1] in (False, 0) and len(row) > 6:
        row.pop()
    return row


def rounded(value: Any) -> Any:
    """Floats to six digits, and nothing that names a place on this machine."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items() if name != "files"}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def shrink(seen: dict[str, Any]) -> dict[str, Any]:
    """The same observations, smaller."""
    first = seen["unloaded"]["first"]
    base_s = first["sent_s"] if first else 0.0
    for part in ("unloaded", "after"):
        one = seen.get(part)
        if not one:
            continue
        one["endpoint_requests"] = one.get("endpoint_requests") or len(one["endpoint"])
        one["missing_requests"] = one.get("missing_requests") or len(one["missing"])
        one["endpoint"] = thin(one["endpoint"], ENDPOINT)
        one["missing"] = thin(one["missing"], MISSING)
    loads = [seen[name] for name in ("full", "half") if seen.get(name)]
    for load in loads:
        load["answers"] = thin(load["answers"], 2 * STREAM if load["name"] == "full" else STREAM)
        load["counters"]["began_s"] -= base_s
    small: dict[str, Any] = rounded(seen)
    for part in ("unloaded", "after"):
        if small.get(part):
            for name in ("endpoint", "missing", "paced", "pairs"):
                small[part][name] = [short(row, base_s) for row in seen[part][name]]
            small[part]["first"] = short(first, base_s) if seen[part]["first"] else None
    for name in ("full", "half"):
        if small.get(name):
            small[name]["answers"] = [short(row, base_s) for row in seen[name]["answers"]]
    return small


if __name__ == "__main__":
    source, target = sys.argv[1:]
    text = json.dumps(shrink(json.loads(Path(source).read_text())), separators=(",", ":"))
    Path(target).write_text(text + "\n")
