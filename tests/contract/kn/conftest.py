"""The stock `kn`, unchanged, against the whole embedded Knative and this project's own function folders."""

import asyncio
import http.client
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from warmfront.kube.resources import ENDPOINTSLICES, Json
from warmfront.runtime.runtime import Runtime, RuntimeSettings

ROOT = Path(__file__).parents[3]


class Plane:
    """The embedded Knative on an event loop in a thread, from its making until `stop`."""

    def __init__(self, state: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        settings = RuntimeSettings(root=ROOT, state=state, port=0, api_port=0, drain_s=1.0, max_grace_s=2.0)
        self.runtime = Runtime(settings)
        self._run(self.runtime.start())

    @property
    def port(self) -> int:
        """The ingress' port."""
        return self.runtime.addresses.port

    def stop(self) -> None:
        """End everything and wait for the thread."""
        try:
            self._run(self.runtime.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def ask(self, host: str, body: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """POST through the ingress as a client that resolves `*.localhost` does: status and body of the reply."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/", body, {"host": f"{host}.localhost:{self.port}", **(headers or {})})
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def replicas(self, revision: str) -> "queue.Queue[tuple[float, int]]":
        """(instant, number of ready replicas) of a revision, now and at every change from now on."""
        changes: queue.Queue[tuple[float, int]] = queue.Queue()
        last = -1

        def look(_: str, piece: Json) -> None:
            nonlocal last
            if piece["metadata"]["name"] == f"{revision}-private" and len(piece["endpoints"]) != last:
                last = len(piece["endpoints"])
                changes.put((time.monotonic(), last))

        self._loop.call_soon_threadsafe(self.runtime.store.subscribe, ENDPOINTSLICES, look)
        return changes

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)


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
    plane: Plane
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
        if ok:
            assert done.returncode == 0, f"kn {arguments}: {done.stdout}{done.stderr}"
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)

    def url(self, name: str, namespace: str = "default") -> str:
        """What the URL of a Service must be."""
        return f"http://{name}.{namespace}.localhost:{self.plane.port}"


@pytest.fixture(scope="session")
def kn_binary() -> str:
    """The stock kn: environment variable KN, else the one on PATH. WARMFRONT_REQUIRE_KN forbids to go without."""
    found = os.environ.get("KN") or shutil.which("kn")
    if found:
        return found
    remedy = "no kn: set KN to the path of the stock kn binary, or put kn on PATH"
    if os.environ.get("WARMFRONT_REQUIRE_KN"):
        pytest.fail(f"{remedy}; WARMFRONT_REQUIRE_KN is set, so these tests must not be skipped")
    pytest.skip(remedy)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """A fresh embedded Knative with nothing in it."""
    plane = Plane(tmp_path / "state")
    yield plane
    plane.stop()


@pytest.fixture
def kn(kn_binary: str, plane: Plane, tmp_path: Path) -> Kn:
    """The stock kn, pointed at the embedded Knative by a copy of the kubeconfig that it wrote."""
    config = tmp_path / "kubeconfig"
    shutil.copy(plane.runtime.kubeconfig, config)
    environment = {"KUBECONFIG": str(config), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    return Kn(binary=kn_binary, home=tmp_path, plane=plane, environment=environment)
