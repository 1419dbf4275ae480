"""The stock `kn` against the control plane: a real server, a kubeconfig, and a stand-in for the data plane.

The stand-in does the one thing the control plane waits for: it reports every Revision ready, or not, by its image.
"""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from warmfront.runtime.addresses import Addresses
from warmfront.runtime.apiserver import ApiServer, write_kubeconfig
from warmfront.runtime.resources import BROKERS, REVISIONS, TRIGGERS, Json, Resource
from warmfront.runtime.serving import ServingController
from warmfront.runtime.store import Store, now_rfc3339
from warmfront.wire.messages import Exchange
from warmfront.wire.server import Server

TOKEN = "a-token-of-the-tests"
NO_FOLDER = (
    "no local folder for image dev.local/nowhere:v1: looked in functions/nowhere and nowhere; "
    "create it or use an image of dummy_model_fn"
)


def _ready(status: str, reason: str = "", message: str = "") -> Json:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"observedGeneration": 1, "conditions": [{**condition, "lastTransitionTime": now_rfc3339()}]}


class StandIn:
    """Marks what the control plane made as ready, as the data plane and eventing would."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for resource in (REVISIONS, BROKERS, TRIGGERS):
            store.subscribe(resource, self._mark(resource))

    def _mark(self, resource: Resource) -> Callable[[str, Json], None]:
        def mark(kind: str, obj: Json) -> None:
            if kind != "ADDED" or "status" in obj:
                return
            meta = obj["metadata"]
            status = _ready("True")
            if resource is REVISIONS and "nowhere" in obj["spec"]["containers"][0]["image"]:
                status = _ready("False", "ContainerMissing", NO_FOLDER)
            if resource is BROKERS:
                status["address"] = {"url": Addresses(port=1).broker(meta["namespace"], meta["name"])}
            if resource is TRIGGERS:
                status["subscriberUri"] = obj["spec"]["subscriber"].get("uri", "")
            self._store.set_status(resource, meta["namespace"], meta["name"], status)

        return mark


class ControlPlane:
    """Store, controller and API server on their own event loop in a thread, until `stop`."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = self.run(self._start())

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the loop and give its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    def stop(self) -> None:
        """End everything and wait for the thread."""
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> int:
        self.store = Store(None)
        StandIn(self.store)
        self._controller = ServingController(self.store, Addresses(port=8080))
        self._controller.start()
        self._api = ApiServer(self.store, TOKEN)
        self._server = Server(self._handle)
        return await self._server.listen("127.0.0.1", 0)

    async def _stop(self) -> None:
        self._api.close()
        await self._server.close(1.0)
        self._controller.stop()
        self.store.close()

    def _handle(self, exchange: Exchange) -> None:
        self.requests.append(f"{exchange.method} {exchange.path}?{exchange.query}")
        self._api.handle(exchange)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one kn command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.out)


@dataclass(slots=True, kw_only=True)
class Kn:
    """Runs the stock kn with a kubeconfig of its own."""

    binary: str
    home: Path
    plane: ControlPlane
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, ok: bool = True, stdin: str | None = None) -> Result:
        """Run one command; unless told otherwise it must succeed."""
        done = subprocess.run(
            [self.binary, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home,
            check=False,
        )
        seen = "\n".join(self.plane.requests[-12:])
        if ok:
            assert done.returncode == 0, f"kn {arguments}: {done.stdout}{done.stderr}\nlast requests:\n{seen}"
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="session")
def kn_binary() -> str:
    """The stock kn: environment variable KN, else the one on PATH."""
    found = os.environ.get("KN") or shutil.which("kn")
    if not found:
        pytest.skip("no kn: set KN to the path of the stock kn binary, or put kn on PATH")
    return found


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A fresh control plane with nothing in it."""
    plane = ControlPlane()
    yield plane
    plane.stop()


@pytest.fixture
def kn(kn_binary: str, plane: ControlPlane, tmp_path: Path) -> Kn:
    """The stock kn, pointed at the control plane by a kubeconfig that only this user can read."""
    config = tmp_path / "kubeconfig"
    write_kubeconfig(config, port=plane.port, token=TOKEN)
    environment = {"KUBECONFIG": str(config), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    return Kn(binary=kn_binary, home=tmp_path, plane=plane, environment=environment)
