"""Errors as replies, in the shape of the client's protocol: RFC 9457 problem details, `{"error": ...}`, gRPC's status.

What may live here: rendering a WarmfrontError to status, headers and body, and telling a variant's error anew. What
must not: deciding that something is an error.
"""

import math
from typing import Any

import msgspec

from warmfront.cloudevents import Headers
from warmfront.errors import InvalidEvent, NotFound, Overloaded, Unauthorized, WarmfrontError
from warmfront.protocols import Errors, grpc
from warmfront.protocols.bodies import fields

CONTENT_TYPE = b"application/problem+json"
TYPE_BASE = "https://warmfront.dev/problems/"


def internal() -> WarmfrontError:
    """What a client is told of a mistake in here."""
    return WarmfrontError("an error inside the selector; its log has the details")


def document(error: WarmfrontError, *, status: int | None = None) -> dict[str, Any]:
    """The problem object: type, title, status, detail; `faults` names every broken attribute of an event."""
    problem: dict[str, Any] = {
        "type": TYPE_BASE + error.slug,
        "title": error.title,
        "status": error.status if status is None else status,
        "detail": str(error),
    }
    if isinstance(error, InvalidEvent):
        problem["faults"] = error.faults
    return problem


def render(
    error: WarmfrontError, *, status: int | None = None, shape: Errors = Errors.PROBLEM
) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the reply to `error`, in the `shape` of the client's protocol.

    `status` replaces the error's own where a protocol wants it.
    """
    if shape is Errors.STATUS:
        return _status(error)
    plain = shape is Errors.ERROR
    body = msgspec.json.encode({"error": str(error)} if plain else document(error, status=status))
    headers: Headers = [(b"content-type", b"application/json" if plain else CONTENT_TYPE)]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    elif isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="warmfront"'))
    return error.status if status is None else status, headers, body


def _status(error: WarmfrontError) -> tuple[int, Headers, bytes]:
    """An error as a call's whole reply: one frame of headers. A path that is not known is a method that is not."""
    code = grpc.Code.UNIMPLEMENTED if type(error) is NotFound else grpc.BY_HTTP.get(error.status, grpc.Code.UNKNOWN)
    headers = [(b"content-type", grpc.CONTENT_TYPE), (grpc.STATUS_FIELD, b"%d" % code)]
    headers.append((grpc.MESSAGE_FIELD, grpc.encoded(str(error))))
    if isinstance(error, Overloaded):
        headers.append((b"grpc-retry-pushback-ms", b"%d" % max(1, round(error.retry_after_s * 1000))))
    return 200, headers, b""


def retold(status: int, headers: Headers, body: bytes, shape: Errors) -> tuple[Headers, bytes]:
    """An error that a variant told in the shape of its protocol, in that of the client's. What is neither stays."""
    said = fields(body)
    text = said.get("error", said.get("detail"))
    if not isinstance(text, str) or (shape is Errors.ERROR and "error" in said):
        return headers, body
    kept = [item for item in headers if item[0] != b"content-type"]
    if shape is Errors.ERROR:
        return [*kept, (b"content-type", b"application/json")], msgspec.json.encode({"error": text})
    problem = {
        "type": f"{TYPE_BASE}turned-down",
        "title": "Turned down by the variant",
        "status": status,
        "detail": text,
    }
    return [*kept, (b"content-type", CONTENT_TYPE)], msgspec.json.encode(problem)
