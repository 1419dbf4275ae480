"""The live catalogue: watches the API server and emits one Observation per change of a variant.

Three watches of one namespace: Services with the task label (what the variants are), EndpointSlices of
`<revision>-private` (how many replicas are ready; the public Service's slices list activators, so they say nothing) and
PodAutoscalers (how many are wanted, hence coming). One code path for a laptop and a cluster.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from warmfront.domain import Observation, Variant
from warmfront.errors import InvalidRequest
from warmfront.kube.client import KubeClient
from warmfront.kube.follow import Follower, Object
from warmfront.kube.manifests import TASK_LABEL, availability, name_of, variant_of
from warmfront.kube.resources import ENDPOINTSLICES, PODAUTOSCALERS, SERVICES, condition_of

_SLICE_OWNER = "kubernetes.io/service-name"
_PRIVATE = "-private"


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
        self._emit = emit
        self._clock = clock
        unknown, unseen = "the variants are not known", "inferred from own traffic"
        self._services = Follower(
            client, SERVICES, namespace, partial(self._touched, _name), labels=TASK_LABEL, without=unknown
        )
        self._slices = Follower(
            client, ENDPOINTSLICES, namespace, partial(self._touched, _slice_revision), without=unseen
        )
        self._autoscalers = Follower(client, PODAUTOSCALERS, namespace, partial(self._touched, _name), without=unseen)
        self._followers = (self._services, self._slices, self._autoscalers)
        self._starting: dict[str, tuple[float, ...]] = {}
        self._emitted: dict[str, Observation] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch; returns at once. `ready` turns true when the first lists are in."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(follower.run()) for follower in self._followers]

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def ready(self) -> bool:
        """Whether the variants are known. Warmth may be inferred only: see `describe`."""
        return self._services.synced

    def describe(self) -> dict[str, str]:
        """Per watched kind: `watching`, `waiting`, or what is wrong and what follows from it."""
        return {follower.resource.plural: follower.state for follower in self._followers}

    def addresses(self, revision: str, port: int) -> frozenset[tuple[str, int]]:
        """Where all replicas of a revision listen themselves, ready or not, their containers listening on `port`.

        On one machine all have the same address and each a port of its own, which the slice names. On a cluster the
        slice names the ports of Knative's proxy in the pod; past it there is only the container's.
        """
        return frozenset(
            (address, own)
            for piece in self._slices.objects.values()
            if _slice_revision(piece) == revision
            for endpoint in piece.get("endpoints") or ()
            for address in endpoint["addresses"]
            for own in ([int(p["port"]) for p in piece.get("ports") or ()] if _is_local(address) else (port,))
        )

    def _touched(self, name_of: Callable[[Object], str], objects: Iterable[Object]) -> None:
        for name in sorted({name_of(obj) for obj in objects}):
            self._refresh(name)

    def _refresh(self, name: str) -> None:
        """Work out anew the variant that a Service or one of its revisions belongs to, and emit what changed."""
        service = self._services.objects.get(name) or self._service_of(name)
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
        for service in self._services.objects.values():
            if (service.get("status") or {}).get("latestReadyRevisionName") == revision:
                return service
        return None

    def _observe(self, service: Object) -> Observation:
        variant = variant_of(service)
        available, reason = availability(service)
        ready = sum(
            _ready_endpoints(piece)
            for piece in self._slices.objects.values()
            if _slice_revision(piece) == variant.revision
        )
        return Observation(
            variant=variant,
            ready=ready,
            starting_at=self._starting_at(variant, ready),
            available=available,
            reason=reason,
        )

    def _starting_at(self, variant: Variant, ready: int) -> tuple[float, ...]:
        coming = max(_wanted(self._autoscalers.objects.get(variant.revision)) - ready, 0)
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
    variant = Variant(name=name_of(service), task=metadata["labels"][TASK_LABEL], revision="", url="")
    return Observation(variant=variant, available=False, reason=reason)


def _slice_revision(piece: Object) -> str:
    owner = (piece["metadata"].get("labels") or {}).get(_SLICE_OWNER, "")
    return owner.removesuffix(_PRIVATE) if owner.endswith(_PRIVATE) else ""


def _is_local(address: str) -> bool:
    return address.startswith("127.")


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
