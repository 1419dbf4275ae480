"""Carries a deployment out: makes the parts, phase by phase, then waits until each is Ready; or takes them away again.

What lives here: processes of kn, requests to the API, time. What must not: what to make (deployment.py), how it looks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from math import inf

from warmfront.errors import Conflict, Gone, NotFound, SetupError, Unauthorized, UpstreamFailed, WarmfrontError
from warmfront.kube import kn as words
from warmfront.kube.client import KubeClient
from warmfront.kube.deployment import DEPLOYED_LABEL, KINDS, KNATIVE, NAMESPACES, Part, Step, plan
from warmfront.kube.kn import Kn
from warmfront.kube.resources import REVISIONS, SERVICES, Json, Resource, labels_of
from warmfront.kube.troubles import of_pods, remedy, standing

#: Knative says False for moments while parts of an object come up; this long is longer.
_FALSE_S = 10.0
_PODS_S = 5.0
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff")
_RELIST_S = 0.5
#: A Trigger is Ready, then not, then Ready again while its Service comes up: all must be Ready together, for this long.
_SETTLE_S = 1.0
_PARALLEL = 4
_SERVICE_LABEL = "serving.knative.dev/service"
_PODS = Resource(group="", version="v1", plural="pods", kind="Pod", short=("po",))


class Phase(Enum):
    """How far one object is."""

    PENDING = "pending"
    APPLYING = "applying"
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(slots=True, kw_only=True)
class Row:
    """One part and how far it is. Knative says False since `false_at`, its pods cannot start since `stuck_at`."""

    part: Part
    phase: Phase = Phase.PENDING
    message: str = ""
    remedy: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    false_at: float | None = None
    stuck_at: float | None = None

    def seconds(self, now: float) -> float:
        """Since its turn came; 0 before."""
        return 0.0 if self.started_at is None else (self.ended_at or now) - self.started_at


class Rollout:
    """One deployment on its way. `rows` may be read at any time; `on_change` is called with each row that changes."""

    def __init__(
        self, parts: Sequence[Part], namespace: str, client: KubeClient, kn: Kn, on_change: Callable[[Row], None]
    ) -> None:
        self.rows = [Row(part=part) for part in parts]
        self._namespace = namespace
        self._client = client
        self._kn = kn
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(_PARALLEL)

    async def run(self, live: "Live", *, timeout_s: float) -> bool:
        """Make everything and wait for Ready; whether all of it is. What went wrong is in the rows."""
        now = asyncio.get_running_loop().time
        until = now() + timeout_s
        for phase in sorted({row.part.phase for row in self.rows}):
            await asyncio.gather(*(self._make(row, live) for row in self.rows if row.part.phase == phase))
            if any(row.phase is Phase.FAILED for row in self.rows):
                break
        for row in self.rows:
            if row.phase is Phase.PENDING:
                self._end(row, Phase.SKIPPED, "not tried, for something before it failed")
        await self._wait(until)
        return not any(row.phase is Phase.FAILED for row in self.rows)

    async def _make(self, row: Row, live: "Live") -> None:
        part = row.part
        if part.resource not in live.kinds:
            self._end(row, Phase.SKIPPED, f"this API server has no {part.resource.kind}; nothing here needs it")
            return
        async with self._places:
            self._turn(row, Phase.APPLYING)
            try:
                await self._take(plan(part, live.objects.get(part.label)))
            except WarmfrontError as error:
                self._fail(row, str(error))
                return
        if part.resource in KNATIVE:
            self._turn(row, Phase.WAITING)
        else:
            self._end(row, Phase.READY)

    async def _take(self, step: Step) -> None:
        part = step.part
        if step.command is not None:
            await self._kn.run(step.command)
        elif step.create is not None:
            await self._client.create(part.resource, step.create)
        elif step.patch is not None:
            await self._client.merge(part.resource, self._namespace, part.name, step.patch)
        if step.mark:
            mark = {"metadata": {"labels": {DEPLOYED_LABEL: "true"}}}
            await self._client.merge(part.resource, self._namespace, part.name, mark)

    async def _wait(self, until: float) -> None:
        followers = [asyncio.create_task(self._follow(kind)) for kind in {row.part.resource for row in self._waiting()}]
        followers.append(asyncio.create_task(self._follow_pods()))
        now = asyncio.get_running_loop().time
        try:
            while self._waiting() or now() < self._settled_at():
                await self._change(until)
                if any(row.phase is Phase.FAILED for row in self.rows):
                    until = min(until, now() + _FALSE_S)
                await self._expire(until)
                for follower in followers:
                    if follower.done():
                        follower.result()  # it ends only by an error, such as a permission withdrawn
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)

    async def _change(self, until: float) -> None:
        """Until a row changes, or its patience or ours ends."""
        due = [until, *map(self._patience, self._waiting())] if self._waiting() else [self._settled_at()]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(due)):
                await self._changed.wait()
        self._changed.clear()

    def _patience(self, row: Row) -> float:
        """When a row that is not Ready has failed. Brokers and Triggers need Services, so their time begins later."""
        since = [at for at in (row.false_at, row.stuck_at) if at is not None]
        if not since:
            return inf
        if row.part.resource is SERVICES:
            return min(since) + _FALSE_S
        services = [one for one in self._watched() if one.part.resource is SERVICES]
        if any(one.phase is Phase.WAITING for one in services):
            return inf
        return max([*since, *(one.ended_at or 0.0 for one in services)]) + _FALSE_S

    def _settled_at(self) -> float:
        ready = [row.ended_at for row in self._watched() if row.phase is Phase.READY and row.ended_at is not None]
        return max(ready, default=0.0) + _SETTLE_S

    async def _expire(self, until: float) -> None:
        now = asyncio.get_running_loop().time()
        for row in self._waiting():
            if now >= min(until, self._patience(row)):
                late = f"not Ready after {row.seconds(now):.0f} s ({row.message or 'it says nothing'})"
                pods = "" if row.false_at else await self._pods_of(row.part)
                self._fail(row, row.message if row.false_at else pods or late)

    async def _follow_pods(self) -> None:
        """Knative is silent about an image that cannot be had or a start that fails until its own deadline, minutes."""
        while True:
            await asyncio.sleep(_PODS_S)
            for row in self._waiting():
                said = await self._pods_of(row.part) if row.part.resource is SERVICES else ""
                if not said.startswith(_STUCK):
                    row.stuck_at = None
                elif row.stuck_at is None:
                    row.stuck_at = asyncio.get_running_loop().time()
                    row.message = said
                    self._changed.set()
                    self._on_change(row)

    async def _pods_of(self, part: Part) -> str:
        try:
            pods, _ = await self._client.list(_PODS, self._namespace, labels=f"{_SERVICE_LABEL}={part.name}")
        except WarmfrontError:  # an embedded API has none, a user may not see them
            return ""
        return of_pods(pods)

    async def _follow(self, resource: Resource) -> None:
        """Keep the rows of one kind up to date, over broken watches and a restarted API server."""
        while True:
            with suppress(Gone, UpstreamFailed):
                objects, since = await self._client.list(resource, self._namespace)
                for obj in objects:
                    self._see(resource, obj)
                async for kind, obj in self._client.watch(resource, self._namespace, since=since):
                    if kind in {"ADDED", "MODIFIED"}:
                        self._see(resource, obj)
            await asyncio.sleep(_RELIST_S)

    def _see(self, resource: Resource, obj: Json) -> None:
        name = obj["metadata"]["name"]
        row = next((row for row in self._watched() if row.part.resource is resource and row.part.name == name), None)
        if row is None:
            return
        ready, said = standing(obj)
        if ready:
            if row.phase is Phase.WAITING:
                self._end(row, Phase.READY)
            return
        if ready is None:
            row.false_at = None
        elif row.false_at is None:
            row.false_at = asyncio.get_running_loop().time()
        if row.phase is Phase.READY or said != row.message:
            row.phase, row.message, row.ended_at = Phase.WAITING, said, None
            self._on_change(row)
        self._changed.set()

    def _watched(self) -> list[Row]:
        """Rows that may become Ready, and cease to be."""
        phases = (Phase.WAITING, Phase.READY)
        return [row for row in self.rows if row.phase in phases and row.part.resource in KNATIVE]

    def _waiting(self) -> list[Row]:
        return [row for row in self.rows if row.phase is Phase.WAITING]

    def _turn(self, row: Row, phase: Phase) -> None:
        row.phase = phase
        if row.started_at is None:
            row.started_at = asyncio.get_running_loop().time()
        self._on_change(row)

    def _end(self, row: Row, phase: Phase, message: str = "") -> None:
        row.phase, row.message = phase, message
        row.ended_at = asyncio.get_running_loop().time()
        self._changed.set()
        self._on_change(row)

    def _fail(self, row: Row, message: str) -> None:
        part = row.part
        row.remedy = remedy(part.resource.kind, self._namespace, part.name, message)
        self._end(row, Phase.FAILED, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a namespace holds: the kinds that the API server has, and their objects by `kind/name`."""

    kinds: frozenset[Resource]
    objects: dict[str, Json]


