"""The request that a diagnosis sends: for wrk as a script, for the prober as bytes, and the same "
"for a certain 404."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from headwind.errors import MissingError, UsageError
from headwind.stress.generator import install_hint

_DUMP = """
local own = %s
if own ~= "" then dofile(own) end
local own_init = init
function init(args)
  if own_init then own_init(args) end
  local file = io.open(%s, "wb")
  for i = 1, %d do
    local text = request and request() or wrk.format()
    file:write(#text, "\\n", text)
  end
  file:close()
  os.exit(0)
end
"""
DISTINCT_REQUESTS = 64


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the API. `script`: a wrk Lua script that builds the requests instead."""

    url: str
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    script: Path | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def path(self) -> str:
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def at_port(self, port: int) -> Request:
        """The same request to another copy of the server."""
        parts = urlsplit(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = parts._replace(netloc=f"{host}:{port}").geturl()
        return Request(url, self.method, self.body, self.headers, self.script)

    def missing(self) -> bytes:
        """A GET of a path that no route has."""
        return self._format("GET", f"/headwind-{secrets.token_hex(6)}", None)

    def payloads(self) -> list[bytes]:
        """The bytes of the request; of up to 64 requests where a script builds them."""
        if self.script is not None:
            return self._dump()
        return [self._format(self.method, self.path, self.body)]

    def _format(self, method: str, path: str, body: str | None) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        headers = {"Host": f"{host}:{self.port}", **self.headers}
        data = b"" if body is None else body.encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            headers["Content-Length"] = str(len(data))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    def _dump(self) -> list[bytes]:
        """Let wrk itself run the script and write down what it would send."""
        with tempfile.TemporaryDirectory(prefix="headwind-") as folder:
            out, lua = Path(folder) / "requests", Path(folder) / "dump.lua"
            lua.write_text(_DUMP % (_lua(str(self.script)), _lua(str(out)), DISTINCT_REQUESTS))
            run = subprocess.run(
                ["wrk", "-t1", "-c1", "-d1s", "-s", str(lua), self.url],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
                env={**os.environ, **self.environment()},
            )
            if not out.exists():
                raise UsageError(
                    f"the wrk script built no request ({run.stderr.strip()[:200]}): try it with wrk alone"
                )
            return _split(out.read_bytes())

    def environment(self) -> dict[str, str]:
        """What the Lua side reads: headers stay out of the process list."""
        text = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return {"HEADWIND_HEADERS": text} if text else {}

    def wrk_script(self, folder: Path) -> Path | None:
        """The script that makes wrk send this request; written to `folder` where none was given."""
        if self.script is not None:
            return self.script.resolve()
        if self.body is None and self.method == "GET":
            return None
        lines = [f"wrk.method = {_lua(self.method)}"]
        if self.body is not None:
            lines.append(f"wrk.body = {_lua(self.body)}")
            if not any(name.lower() == "content-type" for name in self.headers):
                lines.append('wrk.headers["Content-Type"] = "application/json"')
        path = folder / "request.lua"
        path.write_text("\n".join(lines) + "\n")
        return path


def _lua(text: str) -> str:
    """`text` as a Lua string literal."""
    return (
        '"'
        + "".join(char if 32 <= ord(char) < 127 and char not in '"\\' else _escape(char) for char in text)
        + '"'
    )


def _escape(char: str) -> str:
    return "".join(f"\\{byte:03d}" for byte in char.encode())


def _split(raw: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        size = int(raw[at:end])
        found.append(raw[end + 1 : end + 1 + size])
        at = end + 1 + size
    return found


def require_wrk() -> None:
    """Raises MissingError where wrk is not on the path."""
    if shutil.which("wrk") is None:
        raise MissingError(f"wrk is not on PATH; install it: `{install_hint()}`.")
