"""A scenario on a real cluster, in a namespace of its own that is made for it and deleted with everything in it.

Needs the images selector-fn and dummy-model-fn on the cluster, and to run where the names of its Services resolve.
Replicas are followed by looking at pods several times a second.
"""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from warmfront.errors import Conflict, ServiceError, SetupError
from warmfront.experiments.live.dummies import Planned, service_name
from warmfront.experiments.live.player import Player, Progress
from warmfront.experiments.simulation.simulator import Run
from warmfront.kube.client import KubeClient
from warmfront.kube.connection import Connection
from warmfront.kube.deployment import KINDS, NAMESPACES
from warmfront.kube.files import load_manifests
from warmfront.kube.resources import SERVICES, Resource, condition_of
from warmfront.telemetry.records import ReplicaRow
from warmfront.wire.pool import Pool

PODS = Resource(group="", version="v1", plural="pods", kind="Pod")
_SERVICE, _REVISION = "serving.knative.dev/service", "serving.knative.dev/revision"
_FILES = ("base/rbac.yaml", "base/state.yaml", "components/keep-warm/role.yaml")
_BY_KIND = {kind.kind: kind for kind in KINDS}
_READY_S, _LOOK_S = 120.0, 0.25

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where on the cluster: the namespace to make, and the images as REGISTRY/NAME:TAG."""

    namespace: str
    registry: str
    tag: str

    def image(self, name: str) -> str:
        """The full name of an image."""
        return f"{self.registry}/{name}:{self.tag}"


async def run(planned: Planned, target: Target, changed: Progress) -> Run:
    """Rows as a simulation's. Raises SetupError when the namespace is there already or something does not get ready."""
    pool = Pool()
    client = KubeClient(Connection.load(), pool)
    try:
        async with _namespace(client, target.namespace):
            return await _play(client, planned, target, await _deploy(client, planned, target), changed)
    finally:
        await pool.close()


@contextlib.asynccontextmanager
async def _namespace(client: KubeClient, name: str) -> AsyncIterator[None]:
    try:
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    except Conflict:
        raise SetupError(f"namespace {name}: found it there already; wanted a new one, name another with -n") from None
    try:
        yield
    finally:
        await _delete(client, name)


async def _delete(client: KubeClient, namespace: str) -> None:
    """Delete it. An API server that does not answer is asked again for a while; then the namespace is left there."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_S):
            while True:
                with contextlib.suppress(ServiceError):
                    await client.ask("DELETE", NAMESPACES.path(None, namespace))
                    return
                await asyncio.sleep(1.0)


async def _deploy(client: KubeClient, planned: Planned, target: Target) -> str:
    """Everything applied and ready; the selector's URL."""
    selector = planned.selector()
    selector["spec"]["template"]["spec"]["containers"][0]["image"] = target.image("selector-fn")
    rights = [obj for file in _FILES for obj in load_manifests(planned.root / "knative" / file)]
    for obj in [*rights, *planned.variants(target.image("dummy-model-fn")), selector]:
        await client.create(_BY_KIND[obj["kind"]], _placed(obj, target.namespace))
    try:
        async with asyncio.timeout(_READY_S):
            while waiting := await _waiting(client, target.namespace):  # noqa: ASYNC110 - the API is asked, not told
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise SetupError(f"not ready after {_READY_S:.0f} s: {'; '.join(waiting)}") from None
    found = await client.get(SERVICES, target.namespace, "selector")
    url: str = found["status"]["url"]
    return url


def _placed(obj: Object, namespace: str) -> Object:
    """The object in the namespace, and the ServiceAccounts that it names too."""
    made = copy.deepcopy(obj)
    made["metadata"]["namespace"] = namespace
    for subject in made.get("subjects", []):
        subject["namespace"] = namespace
    return made


async def _waiting(client: KubeClient, namespace: str) -> list[str]:
    found, _ = await client.list(SERVICES, namespace)
    return [
        f"{obj['metadata']['name']}: {ready.get('message') or ready.get('reason') or 'not reconciled yet'}"
        for obj in found
        if (ready := condition_of(obj, "Ready") or {}).get("status") != "True"
    ]


async def _play(client: KubeClient, planned: Planned, target: Target, url: str, changed: Progress) -> Run:
    loop = asyncio.get_running_loop()
    player = Player(planned, url, "cluster", changed)
    watch = _Watch(client, target.namespace, planned)
    await watch.look()
    looking = loop.create_task(watch.run())
    try:
        await player.play()
        await asyncio.sleep(max(player.began_at + planned.scenario.duration_s - loop.time(), 0.0))
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    ended_at = loop.time()
    return Run(requests=player.rows, replicas=watch.rows(player.began_at, ended_at), end_s=ended_at - player.began_at)


@dataclass(slots=True)
class _Seen:
    variant: str
    revision: str
    requested_at: float
    ready_at: float | None = None
    gone_at: float | None = None


class _Watch:
    """Pods of the variants, as they were seen. A pod that is told to stop has stopped: it takes no more requests."""

    def __init__(self, client: KubeClient, namespace: str, planned: Planned) -> None:
        self._client, self._namespace, self._run_id = client, namespace, planned.run_id("cluster")
        self._truths = {service_name(truth.variant.name): truth for truth in planned.scenario.world.truths}
        self._seen: dict[str, _Seen] = {}

    async def run(self) -> None:
        """Look until cancelled. An API server that does not answer is asked again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            with contextlib.suppress(ServiceError):
                await self.look()

    async def look(self) -> None:
        """Once."""
        pods, _ = await self._client.list(PODS, self._namespace, labels=_SERVICE)
        now = asyncio.get_running_loop().time()
        there = set()
        for pod in pods:
            labels, uid = pod["metadata"]["labels"], pod["metadata"]["uid"]
            if labels[_SERVICE] not in self._truths or "deletionTimestamp" in pod["metadata"]:
                continue
            there.add(uid)
            seen = self._seen.setdefault(uid, _Seen(labels[_SERVICE], labels[_REVISION], now))
            if seen.ready_at is None and (condition_of(pod, "Ready") or {}).get("status") == "True":
                seen.ready_at = now
        for uid, seen in self._seen.items():
            if uid not in there and seen.gone_at is None:
                seen.gone_at = now

    def rows(self, began_at: float, ended_at: float) -> list[ReplicaRow]:
        """All replicas there were in the run; those still there end with it."""
        rows = []
        for seen in self._seen.values():
            truth = self._truths[seen.variant]
            stopped_s = (ended_at if seen.gone_at is None else seen.gone_at) - began_at
            ready_s = stopped_s if seen.ready_at is None else seen.ready_at - began_at
            if stopped_s > 0:
                rows.append(
                    ReplicaRow(
                        run_id=self._run_id, variant=truth.variant.name, revision=seen.revision,
                        requested_s=max(seen.requested_at - began_at, 0.0), ready_s=max(ready_s, 0.0),
                        stopped_s=stopped_s, cause="scale", memory_mb=truth.memory_mb,
                    )
                )  # fmt: skip
        return rows
