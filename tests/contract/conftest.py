"""A platform on loopback to test the selector from outside: a real API server, real variants, real processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from warmfront.kube.resources import ENDPOINTSLICES, SERVICES
from warmfront.runtime.apiserver import ApiServer, write_kubeconfig
from warmfront.runtime.store import Store
from warmfront.wire.messages import Exchange
from warmfront.wire.server import Server

ROOT = Path(__file__).parents[2]
TOKEN = "test"
NAMESPACE = "default"


def label(exchange: Exchange) -> None:
    """What a variant answers unless told otherwise."""
    headers = [(b"content-type", b"application/json"), (b"warmfront-label", b"de"), (b"warmfront-execution-ms", b"1")]
    exchange.respond(200, headers, b'{"label":"de"}')


class Variant:
    """One variant: `answer` may be exchanged at any time, `seen` holds the exchanges it got."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answer: Callable[[Exchange], None] = label
        self.seen: list[Exchange] = []
        self.url = ""

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        self.answer(exchange)

    def reset(self) -> None:
        self.answer = label
        self.seen.clear()


class Platform:
    """An API server and variants on an event loop of their own thread."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.kubeconfig = folder / "kubeconfig"
        self.variants: dict[str, Variant] = {}
        self._servers: list[Server] = []
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.store = self._run(self._open())
        self._api = ApiServer(self.store, TOKEN)
        port = self._run(self._listen(self._api.handle))
        write_kubeconfig(self.kubeconfig, port=port, token=TOKEN)

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` on the platform's loop: the way to answer an exchange later."""
        self.loop.call_soon_threadsafe(function)

    def add(self, name: str, task: str, accuracy: float, protocols: str = "cloudevents,raw", url: str = "") -> Variant:
        """A ready variant with one replica; at `url` when given, else a server of its own."""
        variant = self.variants[name] = Variant(name)
        variant.url = url or f"http://127.0.0.1:{self._run(self._listen(variant.handle))}"
        self._run(self._publish(variant, task, accuracy, protocols))
        return variant

    def close(self) -> None:
        """Stop everything."""
        self._run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _open(self) -> Store:
        return Store(None)  # SQLite: on the thread that uses it

    async def _listen(self, handler: Callable[[Exchange], None]) -> int:
        server = Server(handler)
        self._servers.append(server)
        return await server.listen("127.0.0.1", 0)

    async def _stop(self) -> None:
        self._api.close()
        for server in self._servers:
            await server.close(0)
        self.store.close()

    async def _publish(self, variant: Variant, task: str, accuracy: float, protocols: str) -> None:
        name, revision = variant.name, f"{variant.name}-00001"
        profile = {"accuracy": accuracy, "latency_s": {"p50": 0.002, "p95": 0.004}, "memory_mb": 10}
        annotations = {"warmfront.dev/profile": json.dumps(profile), "warmfront.dev/protocols": protocols}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": {"warmfront.dev/task": task}}
        spec = {"template": {"spec": {"containers": [{"image": "dev.local/test:v1"}]}}}
        self.store.create(SERVICES, {"metadata": metadata | {"annotations": annotations}, "spec": spec})
        owner = {"kubernetes.io/service-name": f"{revision}-private"}
        endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}]
        slice_ = {"metadata": {"name": f"{revision}-private", "namespace": NAMESPACE, "labels": owner}}
        self.store.create(ENDPOINTSLICES, slice_ | {"addressType": "IPv4", "endpoints": endpoints})
        names = {"latestReadyRevisionName": revision, "latestCreatedRevisionName": revision}
        address = {"url": variant.url, "address": {"url": variant.url}}
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.store.set_status(SERVICES, NAMESPACE, name, names | address | ready)


class Reply:
    """One whole reply."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """A running selector behind one of the fronts."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        placed = [part.replace("$PORT", str(self.port)) for part in command]
        environ = os.environ | {"HOST": "127.0.0.1"} | environ | {"PORT": str(self.port)}
        self.process = subprocess.Popen(placed, env=environ, cwd=ROOT / "selector_fn")

    def wait_ready(self, within_s: float = 30.0) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if self.ask("GET", "/readyz").status == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.02)  # another process's socket: there is nothing to await
        raise AssertionError(f"not ready, exit status {self.process.poll()}")

    def open(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        connection = self.open()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): text for name, text in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def event(self, id_: str, data: bytes = b"hallo", **attributes: str) -> Reply:
        """POST a binary request event; None-valued attributes are left out."""
        fields = {"specversion": "1.0", "id": id_, "source": "/tests", "subject": "lang"}
        fields |= {"type": "dev.warmfront.inference.request"} | attributes
        headers = {f"ce-{name}": text for name, text in fields.items()} | {"content-type": "text/plain"}
        return self.ask("POST", "/", data, headers)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


SCRIPTS = Path(sys.executable).parent
COMMANDS = {
    "native": [sys.executable, "main.py"],
    "asgi": [sys.executable, "-m", "uvicorn", "main:app", "--port", "$PORT", "--log-level", "warning"],
    "flask": [str(SCRIPTS / "functions-framework"), "--target=handle"],
    "aio": [str(SCRIPTS / "functions-framework"), "--target=handle_async", "--asgi"],
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Task `lang`: `good` (0.9) is more accurate than `fair` (0.6). Task `faults`: two that tests may make fail, since
    a selector lets a failing one rest. Task `tensor`: one variant, Open Inference only.
    """
    platform = Platform(tmp_path_factory.mktemp("platform"))
    platform.add("good", "lang", 0.9)
    platform.add("fair", "lang", 0.6)
    platform.add("shaky", "faults", 0.9)
    platform.add("steady", "faults", 0.6)
    platform.add("tensors", "tensor", 0.8, "open-inference")
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def start(platform: Platform) -> Iterator[Callable[..., Front]]:
    """Start a front: `start("native", WARMFRONT_TOKEN="x")`."""
    fronts: list[Front] = []

    def start(kind: str, **environ: str) -> Front:
        front = Front(COMMANDS[kind], {"KUBECONFIG": str(platform.kubeconfig)} | environ)
        fronts.append(front)
        front.wait_ready()
        return front

    yield start
    for front in fronts:
        front.stop()
