"""A variant of the catalogue as a destination: everything about it that is the same for every request, worked out once.

What must not live here: what differs between requests.
"""

from typing import Protocol

from warmfront.domain import Variant
from warmfront.gateway.dialects import Way, way
from warmfront.gateway.measures import RouteMeasures
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
        self._ways: dict[tuple[str, ...], Way] = {}

    def way(self, protocols: tuple[str, ...]) -> Way:
        """How to put a request to it for a client that speaks one of `protocols`, of which there are few."""
        found = self._ways.get(protocols)
        if found is None:
            found = self._ways[protocols] = way(protocols, self.variant)
        return found