async def look(client: KubeClient, namespace: str, *, labels: str = "") -> Live:
    """What is there of the kinds that deploy knows. Raises Unauthorized where listing is not allowed."""

    async def of(kind: Resource) -> tuple[Resource, list[Json]] | None:
        try:
            return kind, (await client.list(kind, namespace, labels=labels))[0]
        except NotFound:  # of a collection: the API server does not know the kind
            return None

    found = [pair for pair in await asyncio.gather(*map(of, KINDS)) if pair]
    objects = {f"{kind.kind.lower()}/{o['metadata']['name']}": o for kind, listed in found for o in listed}
    return Live(kinds=frozenset(kind for kind, _ in found), objects=objects)


def check_kinds(parts: Sequence[Part], live: Live) -> None:
    """Raises SetupError when a part needs a Knative that is not installed."""
    for kind in sorted({part.resource for part in parts} & KNATIVE - live.kinds, key=KINDS.index):
        which = "Serving" if kind is SERVICES else "Eventing"
        also = (
            ""
            if kind is SERVICES
            else ", or deploy without events: kubectl kustomize knative/overlays/minimal > all.yaml"
        )
        raise SetupError(
            f"this cluster has no {kind.kind} of {kind.group}: install Knative {which} "
            f"(https://knative.dev/docs/install/){also}"
        )


