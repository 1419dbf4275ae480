"""Errors as replies: RFC 9457 problem details, one shape on every route and every front.

What may live here: rendering a WarmfrontError to status, headers and body. What must not: deciding that something is an
error.
"""

import math
from typing import Any

import msgspec

from warmfront.cloudevents import Headers
from warmfront.errors import InvalidEvent, Overloaded, Unauthorized, WarmfrontError

CONTENT_TYPE = b"application/problem+json"
TYPE_BASE = "https://warmfront.dev/problems/"


def internal() -> WarmfrontError:
    """What a client is told of a mistake in here."""
    return WarmfrontError("an error inside the selector; its log has the details")


def document(error: WarmfrontError, *, status: int | None = None) -> dict[str, Any]:
    """The problem object: type, title, status, detail; `faults` names every broken attribute of an event.

    `error` repeats the detail for clients of the Open Inference and TensorFlow Serving protocols, which look there.
    """
    detail = str(error)
    problem: dict[str, Any] = {
        "type": TYPE_BASE + error.slug,
        "title": error.title,
        "status": error.status if status is None else status,
        "detail": detail,
        "error": detail,
    }
    if isinstance(error, InvalidEvent):
        problem["faults"] = error.faults
    return problem


def render(error: WarmfrontError, *, status: int | None = None) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the reply to `error`. `status` replaces the error's own where a protocol wants it."""
    problem = document(error, status=status)
    headers: Headers = [(b"content-type", CONTENT_TYPE)]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    elif isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="warmfront"'))
    return problem["status"], headers, msgspec.json.encode(problem)
