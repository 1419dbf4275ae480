"""A small Kubernetes API client: JSON over the wire pool; list, get, create, merge, delete, watch.

Errors of the API server become leaves of the error tree with the server's own message.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec

from warmfront.cloudevents import Headers
from warmfront.errors import (
    Conflict,
    Gone,
    InvalidRequest,
    NotFound,
    Unauthorized,
    Unprocessable,
    UpstreamFailed,
    WarmfrontError,
)
from warmfront.kube.connection import Connection
from warmfront.kube.resources import Resource
from warmfront.wire.messages import Response
from warmfront.wire.pool import Failure, Pool

Object = dict[str, Any]

_ERRORS: dict[int, type[WarmfrontError]] = {
    400: InvalidRequest, 401: Unauthorized, 403: Unauthorized, 404: NotFound, 409: Conflict, 422: Unprocessable,
}  # fmt: skip
_TIMEOUT_S = 15.0
# below the API server's own limit (30 to 60 min), so that the end of a watch is ours and orderly
_WATCH_S = 300


class KubeClient:
    """Speaks to one API server through a connection pool that the caller owns."""

    def __init__(self, connection: Connection, pool: Pool) -> None:
        self.connection = connection
        self._pool = pool

    async def list(self, resource: Resource, namespace: str | None, *, labels: str = "") -> tuple[list[Object], str]:
        """All objects, and the resource version to watch from."""
        query = {"labelSelector": labels} if labels else {}
        page = await self._call("GET", resource.path(namespace), query)
        return page.get("items") or [], page["metadata"]["resourceVersion"]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object. No namespace: one that lives in none. Raises NotFound."""
        return await self._call("GET", resource.path(namespace, name))

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create; the namespace is the object's own. Raises Conflict if it exists."""
        return await self._call("POST", resource.path(obj["metadata"].get("namespace")), body=obj)

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Object) -> Object:
        """Apply a merge patch (RFC 7386)."""
        kind = b"application/merge-patch+json"
        return await self._call("PATCH", resource.path(namespace, name), body=patch, content_type=kind)

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete one object and all that it owns. Raises NotFound."""
        await self._call("DELETE", resource.path(namespace, name))

    async def watch(
        self, resource: Resource, namespace: str | None, *, labels: str = "", since: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Changes after resource version `since`: (ADDED, MODIFIED, DELETED or BOOKMARK; object).

        Ends when the server ends the watch in good order. Raises Gone when `since` is too old, UpstreamFailed when the
        connection breaks, Unauthorized without permission.
        """
        query = {
            "watch": "1",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
        }
        if labels:
            query["labelSelector"] = labels
        lines = _Lines()
        target = f"{resource.path(namespace)}?{urlencode(query)}"
        call = self._pool.send(
            self.connection.origin, "GET", target, self._headers(), b"", lines, timeout_s=_WATCH_S + 30.0
        )
        try:
            async for line in lines.read():
                event = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    _raise(event["object"].get("code", 500), event["object"].get("message", "watch error"))
                yield event["type"], event["object"]
        finally:
            call.cancel()

    async def ask(self, method: str, path: str, body: Object | None = None) -> Response:
        """One request of any path, and the reply as it is, errors included. Raises UpstreamFailed without one."""
        return await self._send(method, path, body)

    def _headers(self) -> Headers:
        return [
            *self.connection.authorization(),
            (b"accept", b"application/json"),
            (b"user-agent", b"warmfront"),
        ]

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: Object | None = None,
        content_type: bytes = b"application/json",
    ) -> Object:
        target = f"{path}?{urlencode(query)}" if query else path
        response = await self._send(method, target, body, content_type)
        if response.status >= 400:
            _raise(response.status, _message(response.body))
        result: Object = msgspec.json.decode(response.body)
        return result

    async def _send(
        self,
        method: str,
        target: str,
        body: Object | None,
        content_type: bytes = b"application/json",
    ) -> Response:
        headers, data = self._headers(), b""
        if body is not None:
            headers.append((b"content-type", content_type))
            data = msgspec.json.encode(body)
        return await self._pool.fetch(self.connection.origin, method, target, headers, data, timeout_s=_TIMEOUT_S)


class _Lines:
    """Sink of a watch: bytes in as they come, whole lines out to one reader."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | WarmfrontError | None] = asyncio.Queue()
        self._rest = b""
        self._status = 0

    def on_response(self, status: int, headers: Headers) -> None:  # noqa: ARG002 - the pool's interface
        self._status = status

    def on_body(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._status == 200:
            for line in filter(None, lines):
                self._queue.put_nowait(line)
        else:
            self._rest = b"\n".join([*lines, self._rest])

    def on_complete(self) -> None:
        if self._status == 200:
            self._queue.put_nowait(None)
        else:
            self._queue.put_nowait(_error(self._status, _message(self._rest)))

    def on_failure(self, failure: Failure) -> None:
        self._queue.put_nowait(UpstreamFailed(f"watch broke: {failure.message}"))

    async def read(self) -> AsyncIterator[bytes]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, WarmfrontError):
                raise item
            yield item


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace") or "no message"


def _error(status: int, message: str) -> WarmfrontError:
    if status == 410:
        return Gone(message)
    return _ERRORS.get(status, UpstreamFailed)(f"API server answered {status}: {message}")


def _raise(status: int, message: str) -> None:
    raise _error(status, message)
