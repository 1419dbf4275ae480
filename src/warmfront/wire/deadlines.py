"""One timer for many connections: no timer is made per request.

A watched thing carries its own deadline; moving it is a plain attribute store. The single timer is armed for the
earliest deadline seen, and when it fires all are looked at. Moving a deadline out costs nothing: the timer fires early
once and is armed anew. What must not live here: what a deadline means.
"""

import asyncio
import logging
import math
from typing import Protocol

_log = logging.getLogger(__name__)

SLACK_S = 0.01
NEVER = math.inf


class Watched(Protocol):
    """Anything with a deadline on the loop's clock, NEVER when none."""

    deadline: float

    def expire(self) -> None:
        """Act on the passed deadline; it is NEVER by now and may be set again."""


class Deadlines:
    """Calls `expire()` of each watched thing at most SLACK_S (10 ms) after its deadline, and never before it.

    Whoever sets an earlier deadline than before says so with `hurry`; needless for one that is not before `due`.
    """

    __slots__ = ("_items", "_loop", "_timer", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.due = NEVER

    def watch(self, item: Watched) -> None:
        """Look after this thing until `forget`."""
        self._items.add(item)
        self.hurry(item.deadline)

    def forget(self, item: Watched) -> None:
        """Never look at this thing again."""
        self._items.discard(item)

    def hurry(self, deadline: float) -> None:
        """A watched thing now has this deadline; the timer is armed earlier if it would come too late."""
        if deadline < self.due:
            self._arm(deadline)

    def close(self) -> None:
        """Forget everything and stop the timer."""
        self._items.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.due = NEVER

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.due = at - SLACK_S
        self._timer = self._loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self.due = NEVER
        now = self._loop.time()
        for item in [item for item in self._items if item.deadline <= now]:
            item.deadline = NEVER
            try:
                item.expire()
            except Exception:  # noqa: BLE001 - a mistake of one thing must not stop the clock of all others
                _log.exception("a deadline could not be acted on")
        earliest = min((item.deadline for item in self._items), default=NEVER)
        if earliest < NEVER:
            # never two sweeps within SLACK_S, however many deadlines are spread over it
            at = max(earliest, now + SLACK_S)
            if at - SLACK_S < self.due:
                self._arm(at)
