"""The live catalogue: watches the API server and emits one Observation per change of a variant.

Three watches of one namespace: Services with the task label (what the variants are), EndpointSlices of
`<revision>-private` (how many replicas are ready; the public Service's slices list activators, so they say nothing) and
PodAutoscalers (how many are wanted, hence coming). One code path for a laptop and a cluster.
No state is missed: whenever a watch breaks or its resource version expires, the kind is listed again and compared.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from warmfront.domain import Observation, Variant
from warmfront.errors import Gone, InvalidRequest, Unauthorized, WarmfrontError
from warmfront.kube.client import KubeClient
from warmfront.kube.manifests import TASK_LABEL, availability, variant_of
from warmfront.kube.resources import ENDPOINTSLICES, PODAUTOSCALERS, SERVICES, Resource, condition_of

_log = logging.getLogger(__name__)
_SLICE_OWNER = "kubernetes.io/service-name"
_PRIVATE = "-private"
_BACKOFF_S = (0.05, 0.2, 0.5, 1.0, 2.0)
_FORBIDDEN_RETRY_S = 60.0

Object = dict[str, Any]


class Catalogue:
    """Knows all variants of a namespace and how warm each is; tells `emit` about every change.

    `clock` is the driver's monotonic clock: starting replicas are dated with it when they are first seen.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        emit: Callable[[Observation], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._emit = emit
        self._clock = clock
        self._services: dict[str, Object] = {}
        self._slices: dict[str, Object] = {}
        self._autoscalers: dict[str, Object] = {}
        self._starting: dict[str, tuple[float, ...]] = {}
        self._emitted: dict[str, Observation] = {}
        self._faults: dict[str, str] = {}
        self._synced: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch; returns at once. `ready` turns true when the first lists are in."""
        kinds: list[tuple[Resource, str, dict[str, Object], Callable[[Object], str]]] = [
            (SERVICES, TASK_LABEL, self._services, _name),
            (ENDPOINTSLICES, "", self._slices, _slice_revision),
            (PODAUTOSCALERS, "", self._autoscalers, _name),
        ]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._follow(*kind)) for kind in kinds]

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def ready(self) -> bool:
        """Whether the variants are known. Warmth may be inferred only: see `describe`."""
        return SERVICES.plural in self._synced

    def describe(self) -> dict[str, str]:
        """Per watched kind: `watching`, `waiting`, or what is wrong and what follows from it."""
        kinds = (SERVICES, ENDPOINTSLICES, PODAUTOSCALERS)
        return {
            kind.plural: self._faults.get(kind.plural) or ("watching" if kind.plural in self._synced else "waiting")
            for kind in kinds
        }

    async def _follow(
        self, resource: Resource, labels: str, objects: dict[str, Object], touched: Callable[[Object], str]
    ) -> None:
        failures = 0
        while True:
            try:
                items, since = await self._client.list(resource, self._namespace, labels=labels)
                self._replace(objects, items, touched)
                self._synced.add(resource.plural)
                self._faults.pop(resource.plural, None)
                failures = 0
                while True:
                    since = await self._watch_once(resource, labels, objects, touched, since)
            except Gone:
                continue
            except Unauthorized as error:
                self._fault(resource, f"no permission ({error}); inferred from own traffic")
                await asyncio.sleep(_FORBIDDEN_RETRY_S)
            except Exception as error:  # noqa: BLE001 - a selector that went blind must say so, and look again
                known = isinstance(error, WarmfrontError)
                what = f"connection lost ({error})" if known else f"a mistake in this program ({error!r})"
                self._fault(resource, f"{what}; last known state is used", error=None if known else error)
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    async def _watch_once(
        self,
        resource: Resource,
        labels: str,
        objects: dict[str, Object],
        touched: Callable[[Object], str],
        since: str,
    ) -> str:
        watch = self._client.watch(resource, self._namespace, labels=labels, since=since)
        async for change, obj in watch:
            since = obj["metadata"]["resourceVersion"]
            if change == "BOOKMARK":
                continue
            if change == "DELETED":
                objects.pop(obj["metadata"]["name"], None)
            else:
                objects[obj["metadata"]["name"]] = obj
            self._refresh(touched(obj))
        return since

    def _replace(self, objects: dict[str, Object], items: list[Object], touched: Callable[[Object], str]) -> None:
        fresh = {item["metadata"]["name"]: item for item in items}
        changed = {touched(obj) for obj in (*objects.values(), *fresh.values())}
        objects.clear()
        objects.update(fresh)
        for name in sorted(changed):
            self._refresh(name)

    def _fault(self, resource: Resource, what: str, error: Exception | None = None) -> None:
        if self._faults.get(resource.plural) != what:
            _log.warning("catalogue of %s: %s", resource.plural, what, exc_info=error)
        self._faults[resource.plural] = what

    def _refresh(self, name: str) -> None:
        """Work out anew the variant that a Service or one of its revisions belongs to, and emit what changed."""
        service = self._services.get(name) or self._service_of(name)
        if service is None:
            if name in self._emitted:
                gone = self._emitted[name]
                self._starting.pop(gone.variant.revision, None)
                self._emit(Observation(variant=gone.variant, gone=True))
                del self._emitted[name]
            return
        name = service["metadata"]["name"]
        try:
            observation = self._observe(service)
        except InvalidRequest as error:
            observation = _unusable(service, str(error))
        before = self._emitted.get(name)
        if before != observation:
            if before and before.variant.revision != observation.variant.revision:
                self._starting.pop(before.variant.revision, None)
            self._emit(observation)
            self._emitted[name] = observation  # only now: what was not taken is told again

    def _service_of(self, revision: str) -> Object | None:
        for service in self._services.values():
            if (service.get("status") or {}).get("latestReadyRevisionName") == revision:
                return service
        return None

    def _observe(self, service: Object) -> Observation:
        variant = variant_of(service)
        available, reason = availability(service)
        ready = sum(
            _ready_endpoints(piece) for piece in self._slices.values() if _slice_revision(piece) == variant.revision
        )
        return Observation(
            variant=variant,
            ready=ready,
            starting_at=self._starting_at(variant, ready),
            available=available,
            reason=reason,
        )

    def _starting_at(self, variant: Variant, ready: int) -> tuple[float, ...]:
        coming = max(_wanted(self._autoscalers.get(variant.revision)) - ready, 0)
        known = self._starting.get(variant.revision, ())
        # the oldest becomes ready first: what is left over are the youngest
        known = known[max(len(known) - coming, 0) :]
        known += (self._clock(),) * (coming - len(known))
        self._starting[variant.revision] = known
        return known


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _unusable(service: Object, reason: str) -> Observation:
    """A Service that says it is a variant but cannot be read as one: shown with the reason, never chosen."""
    metadata = service["metadata"]
    variant = Variant(name=metadata["name"], task=metadata["labels"][TASK_LABEL], revision="", url="")
    return Observation(variant=variant, available=False, reason=reason)


def _slice_revision(piece: Object) -> str:
    owner = (piece["metadata"].get("labels") or {}).get(_SLICE_OWNER, "")
    return owner.removesuffix(_PRIVATE) if owner.endswith(_PRIVATE) else ""


def _ready_endpoints(piece: Object) -> int:
    endpoints = piece.get("endpoints") or []
    return sum(len(e["addresses"]) for e in endpoints if (e.get("conditions") or {}).get("ready", True) is not False)


def _wanted(autoscaler: Object | None) -> int:
    """How many replicas the autoscaler is bringing up to: `desiredScale`, at least one while it is activating."""
    if autoscaler is None:
        return 0
    status = autoscaler.get("status") or {}
    active = condition_of(autoscaler, "Active") or {}
    if active.get("status") == "False":
        return 0
    activating = 1 if active.get("status") == "Unknown" and active.get("reason") == "Queued" else 0
    return max(int(status.get("desiredScale") or 0), activating)
