"""`headwind diagnose`: what limits this server, named in at most a minute of load."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headwind.commands.inputs import duration
from headwind.errors import Exit, HeadwindError, UsageError
from headwind.report import diagnosis as rendering
from headwind.stress import privacy, target
from headwind.stress.diagnose import Options, run
from headwind.stress.interrupt import Interrupt
from headwind.stress.plan import check_url
from headwind.stress.progress import Progress
from headwind.stress.requests import Request, require_wrk
from headwind.stress.server import in_own_network, ports_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `headwind diagnose`."""
    server = parser.add_argument_group("the server")
    server.add_argument(
        "--url", help="what to load; with --command or --pid a path is enough, and {port} stands for the port"
    )
    server.add_argument("--path", "--url-path", dest="path", help="the same for --url, as a path")
    server.add_argument(
        "--command",
        dest="server_command",
        metavar="'... {port}'",
        help="start this server, and stop it afterwards; the surest way, since more can be tried",
    )
    server.add_argument("--pid", type=int, help="a server that runs already, by its process id")
    server.add_argument("--port", type=int, help="for {port} (default: a free one)")
    server.add_argument(
        "--workers", type=int, help="for {workers} and WEB_CONCURRENCY (default: as the command says)"
    )
    server.add_argument(
        "--intervene",
        action="store_true",
        help="allow changes (affinity, workers) to a server that Headwind did not start; all are undone",
    )
    server.add_argument("--yes", action="store_true", help="load a server on another machine without asking")
    sent = parser.add_argument_group("what is sent")
    sent.add_argument("--method", help="default: GET, or POST with a body")
    sent.add_argument("--body", help="the request's body; @FILE reads it from a file")
    sent.add_argument("--header", action="append", default=[], metavar="'Name: $VARIABLE'")
    sent.add_argument("--script", type=Path, help="a wrk script that builds the requests")
    load = parser.add_argument_group("the load")
    load.add_argument("--connections", type=int, default=200, help="of the full load (default: %(default)s)")
    load.add_argument("--duration", default="60s", help="seconds of load in all (default: %(default)s)")
    load.add_argument("--quick", action="store_true", help="probes only: no intervention and no agent")
    out = parser.add_argument_group("the report")
    out.add_argument("--format", choices=["text", "json", "md", "html"], default="text")
    out.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead of to stdout")
    out.add_argument("--observations", type=Path, metavar="FILE", help="keep what was observed, as JSON")


def execute(options: argparse.Namespace) -> int:
    """Diagnose and report; 0 whatever the server suffers from."""
    if sys.platform != "linux":
        raise HeadwindError(
            "headwind diagnose reads Linux's /proc, which this system lacks; run it where the server runs on Linux."
        )
    require_wrk()
    request = request_of(options)
    settings = _settings(options, request)
    progress = Progress()
    with Interrupt() as interrupt:
        try:
            seen, found = run(settings, interrupt, progress.show)
        finally:
            progress.clear()
    if options.observations is not None:
        options.observations.write_text(json.dumps(seen.to_json()))
    _write(options, _rendered(found.to_json(), options.format))
    return Exit.DONE


def _rendered(document: dict[str, Any], kind: str) -> str:
    if kind == "json":
        return json.dumps(document, indent=2) + "\n"
    if kind == "html":
        from headwind.report import html  # charts take half a second to import

        return html.render(document)
    renderers = {"md": rendering.render_markdown, "text": rendering.render_text}
    return renderers[kind](document)


def _write(options: argparse.Namespace, text: str) -> None:
    if options.output is None:
        sys.stdout.write(text)
        return
    try:
        options.output.write_text(text)
    except OSError as error:
        raise UsageError(
            f"{options.output} cannot be written ({error.strerror}); choose another -o."
        ) from None


def _settings(options: argparse.Namespace, request: Request) -> Options:
    if options.workers is not None and options.workers < 1:
        raise UsageError("--workers must be at least 1.")
    if options.connections < 2:
        raise UsageError("--connections must be at least 2: a load is compared with half of it.")
    budget_s = duration(options.duration)
    if not 10 <= budget_s <= 600:
        raise UsageError("--duration is the load in all, from 10s to 600s; 60s is usual.")
    host = request.host
    if options.server_command is None and not options.yes and not target.is_local(host):
        raise UsageError(f"{host} is not this machine; add --yes if you are allowed to load it.")
    return Options(
        request=request,
        command=options.server_command,
        workers=options.workers,
        pid=options.pid,
        connections=options.connections,
        budget_s=budget_s,
        intervene=options.intervene,
        quick=options.quick,
    )


def request_of(options: argparse.Namespace) -> Request:
    """The request that the options describe; raises UsageError."""
    if options.url is None and options.server_command is None and options.pid is None:
        raise UsageError(
            "nothing to diagnose; give --url or --pid of a running server, or --command '... {port}'."
        )
    if options.script is not None and not options.script.is_file():
        raise UsageError(f"{options.script} is no file; give the path of a wrk script.")
    body = _body(options.body)
    headers = dict(map(_header, options.header))
    method = options.method or ("GET" if body is None else "POST")
    url = _url(options)
    address = privacy.split_url(url)
    if address.authorization is not None:
        headers.setdefault("Authorization", address.authorization)
        parts = urlsplit(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return replace(Request(url, method.upper(), body, headers, options.script))


def _body(text: str | None) -> str | None:
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text()
    except OSError as error:
        raise UsageError(
            f"{text[1:]} cannot be read ({error.strerror}); --body takes text or @FILE."
        ) from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or "\n" in text:
        raise UsageError(f"--header {name!r} is not 'Name: value'.")
    return name.strip(), privacy.expand(value.strip(), os.environ)


def _url(options: argparse.Namespace) -> str:
    """The whole URL, with the port where the server listens or will listen."""
    text = options.url or options.path or "/"
    whole = "://" in text
    port = options.port
    if whole:
        check_url(text)
    elif port is None and options.server_command is None and options.pid is None:
        raise UsageError(
            f"--url {text} names no server; give http://host:port/path, or --port, --pid or --command."
        )
    if port is None and whole and "{port}" not in text:
        port = urlsplit(text).port
    if port is None and options.server_command is not None:
        port = target.free_port()
    elif port is None and options.pid is not None:
        if in_own_network(options.pid):
            raise UsageError(
                f"process {options.pid} is in a container, where its port is not ours: "
                "give --url with the published port too."
            )
        ports = ports_of(options.pid)
        if not ports:
            raise UsageError(f"process {options.pid} listens on no port that can be seen; give --url too.")
        port = ports[0]
    if not whole:
        text = f"http://127.0.0.1:{port}/{text.lstrip('/')}"
    text = text.replace("{port}", str(port))
    if options.url and options.path:
        text = urlsplit(text)._replace(path=options.path, query="").geturl()
    parts = urlsplit(text)
    if options.server_command is not None and parts.port is None:
        text = parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
    return text
