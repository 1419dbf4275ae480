"""Real function folders, started as real processes: a server of the standard library that does what its path says."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

SERVER = """
import http.server, json, os, pathlib, socketserver, sys, time

FOLDER = pathlib.Path(__file__).parent

if (FOLDER / "crashes").exists():  # so many starts are still to fail
    left = int((FOLDER / "crashes").read_text() or 0)
    if left:
        (FOLDER / "crashes").write_text(str(left - 1))
        sys.exit(f"cannot load the model, {left} to go")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/readyz":
            return self.reply(200 if not (FOLDER / "unready").exists() else 503, b"")
        if self.path == "/crash":
            os._exit(3)
        if self.path.startswith("/hold"):  # until the test makes a file of that name
            (FOLDER / (self.path[1:] + ".seen")).touch()
            while not (FOLDER / self.path[1:]).exists():
                time.sleep(0.005)
        seen = {"pid": os.getpid(), "path": self.path, "headers": dict(self.headers), "env": dict(os.environ)}
        self.reply(200, json.dumps({**seen, "body": body.decode()}).encode())

    do_POST = do_GET

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        print(*args[1:])


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


if (FOLDER / "gate").exists():  # no port is open before the test takes the gate away
    while (FOLDER / "gate").exists():
        time.sleep(0.005)
print("serving", flush=True)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def echo_fn(tmp_path: Path) -> Path:
    """The folder of image `dev.local/echo-fn:v1` below the root `tmp_path`."""
    folder = tmp_path / "functions" / "echo_fn"
    folder.mkdir(parents=True)
    (folder / "server.py").write_text(SERVER)
    (folder / "Procfile").write_text("web: python -S -E server.py\n")
    return folder


@pytest.fixture
def eventually() -> Callable[..., Coroutine[None, None, None]]:
    """Wait until a condition holds that only another process can bring about; fail after 20 s (or `within_s`)."""

    async def wait(condition: Callable[[], object], within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - another process has no event to wait for
                await asyncio.sleep(0.002)

    return wait
