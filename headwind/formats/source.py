"""Where text comes from: a file, stdin, a run's folder. Whatever is wrong with it is one sentence."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from headwind.errors import UnreadableError
from headwind.formats.exact import parse_line

STDIN = "-"
REPORT = "wrk.txt"
EXACT = "exact.jsonl"
DOCUMENT = "run.json"


def open_binary(path: str | Path) -> tuple[BinaryIO, str]:
    """The open file and its name for messages; `-` is stdin. Raises UnreadableError."""
    if str(path) == STDIN:
        if sys.stdin.isatty():
            raise UnreadableError(
                "nothing is piped in: give a file, or pipe a load tool's output into `headwind explain -`."
            )
        return sys.stdin.buffer, "<stdin>"
    try:
        handle = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    except (OSError, ValueError) as error:
        raise UnreadableError(_sentence(path, error)) from None
    if stat.S_ISDIR(os.fstat(handle.fileno()).st_mode):
        raise UnreadableError(f"{path} is a folder.")
    return handle, str(path)


def folder_parts(folder: Path) -> tuple[Path, ...]:
    """The files that tell a run folder's runs: `run.json` if it is there, else `wrk.txt`. Raises UnreadableError."""
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise UnreadableError(_sentence(folder, error)) from None
    found = tuple(folder / name for name in (DOCUMENT, REPORT) if name in names)
    if not found:
        raise UnreadableError(
            f"{folder} is a folder without {REPORT} or {DOCUMENT}: give a run's folder, or the files themselves."
        )
    return found


def exact_lines(folder: Path) -> list[dict[str, object]]:
    """The objects of a folder's `exact.jsonl`; half a last line (a crash) and anything else unreadable is left out."""
    try:
        lines = (folder / EXACT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [found for found in map(parse_line, lines) if found is not None]


def _sentence(path: str | Path, error: OSError | ValueError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    reasons = {
        errno.ENOENT: "is not there: check the path.",
        errno.EACCES: "cannot be read: this user has no permission.",
        errno.EISDIR: "is a folder.",
        errno.ENXIO: "is no file that can be read.",
    }
    return f"{path} {reasons.get(number or 0, f'cannot be read: {error}.')}"
