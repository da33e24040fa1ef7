"""Where text comes from: a file, stdin, a run's folder. Whatever is wrong with it is one sentence."""

from __future__ import annotations

import codecs
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from headwind.errors import UnreadableError
from headwind.formats.exact import parse_line
from headwind.formats.text import encoding_of

STDIN = "-"
REPORT = "wrk.txt"
EXACT = "exact.jsonl"
DOCUMENT = "run.json"
CHUNK = 2**20  # bytes read at once from a long text
LONGEST_LINE = 2**23  # characters; a longer one is taken apart where it has an escaped line end, or anywhere


def is_folder(path: str | Path) -> bool:
    """Whether the path is a folder; False for stdin and for what no system takes as a path."""
    return str(path) != STDIN and os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def is_file(path: str | Path) -> bool:
    """Whether the path is a regular file; False for what no system takes as a path."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def read_at_most(handle: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes, waiting for them on a pipe."""
    parts = []
    while size > 0 and (part := handle.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def whole_lines(handle: BinaryIO, first: bytes) -> Iterator[tuple[str, bool]]:
    """A long text in pieces that end at a line's end: (text, whether it is the last). `first` was read already.

    A file that grows meanwhile is read as far as it was when reading began. Raises UnreadableError.
    """
    decoder = codecs.getincrementaldecoder(encoding_of(first[:4096]))(errors="replace")
    left = _size_left(handle)
    pending, data = "", first
    while True:
        text = pending + decoder.decode(data, final=not data)
        if not data:
            yield text, True
            return
        # A lone CR ends a line too; one at the very end may be half of a CR LF.
        end = text.rfind("\n") + 1 or text.rfind("\r", 0, -1) + 1
        if end:
            yield text[:end], False
        elif len(text) > LONGEST_LINE:
            end = text.rfind("\\n", 1) + 2 if "\\n" in text[1:] else len(text) - 1
            yield text[:end] + "\n", False
        pending = text[end:]
        try:
            data = read_at_most(handle, min(CHUNK, left))
        except OSError as error:
            raise UnreadableError(f"reading stopped halfway: {error.strerror}.") from None
        left -= len(data)


def _size_left(handle: BinaryIO) -> int:
    """How many bytes to read on: what the file has now, anything from a pipe."""
    try:
        status = os.fstat(handle.fileno())
        return max(0, status.st_size - handle.tell()) if stat.S_ISREG(status.st_mode) else sys.maxsize
    except (OSError, ValueError):  # not a real file: a test's, or one that is replaced
        return sys.maxsize


def open_binary(path: str | Path) -> tuple[BinaryIO, str]:
    """The open file and its name for messages; `-` is stdin. Raises UnreadableError."""
    if str(path) == STDIN:
        if sys.stdin is None or sys.stdin.isatty():  # None: the caller closed it
            raise UnreadableError(
                "nothing is piped in: give a file, or pipe a load tool's output into `headwind explain -`."
            )
        return sys.stdin.buffer, "<stdin>"
    try:
        handle = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    except (OSError, ValueError) as error:
        raise refused(path, error) from None
    if stat.S_ISDIR(os.fstat(handle.fileno()).st_mode):
        raise UnreadableError(f"{path} is a folder.")
    return handle, str(path)


def folder_parts(folder: Path) -> tuple[Path, ...]:
    """The files that tell a run folder's runs: `run.json` if it is there, else `wrk.txt`. Raises UnreadableError."""
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise refused(folder, error) from None
    found = tuple(folder / name for name in (DOCUMENT, REPORT) if name in names)
    if not found:
        raise UnreadableError(
            f"{folder} is a folder without {REPORT} or {DOCUMENT}: give a run's folder, or the files themselves."
        )
    return found


def exact_lines(folder: Path) -> list[dict[str, object]]:
    """The objects of a folder's `exact.jsonl`; half a last line (a crash) and any other that is no such object is
    left out. Raises UnreadableError where the file is there and may not be read."""
    text = text_beside(folder / EXACT)
    return [found for found in map(parse_line, (text or "").splitlines()) if found is not None]


def text_beside(path: Path) -> str | None:
    """A file of a run's folder; None where it is not there, or is a pipe, for which one would wait.
    Raises UnreadableError where it may not be read."""
    if not is_file(path):
        return None
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise refused(path, error) from None


def refused(path: str | Path, error: OSError | ValueError) -> UnreadableError:
    """The error that says in one sentence why the system does not let a path be read."""
    number = error.errno if isinstance(error, OSError) else None
    reasons = {
        errno.ENOENT: "is not there: check the path.",
        errno.EACCES: "cannot be read: this user has no permission.",
        errno.EISDIR: "is a folder.",
        errno.ENXIO: "is no file that can be read.",
    }
    why = error.strerror if isinstance(error, OSError) else error
    return UnreadableError(f"{path} {reasons.get(number or 0, f'cannot be read: {why}.')}")
