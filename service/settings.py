"""Settings from the environment, checked at start: a wrong one is one sentence, never a traceback."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from service.artifact import ARTIFACT


class SettingsError(ValueError):
    """A setting cannot be used; the message is one sentence that names it and what it accepts."""


def _number(help_text: str, default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"help": help_text, "low": low, "high": high})


def _choice(help_text: str, default: str, *accepted: str) -> Any:
    return field(default=default, metadata={"help": help_text, "accepted": accepted})


def _text(help_text: str, default: object) -> Any:
    return field(default=default, metadata={"help": help_text})


def _url(help_text: str, default: str, *schemes: str) -> Any:
    return field(default=default, metadata={"help": help_text, "schemes": schemes})


@dataclass(frozen=True, slots=True)
class Settings:
    """One field a setting; the environment variable is the field's name in capitals."""

    host: str = _text("address to listen on", "127.0.0.1")
    port: int = _number("port to listen on", 8000, 1, 65535)
    workers: int = _number("worker processes", os.cpu_count() or 1, 1, 64)
    model_path: Path = field(default=ARTIFACT, metadata={"help": "the model file that `make train` writes"})
    server_loop: str = _choice("event loop", "asyncio", "asyncio", "uvloop")
    backlog: int = _number("connections that may wait to be accepted", 4096, 1, 65535)
    keepalive_s: int = _number("seconds an idle connection is kept", 75, 1, 3600)
    request_timeout_s: float = _number("seconds a client has to send a whole request", 10, 0.1, 3600)
    graceful_timeout_s: int = _number("seconds accepted requests have on stop and reload", 30, 1, 3600)
    max_body_bytes: int = _number("largest accepted body", 262144, 256, 2**30)
    fast_lane: str = _choice("answer POST /v1/prediction in front of FastAPI", "on", "on", "off")
    batch_wait_ms: float = _number("longest wait for a batch to fill; 0 is the loop's next turn", 0, 0, 1000)
    max_batch: int = _number("flights predicted in one call", 256, 1, 10000)
    max_queue: int = _number("flights that may wait in a worker; more are answered 503", 5000, 1, 1000000)
    max_wait_ms: float = _number("expected wait above which a worker answers 503", 250, 1, 60000)
    cache_entries: int = _number("answers remembered a worker; 0 is off", 0, 0, 10000000)
    serving: str = _choice("where the model runs", "inprocess", "inprocess", "queue")
    redis_url: str = _url(
        "Redis for SERVING=queue", "redis://127.0.0.1:6379/0", "redis://", "rediss://", "unix://"
    )
    heartbeat_file: str = _text("file that a model worker touches every second, for a healthcheck", "")
    deadline_ms: float = _number(
        "longest an accepted flight may wait before it is answered 503", 2000, 10, 60000
    )
    access_log: str = _choice(
        "structured access log: answers, or accepted requests too", "off", "off", "on", "all"
    )
    log_level: str = _choice("verbosity of the server's log", "info", "debug", "info", "warning", "error")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises `SettingsError`; an empty variable counts as unset."""
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = environment.get(setting.name.upper(), "").strip()
            if text:
                values[setting.name] = _parse(setting.name.upper(), text, setting.type, setting.metadata)
        return cls(**values)


def _parse(name: str, text: str, kind: Any, metadata: Mapping[str, Any]) -> object:
    if "accepted" in metadata:
        if text.lower() not in metadata["accepted"]:
            raise SettingsError(f"{name}={text!r} is not known: use {' or '.join(metadata['accepted'])}.")
        return text.lower()
    if "schemes" in metadata:
        return _checked_url(name, text, metadata["schemes"])
    if kind is Path:
        return Path(text)
    if kind is str:
        return text
    low, high = metadata["low"], metadata["high"]
    try:
        number = kind(text)
        if not low <= number <= high:
            raise ValueError
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{name}={text!r} must be {noun} from {low} to {high}.") from None
    return number


def _checked_url(name: str, text: str, schemes: Sequence[str]) -> str:
    """What redis-py can use; no sentence repeats the URL, which may hold a password."""
    example = f"{schemes[0]}127.0.0.1:6379/0"
    try:
        usable = text.startswith(tuple(schemes)) and urlsplit(text).port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f"{name} must be a URL that begins with {' or '.join(schemes)}, as in {example}.")
    from redis import Redis

    try:
        # Made, not opened: this is where redis-py looks at its options.
        Redis.from_url(text).connection_pool.make_connection()
    except (TypeError, ValueError):
        raise SettingsError(
            f"{name} has a database number or an option after the ? that redis-py does not know: "
            f"write it as in {example}."
        ) from None
    return text


def table() -> str:
    """The settings as Markdown rows, for the documentation and its test."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for setting in fields(Settings):
        default = setting.default
        if setting.name == "workers":
            default = "the number of cores"
        if isinstance(default, Path):
            default = "the committed artifact"
        meaning = setting.metadata["help"]
        if "accepted" in setting.metadata:
            meaning += " (" + ", ".join(f"`{value}`" for value in setting.metadata["accepted"]) + ")"
        elif "schemes" in setting.metadata:
            meaning += " (" + ", ".join(f"`{scheme}`" for scheme in setting.metadata["schemes"]) + ")"
        elif "low" in setting.metadata:
            meaning += f" ({setting.metadata['low']} to {setting.metadata['high']})"
        rows.append(f"| `{setting.name.upper()}` | {default} | {meaning} |")
    return "\n".join(rows)
