"""The objects that follow from a Service, as Knative names, labels and owns them.

What may live here: pure functions from object to object. What must not: the store, status.
"""

from warmfront.kube.resources import Json, annotations_of, labels_of, owner_reference

SERVICE = "serving.knative.dev/service"
SERVICE_UID = "serving.knative.dev/serviceUID"
CONFIGURATION = "serving.knative.dev/configuration"
CONFIGURATION_UID = "serving.knative.dev/configurationUID"
GENERATION = "serving.knative.dev/configurationGeneration"
REVISION = "serving.knative.dev/revision"
REVISION_UID = "serving.knative.dev/revisionUID"
ROUTING_STATE = "serving.knative.dev/routingState"
ROUTING_STATE_MODIFIED = "serving.knative.dev/routingStateModified"
ROUTES = "serving.knative.dev/routes"

ACTIVE, PENDING, RESERVE = "active", "pending", "reserve"
"""Routing states: a Route refers to it; none does yet; none does any more."""

DEFAULT_TRAFFIC = [{"latestRevision": True, "percent": 100}]

_REACHABILITY = {ACTIVE: "Reachable", PENDING: "Unknown", RESERVE: "Unreachable"}
_NOT_INHERITED = {"kubectl.kubernetes.io/last-applied-configuration"}


def configuration_for(service: Json) -> Json:
    """The Configuration of a Service: its name, labels, annotations and template."""
    return {"metadata": _owned_by_service(service), "spec": {"template": service["spec"]["template"]}}


def route_for(service: Json) -> Json:
    """The Route of a Service; what goes to the latest revision names the Configuration."""
    name = service["metadata"]["name"]
    traffic = [
        {**entry, "configurationName": name} if entry.get("latestRevision") else entry
        for entry in service["spec"].get("traffic") or DEFAULT_TRAFFIC
    ]
    return {"metadata": _owned_by_service(service), "spec": {"traffic": traffic}}


def revision_name(configuration: Json) -> str:
    """The name the template asks for, else the Configuration's with its generation: `hello-00001`."""
    meta = configuration["metadata"]
    asked_for: str = (configuration["spec"]["template"].get("metadata") or {}).get("name") or ""
    return asked_for or f"{meta['name']}-{meta['generation']:05d}"


def revision_for(configuration: Json, now: str) -> Json:
    """The Revision that stamps out the Configuration's template, not yet referred to by any Route."""
    meta, template = configuration["metadata"], configuration["spec"]["template"]
    stamp = template.get("metadata") or {}
    labels = labels_of(configuration)
    return {
        "metadata": {
            "name": revision_name(configuration),
            "namespace": meta["namespace"],
            "labels": {
                **(stamp.get("labels") or {}),
                SERVICE: labels[SERVICE],
                SERVICE_UID: labels[SERVICE_UID],
                CONFIGURATION: meta["name"],
                CONFIGURATION_UID: meta["uid"],
                GENERATION: str(meta["generation"]),
                ROUTING_STATE: PENDING,
            },
            "annotations": {**(stamp.get("annotations") or {}), ROUTING_STATE_MODIFIED: now},
            "ownerReferences": [owner_reference(configuration)],
        },
        "spec": template["spec"],
    }


def autoscaler_for(revision: Json) -> Json:
    """The PodAutoscaler of a Revision, carrying the Revision's annotations as they are now."""
    meta, labels = revision["metadata"], labels_of(revision)
    return {
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": {**labels, REVISION: meta["name"], REVISION_UID: meta["uid"]},
            "annotations": annotations_of(revision),
            "ownerReferences": [owner_reference(revision)],
        },
        "spec": {
            "containerConcurrency": revision["spec"].get("containerConcurrency", 0),
            "protocolType": _protocol(revision),
            "reachability": _REACHABILITY[labels[ROUTING_STATE]],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{meta['name']}-deployment"},
        },
    }


def routing_state_patch(state: str, route: str, now: str) -> Json:
    """The merge patch that gives a Revision its routing state."""
    annotations = {ROUTING_STATE_MODIFIED: now, ROUTES: route if state == ACTIVE else None}
    return {"metadata": {"labels": {ROUTING_STATE: state}, "annotations": annotations}}


def generation_of(revision: Json) -> int:
    """Which generation of its Configuration the Revision was made from."""
    return int(labels_of(revision)[GENERATION])


def _protocol(revision: Json) -> str:
    """How its port is spoken to, by the port's name."""
    ports = [port for container in revision["spec"].get("containers") or () for port in container.get("ports") or ()]
    return "h2c" if any(port.get("name") == "h2c" for port in ports) else "http1"


def _owned_by_service(service: Json) -> Json:
    meta = service["metadata"]
    inherited = {name: value for name, value in annotations_of(service).items() if name not in _NOT_INHERITED}
    return {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "labels": {**labels_of(service), SERVICE: meta["name"], SERVICE_UID: meta["uid"]},
        "annotations": inherited,
        "ownerReferences": [owner_reference(service)],
    }
