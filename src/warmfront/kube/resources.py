"""The kinds of objects that Warmfront reads or writes, and where the API serves them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind: its API group and version, its plural as in paths, and the short names people type."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The `apiVersion` field of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "") -> str:
        """The request path of the collection, or of one object in it."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


_SERVING = {"group": "serving.knative.dev", "version": "v1"}
_EVENTING = {"group": "eventing.knative.dev", "version": "v1"}

SERVICES = Resource(**_SERVING, plural="services", kind="Service", short=("ksvc", "kservice"))
CONFIGURATIONS = Resource(**_SERVING, plural="configurations", kind="Configuration", short=("config", "cfg"))
ROUTES = Resource(**_SERVING, plural="routes", kind="Route", short=("rt",))
REVISIONS = Resource(**_SERVING, plural="revisions", kind="Revision", short=("rev",))
PODAUTOSCALERS = Resource(
    group="autoscaling.internal.knative.dev", version="v1alpha1", plural="podautoscalers", kind="PodAutoscaler",
    short=("kpa", "pa"),
)  # fmt: skip
ENDPOINTSLICES = Resource(group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice")
BROKERS = Resource(**_EVENTING, plural="brokers", kind="Broker")
TRIGGERS = Resource(**_EVENTING, plural="triggers", kind="Trigger")

ALL = (SERVICES, CONFIGURATIONS, ROUTES, REVISIONS, PODAUTOSCALERS, ENDPOINTSLICES, BROKERS, TRIGGERS)
