"""Wakes variants in the background, those that the plan says are worth it and those to be kept, by a real request.

The request is a GET of the readiness path through the variant's own address, so that it passes the activator on every
platform; it is not an inference and counts as none. What must not live here: which variant is worth it.
"""

import logging

from warmfront.cloudevents import Headers
from warmfront.domain import Start
from warmfront.gateway.plane import Plane
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
        headers: Headers = [(b"user-agent", b"warmfront-wake")]
        plane.pool.send(
            target.origin,
            "GET",
            target.readiness,
            headers,
            b"",
            _WakeUp(self, name),
            timeout_s=plane.settings.timeout_s,
        )

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

    def on_response(self, status: int, headers: Headers) -> None:  # noqa: ARG002 - the pool's interface
        self._status = status

    def on_body(self, data: bytes) -> None:
        pass

    def on_complete(self) -> None:
        self._waker.ended(self._name, "ready" if self._status < 400 else f"status-{self._status}")

    def on_failure(self, failure: Failure) -> None:
        self._waker.ended(self._name, failure.kind.value)
