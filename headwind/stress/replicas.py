"""`python -m headwind.stress.replicas --count 3 --port 8000 -- 'COMMAND'`: replicas of a server behind a native nginx.

Each replica gets a free port of its own for %PORT% in the command; nginx takes connections once all of them answer.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from headwind.errors import HeadwindError, MissingError
from headwind.stress.interrupt import Interrupt
from headwind.stress.target import Server, free_port, wait_ready

_PATIENCE_S = 60.0
_CONFIGURATION = """\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream replicas {{
    {servers}
    keepalive 256;
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }}
  }}
}}
"""


def configuration(folder: Path, port: int, ports: list[int]) -> str:
    """nginx's configuration: connections to the replicas are kept alive, since opening them would be measured too."""
    servers = "\n    ".join(f"server 127.0.0.1:{one};" for one in ports)
    return _CONFIGURATION.format(folder=folder, port=port, servers=servers)


def serve(command: str, count: int, port: int, interrupt: Interrupt) -> int:
    """Run until interrupted or something dies; the exit code. Raises MissingError without nginx."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise MissingError("nginx is not on this machine; install it: `apt install nginx-light`.")
    replicas: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="headwind-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        proxy = None
        try:
            ports = []
            for number in range(count):
                ports.append(free_port())
                one = command.replace("%PORT%", str(ports[-1]))
                replicas.append(Server(one, folder / f"replica-{number + 1}.log", workers=1))
            for replica, own in zip(replicas, ports, strict=True):
                wait_ready(f"http://127.0.0.1:{own}/", interrupt, patience_s=_PATIENCE_S, server=replica)
            file = folder / "nginx.conf"
            file.write_text(configuration(folder, port, ports))
            proxy = subprocess.Popen([nginx, "-p", str(folder), "-c", str(file)])
            while not interrupt.wait(0.1):
                for replica in replicas:
                    if death := replica.died():
                        raise MissingError(f"a replica died: {death}.")
                if proxy.poll() is not None:
                    return proxy.returncode
            return 0
        finally:
            if proxy and proxy.poll() is None:
                proxy.terminate()
                proxy.wait()
            for replica in replicas:
                replica.stop()


def main() -> int:
    """Start the copies and the proxy before them, and stay until told to stop; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("command")
    options = parser.parse_args()
    with Interrupt() as interrupt:
        try:
            return serve(options.command, options.count, options.port, interrupt)
        except HeadwindError as error:
            print(error, file=sys.stderr)
            return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
