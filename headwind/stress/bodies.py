"""Request bodies from files: one JSON body per line, or a CSV whose rows become objects."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

from headwind.errors import UsageError
from headwind.stress import folder


def as_lines(path: Path, into: Path | None) -> Path:
    """The file itself where it has one body per line; a CSV is written as such lines into the folder `into`
    (None: it is only checked, and stands for itself).

    Every row of a CSV becomes an object with the header's names; what reads as a JSON number, true, false or null is
    one, all else stays text. Raises UsageError for a CSV without rows, or with a row longer than its header.
    """
    if path.suffix.lower() != ".csv":
        return path
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="\0", restval="")
        lines = []
        try:
            for row in reader:
                if "\0" in row:
                    raise UsageError(
                        f"{path}, line {reader.line_num}: more cells than the header has names; quote the cell."
                    )
                values = {name: _value(text) for name, text in row.items()}
                lines.append(json.dumps(values, ensure_ascii=False))
        except (csv.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{path}, line {reader.line_num}: this is no CSV ({error}).") from None
    if not lines:
        raise UsageError(f"{path} has no rows under its header; give one request body per row.")
    if into is None:
        return path
    into.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    # Named by what is in it: files of one name from two folders stay two, and what another run reads is never changed.
    target = into / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"
    if not target.exists():
        folder.write_text(target, text)
    return target


def _value(text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=float.fromhex)  # NaN is text, as JSON has none
    except ValueError:
        return text
    # 007 or an object in a cell stay as they were written.
    return value if isinstance(value, int | float | bool) or value is None else text
