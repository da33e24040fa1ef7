"""Bytes as people save them into plain text, and strings of the text made safe to show anywhere."""

from __future__ import annotations

import codecs
import re
from urllib.parse import unquote_plus

# CSI sequences (colours, cursor), OSC (titles, links), the other strings (Buildkite's time stamps are APC), the
# two-byte escapes, and CSI as `cat -v` shows it.
_ESCAPES = re.compile(
    r"(?:\x1b|\u241b)(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    r"|[PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])"
    r"|\x9b[0-?]*[ -/]*[@-~]|\^\[\[[0-9;?]*[A-Za-z]"
)
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_ASCII_CONTROLS = bytes({*range(32), 127} - set(b"\t\n"))
_SPACES = re.compile(r"[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@|^[^/?#\s:@]+:[^/?#\s@]*@")
_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|api[-_.]?key|access[-_.]?key|auth|signature|^sig$|credential|session|jwt|^key$",
    re.I,
)
_REMOVED = "***"
MAX_NAME = 2000  # characters kept of a string from the text; a URL longer than this says nothing more


def encoding_of(head: bytes) -> str:
    """The codec of a text that begins with `head`: UTF-16 and UTF-32 by their BOM, or UTF-16 by its zero bytes,
    UTF-8 otherwise."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[: min(len(head), 4096) & ~1]
    half = len(sample) // 2
    # Mostly ASCII in UTF-16 has a zero in every other byte and hardly any in the others.
    if half and sample[1::2].count(0) > 0.7 * half and sample[::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if half and sample[::2].count(0) > 0.7 * half and sample[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return "utf-8-sig"


def decode(data: bytes) -> str:
    """The whole of a text; bytes that are not of its encoding become U+FFFD."""
    return data.decode(encoding_of(data[:4096]), errors="replace")


def clean(text: str) -> str:
    """Line ends as \\n, no terminal escapes, no control or invisible characters, all kinds of space as " " or "\\t".

    Lines keep their numbers, counted as universal newlines; JSON stays what it was.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text or "\x9b" in text or "\u241b" in text or "^[[" in text:
        text = _ESCAPES.sub("", text)
    if text.isascii():
        plain = text.encode("ascii").translate(None, _ASCII_CONTROLS)
        return text if len(plain) == len(text) else plain.decode("ascii")
    return _SPACES.sub(" ", _CONTROLS.sub("", text))


def safe_name(name: str) -> str:
    """A string of the text that can go into any report: no control characters, no escapes, no lone surrogates, of
    bounded length. Escaping for HTML, Markdown or CSV is the business of each report."""
    name = _UNSAFE.sub("", _ESCAPES.sub("", name))
    return name if len(name) <= MAX_NAME else name[:MAX_NAME] + "…"


def safe_url(url: str) -> str:
    """`safe_name` of a URL without its secrets: `user:password@` goes, the values of query parameters that look like
    tokens, keys or passwords become ***."""
    url = _USERINFO.sub("", safe_name(url))
    start, mark, query = url.partition("?")
    if not mark:
        return url
    query, hash_mark, fragment = query.partition("#")
    return start + mark + "&".join(map(_safe_parameter, query.split("&"))) + hash_mark + fragment


def _safe_parameter(parameter: str) -> str:
    name, mark, value = parameter.partition("=")
    secret = bool(value) and _SECRET_NAME.search(unquote_plus(name)) is not None
    return name + mark + (_REMOVED if secret else value)
