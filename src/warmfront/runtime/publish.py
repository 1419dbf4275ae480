"""What the data plane tells the world about one revision: PodAutoscaler status, EndpointSlice, Revision status.

What lives here: turning a Standing into these three objects and writing what changed. What must not: judging whether a
revision is healthy. The selector learns from here which replicas are warm, so every change is written when it happens.
"""

from dataclasses import dataclass

from warmfront.autoscaling import Activity, Scale
from warmfront.errors import NotFound
from warmfront.kube.resources import (
    ENDPOINTSLICES,
    PODAUTOSCALERS,
    REVISIONS,
    Json,
    condition_of,
    labels_of,
    owner_reference,
)
from warmfront.runtime.fleet import Fault
from warmfront.runtime.store import Store, now_rfc3339

_ACTIVE = {Activity.ACTIVE: "True", Activity.ACTIVATING: "Unknown", Activity.INACTIVE: "False"}
_WHY = {
    "Queued": "Requests to the target are being buffered as resources are provisioned.",
    "NoTraffic": "The target is not receiving traffic.",
    "TimedOut": "The target could not be activated.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a revision is doing: its ready replicas' ports, what its scaler wants, why it cannot serve (None: it can)."""

    ports: tuple[int, ...]
    desired: int
    activity: Activity
    reason: str
    initialised: bool
    fault: Fault | None

    @classmethod
    def of(cls, scale: Scale, ports: tuple[int, ...], fault: Fault | None) -> "Standing":
        """As the scaler sees it: before its first decision the initial scale is what is wanted."""
        return cls(
            ports=ports,
            desired=scale.replicas if scale.wanted is None else scale.wanted,
            activity=scale.activity,
            reason=scale.reason,
            initialised=scale.initialised,
            fault=fault,
        )

    @property
    def active(self) -> tuple[str, str, str]:
        """Status, reason and message of Knative's Active condition."""
        return _ACTIVE[self.activity], self.reason, _WHY.get(self.reason, "")


class Publisher:
    """Writes the standing of one revision to the store; a standing that changed nothing writes nothing."""

    def __init__(self, store: Store, revision: Json) -> None:
        self._store = store
        self._revision = revision
        self._namespace: str = revision["metadata"]["namespace"]
        self._name: str = revision["metadata"]["name"]
        self._last: Standing | None = None

    def initialised(self) -> bool:
        """Whether an earlier runtime brought this revision to its initial scale."""
        autoscaler = self._store.find(PODAUTOSCALERS, self._namespace, self._name)
        condition = condition_of(autoscaler, "ScaleTargetInitialized") if autoscaler else None
        return condition is not None and condition["status"] == "True"

    def refuse(self, fault: Fault) -> None:
        """Say that this revision cannot run here at all."""
        standing = Standing(
            ports=(), desired=0, activity=Activity.INACTIVE, reason="NoTraffic", initialised=False, fault=fault
        )
        self.publish(standing)

    def publish(self, standing: Standing) -> None:
        """Write it; a revision that was deleted meanwhile has nothing to be told."""
        if standing == self._last:
            return
        self._last = standing
        try:
            self._endpoints(standing)
            self._autoscaler(standing)
            self._revision_status(standing)
        except NotFound:
            self._last = None  # its objects may come later: the autoscaler is created after the revision

    def _endpoints(self, standing: Standing) -> None:
        """Endpoints of `<revision>-private`: the truth about warm replicas, as on a cluster."""
        name = f"{self._name}-private"
        labels = {
            **labels_of(self._revision),
            "kubernetes.io/service-name": name,
            "serving.knative.dev/revision": self._name,
        }
        ready = {"ready": True, "serving": True, "terminating": False}
        wanted: Json = {
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": labels,
                "ownerReferences": [owner_reference(self._revision)],
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": ["127.0.0.1"],
                    "conditions": ready,
                    "targetRef": {"kind": "Pod", "name": f"{self._name}-{port}"},
                }
                for port in standing.ports
            ],
            "ports": [{"name": "http", "protocol": "TCP", "port": port} for port in standing.ports],
        }
        if self._store.find(ENDPOINTSLICES, self._namespace, name) is None:
            self._store.get(REVISIONS, self._namespace, self._name)  # NotFound: too late to create anything
            self._store.create(ENDPOINTSLICES, wanted)
        else:
            self._store.replace(ENDPOINTSLICES, wanted)

    def _autoscaler(self, standing: Standing) -> None:
        old = self._store.get(PODAUTOSCALERS, self._namespace, self._name)
        initialised = ("True", "", "") if standing.initialised else ("Unknown", "", "")
        status = {
            **(old.get("status") or {}),
            "observedGeneration": old["metadata"]["generation"],
            "serviceName": self._name,
            "metricsServiceName": f"{self._name}-private",
            "desiredScale": standing.desired,
            "actualScale": len(standing.ports),
            "conditions": [
                _condition(old, "Active", standing.active),
                _condition(old, "Ready", standing.active),
                _condition(old, "ScaleTargetInitialized", initialised),
            ],
        }
        self._store.set_status(PODAUTOSCALERS, self._namespace, self._name, status)

    def _revision_status(self, standing: Standing) -> None:
        old = self._store.get(REVISIONS, self._namespace, self._name)
        health = _health(standing)
        resources = ("True", "", "") if standing.initialised or standing.ports else ("Unknown", "Deploying", "")
        if standing.fault is not None and resources[0] != "True":
            resources = health
        status = {
            **(old.get("status") or {}),
            "observedGeneration": old["metadata"]["generation"],
            "actualReplicas": len(standing.ports),
            "desiredReplicas": standing.desired,
            "conditions": [
                _condition(old, "Active", standing.active) | {"severity": "Info"},
                _condition(old, "ContainerHealthy", health),
                _condition(old, "Ready", health),
                _condition(old, "ResourcesAvailable", resources),
            ],
        }
        self._store.set_status(REVISIONS, self._namespace, self._name, status)


def _health(standing: Standing) -> tuple[str, str, str]:
    if standing.fault is not None:
        return "False", standing.fault.reason, standing.fault.message
    return ("True", "", "") if standing.initialised else ("Unknown", "Deploying", "")


def _condition(obj: Json, kind: str, value: tuple[str, str, str]) -> Json:
    """The condition; its transition time moves only when the status does."""
    status, reason, message = value
    new = {"type": kind, "status": status}
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    old = condition_of(obj, kind)
    same = old is not None and old["status"] == status
    new["lastTransitionTime"] = old["lastTransitionTime"] if old and same else now_rfc3339()
    return new
