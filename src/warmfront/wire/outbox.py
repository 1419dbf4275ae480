"""Writes of one turn of the event loop, done together at its end.

A write to a socket whose reader sleeps wakes that reader: on two cores this costs more than the copying. When a turn
serves many connections, their readers are awake from the first write on if the writes follow one another. A turn that
serves one loses nothing: its end is next.
What must not live here: which bytes, or what happens to a connection afterwards.
"""

import asyncio
import logging

_log = logging.getLogger(__name__)


class Outbox:
    """Keeps what is to be written until the end of the turn, in order. Call `flush` before touching a transport."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write `data` when the turn ends."""
        waiting = self._waiting
        if not waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        waiting.append((transport, data))

    def flush(self) -> None:
        """Write now what waits. A transport that closed meanwhile takes nothing; one that fails is cut, no other."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for transport, data in waiting:
                try:
                    if not transport.is_closing():
                        transport.write(data)
                except Exception:  # noqa: BLE001 - the other connections of this turn are owed their bytes
                    _log.exception("a write failed")
                    transport.abort()
