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


def _serving(plural: str, kind: str, *short: str) -> Resource:
    return Resource(group="serving.knative.dev", version="v1", plural=plural, kind=kind, short=short)


SERVICES = _serving("services", "Service", "ksvc", "kservice")
PODAUTOSCALERS = Resource(
    group="autoscaling.internal.knative.dev",
    version="v1alpha1",
    plural="podautoscalers",
    kind="PodAutoscaler",
    short=("kpa", "pa"),
)
ENDPOINTSLICES = Resource(group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice")
