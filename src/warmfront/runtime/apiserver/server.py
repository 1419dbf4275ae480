"""Answers requests of the Kubernetes API: who may ask, what is asked, what the store says.

What may live here: verbs. What must not: rules on the content of objects (admission's), sockets (wire's).
"""

from collections.abc import Callable
from typing import Any

import msgspec

from warmfront.errors import (
    Conflict,
    InvalidRequest,
    MethodNotAllowed,
    Unauthorized,
    UnsupportedMediaType,
    WarmfrontError,
)
from warmfront.kube.resources import Json
from warmfront.runtime.admission import admit
from warmfront.runtime.apiserver import documents
from warmfront.runtime.apiserver.credentials import Gate
from warmfront.runtime.apiserver.paths import Query, Target, check_verb, parse_query, parse_target
from warmfront.runtime.apiserver.stream import WatchStream
from warmfront.runtime.store import Store, check_version, merge_patch
from warmfront.wire.messages import Exchange, Headers

_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/livez"})
_MERGE_PATCH = "application/merge-patch+json"


class ApiServer:
    """One handler over one store. Every path but the health checks wants the token (see `credentials`)."""

    def __init__(self, store: Store, token: str) -> None:
        self._store = store
        self._gate = Gate(token)
        self._documents = documents.discovery()
        self._streams: set[WatchStream] = set()
        self._writes: dict[str, Callable[[Exchange, Target, Query], None]] = {
            "POST": self._create,
            "PUT": self._update,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }

    def handle(self, exchange: Exchange) -> None:
        """Answer one request; errors become Status objects."""
        target = None
        try:
            if exchange.path in _OPEN_PATHS:
                exchange.respond(200, [(b"content-type", b"text/plain")], b"ok")
                return
            if not self._gate.admits(exchange.header(b"authorization")):
                raise Unauthorized("Unauthorized: use the kubeconfig that `warmfront up` wrote for this run")
            if self._answer_document(exchange):
                return
            target, query = parse_target(exchange.path), parse_query(exchange.query)
            if exchange.method == "GET":
                self._read(exchange, target, query)
            else:
                check_verb(exchange.method, target)
                self._writes[exchange.method](exchange, target, query)
        except WarmfrontError as error:
            _reply(exchange, documents.failure(error, target=target, creating=exchange.method == "POST"), error.status)

    def close(self) -> None:
        """End every watch in good order."""
        for stream in list(self._streams):
            stream.finish()

    def _answer_document(self, exchange: Exchange) -> bool:
        path = exchange.path.rstrip("/")
        document = self._documents.get(path) or documents.core(path, self._store.namespaces)
        if document is None:
            return False
        if exchange.method != "GET":
            raise MethodNotAllowed(f"{path} can only be read here")
        _reply(exchange, document)
        return True

    def _read(self, exchange: Exchange, target: Target, query: Query) -> None:
        if query.watch and not target.name:
            self._streams.add(WatchStream(exchange, self._store, target, query, on_end=self._streams.discard))
        elif target.name:
            _reply(exchange, self._store.get(target.resource, target.namespace or "", target.name))
        else:
            items, version = self._store.list(
                target.resource, target.namespace, labels=query.labels, fields=query.fields
            )
            _reply(exchange, documents.object_list(target.resource, items, version))

    def _create(self, exchange: Exchange, target: Target, query: Query) -> None:
        admission = admit(target.resource, _object(exchange, target), None)
        warnings = admission.warnings_for(strict=query.strict)
        _reply(exchange, self._store.create(target.resource, admission.obj), 201, warnings)

    def _update(self, exchange: Exchange, target: Target, query: Query) -> None:
        self._put(exchange, target, query, _object(exchange, target))

    def _patch(self, exchange: Exchange, target: Target, query: Query) -> None:
        content_type = (exchange.header(b"content-type") or b"").decode("latin-1").partition(";")[0].strip()
        if content_type != _MERGE_PATCH:
            raise UnsupportedMediaType(
                f"PATCH came as {content_type or 'nothing'}; the embedded Knative takes {_MERGE_PATCH} "
                "(no server-side apply, strategic or JSON patch)"
            )
        old = self._store.get(target.resource, target.namespace or "", target.name)
        new = merge_patch(old, _json_object(exchange))
        self._put(exchange, target, query, _checked(new, target))

    def _put(self, exchange: Exchange, target: Target, query: Query, new: Json) -> None:
        old = self._store.get(target.resource, target.namespace or "", target.name)
        if target.status:
            check_version(target.resource, new, old)
            status = new.get("status") or {}
            _reply(exchange, self._store.set_status(target.resource, target.namespace or "", target.name, status))
            return
        admission = admit(target.resource, new, old)
        warnings = admission.warnings_for(strict=query.strict)
        _reply(exchange, self._store.replace(target.resource, admission.obj), 200, warnings)

    def _delete(self, exchange: Exchange, target: Target, query: Query) -> None:  # noqa: ARG002 - one signature
        old = self._store.get(target.resource, target.namespace or "", target.name)
        options = _json_object(exchange) if exchange.body else {}
        if options.get("propagationPolicy") == "Orphan" or options.get("dryRun"):
            raise InvalidRequest("propagationPolicy Orphan and dryRun are not available in the embedded Knative")
        for field, wanted in (options.get("preconditions") or {}).items():
            if old["metadata"].get(field) != wanted:
                raise Conflict(f"precondition failed: {field} is {old['metadata'].get(field)}, not {wanted}")
        self._store.delete(target.resource, target.namespace or "", target.name)
        _reply(exchange, documents.success(target, old["metadata"]["uid"]))


def _object(exchange: Exchange, target: Target) -> Json:
    return _checked(_json_object(exchange), target)


def _json_object(exchange: Exchange) -> Json:
    try:
        return msgspec.json.decode(exchange.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not a JSON object: {error}") from error


def _checked(obj: object, target: Target) -> Json:
    """The object, if it is what the path says, with name and namespace filled in from there."""
    resource = target.resource
    if not isinstance(obj, dict):
        raise InvalidRequest(f"the body is not a {resource.kind} object")
    for field, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if obj.get(field, wanted) != wanted:
            raise InvalidRequest(f"{field} is {obj[field]!r}; this path takes {wanted}")
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise InvalidRequest("metadata is missing; at least metadata.name is required")
    metadata = dict(metadata)
    for field, wanted in (("namespace", target.namespace or ""), ("name", target.name)):
        if wanted and metadata.setdefault(field, wanted) != wanted:
            raise InvalidRequest(f"metadata.{field} is {metadata[field]!r}, but the path says {wanted!r}")
    return {**obj, "metadata": metadata}


def _reply(exchange: Exchange, document: Json, status: int = 200, warnings: tuple[str, ...] = ()) -> None:
    headers: Headers = [(b"content-type", b"application/json")]
    headers += [(b"warning", _warning(text)) for text in warnings]
    exchange.respond(status, headers, msgspec.json.encode(document))


def _warning(text: str) -> bytes:
    """RFC 9111 section 5.5 of old, as Kubernetes uses it: code 299, no agent, a quoted string."""
    quoted = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode()
