"""How much may be under way at once; beyond that a request is refused at once instead of queueing without end.

What may live here: three counts and their limits. What must not: choosing a variant. In flight is everything admitted
and not yet answered (beyond: 503, this selector is full); waiting is what waits for a cold start (beyond: 429, the
task's variants are coming up and more callers would only wait longer).
"""

from warmfront.errors import Overloaded

_FULL_RETRY_S = 1.0


class Admission:
    """Counts what is in flight, its body bytes and what waits for a start."""

    def __init__(self, *, max_in_flight: int, max_in_flight_bytes: int, max_waiting: int) -> None:
        self._max_in_flight = max_in_flight
        self._max_in_flight_bytes = max_in_flight_bytes
        self._max_waiting = max_waiting
        self.in_flight = 0
        self.in_flight_bytes = 0
        self.waiting = 0

    def enter(self, size: int) -> None:
        """Admit one request with a body of `size` bytes. Raises Overloaded (503) when full. Undo with `leave`."""
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(
                f"{self.in_flight} requests are in flight, the limit here; try again later or add a selector",
                retry_after_s=_FULL_RETRY_S,
            )
        if self.in_flight_bytes + size > self._max_in_flight_bytes and self.in_flight:
            raise Overloaded(
                f"the bodies in flight hold {self.in_flight_bytes} bytes, {size} more would pass the limit of "
                f"{self._max_in_flight_bytes}; try again later",
                retry_after_s=_FULL_RETRY_S,
            )
        self.in_flight += 1
        self.in_flight_bytes += size

    def leave(self, size: int) -> None:
        """The request that `enter` admitted is answered or gone."""
        self.in_flight -= 1
        self.in_flight_bytes -= size

    def begin_wait(self, wait_s: float) -> None:
        """One admitted request now waits for a start, expected to take `wait_s`. Raises Overloaded (429) when too many
        do. Undo with `end_wait`.
        """
        if self.waiting >= self._max_waiting:
            raise Overloaded(
                f"{self.waiting} requests already wait for a cold start, the limit; try again in {wait_s:.1f} s",
                retry_after_s=wait_s,
                status=429,
            )
        self.waiting += 1

    def end_wait(self) -> None:
        """The request that `begin_wait` counted waits no longer."""
        self.waiting -= 1
