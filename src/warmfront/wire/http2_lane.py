"""The HTTP/2 connections to one origin, and the calls that wait for one.

What may live here: which connection carries which call, growing, leaving. What must not: streams (http2_upstream.py). A
call that the peer says it has not processed is sent once more on another connection; nobody hears of it.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from warmfront.wire.calls import FailureKind, Origin, Sink
from warmfront.wire.framing import without_framing
from warmfront.wire.http2_upstream import Http2Call, Http2Upstream
from warmfront.wire.messages import Headers

if TYPE_CHECKING:
    from warmfront.wire.pool import Pool


class Http2Lane:
    """All HTTP/2 connections to one origin, and the calls that wait for one."""

    def __init__(self, pool: "Pool", origin: Origin) -> None:
        self.origin = origin
        self.idle_timeout_s = pool.idle_timeout_s
        self._pool = pool
        self._links: list[Http2Upstream] = []
        self._waiting: deque[Http2Call] = deque()
        self._connecting: asyncio.Task[None] | None = None

    def send(  # noqa: PLR0917  the order of a request line
        self, method: str, target: str, headers: Headers, body: bytes, sink: Sink, deadline: float
    ) -> Http2Call:
        """See `Pool.send`. `TE: trailers` is said for every request: gRPC servers want it, and trailers are heard."""
        if " " in target or target[:1] not in ("/", "*"):
            raise ValueError(f"request target is {target!r}; it must begin with / and be percent-encoded")
        authority = self.origin.authority.encode("ascii")
        fields: Headers = []
        for item in without_framing(headers)[0]:
            if item[0] == b"host":
                authority = item[1]
            else:
                fields.append(item)
        head = [
            (b":method", method.encode("latin-1")),
            (b":scheme", b"http"),
            (b":authority", authority),
            (b":path", target.encode("latin-1")),
            *fields,
            (b"te", b"trailers"),
        ]
        call = Http2Call(self, method, head, body, sink, deadline)
        self._pool.deadlines.watch(call)
        self._place(call)
        return call

    def again(self, call: Http2Call) -> None:
        """The upstream did not process the call: first in the queue for another connection, once."""
        call.link, call.sent, call.retried = None, False, True
        self._waiting.appendleft(call)
        self.freed()

    def withdraw(self, call: Http2Call) -> None:
        """The call waits no longer."""
        if call in self._waiting:
            self._waiting.remove(call)

    def over(self, call: Http2Call) -> None:
        """The call has ended in whatever way."""
        self._pool.deadlines.forget(call)

    def hurry(self, deadline: float) -> None:
        """A connection has this deadline."""
        self._pool.deadlines.hurry(deadline)

    def freed(self) -> None:
        """There may be room: send what waits, else make room."""
        while self._waiting:
            link = self._free()
            if link is None:
                self._grow()
                return
            call = self._waiting.popleft()
            if not link.carry(call):
                self._waiting.appendleft(call)

    def dropped(self, link: Http2Upstream) -> None:
        """A connection is gone."""
        if link in self._links:
            self._links.remove(link)
        self._pool.deadlines.forget(link)
        if not self._pool.closed:
            self.freed()

    def settle(self) -> None:
        """Let the pool forget this origin when nothing is left of it."""
        if not self._links and not self._waiting and self._connecting is None:
            self._pool.forget(self)

    def close(self) -> None:
        """Drop all connections; calls fail."""
        if self._connecting is not None:
            self._connecting.cancel()
        waiting, self._waiting = list(self._waiting), deque()
        for call in waiting:
            call.failed(FailureKind.OVERLOAD, "the pool is closed")
        for link in list(self._links):
            calls, link.calls = link.calls, {}
            link.discard()
            for call in calls.values():
                call.failed(FailureKind.OVERLOAD, "the pool is closed")

    def _place(self, call: Http2Call) -> None:
        pool = self._pool
        link = self._free() if not self._waiting else None
        if link is not None and link.carry(call):
            return
        if pool.closed or len(self._waiting) >= pool.max_waiting_per_origin:
            waiting = f"{len(self._waiting)} calls wait for a connection already"
            message = "the pool is closed" if pool.closed else waiting
            pool.loop.call_soon(call.failed, FailureKind.OVERLOAD, message)
            return
        self._waiting.append(call)
        self._grow()

    def _free(self) -> Http2Upstream | None:
        for link in self._links:
            if link.room > 0:
                return link
        return None

    def _grow(self) -> None:
        """One more connection, if none is on its way, the limit allows, and those that are there are in use."""
        idle = any(not link.calls and not link.leaving for link in self._links)
        if self._connecting is None and not idle and len(self._links) < self._pool.max_connections_per_origin:
            self._connecting = self._pool.loop.create_task(self._connect())

    async def _connect(self) -> None:
        pool, origin = self._pool, self.origin
        try:
            async with asyncio.timeout(pool.connect_timeout_s):
                _, link = await pool.loop.create_connection(lambda: Http2Upstream(self), origin.address, origin.port)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that DNS cannot carry
            self._connecting = None
            reason = str(error) or f"no answer within {pool.connect_timeout_s} s"
            waiting, self._waiting = list(self._waiting), deque()
            for call in waiting:
                call.failed(FailureKind.CONNECT, f"cannot connect: {reason}")
            self.settle()
            return
        self._connecting = None
        if not link.lost:
            self._links.append(link)
            pool.deadlines.watch(link)
        self.freed()
