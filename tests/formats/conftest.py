"""After the tests: how many of the real outputs in $HEADWIND_CORPUS were read right, for each tool."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    files: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            tool = dict(report.user_properties).get("corpus_tool")
            if tool and report.when == "call":
                files[str(tool)] += 1
                right[str(tool)] += outcome == "passed"
    for tool, count in sorted(files.items()):
        terminalreporter.write_line(f"corpus: {tool}: {right[tool]} of {count} files right")
