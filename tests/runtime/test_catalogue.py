"""The live catalogue against the embedded API server: every change becomes one observation, and none is missed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from warmfront.domain import Observation
from warmfront.kube.catalogue import Catalogue
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.resources import ENDPOINTSLICES, PODAUTOSCALERS, SERVICES
from warmfront.runtime.apiserver import ApiServer
from warmfront.runtime.store import Store
from warmfront.wire.pool import Origin, Pool
from warmfront.wire.server import Server

TOKEN = "0f" * 16


@dataclass
class World:
    """An API server that can be taken down and brought up again, and what the catalogue said of it."""

    store: Store = field(default_factory=lambda: Store(None))
    seen: list[Observation] = field(default_factory=list)
    now: float = 100.0
    port: int = 0
    server: Server | None = None
    api: ApiServer | None = None
    catalogue: Catalogue | None = None

    async def api_up(self) -> None:
        """Listen, at the same port as before."""
        self.api = ApiServer(self.store, TOKEN)
        self.server = Server(self.api.handle)
        self.port = await self.server.listen("127.0.0.1", self.port)

    async def api_down(self) -> None:
        """Break every connection and listen no more."""
        assert self.api is not None
        assert self.server is not None
        self.api.close()
        await self.server.close(0.0)

    async def until(self, claim: Callable[[], bool]) -> None:
        """Wait for the claim to come true; the test fails after five seconds."""
        async with asyncio.timeout(5.0):
            while not claim():  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.005)

    @property
    def last(self) -> Observation:
        """The latest observation."""
        return self.seen[-1]

    def variant(self, name: str = "v", **labels: str) -> None:
        """A Service with the task label whose first revision is ready to start."""
        service = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default", "labels": {"warmfront.dev/task": "t"} | labels},
            "spec": {"template": {"spec": {"containers": [{"image": "dev.local/x:v1"}]}}},
        }
        self.store.create(SERVICES, service)
        self.store.set_status(SERVICES, "default", name, ready_status(f"{name}-00001"))

    def replicas(self, revision: str, ready: int, desired: int) -> None:
        """What the data plane publishes: a slice of ready endpoints and an autoscaler's wish."""
        piece = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{revision}-private-x",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": f"{revision}-private"},
            },
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}] * ready,
        }
        autoscaler = {
            "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
            "kind": "PodAutoscaler",
            "metadata": {"name": revision, "namespace": "default"},
            "spec": {},
        }
        for resource, obj in ((ENDPOINTSLICES, piece), (PODAUTOSCALERS, autoscaler)):
            if self.store.find(resource, "default", obj["metadata"]["name"]) is None:
                self.store.create(resource, obj)
            elif resource is ENDPOINTSLICES:
                self.store.replace(resource, obj)
        self.store.set_status(PODAUTOSCALERS, "default", revision, {"desiredScale": desired})


def ready_status(revision: str) -> dict[str, Any]:
    """A Service's status with this revision ready."""
    return {
        "latestCreatedRevisionName": revision,
        "latestReadyRevisionName": revision,
        "url": "http://v.default.localhost:1",
        "conditions": [{"type": "Ready", "status": "True"}],
    }


@asynccontextmanager
async def watched() -> AsyncIterator[World]:
    """A world whose catalogue is up and synchronised."""
    world = World()
    pool = Pool()
    await world.api_up()
    connection = Connection(origin=Origin.parse(f"http://127.0.0.1:{world.port}"), token=TOKEN)
    world.catalogue = Catalogue(KubeClient(connection, pool), "default", world.seen.append, clock=lambda: world.now)
    await world.catalogue.start()
    try:
        described = world.catalogue.describe
        await world.until(lambda: set(described().values()) == {"watching"})
        yield world
    finally:
        await world.catalogue.close()
        await pool.close()
        await world.api_down()


def play(story: Callable[[World], Awaitable[None]]) -> None:
    """Run a story in a watched world."""

    async def run() -> None:
        async with watched() as world:
            await story(world)

    asyncio.run(run())


def test_from_creation_to_deletion() -> None:
    """A variant appears cold, starts, is ready, sleeps again, and is gone when its Service is."""

    async def story(world: World) -> None:
        world.variant()
        await world.until(lambda: bool(world.seen) and world.last.available)
        assert (world.last.variant.name, world.last.variant.revision, world.last.ready) == ("v", "v-00001", 0)
        world.now = 107.0
        world.replicas("v-00001", ready=0, desired=1)
        await world.until(lambda: world.last.starting_at == (107.0,))
        world.now = 109.0
        world.replicas("v-00001", ready=1, desired=1)
        await world.until(lambda: world.last.ready == 1 and world.last.starting_at == ())
        world.replicas("v-00001", ready=0, desired=0)
        await world.until(lambda: world.last.ready == 0)
        world.store.delete(SERVICES, "default", "v")
        await world.until(lambda: world.last.gone)

    play(story)


def test_the_oldest_start_is_the_first_to_be_ready() -> None:
    """Of two starting replicas the younger one's instant is left when one is ready."""

    async def story(world: World) -> None:
        world.variant()
        world.now = 1.0
        world.replicas("v-00001", ready=0, desired=1)
        await world.until(lambda: bool(world.seen) and world.last.starting_at == (1.0,))
        world.now = 2.0
        world.replicas("v-00001", ready=0, desired=2)
        await world.until(lambda: world.last.starting_at == (1.0, 2.0))
        world.replicas("v-00001", ready=1, desired=2)
        await world.until(lambda: world.last.ready == 1)
        assert world.last.starting_at == (2.0,)

    play(story)


