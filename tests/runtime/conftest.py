"""Real function folders, started as real processes: a server of the standard library that does what its path says."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Self

import pytest

from warmfront.kube.resources import Resource, condition_of
from warmfront.runtime.revision import LiveRevision
from warmfront.runtime.runtime import Runtime, RuntimeSettings
from warmfront.wire.pool import Pool

BEGINNING = """
import http.server, json, os, pathlib, socketserver, sys, time

FOLDER = pathlib.Path(__file__).parent


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet a reply

    def reply(self, body=b"", status=200, **headers):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        print(*args[1:], flush=True)
"""
END = """
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
ECHO = """
if (FOLDER / "crashes").exists():  # so many starts are still to fail
    left = int((FOLDER / "crashes").read_text() or 0)
    if left:
        (FOLDER / "crashes").write_text(str(left - 1))
        sys.exit(f"cannot load the model, {left} to go")


class Handler(Answers):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/readyz":
            return self.reply(status=200 if not (FOLDER / "unready").exists() else 503)
        if self.path == "/crash":
            os._exit(3)
        if self.path.startswith("/hold"):  # until the test makes a file of that name
            (FOLDER / (self.path[1:] + ".seen")).touch()
            while not (FOLDER / self.path[1:]).exists():
                time.sleep(0.005)
        seen = {"pid": os.getpid(), "path": self.path, "headers": dict(self.headers), "env": dict(os.environ)}
        self.reply(json.dumps({**seen, "body": body.decode()}).encode())

    do_POST = do_GET


if (FOLDER / "gate").exists():  # no port is open before the test takes the gate away
    while (FOLDER / "gate").exists():
        time.sleep(0.005)
print("serving", flush=True)
"""


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[str, str], Path]:
    """Make the folder of an image below the root `tmp_path`: `folder_of("echo_fn", HANDLER)`.

    HANDLER is source with a class `Handler(Answers)`, which replies by `self.reply(body, status, **headers)`.
    """

    def make(name: str, handler: str) -> Path:
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        (folder / "server.py").write_text(BEGINNING + handler + END)
        (folder / "Procfile").write_text("web: python -S -E server.py\n")
        return folder

    return make


@pytest.fixture
def echo_fn(folder_of: Callable[[str, str], Path]) -> Path:
    """The folder of image `dev.local/echo-fn:v1`."""
    return folder_of("echo_fn", ECHO)


@pytest.fixture
def eventually() -> Callable[..., Coroutine[None, None, None]]:
    """Wait until a condition holds that only another process can bring about; fail after 20 s (or `within_s`)."""

    async def wait(condition: Callable[[], object], within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - another process has no event to wait for
                await asyncio.sleep(0.002)

    return wait


def manifest(name: str = "echo", *, annotations: dict[str, str] | None = None, **spec: object) -> dict[str, object]:
    """A Service of image `dev.local/echo-fn:v1` that starts at zero, with a window of 6 s and no burst capacity."""
    scaling = {"initial-scale": "0", "window": "6s", "target-burst-capacity": "0", **(annotations or {})}
    container = {"image": "dev.local/echo-fn:v1", "readinessProbe": {"httpGet": {"path": "/readyz"}}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "template": {
                "metadata": {
                    "annotations": {f"autoscaling.knative.dev/{key}": value for key, value in scaling.items()}
                },
                "spec": {"containers": [container], **spec},
            }
        },
    }


class World:
    """A running embedded Knative over the test's folder, with a client of its ingress."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = RuntimeSettings(
            root=root, state=root / "state", port=0, api_port=0, max_grace_s=5.0, max_replicas=3
        )
        self.runtime = Runtime(self.settings)
        self.pool = Pool()

    async def __aenter__(self) -> Self:
        await self.runtime.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runtime.stop()
        await self.pool.close()

    async def get(self, path: str = "/", *, host: str = "echo.default", method: str = "GET", headers=(), body=b""):
        """One request through the ingress."""
        url = f"http://{host}.localhost:{self.runtime.addresses.port}"
        return await self.pool.fetch(url, method, path, list(headers), body, timeout_s=60)

    def revision(self, name: str = "echo-00001") -> LiveRevision:
        """The live revision of that name."""
        found = self.runtime.data_plane.find("default", name)
        assert found is not None
        return found

    def condition(self, resource: Resource, name: str, kind: str) -> dict[str, str]:
        """A condition of an object in the store."""
        return condition_of(self.runtime.store.get(resource, "default", name), kind) or {}


@pytest.fixture
def world(tmp_path: Path, echo_fn: Path) -> World:
    """An embedded Knative whose root holds the echo function; enter it with `async with`."""
    return World(tmp_path)


@pytest.fixture
def service() -> Callable[..., dict[str, object]]:
    """Make the manifest of a Service."""
    return manifest


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Wait until a process is dead, reaped or not; fail after 20 s."""

    def wait(pid: int) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    return
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.002)
        raise AssertionError(f"process {pid} still runs")

    return wait
