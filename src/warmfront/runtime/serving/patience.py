"""When a Revision's failure is believed: once it has lasted a moment.

`kn` makes a Service, reads it, and then waits for a change of what it has read. Here a Revision can fail
within the very write that makes it, so `kn` would read the failure, see no change after it, and wait for
its whole timeout. On a cluster the failure always comes later; this keeps it so.
"""

import asyncio
from collections.abc import Callable

from warmfront.kube.resources import Json

HOLD_S = 0.5
"""How long a failure is held back, in seconds; `kn` needs 5 to 50 ms from its write to its read."""

Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


def on_the_loop(delay_s: float, action: Callable[[], None]) -> asyncio.TimerHandle:
    """Run the action on the running event loop, later."""
    return asyncio.get_running_loop().call_later(delay_s, action)


class Patience:
    """Remembers which failures are being held back; `recheck(namespace, service)` is called when one is due."""

    def __init__(self, recheck: Callable[[str, str], None], later: Later = on_the_loop) -> None:
        self._recheck = recheck
        self._later = later
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._believed: set[str] = set()

    def believes(self, revision: Json, service: str) -> bool:
        """Whether the Revision has been failing for long enough; asks for a recheck if not."""
        meta = revision["metadata"]
        uid, namespace = meta["uid"], meta["namespace"]
        if uid in self._believed:
            return True
        if uid not in self._waiting:
            self._waiting[uid] = self._later(HOLD_S, lambda: self._believe(uid, namespace, service))
        return False

    def forget(self, uid: str) -> None:
        """The Revision does not fail any more, or is gone."""
        self._believed.discard(uid)
        timer = self._waiting.pop(uid, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Recheck nothing any more."""
        for uid in list(self._waiting):
            self.forget(uid)

    def _believe(self, uid: str, namespace: str, service: str) -> None:
        del self._waiting[uid]
        self._believed.add(uid)
        self._recheck(namespace, service)
