"""One HTTP request to a subscriber or dead-letter sink, and its answer as a verdict."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from warmfront.cloudevents import CloudEvent, Mode, encode
from warmfront.runtime.addresses import BROKER_HOST
from warmfront.runtime.eventing.answers import Refused, Taken, judge
from warmfront.runtime.eventing.destinations import route
from warmfront.runtime.eventing.journal import Delivery, Failure
from warmfront.runtime.eventing.ttl import TTL
from warmfront.wire.messages import Headers
from warmfront.wire.pool import Call, Pool
from warmfront.wire.pool import Failure as WireFailure

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of an answer that are read; a longer one counts as 502."""
_MAX_ERROR_DATA = 1024  # characters of base64, as in Knative


class Attempt:
    """Begins with `send`; then calls `then(attempt, verdict)` once, unless cancelled before."""

    __slots__ = ("_body", "_call", "_headers", "_size", "_status", "_then", "delivery", "url")

    def __init__(self, delivery: Delivery, url: str, then: Callable[["Attempt", Taken | Refused], None]) -> None:
        self.delivery = delivery
        self.url = url
        self._then = then
        self._call: Call | None = None
        self._status = 0
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._size = 0

    def send(self, pool: Pool, mode: Mode, timeout_s: float) -> None:
        """Put the request on its way."""
        origin, target = route(self.url)
        delivery = self.delivery
        if delivery.failure is None:
            # a subscriber does not see the hops, unless it is a Broker: that would make endless loops
            event = delivery.entry.event if origin.host == BROKER_HOST else _without_ttl(delivery.entry.event)
            headers, body = encode(event, mode)
            headers.append((b"prefer", b"reply"))
        else:
            headers, body = encode(with_error(delivery.entry.event, delivery.failure), mode)
        self._call = pool.send(origin, "POST", target, headers, body, self, timeout_s=timeout_s)

    def cancel(self) -> None:
        """End it; `then` is not called."""
        if self._call is not None:
            self._call.cancel()

    def on_response(self, status: int, headers: Headers) -> None:
        """The head of the answer."""
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        """A piece of the answer."""
        self._size += len(data)
        if self._size <= MAX_ANSWER:
            self._body.append(data)
        else:
            self.cancel()
            self._then(self, Refused(code=502, reason=f"answered more than {MAX_ANSWER} bytes"))

    def on_complete(self) -> None:
        """The answer is whole. What a dead-letter sink says in a 2xx does not matter, a reply is not asked for."""
        if self.delivery.failure is not None and 200 <= self._status < 300:
            self._then(self, Taken())
            return
        self._then(self, judge(self._status, self._headers, b"".join(self._body), datetime.now(UTC)))

    def on_failure(self, failure: WireFailure) -> None:
        """There is no answer; Knative calls that a 500."""
        self._then(self, Refused(code=500, reason=failure.message))


def with_error(event: CloudEvent, failure: Failure) -> CloudEvent:
    """The event as a dead-letter sink gets it: `knativeerrordata` is the body in base64, cut to 1,024 characters.

    Without an answer it is the reason. The `knativebrokerttl` stays, so that a Broker as sink cannot be part of a loop.
    """
    data = base64.b64encode(failure.data or failure.reason.encode())[:_MAX_ERROR_DATA].decode()
    error = {
        "knativeerrordest": failure.destination,
        "knativeerrorcode": str(failure.code),
        "knativeerrordata": data,
    }
    return replace(event, extensions={**event.extensions, **error})


def _without_ttl(event: CloudEvent) -> CloudEvent:
    return replace(event, extensions={name: value for name, value in event.extensions.items() if name != TTL})
