"""Servers that the benchmarks start: nginx as constant upstream and as reverse proxy, and any Python process.

All listen on 127.0.0.1 only, keep their files in a temporary folder and are ended by their own process id.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Running

_REPLY = '{"outputs":[{"name":"label","data":["en"],"datatype":"BYTES","shape":[1]}],"model_name":"bench"}'
_MAIN = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_body_buffer_size 64k;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; default_type application/json;
  {http}
}}
"""
_CONSTANT = "server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 '{reply}'; }} }}"
_PROXY = """
  upstream backend {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; client_max_body_size 16m; client_body_buffer_size 2m;
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
"""
_GRPC_PROXY = """
  upstream backend {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024 http2; client_max_body_size 16m; client_body_buffer_size 2m;
    location / {{ grpc_pass grpc://backend; }} }}
"""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], within_s: float = 10.0, poll_s: float = 0.02) -> None:
    """Return when the port accepts; RuntimeError when the process ends or the time is over."""
    until = time.monotonic() + within_s
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(poll_s)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on port {port} (exit status {process.poll()})")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_process(
    arguments: list[str],
    port: int,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    *,
    poll_s: float = 0.02,
) -> Running:
    """Run a server and wait until it accepts on `port`; `env` is added to this process's."""
    process = subprocess.Popen(arguments, env=os.environ | (env or {}), cwd=cwd)
    try:
        wait_for(port, process, poll_s=poll_s)
    except BaseException:
        _stop(process)
        raise
    return Running(port=port, pid=process.pid, stop=lambda: _stop(process))


def _start_nginx(http: str, port: int) -> Running:
    folder = tempfile.TemporaryDirectory()
    user = "user root;" if os.geteuid() == 0 else ""
    config = Path(folder.name) / "nginx.conf"
    config.write_text(_MAIN.format(folder=folder.name, user=user, http=http))
    running = start_process(["nginx", "-p", folder.name, "-c", str(config), "-e", f"{folder.name}/error.log"], port)

    def stop() -> None:
        running.stop()
        folder.cleanup()

    return Running(port=port, pid=running.pid, stop=stop)


def start_nginx_constant() -> Running:
    """Nginx that answers every request with the same short JSON."""
    port = free_port()
    return _start_nginx(_CONSTANT.format(port=port, reply=_REPLY), port)


def start_nginx_proxy(upstream: int, *, grpc: bool = False) -> Running:
    """Nginx as reverse proxy with kept connections to 127.0.0.1:`upstream`; no body of up to 2 MB touches its disk."""
    port = free_port()
    return _start_nginx((_GRPC_PROXY if grpc else _PROXY).format(port=port, upstream=upstream), port)


def start_bare_proxy(upstream: int) -> Running:
    """Our own Server and Pool as a plain reverse proxy."""
    port = free_port()
    return start_process([sys.executable, "-m", "benchmarks.proxy", str(port), str(upstream)], port)
