"""All revisions of this machine: one LiveRevision for each PodAutoscaler in the store, for as long as it is there.

What lives here: following the store. What must not: anything a single revision decides for itself.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator
from random import Random

from warmfront.autoscaling import ScalingSpec
from warmfront.errors import InvalidRequest, SetupError
from warmfront.kube.resources import PODAUTOSCALERS, REVISIONS, Json, annotations_of
from warmfront.runtime.fleet import Fault, Host
from warmfront.runtime.publish import Publisher
from warmfront.runtime.revision import LiveRevision
from warmfront.runtime.store import Store
from warmfront.runtime.workload import workload_of

_log = logging.getLogger(__name__)


class DataPlane:
    """Starts, rescales and stops revisions as their autoscaler objects come, change and go.

    The PodAutoscaler is followed and not the Revision, because it comes last and carries the Revision's annotations.
    """

    def __init__(self, store: Store, host: Host, rng: Random) -> None:
        self._store = store
        self._host = host
        self._rng = rng
        self._revisions: dict[tuple[str, str], LiveRevision] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Bring up what the store holds, and follow it."""
        self._unsubscribe = self._store.subscribe(PODAUTOSCALERS, self._on_autoscaler)

    async def stop(self) -> None:
        """Stop every revision; returns when no replica is left."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        for place in list(self._revisions):
            self._remove(place)
        await self.settled()

    async def settled(self) -> None:
        """Return when no replica of a removed revision is left."""
        while self._stopping:
            await asyncio.gather(*self._stopping)

    def find(self, namespace: str, name: str) -> LiveRevision | None:
        """The revision of that name, if it is there."""
        return self._revisions.get((namespace, name))

    def __iter__(self) -> Iterator[LiveRevision]:
        return iter(list(self._revisions.values()))

    def _on_autoscaler(self, kind: str, autoscaler: Json) -> None:
        place = autoscaler["metadata"]["namespace"], autoscaler["metadata"]["name"]
        if kind == "DELETED":
            self._remove(place)
            return
        try:
            spec = scaling_of(autoscaler)
        except InvalidRequest as error:
            _log.error("revision %s keeps its old scaling: %s", place[1], error)
            return
        live = self._revisions.get(place)
        if live is not None:
            live.rescale(spec)
        else:
            self._add(place, spec)

    def _add(self, place: tuple[str, str], spec: ScalingSpec) -> None:
        revision = self._store.find(REVISIONS, *place)
        if revision is None:
            return
        publisher = Publisher(self._store, revision)
        try:
            workload = workload_of(revision)
        except SetupError as error:
            publisher.refuse(Fault(reason="ContainerMissing", message=str(error)))
            return
        live = self._revisions[place] = LiveRevision(
            workload,
            spec,
            host=self._host,
            publisher=publisher,
            rng=Random(self._rng.random()),
        )
        live.start()

    def _remove(self, place: tuple[str, str]) -> None:
        live = self._revisions.pop(place, None)
        if live is not None:
            task = asyncio.get_running_loop().create_task(live.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)


def scaling_of(autoscaler: Json) -> ScalingSpec:
    """How a PodAutoscaler object asks to scale; InvalidRequest when its annotations break a rule."""
    spec = autoscaler["spec"]
    scaling = ScalingSpec.from_annotations(annotations_of(autoscaler), spec.get("containerConcurrency") or 0)
    return dataclasses.replace(scaling, reachable=spec.get("reachability") != "Unreachable")
