"""Documents of the API that do not come from the store: discovery, OpenAPI stubs, namespaces, errors.

What may live here: pure functions that build JSON. What must not: requests.
"""

from collections.abc import Callable, Iterable

from warmfront.errors import WarmfrontError
from warmfront.kube.resources import RESOURCES, Json, Resource
from warmfront.runtime.apiserver.paths import Target, verbs_of

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
}
_OPENAPI = "/openapi/v3"


def discovery() -> dict[str, Json]:
    """Path to document, for every path by which clients learn what this server has."""
    groups = sorted({(resource.group, resource.version) for resource in RESOURCES if resource.group})
    core_members = [resource for resource in RESOURCES if not resource.group]
    documents: dict[str, Json] = {
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0+warmfront", "platform": "embedded"},
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/api/v1": _resource_list("v1", [_namespaces(), *(e for member in core_members for e in _describe(member))]),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*group) for group in groups]},
        _OPENAPI: {
            "paths": {
                place: {"serverRelativeURL": f"{_OPENAPI}/{place}"}
                for place in ("api/v1", *(f"apis/{group}/{version}" for group, version in groups))
            }
        },
        f"{_OPENAPI}/api/v1": _openapi(core_members),
    }
    for group, version in groups:
        members = [resource for resource in RESOURCES if (resource.group, resource.version) == (group, version)]
        documents[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(group, version)}
        described = [entry for resource in members for entry in _describe(resource)]
        documents[f"/apis/{group}/{version}"] = _resource_list(f"{group}/{version}", described)
        documents[f"{_OPENAPI}/apis/{group}/{version}"] = _openapi(members)
    return documents


def _group(group: str, version: str) -> Json:
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def _resource_list(group_version: str, resources: list[Json]) -> Json:
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _namespaces() -> Json:
    return {
        "name": "namespaces",
        "singularName": "namespace",
        "namespaced": False,
        "kind": "Namespace",
        "verbs": ["get", "list"],
        "shortNames": ["ns"],
    }


def _describe(resource: Resource) -> list[Json]:
    described = {"namespaced": True, "kind": resource.kind}
    entries = [
        {
            **described,
            "name": resource.plural,
            "singularName": resource.kind.lower(),
            "verbs": list(verbs_of(resource)),
            "shortNames": list(resource.short),
        }
    ]
    if resource.has_status:
        verbs = ["get", "patch", "update"]
        entries.append({**described, "name": f"{resource.plural}/status", "singularName": "", "verbs": verbs})
    return entries


def _openapi(resources: Iterable[Resource]) -> Json:
    """As much as kubectl asks: that the server itself checks fields (parameter fieldValidation)."""
    field_validation = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {
        resource.path("{namespace}", "{name}"): {
            "patch": {
                "parameters": [field_validation],
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {
                    "group": resource.group,
                    "kind": resource.kind,
                    "version": resource.version,
                },
            }
        }
        for resource in resources
        if "patch" in verbs_of(resource)
    }
    return {"openapi": "3.0.0", "info": {"title": "Warmfront", "version": "v1"}, "paths": paths}


def core(path: str, existing: Callable[[], Iterable[str]]) -> Json | None:
    """Namespaces and (never any) events of the core group; None for any other path.

    Namespaces need not be made here: `default` and those `existing` are listed, any other is there when asked for.
    """
    match path.strip("/").split("/"):
        case ["api", "v1", "namespaces"]:
            names = sorted({"default", *existing()})
            return {**_list("v1", "NamespaceList"), "items": [_namespace(name) for name in names]}
        case ["api", "v1", "namespaces", name]:
            return _namespace(name)
        case ["api", "v1", "events"] | ["api", "v1", "namespaces", _, "events"]:
            return {**_list("v1", "EventList"), "items": []}
    return None


def _list(api_version: str, kind: str, version: str = "") -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"resourceVersion": version}}


def object_list(resource: Resource, items: list[Json], version: str) -> Json:
    """The reply to a list."""
    return {**_list(resource.api_version, f"{resource.kind}List", version), "items": items}


def _namespace(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "status": {"phase": "Active"},
    }


def failure(error: WarmfrontError, *, target: Target | None, creating: bool) -> Json:
    """The Status object that tells a Kubernetes client what went wrong."""
    reason = _REASONS.get(error.status, "InternalError")
    if creating and reason == "Conflict":
        reason = "AlreadyExists"
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": str(error),
        "reason": reason,
        "code": error.status,
    }
    return {**status, "details": details(target)} if target is not None else status


def details(target: Target, uid: str = "") -> Json:
    """Which object a Status is about. Its `kind` is the plural, as in Kubernetes."""
    found = {"name": target.name, "group": target.resource.group, "kind": target.resource.plural}
    return {**found, "uid": uid} if uid else found


def success(target: Target, uid: str) -> Json:
    """The reply to a deletion."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details(target, uid),
    }
