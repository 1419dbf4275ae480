"""A variant of the catalogue as a destination: everything about it that is the same for every request, worked out once.

What must not live here: what differs between requests.
"""

from collections.abc import Iterable
from typing import Protocol

from warmfront.domain import Request, Variant
from warmfront.errors import Unprocessable
from warmfront.gateway.dialects import Message, to_variant
from warmfront.gateway.measures import RouteMeasures
from warmfront.protocols import PROTOCOLS, grpc
from warmfront.protocols.reach import Way, way
from warmfront.wire.messages import Headers
from warmfront.wire.pool import Origin


class Waiting(Protocol):
    """A request that waits for a replica of the target to start."""

    def forsake(self, why: str, *, overdue: bool = False) -> None:
        """The target cannot start, or is overdue."""
        ...


class Target:
    """Where a variant is reached, what is counted of it, the header that names it to clients."""

    __slots__ = ("_ways", "measures", "named", "origin", "variant", "waiting")

    def __init__(
        self, variant: Variant, origin: Origin, measures: RouteMeasures, waiting: "set[Waiting] | None" = None
    ) -> None:
        self.variant = variant
        self.origin = origin
        self.measures = measures
        self.named = (b"warmfront-variant", variant.name.encode())
        self.waiting = set() if waiting is None else waiting  # requests that were sent while no replica was ready
        self._ways: dict[tuple[tuple[str, ...], str], Way] = {}

    @property
    def wake_up(self) -> tuple[str, str, Headers, bytes]:
        """Method, path, headers and body of what is answered without error once its model can answer, by the protocol
        that it prefers.
        """
        protocol, name = PROTOCOLS[self.variant.protocols[0]], self.variant.name
        rpc = grpc.rpc_at(protocol.readiness)
        if rpc is not None:
            return "POST", rpc.path, [(b"content-type", grpc.CONTENT_TYPE)], grpc.asked(rpc, name)
        return "GET", protocol.readiness.format(model=name), [], b""

    def way(self, protocols: tuple[str, ...], verb: str) -> Way:
        """How to put `verb` to it for a client that speaks one of `protocols`; there are few of both."""
        found = self._ways.get((protocols, verb))
        if found is None:
            found = way(protocols, self.variant, verb)
            assert found is not None, f"{self.variant.name} was to be excluded: it speaks none of {protocols}"
            self._ways[protocols, verb] = found
        return found


def unfit(message: Message, request: Request, targets: Iterable[Target]) -> dict[str, str]:
    """Which of the targets of the request's task, left out ones aside, it cannot be put to, and why."""
    found: dict[str, str] = {}
    for target in targets:
        variant = target.variant
        if variant.task == request.task and variant.name not in request.excluded:
            try:
                to_variant(message, target.way(message.protocols, message.verb), request, "", variant.name)
            except Unprocessable as error:
                found[variant.name] = str(error)
    return found
