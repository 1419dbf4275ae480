"""The kinds of API objects that Warmfront reads, writes or keeps, and small helpers to read them.

What may live here: names, as the Kubernetes API spells them. What must not: behaviour of any kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
"""One API object: a JSON object as Kubernetes defines it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object and where the API serves it. The core group has no name."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    has_status: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, the value of an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "") -> str:
        """The request path of the collection in a namespace (None: in all), or of one object in it."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        root = "apis" if self.group else "api"
        return f"/{root}/{self.api_version}{scope}/{self.plural}" + (f"/{name}" if name else "")

    @property
    def id(self) -> str:
        """`plural.group`, the name Kubernetes uses in messages and this store as its key."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _serving(plural: str, kind: str, *short: str) -> Resource:
    return Resource(group="serving.knative.dev", version="v1", plural=plural, kind=kind, short=short)


def _eventing(plural: str, kind: str) -> Resource:
    return Resource(group="eventing.knative.dev", version="v1", plural=plural, kind=kind)


SERVICES = _serving("services", "Service", "kservice", "ksvc")
CONFIGURATIONS = _serving("configurations", "Configuration", "config", "cfg")
ROUTES = _serving("routes", "Route", "rt")
REVISIONS = _serving("revisions", "Revision", "rev")
PODAUTOSCALERS = Resource(
    group="autoscaling.internal.knative.dev",
    version="v1alpha1",
    plural="podautoscalers",
    kind="PodAutoscaler",
    short=("kpa", "pa"),
)
ENDPOINTSLICES = Resource(
    group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice", has_status=False
)
BROKERS = _eventing("brokers", "Broker")
TRIGGERS = _eventing("triggers", "Trigger")
LEASES = Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease", has_status=False)
CONFIGMAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap", short=("cm",), has_status=False)

RESOURCES = (
    SERVICES,
    CONFIGURATIONS,
    ROUTES,
    REVISIONS,
    PODAUTOSCALERS,
    ENDPOINTSLICES,
    BROKERS,
    TRIGGERS,
    LEASES,
    CONFIGMAPS,
)


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The object's labels; empty when it has none."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The object's annotations; empty when it has none."""
    return obj["metadata"].get("annotations") or {}


def condition_of(obj: Mapping[str, Any], name: str) -> Json | None:
    """The status condition of that type, or None when nobody has set it yet."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == name:
            found: Json = condition
            return found
    return None


def owner_reference(owner: Mapping[str, Any]) -> Json:
    """What a child's metadata.ownerReferences holds, so that it is deleted with its owner."""
    meta = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
