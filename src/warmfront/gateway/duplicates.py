"""One execution per event: a second delivery of (source, id) joins the first or gets its kept answer.

What may live here: what is remembered of an event's identity, and for how long. What must not: events' contents, HTTP.
Memory is bounded three ways: number of kept answers, their bytes, their age. An event that failed is remembered by the
instant of its first delivery only, so that a retry runs again but is judged from that first delivery.
Everything is generic in W, who waits for an answer, and A, the answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

W = TypeVar("W")
A = TypeVar("A")

Key = tuple[str, str]

_ENTRY_BYTES = 512  # rough cost of one entry besides its answer's body: key, tuple, attributes


@dataclass(slots=True)
class Flight(Generic[W]):
    """One execution under way and everyone who waits for its answer, the first delivery first."""

    first_at: float
    waiting: list[W] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[A]):
    """What is remembered of a finished event; `answer` is None when it failed and may run again."""

    answer: A | None
    first_at: float
    kept_at: float
    size: int


class Duplicates(Generic[W, A]):
    """Joins deliveries of the same event. Instants are seconds on the caller's clock, sizes bytes."""

    def __init__(self, *, max_answers: int, max_bytes: int, max_age_s: float) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._flights: dict[Key, Flight[W]] = {}
        self._kept: dict[Key, Kept[A]] = {}  # oldest first
        self.bytes = 0

    def __len__(self) -> int:
        """Number of finished events remembered."""
        return len(self._kept)

    def kept(self, key: Key, now: float) -> A | None:
        """The answer given earlier to `key`, None if there is none or it was forgotten."""
        self._forget(now)
        found = self._kept.get(key)
        return None if found is None else found.answer

    def join(self, key: Key, waiter: W) -> bool:
        """Add `waiter` to the execution of `key` under way; False if there is none."""
        flight = self._flights.get(key)
        if flight is None:
            return False
        flight.waiting.append(waiter)
        return True

    def begin(self, key: Key, waiter: W, received_at: float) -> Flight[W]:
        """Start an execution of `key`. Its `first_at` is the first delivery's, also when that one failed."""
        earlier = self._drop(key)
        flight = Flight(received_at if earlier is None else earlier.first_at, [waiter])
        self._flights[key] = flight
        return flight

    def end(self, key: Key, answer: A | None, size: int, now: float) -> list[W]:
        """Finish `key` and hand back who waits. `answer` None: it failed and the next delivery runs again.

        An answer larger than the whole memory is not kept.
        """
        flight = self._flights.pop(key)
        if answer is not None and size + _ENTRY_BYTES > self._max_bytes:
            answer, size = None, 0
        self._kept[key] = Kept(answer=answer, first_at=flight.first_at, kept_at=now, size=size + _ENTRY_BYTES)
        self.bytes += size + _ENTRY_BYTES
        self._forget(now)
        return flight.waiting

    def in_flight(self) -> Iterator[Key]:
        """The events being executed."""
        return iter(self._flights)

    def _drop(self, key: Key) -> Kept[A] | None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.bytes -= found.size
        return found

    def _forget(self, now: float) -> None:
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            if (
                len(self._kept) <= self._max_answers
                and self.bytes <= self._max_bytes
                and now - oldest.kept_at <= self._max_age_s
            ):
                return
            self._drop(key)
