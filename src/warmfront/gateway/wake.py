"""Wakes variants in the background, those that the plan says are worth it and those to be kept, by a real request.

The request is a GET of the readiness path (of a gRPC server, a call that asks for it) through the variant's own
address, so that it passes the activator on every platform; it is not an inference and counts as none. What must not
live here: which variant is worth it.
"""

import logging

from warmfront.cloudevents import Headers
from warmfront.domain import Start
from warmfront.gateway.plane import Plane
from warmfront.protocols.grpc import STATUS_FIELD, TO_HTTP, code_of
from warmfront.wire.messages import first
from warmfront.wire.pool import Failure

_log = logging.getLogger(__name__)


class Waker:
    """At most one wake-up per variant is under way."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.under_way: set[str] = set()

    def wake(self, start: Start) -> None:
        """Send the request, unless one is under way or the variant is gone."""
        plane, name = self._plane, start.variant
        target = plane.targets.get(name)
        if target is None or name in self.under_way:
            return
        self.under_way.add(name)
        _log.info("waking a variant", extra={"fields": {"variant": name, "reason": start.reason}})
        method, path, headers, body = target.wake_up
        headers.append((b"user-agent", b"warmfront-wake"))
        sink, timeout_s = _WakeUp(self, name), plane.settings.timeout_s
        plane.pool.send(target.origin, method, path, headers, body, sink, timeout_s=timeout_s)

    def ended(self, name: str, result: str) -> None:
        """The wake-up of `name` is over: `ready`, or what went wrong."""
        self.under_way.discard(name)
        self._plane.measures.wakes.child(name, result).value += 1
        if result != "ready":
            _log.warning("a variant did not wake", extra={"fields": {"variant": name, "result": result}})


class _WakeUp:
    """The sink of one wake-up: only whether it worked counts."""

    __slots__ = ("_name", "_status", "_waker")

    def __init__(self, waker: Waker, name: str) -> None:
        self._waker = waker
        self._name = name
        self._status = 0

    def on_response(self, status: int, headers: Headers) -> None:
        code = first(headers, STATUS_FIELD)
        self._status = status if code is None else TO_HTTP.get(code_of(code, status), 400)

    def on_body(self, data: bytes) -> None:
        pass

    def on_complete(self) -> None:
        self._waker.ended(self._name, "ready" if self._status < 400 else f"status-{self._status}")

    def on_failure(self, failure: Failure) -> None:
        self._waker.ended(self._name, failure.kind.value)
