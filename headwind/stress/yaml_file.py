"""A YAML file as nodes that know their lines; one that cannot be read is refused with the line."""

from __future__ import annotations

from pathlib import Path

import yaml

from headwind.errors import UsageError


def root_of(path: Path) -> yaml.Node | None:
    """The file's one node; None where it is empty. Raises UsageError naming the line and the reason."""
    text = _text_of(path)
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{path}, line {line}: this is no YAML ({error.reason}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{place}: this is no YAML ({getattr(error, 'problem', error)}).") from None
    except RecursionError:
        raise UsageError(f"{path}, line 1: lists and mappings lie too deep in one another.") from None
    return root


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the profile {path} cannot be read ({error.strerror}); check the path.") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: this is no text in UTF-8; save it as such.") from None
