"""A run's folder: `reports/<YYYYmmdd-HHMMSS>-<label>/`, and files that are whole or not there."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from headwind.errors import UsageError


def create(reports: Path, label: str) -> Path:
    """A new folder for one run. Raises UsageError where it cannot be written."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-.") or "run"
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{slug[:60]}"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = reports / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise UsageError(
            f"the reports cannot be written to {reports} ({error.strerror}); name another folder "
            "with --reports."
        ) from None
    raise UsageError(f"{reports} has a thousand runs called {name}; give this one another --label.")


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    """Write JSON; `indent` None puts it on one line, as suits a histogram of thousands of values."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write through a temporary name, so that a crash leaves the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
