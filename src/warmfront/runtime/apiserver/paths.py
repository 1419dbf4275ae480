"""What a request path and query of the Kubernetes API mean, and which verbs each resource has here.

What may live here: reading. What must not: answering.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from warmfront.errors import InvalidRequest, MethodNotAllowed, NotFound
from warmfront.kube.resources import BROKERS, CONFIGMAPS, LEASES, RESOURCES, REVISIONS, SERVICES, TRIGGERS, Resource

_READ = ("get", "list", "watch")
_KEEP = (*_READ, "delete", "patch", "update")
_VERBS = {
    REVISIONS: _KEEP,
    **dict.fromkeys((SERVICES, BROKERS, TRIGGERS, LEASES, CONFIGMAPS), (*_KEEP, "create")),
}
_BY_PLACE = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES}
_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path names: a collection (no name), an object, or an object's status. No namespace: all of them."""

    resource: Resource
    namespace: str | None
    name: str = ""
    status: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The parameters that this API honours; those that only tune a server are left out."""

    labels: str = ""
    fields: str = ""
    watch: bool = False
    since: str = ""
    timeout_s: float | None = None
    bookmarks: bool = False
    initial_events: bool = False
    strict: bool = False


def verbs_of(resource: Resource) -> tuple[str, ...]:
    """What may be done to it: users make Services, Brokers and Triggers, from which everything else follows; and Leases
    and ConfigMaps, from which nothing does.
    """
    return _VERBS.get(resource, _READ)


def parse_target(path: str) -> Target:
    """`/apis/GROUP/VERSION[/namespaces/NS]/PLURAL[/NAME[/status]]`, in the core group `/api/VERSION...`; NotFound for
    anything else.
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api":
        parts.insert(1, "")
    if len(parts) < 4 or parts[0] not in {"api", "apis"}:
        raise NotFound("the server could not find the requested resource")
    place, rest = parts[1:3], parts[3:]
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = _BY_PLACE.get((place[0], place[1], rest[0]))
    if resource is None or len(rest) > 3 or (len(rest) == 3 and not _has_subresource(resource, rest[2])):
        raise NotFound("the server could not find the requested resource")
    if namespace is None and len(rest) > 1:
        raise NotFound(f"{resource.id} live in a namespace; ask for /namespaces/NAMESPACE/{resource.plural}/{rest[1]}")
    return Target(resource=resource, namespace=namespace, name=rest[1] if len(rest) > 1 else "", status=len(rest) == 3)


def _has_subresource(resource: Resource, name: str) -> bool:
    return name == "status" and resource.has_status


def parse_query(query: str) -> Query:
    """Read the query string; InvalidRequest names a value that cannot be read, or a dry run, which is not had."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    if given.get("dryRun"):
        raise InvalidRequest("dryRun is not available in the embedded Knative; leave it out or use a cluster")
    timeout = given.get("timeoutSeconds", "")
    if timeout and not timeout.isdecimal():
        raise InvalidRequest(f"timeoutSeconds is {timeout!r}; it must be a whole number of seconds")
    return Query(
        labels=given.get("labelSelector", ""),
        fields=given.get("fieldSelector", ""),
        watch=_true(given, "watch"),
        since=given.get("resourceVersion", ""),
        timeout_s=float(timeout) if timeout not in {"", "0"} else None,
        bookmarks=_true(given, "allowWatchBookmarks"),
        initial_events=_true(given, "sendInitialEvents"),
        strict=given.get("fieldValidation") == "Strict",
    )


def _true(given: dict[str, str], name: str) -> bool:
    return given.get(name, "").lower() in {"1", "true"}


def check_verb(method: str, target: Target) -> None:
    """MethodNotAllowed for a method that the target has not, with what to do instead."""
    verb = _METHODS.get(method)
    if verb is None or (verb == "create") is bool(target.name):
        kind = "object" if target.name else "collection"
        raise MethodNotAllowed(f"{method} is not available on this {kind} of {target.resource.id}")
    if verb not in verbs_of(target.resource) and not target.status:
        raise MethodNotAllowed(
            f"{target.resource.id} do not take {verb} here: they follow from their Service; change that instead"
        )
