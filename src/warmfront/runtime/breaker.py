"""Where the requests of one revision wait, and which replica takes the next one: activator and queue-proxy in one.

What lives here: counting, queueing, picking. What must not: a clock, a socket, a process. Whoever drives it calls
`dispatch` after everything that may have made room, and hands each pair it yields to the network.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from random import Random
from typing import Generic, TypeVar

from warmfront.errors import Overloaded

ACTIVATOR_QUEUE = 10_000  # requests held per revision while the activator is in the path
QUEUE_PER_SLOT = 10  # queue-proxy holds ten times containerConcurrency per replica

Ticket = TypeVar("Ticket", bound=Hashable)
Replica = TypeVar("Replica", bound=Hashable)


class Breaker(Generic[Ticket, Replica]):
    """Holds requests first in, first out, and admits at most `concurrency` at once to each replica (0: no limit).

    The choice among replicas with room is the activator's: no limit -> the less busy of two drawn at random; 1 to 3 ->
    the first; more -> round robin.
    """

    def __init__(self, *, concurrency: int, rng: Random) -> None:
        self._concurrency = concurrency
        self._rng = rng
        self._ready: list[Replica] = []
        self._in_flight: dict[Replica, int] = {}
        self._queue: OrderedDict[Ticket, None] = OrderedDict()
        self._next = 0
        self.in_flight = 0

    @property
    def queued(self) -> int:
        """How many requests wait here."""
        return len(self._queue)

    @property
    def ready(self) -> int:
        """How many replicas take requests."""
        return len(self._ready)

    def waiting(self) -> list[Ticket]:
        """The requests that wait here, oldest first."""
        return list(self._queue)

    def load(self, replica: Replica) -> int:
        """How many requests are in flight to this replica, draining or not."""
        return self._in_flight.get(replica, 0)

    def enter(self, ticket: Ticket, *, proxied: bool) -> Replica | None:
        """The replica that takes the request now, or None: it waits and `dispatch` will name one.

        `proxied`: the activator is in the path, so its long queue applies instead of the replicas' own.
        Raises Overloaded when that queue is full.
        """
        replica = None if self._queue else self._pick()
        if replica is not None:
            self._take(replica)
            return replica
        limit = ACTIVATOR_QUEUE
        if self._ready and not proxied:
            limit = QUEUE_PER_SLOT * self._concurrency * len(self._ready)
        if len(self._queue) >= limit:
            raise Overloaded(
                f"pending request queue full: {len(self._queue)} requests wait for {len(self._ready)} ready replicas "
                f"of concurrency {self._concurrency}; try again later or raise containerConcurrency or max-scale"
            )
        self._queue[ticket] = None
        return None

    def put_back(self, ticket: Ticket) -> None:
        """Queue a request again, before all others: its replica went away before it was sent."""
        self._queue[ticket] = None
        self._queue.move_to_end(ticket, last=False)

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting request; False if it waits no longer."""
        return self._queue.pop(ticket, self) is None

    def leave(self, replica: Replica) -> None:
        """One request to this replica ended."""
        self.in_flight -= 1
        left = self._in_flight[replica] - 1
        if left or replica in self._ready:
            self._in_flight[replica] = left
        else:
            del self._in_flight[replica]

    def add(self, replica: Replica) -> None:
        """Count on this replica: it is ready."""
        if replica not in self._ready:
            self._ready.append(replica)
            self._in_flight.setdefault(replica, 0)

    def remove(self, replica: Replica) -> None:
        """Give this replica no new request; those in flight stay counted until they `leave`."""
        if replica in self._ready:
            self._ready.remove(replica)
            if not self._in_flight[replica]:
                del self._in_flight[replica]

    def dispatch(self) -> Iterator[tuple[Ticket, Replica]]:
        """Yield (waiting request, replica that takes it), oldest first, while there is room."""
        while self._queue and (replica := self._pick()) is not None:
            ticket, _ = self._queue.popitem(last=False)
            self._take(replica)
            yield ticket, replica

    def _take(self, replica: Replica) -> None:
        self._in_flight[replica] += 1
        self.in_flight += 1

    def _pick(self) -> Replica | None:
        if not self._ready:
            return None
        if self._concurrency == 0:
            return self._less_busy_of_two()
        start = 0 if self._concurrency <= 3 else self._next
        for step in range(len(self._ready)):
            place = (start + step) % len(self._ready)
            if self._in_flight[self._ready[place]] < self._concurrency:
                self._next = place + 1
                return self._ready[place]
        return None

    def _less_busy_of_two(self) -> Replica:
        if len(self._ready) == 1:
            return self._ready[0]
        first, second = self._rng.sample(self._ready, 2)
        return second if self._in_flight[second] < self._in_flight[first] else first
