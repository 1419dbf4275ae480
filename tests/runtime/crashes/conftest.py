"""`warmfront up` as a process of its own that may be killed, with the test as producer and consumer of its Broker.

The manifests are those of `knative/`; a test adds variants played by `dummy_model_fn` and the Trigger to its own sink.
"""

import asyncio
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from warmfront.cloudevents import CloudEvent, decode, encode
from warmfront.kube.files import load_manifests
from warmfront.kube.manifests import TASK_LABEL
from warmfront.runtime.addresses import Addresses
from warmfront.wire.messages import Exchange
from warmfront.wire.pool import Pool
from warmfront.wire.server import Server

ROOT = Path(__file__).parents[3]
WARMFRONT = Path(sys.executable).with_name("warmfront")
PATIENCE_S = 30

Object = dict[str, Any]


class Sink:
    """A consumer: `answers` holds the ids of the reply events by the id of the request, in order of arrival.

    A delivery for which `holds` is true is heard and not acknowledged.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = defaultdict(list)
        self.events: list[CloudEvent] = []
        self.holds: Callable[[CloudEvent], bool] = lambda _: False
        self.status = 202
        self.url = ""
        self._more = asyncio.Event()

    def handle(self, exchange: Exchange) -> None:
        """One delivery."""
        event = decode(exchange.headers, exchange.body)
        self.events.append(event)
        self.answers[event.extensions.get("causationid", "")].append(event.id)
        self._more.set()
        if not self.holds(event):
            exchange.respond(self.status, [], b"" if self.status < 400 else b"broken")

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until what was delivered makes it true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._more.clear()
                await self._more.wait()

    async def answered(self, ids: Iterable[str], times: int = 1) -> None:
        """Wait until each of these requests has so many answers or more."""
        wanted = list(ids)
        try:
            await self.until(lambda: all(len(self.answers[id_]) >= times for id_ in wanted))
        except TimeoutError:
            lost = [id_ for id_ in wanted if len(self.answers[id_]) < times]
            raise AssertionError(f"{len(lost)} of {len(wanted)} requests are not answered: {lost[:20]}") from None


class World:
    """One state folder and the lives of the runtimes on it; enter it with `async with`."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.said: list[str] = []
        self.pool = Pool()
        self._file = folder / "manifests.yaml"
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._greeted = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._process is not None:
                self._process.terminate()
                assert await self._ended() == 0
        finally:
            print(*self.said, sep="\n")  # shown when the test fails
            await self.pool.close()
            await self._stack.aclose()

    async def sink(self) -> Sink:
        """A consumer of its own port, for as long as this world."""
        sink = Sink()
        server = Server(sink.handle)
        sink.url = f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}/"
        self._stack.push_async_callback(server.close, 0.0)
        return sink

    async def live(self, manifests: Sequence[Object] = ()) -> None:
        """Start `warmfront up` on the state folder, with these manifests or those of the life before."""
        if manifests:
            self._file.write_text(yaml.safe_dump_all(manifests))
        self._greeted.clear()
        self._process = await asyncio.create_subprocess_exec(
            WARMFRONT, "up", "--port", "0", "--root", ROOT, "--state", self.state, "-f", self._file,
            cwd=self._file.parent, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read(self._process))
        async with asyncio.timeout(PATIENCE_S):
            await self._greeted.wait()
        port = re.findall(r"^ingress .*:(\d+)$", "\n".join(self.said), re.MULTILINE)[-1]
        self.addresses = Addresses(port=int(port))

    async def die(self) -> None:
        """kill -9 of the runtime."""
        assert self._process is not None
        self._process.kill()
        assert await self._ended() == -9

    async def post(self, events: Iterable[CloudEvent]) -> None:
        """Give them to the Broker, thirty-two at a time, all accepted."""
        gate = asyncio.Semaphore(32)
        broker = self.addresses.broker("default", "default")

        async def send(event: CloudEvent) -> None:
            async with gate:
                reply = await self.pool.fetch(broker, "POST", "/default/default", *encode(event), timeout_s=30)
                assert reply.status == 202, reply.body

        async with asyncio.TaskGroup() as group:
            for event in events:
                group.create_task(send(event))

    async def metric(self, family: str) -> float:
        """A counter of the selector's, summed over its labels."""
        url = self.addresses.service("default", "selector")
        text = (await self.pool.fetch(url, "GET", "/metrics", [], b"", timeout_s=10)).body.decode()
        return sum(float(value) for value in re.findall(rf"^{family}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    def replicas(self, service: str = "") -> list[int]:
        """Process ids of the replicas that live, of one Service or of all."""
        ledgers = self.state.joinpath("replicas").glob("*.ledger")
        pids = [int(line.split()[0]) for ledger in ledgers for line in ledger.read_text().splitlines()]
        return [pid for pid in pids if not service or _variable(pid, "K_SERVICE") == service]

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.said.append(line.decode().rstrip())
            if "export KUBECONFIG=" in self.said[-1]:
                self._greeted.set()
        self._greeted.set()

    async def _ended(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        async with asyncio.timeout(PATIENCE_S):
            code = await self._process.wait()
            await self._reader
        self._process = None
        return code


def _variable(pid: int, name: str) -> str:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next((value for key, _, value in (entry.partition("=") for entry in environment) if key == name), "")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A state folder on which nothing runs yet."""
    return World(tmp_path)


@pytest.fixture
def project() -> Callable[..., list[Object]]:
    """The manifests of `knative/` with only those variants that are named.

    The Broker has no dead-letter sink: what nobody takes is kept, where a test finds it.
    """

    def manifests(*variants: str) -> list[Object]:
        objects = load_manifests(ROOT / "knative")
        for broker in (obj for obj in objects if obj["kind"] == "Broker"):
            broker["spec"]["delivery"].pop("deadLetterSink", None)
        return [obj for obj in objects if not is_variant(obj) or obj["metadata"]["name"] in variants]

    def is_variant(obj: Object) -> bool:
        return obj["kind"] == "Service" and TASK_LABEL in obj["metadata"].get("labels", {})

    return manifests


@pytest.fixture
def dummy() -> Callable[..., Object]:
    """Make a variant of task `dummy` that asks for nothing but its settings."""

    def manifest(name: str, *, accuracy: float, **settings: float) -> Object:
        variables = {"DUMMY_ACCURACY": accuracy, "THREADS": 128, **settings}
        container = {
            "image": "dev.local/dummy-model-fn:v1",
            "env": [{"name": key, "value": str(value)} for key, value in variables.items()],
            "readinessProbe": {"httpGet": {"path": "/readyz"}},
        }
        scaling = {"autoscaling.knative.dev/initial-scale": "0", "autoscaling.knative.dev/max-scale": "1"}
        profile = f'{{"accuracy": {accuracy}, "latency_s": {{"p50": 1, "p95": 2}}}}'
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "labels": {"warmfront.dev/task": "dummy"},
                "annotations": {"warmfront.dev/profile": profile},
            },
            "spec": {"template": {"metadata": {"annotations": scaling}, "spec": {"containers": [container]}}},
        }

    return manifest


@pytest.fixture
def trigger() -> Callable[..., Object]:
    """Make a Trigger of the default Broker: name, type of event, where to, and its delivery if not the Broker's."""

    def manifest(name: str, kind: str, url: str, **delivery: object) -> Object:
        spec = {"broker": "default", "filter": {"attributes": {"type": kind}}, "subscriber": {"uri": url}}
        return {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Trigger",
            "metadata": {"name": name},
            "spec": {**spec, **({"delivery": delivery} if delivery else {})},
        }

    return manifest
