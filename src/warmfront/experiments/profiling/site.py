"""Where the variants of a task run: found by the Kubernetes API, brought to zero, weighed, annotated.

The same calls for the embedded Knative and for a cluster. To measure starts without waiting for each variant's own
window, scaling annotations of its Revision are changed for the while (no new Revision comes of that) and given back.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import msgspec

from warmfront.autoscaling import ScalingSpec
from warmfront.domain import Profile, Variant
from warmfront.errors import InvalidRequest, NotFound, SetupError, Unauthorized, UnknownTask, WarmfrontError
from warmfront.experiments.profiling.measurements import LentRow, Measurements
from warmfront.experiments.profiling.memory import of_metrics, of_pod_stats, of_processes
from warmfront.kube.client import KubeClient
from warmfront.kube.manifests import PROFILE, TASK_LABEL, availability, profile_json, variant_of
from warmfront.kube.resources import ENDPOINTSLICES, REVISIONS, SERVICES, annotations_of
from warmfront.wire.pool import Origin

_SCALING = "autoscaling.knative.dev/"
# the least window that Knative takes; the activator in the path, so that zero needs no grace; one replica at most
_LENT: dict[str, str | None] = {
    f"{_SCALING}window": "6s",
    f"{_SCALING}target-burst-capacity": "-1",
    f"{_SCALING}min-scale": "0",
    f"{_SCALING}max-scale": "1",
    f"{_SCALING}scale-to-zero-pod-retention-period": None,
}
_LOOK_S = 0.25
_PATIENCE_S = 60.0
_REVISION_LABEL = "serving.knative.dev/revision"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A variant to measure, and the Service and namespace that it is."""

    variant: Variant
    service: str
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The variants of a task that can be measured, and why others cannot, by name."""

    subjects: tuple[Subject, ...]
    troubles: dict[str, str]


class Site:
    """One namespace, seen through its API server."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    async def find(self, task: str, names: Sequence[str] = ()) -> Found:
        """The variants of a task, all or those named, by name.

        Raises:
            UnknownTask: no Service carries the task's label. SetupError: a name that is no variant of it.
        """
        services, _ = await self._client.list(SERVICES, self.namespace, labels=TASK_LABEL)
        tasks = sorted({service["metadata"]["labels"][TASK_LABEL] for service in services})
        mine = {s["metadata"]["name"]: s for s in services if s["metadata"]["labels"][TASK_LABEL] == task}
        if not mine:
            raise UnknownTask(
                f"namespace {self.namespace}: found no variant of task {task!r}; "
                + (f"there are the tasks {', '.join(tasks)}" if tasks else f"no Service has the label {TASK_LABEL}")
            )
        if unknown := [name for name in names if name not in mine]:
            raise SetupError(f"found no variant {', '.join(unknown)} of {task}; there are {', '.join(sorted(mine))}")
        subjects, troubles = [], {}
        for name in names or sorted(mine):
            try:
                subjects.append(await self._subject(mine[name]))
            except WarmfrontError as error:
                troubles[name] = str(error)
        return Found(subjects=tuple(subjects), troubles=troubles)

    async def _subject(self, service: Object) -> Subject:
        try:
            variant = variant_of(service)
        except InvalidRequest as error:
            if PROFILE not in str(error):
                raise
            # a profile that is broken is what a measurement mends
            bare = {**annotations_of(service)}
            del bare[PROFILE]
            variant = variant_of({**service, "metadata": {**service["metadata"], "annotations": bare}})
        available, reason = availability(service)
        if not available:
            raise SetupError(f"not available: {reason}")
        variant = replace(variant, url=await reachable(service))
        return Subject(variant=variant, service=service["metadata"]["name"], namespace=self.namespace)

    async def service(self, name: str) -> Object:
        """The Service itself."""
        return await self._client.get(SERVICES, self.namespace, name)

    async def change(self, name: str, patch: Object) -> None:
        """Merge a patch into a Service."""
        await self._client.merge(SERVICES, self.namespace, name, patch)

    async def declare(self, name: str, profile: Profile) -> None:
        """Write the profile annotation of a Service; no new Revision comes of it."""
        await self.change(name, {"metadata": {"annotations": {PROFILE: profile_json(profile)}}})

    # scaling, for the while

    async def lend(self, subject: Subject, book: Measurements) -> str:
        """Change the Revision's scaling for the measurement; what it was is in the book first. A complaint, or ""."""
        revision = subject.variant.revision
        try:
            there = annotations_of(await self._client.get(REVISIONS, self.namespace, revision))
            before = {name: there.get(name) for name, value in _LENT.items() if there.get(name) != value}
            if not before:
                return ""
            book.add(LentRow(namespace=self.namespace, revision=revision, before=before))
            await self._annotate(revision, {name: _LENT[name] for name in before})
        except Unauthorized as error:
            book.add(LentRow(namespace=self.namespace, revision=revision, before={}))
            return f"its scaling cannot be changed for the while ({error}); every start waits for its own window"
        return ""

    async def give_back(self, rows: Iterable[LentRow], book: Measurements) -> None:
        """Make the Revisions scale as they did; one that is gone needs nothing."""
        for row in rows:
            if row.namespace != self.namespace:
                continue
            with contextlib.suppress(NotFound):
                await self._annotate(row.revision, row.before)
            book.add(LentRow(namespace=row.namespace, revision=row.revision, before={}))

    async def _annotate(self, revision: str, annotations: dict[str, str | None]) -> None:
        await self._client.merge(REVISIONS, self.namespace, revision, {"metadata": {"annotations": annotations}})

    # replicas

    async def ports(self, revision: str) -> list[int]:
        """One entry per ready replica: its port on one machine, else that of Knative's proxy."""
        labels = f"kubernetes.io/service-name={revision}-private"
        slices, _ = await self._client.list(ENDPOINTSLICES, self.namespace, labels=labels)
        found: list[int] = []
        for piece in slices:
            ports = [int(one["port"]) for one in piece.get("ports") or ()]
            ready = [
                address for endpoint in piece.get("endpoints") or ()
                if (endpoint.get("conditions") or {}).get("ready", True) is not False
                for address in endpoint["addresses"]
            ]  # fmt: skip
            found += [ports[i] if len(ports) == len(ready) else (ports or [0])[0] for i in range(len(ready))]
        return found

    async def until_zero(self, subject: Subject) -> None:
        """Return when no replica is ready. Raises SetupError when that does not come about in a minute more than the
        Revision's own window, retention and grace take.
        """
        spec = ScalingSpec.from_annotations(
            annotations_of(await self._client.get(REVISIONS, self.namespace, subject.variant.revision)), 0
        )
        timeout_s = spec.stable_window_s + spec.retention_s + spec.scale_to_zero_grace_s + _PATIENCE_S
        until = asyncio.get_running_loop().time() + timeout_s
        while ports := await self.ports(subject.variant.revision):
            if asyncio.get_running_loop().time() > until:
                raise SetupError(
                    f"still {len(ports)} ready after {timeout_s:.0f} s; a cold start begins at zero: stop its traffic, "
                    f"or `warmfront release {subject.variant.name}` if it is kept warm"
                )
            await asyncio.sleep(_LOOK_S)

    async def reason(self, subject: Subject) -> str:
        """What the platform says is wrong with the variant; empty when it says nothing."""
        try:
            service = await self.service(subject.service)
            revision = await self._client.get(REVISIONS, self.namespace, subject.variant.revision)
        except WarmfrontError as error:
            return str(error)
        for obj in (revision, service):
            for one in (obj.get("status") or {}).get("conditions") or ():
                if one["status"] == "False" and one["type"] in {"Ready", "ContainerHealthy", "ResourcesAvailable"}:
                    return str(one.get("message") or one.get("reason") or "")
        return ""

    async def memory(self, subject: Subject) -> tuple[float, str] | None:
        """MB that one replica holds, the largest if there are several, and who says so; None when nobody does."""
        revision = subject.variant.revision
        ports = await self.ports(revision)
        if held := of_processes(revision, frozenset(ports)):
            return held, "process"
        selector = quote(f"{_REVISION_LABEL}={revision}")
        metrics = f"/apis/metrics.k8s.io/v1beta1/namespaces/{self.namespace}/pods?labelSelector={selector}"
        if held := of_metrics(await self._json(metrics)):
            return held, "metrics API"
        pods = await self._json(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector}")
        names = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in pods.get("items") or ()}
        for node in sorted(set(names.values()) - {""}):
            stats = await self._json(f"/api/v1/nodes/{node}/proxy/stats/summary")
            if held := of_pod_stats(stats, self.namespace, frozenset(names)):
                return held, "kubelet"
        return None

    async def _json(self, path: str) -> Object:
        """The object at a path; empty when there is none or we may not see it."""
        try:
            reply = await self._client.ask("GET", path)
            found = msgspec.json.decode(reply.body) if reply.status == 200 else {}
        except (WarmfrontError, msgspec.DecodeError):
            return {}
        return found if isinstance(found, dict) else {}


async def reachable(service: Object) -> str:
    """The first of its URLs, inner and outer, whose host has an address here."""
    status = service.get("status") or {}
    urls = [url for url in dict.fromkeys([(status.get("address") or {}).get("url"), status.get("url")]) if url]
    for url in urls:
        with contextlib.suppress(OSError, InvalidRequest):
            await asyncio.get_running_loop().getaddrinfo(Origin.parse(url).address, None)
            return str(url)
    raise SetupError(f"{' and '.join(urls)}: no such host from here; run where the cluster's names resolve")
