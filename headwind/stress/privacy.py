"""Keeps user names, passwords and tokens out of files and process lists."""

from __future__ import annotations

import base64
import os
import re
import shlex
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headwind.errors import UsageError

MASK = "***"
_SHORTEST_SECRET = 4
_SECRET = re.compile(
    r"(?i)(pass|pwd|secret|token|credential|auth|session|signature|^sig$|(^|[_-])key$|apikey|^code$)"
)
_VALUE = r"(?P<value>'[^']*'|\"[^\"]*\"|[^\s'\"]+)"
_ASSIGNMENT = re.compile(rf"(?P<name>[A-Za-z_][\w-]*)(?P<sign>=){_VALUE}")
_OPTION = re.compile(rf"(?P<name>--?[A-Za-z][\w-]*)(?P<sign>=|\s+){_VALUE}")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>\w+))")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in two halves: what may be shown, and what has to reach the server unseen."""

    shown: str  # no user name, password or secret query value
    path: str | None  # path and query as the server must get them, where `shown` masks a part of them
    authorization: str | None  # value of the header for the URL's user name and password


def split_url(url: str) -> Address:
    """The showable URL, and the rest."""
    parts = urllib.parse.urlsplit(url)
    authorization = None
    if parts.username is not None:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    netloc = parts.netloc.rpartition("@")[2]
    query = "&".join(_masked_field(item) for item in parts.query.split("&")) if parts.query else ""
    path = None
    if query != parts.query:
        path = (parts.path or "/") + "?" + parts.query
    shown = urllib.parse.urlunsplit((parts.scheme, netloc, parts.path, query, ""))
    return Address(shown, path, authorization)


def _masked_field(item: str) -> str:
    name, equals, _value = item.partition("=")
    return f"{name}={MASK}" if equals and _SECRET.search(urllib.parse.unquote(name)) else item


def scrub(text: str) -> str:
    """A command line as it may be written down: values of options and variables with telling names are masked,
    and so are user names and passwords in URLs."""
    text = re.sub(r"(?<=://)[^/\s@'\"]+@", "", text)
    return _masked(_OPTION, _masked(_ASSIGNMENT, text))


def _masked(pattern: re.Pattern[str], text: str) -> str:
    """Mask the values of telling names. The search goes on within every other value: it may be a command line itself,
    as that of `--command`, or the next option, as after `--verbose`."""
    parts, place = [], 0
    while match := pattern.search(text, place):
        telling = _SECRET.search(match["name"])
        parts += [text[place : match.end("sign")], MASK if telling else ""]
        place = match.end() if telling else match.end("sign")
    return "".join([*parts, text[place:]])


def expand(value: str, environment: Mapping[str, str]) -> str:
    """A header value with `$NAME` and `${NAME}` replaced; raises UsageError for a name that is not set."""

    def looked_up(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        if name not in environment:
            raise UsageError(
                f"the environment variable {name}, which a --header uses, is not set; export it."
            )
        return environment[name]

    return _VARIABLE.sub(looked_up, value)


def secrets_of(url: str, headers: Mapping[str, str], environment: Mapping[str, str]) -> set[str]:
    """The texts that no file may hold: passwords and secret values of the URL, values of the variables that headers
    use, and values of headers with telling names. Shorter than four characters they would mask harmless text."""
    parts = urllib.parse.urlsplit(url)
    found = {parts.password or "", urllib.parse.unquote(parts.password or "")}
    if authorization := split_url(url).authorization:
        found.add(authorization.partition(" ")[2])
    for item in parts.query.split("&"):
        name, _, value = item.partition("=")
        if _SECRET.search(urllib.parse.unquote(name)):
            found |= {value, urllib.parse.unquote_plus(value)}
    for name, template in headers.items():
        found |= {
            environment.get(match["braced"] or match["plain"], "") for match in _VARIABLE.finditer(template)
        }
        if _SECRET.search(name) or name.lower() == "cookie":
            found.add(expand(template, environment))
    return {value for value in found if len(value) >= _SHORTEST_SECRET}


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask_file(path: Path, secrets: Iterable[str]) -> None:
    """Replace secrets in a file that another program wrote, line by line; nothing happens without a secret."""
    known = list(secrets)
    if not known or not path.exists():
        return
    draft = path.with_name(f".{path.name}.masked")
    with (
        path.open(encoding="utf-8", errors="surrogateescape") as source,
        draft.open("w", encoding="utf-8", errors="surrogateescape") as masked,
    ):
        masked.writelines(mask(line, known) for line in source)
    draft.replace(path)


def shown_header(name: str, template: str) -> str:
    """A header as it may be written down: `$NAME` stays, any other value is masked."""
    return f"{name}: {template if _VARIABLE.search(template) else MASK}"


def shown_command(words: list[str]) -> str:
    """A command line for people and files, quoted for a shell, without secrets."""
    # Word by word first: quoting a command line that has quotes itself hides where its values end.
    return scrub(relative(shlex.join([scrub(word) for word in words])))


def relative(text: str) -> str:
    """Paths below the working directory as relative ones: a home folder is a user's name."""
    return text.replace(f"{Path.cwd()}{os.sep}", "")