def test_relabelled_service_is_no_variant_any_more() -> None:
    """Taking the label away removes the variant, giving it another task moves it."""

    async def story(world: World) -> None:
        world.variant()
        await world.until(lambda: bool(world.seen) and world.last.available)
        world.store.merge(SERVICES, "default", "v", {"metadata": {"labels": {"warmfront.dev/task": "other"}}})
        await world.until(lambda: world.last.variant.task == "other")
        world.store.merge(SERVICES, "default", "v", {"metadata": {"labels": {"warmfront.dev/task": None}}})
        await world.until(lambda: world.last.gone)
        assert [o.variant.task for o in world.seen if o.gone][-1] == "other"

    play(story)


def test_a_new_revision_has_replicas_of_its_own() -> None:
    """Replicas of the old revision do not make the new one warm."""

    async def story(world: World) -> None:
        world.variant()
        world.replicas("v-00001", ready=1, desired=1)
        await world.until(lambda: bool(world.seen) and world.last.ready == 1)
        world.store.set_status(SERVICES, "default", "v", ready_status("v-00002"))
        await world.until(lambda: world.last.variant.revision == "v-00002")
        assert world.last.ready == 0

    play(story)


def test_what_changed_during_an_outage_is_caught_up_with() -> None:
    """The API server goes away; a variant is deleted, one created, one started meanwhile; all is known afterwards."""

    async def story(world: World) -> None:
        world.variant("a")
        world.variant("b")
        await world.until(lambda: {o.variant.name for o in world.seen if o.available} == {"a", "b"})
        await world.api_down()
        assert world.catalogue is not None
        described = world.catalogue.describe
        await world.until(lambda: all("connection lost" in said for said in described().values()))
        world.store.delete(SERVICES, "default", "a")
        world.variant("c")
        world.replicas("b-00001", ready=1, desired=1)
        await world.api_up()
        await world.until(lambda: set(described().values()) == {"watching"})
        latest = {observation.variant.name: observation for observation in world.seen}
        assert latest["a"].gone
        assert latest["b"].ready == 1
        assert latest["c"].available

    play(story)


def test_a_variant_that_cannot_be_read_says_why() -> None:
    """A broken annotation makes the variant unavailable with the rule; mending it makes it available."""

    async def story(world: World) -> None:
        world.variant()
        await world.until(lambda: bool(world.seen) and world.last.available)
        profile = "warmfront.dev/profile"
        world.store.merge(SERVICES, "default", "v", {"metadata": {"annotations": {profile: '{"accuracy": 7}'}}})
        await world.until(lambda: not world.last.available)
        assert "accuracy is 7.0; it must lie in [0, 1]" in world.last.reason
        world.store.merge(SERVICES, "default", "v", {"metadata": {"annotations": {profile: '{"accuracy": 0.7}'}}})
        await world.until(lambda: world.last.available)
        assert world.last.variant.profile.accuracy == 0.7

    play(story)


def test_a_mistake_in_whoever_listens_is_told_and_not_the_end(caplog) -> None:
    """An exception on the way to the selector is logged with its traceback; the observation comes again."""

    async def story(world: World) -> None:
        assert world.catalogue is not None
        taken, failures = world.seen.append, iter([ZeroDivisionError("a mistake")])

        def emit(observation: Observation) -> None:
            for failure in failures:
                raise failure
            taken(observation)

        world.catalogue._emit = emit
        world.variant()
        await world.until(lambda: bool(world.seen) and world.last.available)
        await world.until(lambda: set(world.catalogue.describe().values()) == {"watching"})

    play(story)
    (record,) = [record for record in caplog.records if "a mistake" in record.getMessage()]
    assert record.exc_info


def test_a_missing_permission_is_reported() -> None:
    """With a wrong token the catalogue says so for each kind, and what follows from it."""

    async def run() -> None:
        world = World()
        pool = Pool()
        await world.api_up()
        connection = Connection(origin=Origin.parse(f"http://127.0.0.1:{world.port}"), token="wrong")
        catalogue = Catalogue(KubeClient(connection, pool), "default", world.seen.append, clock=lambda: 0.0)
        await catalogue.start()
        await world.until(lambda: all("no permission" in said for said in catalogue.describe().values()))
        assert not catalogue.ready
        await catalogue.close()
        await pool.close()
        await world.api_down()

    asyncio.run(run())


def test_replicas_are_told_by_where_they_listen_themselves():
    """On one machine the slice's ports are the replicas'; on a cluster they are the proxy's: the container's counts.

    Replicas that are not ready yet, or no more, are told too; those of other revisions are not.
    """

    async def story(world: World) -> None:
        def piece(name: str, revision: str, addresses: list[str], ports: list[int]) -> dict[str, Any]:
            return {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "labels": {"kubernetes.io/service-name": f"{revision}-private"},
                },
                "endpoints": [{"addresses": [address], "conditions": {"ready": False}} for address in addresses],
                "ports": [{"name": f"p{port}", "port": port} for port in ports],
            }

        assert world.catalogue is not None
        known = world.catalogue.addresses
        assert known("s-00001", 8080) == frozenset()
        world.store.create(ENDPOINTSLICES, piece("other", "s-00002", ["10.0.0.9"], [8012]))
        world.store.create(ENDPOINTSLICES, piece("pods", "s-00001", ["10.0.0.5", "10.0.0.6"], [8012, 9090]))
        await world.until(lambda: known("s-00001", 8080) == {("10.0.0.5", 8080), ("10.0.0.6", 8080)})
        world.store.create(ENDPOINTSLICES, piece("here", "s-00003", ["127.0.0.1", "127.0.0.1"], [40001, 40002]))
        await world.until(lambda: known("s-00003", 8080) == {("127.0.0.1", 40001), ("127.0.0.1", 40002)})

    play(story)