async def ensure_namespace(client: KubeClient, namespace: str) -> bool:
    """Create the namespace if it is not there; whether it was created. Who may not look is taken to have one."""
    try:
        await client.get(NAMESPACES, None, namespace)
    except Unauthorized:
        return False
    except NotFound:
        with suppress(Conflict):
            await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        return True
    return False


async def remove(
    client: KubeClient, kn: Kn, namespace: str, labels: Sequence[str], on_removed: Callable[[str], None]
) -> None:
    """Delete objects (`kind/name`), kinds that refer to others first, and wait until each is gone.

    With a Service go its Revisions, or a new Service of that name would find theirs taken. Pods end in their own time.
    """
    for kind in reversed(KINDS):
        prefix = f"{kind.kind.lower()}/"
        names = {label.removeprefix(prefix) for label in labels if label.startswith(prefix)}
        revisions = await _revisions_of(client, namespace, names) if kind is SERVICES else set()
        await asyncio.gather(*(_delete(client, kn, kind, namespace, name) for name in names))
        await _gone(client, kind, namespace, names)
        await _gone(client, REVISIONS, namespace, revisions)
        for name in sorted(names):
            on_removed(prefix + name)


async def _delete(client: KubeClient, kn: Kn, kind: Resource, namespace: str, name: str) -> None:
    command = words.delete(kind, namespace, name)
    if command is not None:
        await kn.run(command)
    else:
        with suppress(NotFound):
            await client.delete(kind, namespace, name)


async def _revisions_of(client: KubeClient, namespace: str, services: set[str]) -> set[str]:
    revisions, _ = await client.list(REVISIONS, namespace) if services else ([], "")
    return {one["metadata"]["name"] for one in revisions if labels_of(one).get(_SERVICE_LABEL) in services}


async def _gone(client: KubeClient, kind: Resource, namespace: str, names: set[str]) -> None:
    while names:
        objects, since = await client.list(kind, namespace)
        names = names & {obj["metadata"]["name"] for obj in objects}
        if names:
            with suppress(Gone, UpstreamFailed):
                names = await _until_deleted(client.watch(kind, namespace, since=since), names)


async def _until_deleted(events: AsyncIterator[tuple[str, Json]], names: set[str]) -> set[str]:
    """Those that are still there when the watch ends, none when all went."""
    async for event, obj in events:
        if event == "DELETED":
            names = names - {obj["metadata"]["name"]}
        if not names:
            break
    return names
