"""A Broker with real sockets around it: server, pool, store, journal, and subscribers that answer as a test says."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest

from warmfront.cloudevents import CloudEvent, decode, encode
from warmfront.kube.resources import BROKERS, TRIGGERS
from warmfront.runtime.addresses import Addresses
from warmfront.runtime.eventing import Eventing
from warmfront.runtime.store import Store
from warmfront.wire.messages import Exchange
from warmfront.wire.pool import Pool
from warmfront.wire.server import Server

PATIENCE_S = 20
QUICK = {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT0.01S"}


def accept(exchange: Exchange, _: int) -> None:
    """The answer of a content subscriber."""
    exchange.respond(202, [])


class Subscriber:
    """A server that records every request; `answer(exchange, number)` replies, numbers count from 0."""

    def __init__(self, answer: Callable[[Exchange, int], None]) -> None:
        self.answer = answer
        self.requests: list[Exchange] = []
        self.url = ""
        self._more = asyncio.Event()

    def handle(self, exchange: Exchange) -> None:
        self.requests.append(exchange)
        self._more.set()
        self.answer(exchange, len(self.requests) - 1)

    @property
    def events(self) -> list[CloudEvent]:
        return [decode(request.headers, request.body) for request in self.requests]

    async def received(self, number: int) -> list[CloudEvent]:
        """All events, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.requests) < number:
                self._more.clear()
                await self._more.wait()
        return self.events


class World:
    """Eventing with its front door on a port of its own."""

    def __init__(self, tmp_path) -> None:
        self.store = Store(tmp_path / "store.db")
        self.pool = Pool()
        self._tmp_path = tmp_path
        self._servers: list[Server] = []
        self._ids = count()

    async def start(self, **options) -> None:
        server = Server(self._handle)
        self.port = await server.listen("127.0.0.1", 0)
        self._servers.append(server)
        self.addresses = Addresses(port=self.port)
        journal = self._tmp_path / "journal.db"
        self.eventing = Eventing(self.store, journal, self.pool, self.addresses, **options)
        await self.eventing.start()

    def _handle(self, exchange: Exchange) -> None:
        self.eventing.handle(exchange)

    async def stop(self) -> None:
        await self.eventing.stop()
        await self.pool.close()
        for server in self._servers:
            await server.close(0)
        self.store.close()

    async def subscriber(self, answer: Callable[[Exchange, int], None] = accept) -> Subscriber:
        subscriber = Subscriber(answer)
        server = Server(subscriber.handle)
        subscriber.url = f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}/"
        self._servers.append(server)
        return subscriber

    def broker(self, name: str = "default", **spec) -> None:
        self.store.create(BROKERS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})

    def trigger(self, name: str, subscriber: dict | Subscriber, **spec) -> None:
        if isinstance(subscriber, Subscriber):
            subscriber = {"uri": subscriber.url}
        spec = {"broker": "default", "subscriber": subscriber, **spec}
        self.store.create(TRIGGERS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})

    def event(self, **attributes) -> CloudEvent:
        return CloudEvent(**{"id": f"e{next(self._ids)}", "source": "/test", "type": "t", **attributes})

    async def post(self, headers, body=b"", *, path="/default/default", method="POST"):
        return await self.pool.fetch(f"http://127.0.0.1:{self.port}", method, path, headers, body, timeout_s=PATIENCE_S)

    async def send(self, event: CloudEvent | None = None) -> CloudEvent:
        """Send an event to the default Broker and see it accepted."""
        event = event or self.event()
        response = await self.post(*encode(event))
        assert (response.status, response.body) == (202, b"")
        return event

    def status(self, resource, name: str) -> tuple[dict, dict[str, dict]]:
        """(status, conditions by type) of an object in the default namespace."""
        status = self.store.get(resource, "default", name)["status"]
        return status, {condition["type"]: condition for condition in status["conditions"]}


@pytest.fixture
def run(tmp_path):
    """Runs a story: an async function that takes a started World."""

    @asynccontextmanager
    async def world(folder, **options):
        (tmp_path / folder).mkdir(exist_ok=True)
        world = World(tmp_path / folder)
        await world.start(**options)
        try:
            yield world
        finally:
            await world.stop()

    def runner(story, *, folder=".", **options):
        async def main():
            async with world(folder, **options) as w:
                await story(w)

        asyncio.run(main())

    return runner


@pytest.fixture
def eventually():
    """Waits until a condition holds that nothing announces."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  there is no event to wait for
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def quick() -> dict:
    """A delivery with three retries that follow at once or nearly."""
    return dict(QUICK)
