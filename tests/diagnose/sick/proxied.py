"""nginx in front of a small server, with or without kept connections between them: `KEEP=0 python proxied.py PORT`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

KEEP = os.environ.get("KEEP", "0") == "1"
CONFIG = """
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream api {{ server 127.0.0.1:{back}; {keepalive} }}
  server {{
    listen 127.0.0.1:{front} backlog=2048;
    keepalive_requests 1000000;
    location / {{ proxy_pass http://api; {headers} }}
  }}
}}
"""

if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        back = probe.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="sick-nginx-")
    text = CONFIG.format(
        folder=folder,
        front=int(sys.argv[1]),
        back=back,
        keepalive="keepalive 128;" if KEEP else "",
        headers='proxy_http_version 1.1; proxy_set_header Connection "";' if KEEP else "",
    )
    Path(folder, "nginx.conf").write_text(text)
    app = [sys.executable, "-m", "uvicorn", "tests.diagnose.sick.asgi:app", "--log-level", "warning"]
    backend = subprocess.Popen([*app, "--port", str(back)])
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", back)) == 0:
                break
    os.execvp("nginx", ["nginx", "-c", f"{folder}/nginx.conf"])
