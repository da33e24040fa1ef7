"""Diagnose our own service with each teaching illness, and write what was seen into its page.

`python -m bench.illnesses [NAME...] [--write]`: runs `SICK=name` under `headwind diagnose`, prints the verdicts, and
with --write replaces the part of `docs/illnesses/NAME.md` below the line `## Measured`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.teaching import EXPECTED, TEACHING

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "illnesses"
CASES = dict(zip(EXPECTED, TEACHING, strict=True))


def diagnose(name: str) -> dict[str, Any]:
    """The document of one diagnosis of the sick service."""
    case = CASES[name]
    command = [sys.executable, "-m", "headwind", "diagnose", "--command", case.command, "--format", "json"]
    command += ["--url", case.url, "--script", case.script]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(f"{name}: {run.stderr.strip()}")
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def measured(name: str, document: dict[str, Any]) -> str:
    """The part of a page that comes from a run."""
    from headwind.words import measured as words

    lines = [f"`SICK={name} make diagnose WORKERS=1`, {os.cpu_count()} cores:", ""]
    for cause in document["causes"]:
        lines += [f"**`{cause['code']}`** ({cause['certainty']}): {cause['title']}", ""]
        lines += ["| | | read from |", "|---|---|---|"]
        lines += [
            f"| {row['name']} | {words(row['value'], row['unit'])} | {row['source'].replace('|', '/')} |"
            for row in cause["evidence"]
            if row["value"] is not None
        ]
        lines.append("")
    lines += ["Ruled out, among others:", ""]
    near = (
        "cpu_bound",
        "threadpool_limit",
        "connection_pool_limit",
        "blocking_in_event_loop",
        "serial_section",
    )
    shown = [
        row
        for row in document["ruled_out"]
        if row["code"] in (*near, "pure_delay", "gc_pauses", "rate_limited")
    ]
    lines += [f"- `{row['code']}`: {row['evidence']}" for row in shown[:5]]
    return "\n".join(lines) + "\n"


def write(name: str, text: str) -> None:
    """Replace what follows `## Measured` in the page."""
    page = PAGES / f"{name}.md"
    head = page.read_text().split("## Measured")[0].rstrip()
    page.write_text(f"{head}\n\n## Measured\n{text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", action="store_true", help="put what was seen into the pages")
    options = parser.parse_args()
    right = 0
    names = options.names or list(EXPECTED)
    for name in names:
        document = diagnose(name)
        codes = [f"{cause['code']}:{cause['certainty']}" for cause in document["causes"]]
        good = document["causes"][0]["code"] == EXPECTED[name][0]
        right += good
        print("ok " if good else "BAD", name, codes, f"{document['load_s']} s of load", flush=True)
        if options.write and good:
            write(name, measured(name, document))
    print(f"true cause first: {right} of {len(names)}")
    return 0 if right == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
