"""Connections to upstreams, kept and shared: LIFO per origin, bounded, with a bounded queue when all are busy.

What may live here: which connection carries which call, retries, timeouts of connecting. What must not: parsing
(upstream.py), what a reply means.
"""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from warmfront.wire.calls import Collector, Failure, FailureKind, Origin, Sink
from warmfront.wire.deadlines import Deadlines
from warmfront.wire.framing import FRAMING, head, without_framing
from warmfront.wire.messages import NO_TRAILERS, Headers, Response, first
from warmfront.wire.outbox import Outbox
from warmfront.wire.upstream import Upstream

if TYPE_CHECKING:
    from warmfront.wire.http2_lane import Http2Lane

__all__ = ["Call", "Failure", "FailureKind", "Origin", "Pool", "Sink"]

# RFC 9110 section 9.2.2: a second execution changes nothing
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_FRAMING_OR_HOST = FRAMING | {b"host"}
# a request without body needs no Content-Length where a body has no meaning
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class Call:
    """One request on its way. Everything but cancel, pause, resume and `trailers` (of a whole reply) is the pool's."""

    __slots__ = (
        "body",
        "deadline",
        "done",
        "head",
        "lane",
        "method",
        "paused",
        "retried",
        "sent",
        "sink",
        "started",
        "trailers",
        "upstream",
    )

    def __init__(  # noqa: PLR0917  one is made per request
        self, lane: "Lane", method: str, head: bytes, body: bytes, sink: Sink, deadline: float
    ) -> None:
        self.lane = lane
        self.method = method
        self.head = head
        self.body = body
        self.sink = sink
        self.deadline = deadline
        self.upstream: Upstream | None = None
        self.paused = False
        self.sent = False
        self.started = False
        self.retried = False
        self.done = False
        self.trailers = NO_TRAILERS

    def cancel(self) -> None:
        """The sink hears nothing more; the connection is closed unless the reply was complete."""
        if self.done:
            return
        self.done = True
        if self.upstream is not None:
            self.upstream.discard()
        else:
            self.lane.withdraw(self)

    def pause(self) -> None:
        """Stop reading the reply. What is already parsed (at most one read, 256 KiB) may still come."""
        if not self.paused and not self.done:
            self.paused = True
            if self.upstream is not None:
                self.upstream.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading the reply."""
        if self.paused and not self.done:
            self.paused = False
            if self.upstream is not None:
                self.upstream.transport.resume_reading()

    def completed(self) -> None:
        """The reply is whole."""
        self.done = True
        self.upstream = None
        self.sink.on_complete()

    def broken(self, kind: FailureKind, message: str) -> None:
        """The connection broke under the call: one more try where a stale idle connection may be the reason."""
        upstream, self.upstream = self.upstream, None
        stale = upstream is not None and upstream.used
        if stale and not self.started and not self.retried and self.method in _IDEMPOTENT and not self.done:
            self.retried = True
            self.lane.retry(self)
        else:
            self.failed(kind, message)

    def failed(self, kind: FailureKind, message: str) -> None:
        """The call is over without a whole reply."""
        if self.done:
            return
        self.done = True
        self.upstream = None
        where = self.lane.origin.authority
        self.sink.on_failure(Failure(kind=kind, message=f"{where}: {message}", sent=self.sent, started=self.started))

    def expire(self) -> None:
        """The time is over while waiting for a connection."""
        self.lane.withdraw(self)
        self.failed(FailureKind.TIMEOUT, "no connection was free in time")


class Lane:
    """All connections to one origin, and the calls that wait for one."""

    __slots__ = ("_connecting", "_open", "_pool", "_tasks", "_waiting", "host", "idle", "origin", "outbox")

    def __init__(self, pool: "Pool", origin: Origin) -> None:
        self.origin = origin
        self.outbox = pool.outbox
        self.host = b"host: %b\r\n" % origin.authority.encode("ascii")
        self.idle: list[Upstream] = []
        self._pool = pool
        self._open: set[Upstream] = set()
        self._connecting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[Call] = deque()

    def place(self, call: Call) -> None:
        """The most recently used idle connection, else a place in the queue and maybe a new connection."""
        if self.idle:
            upstream = self.idle.pop()
            upstream.carry(call)
            deadlines = self._pool.deadlines
            if call.deadline < deadlines.due:
                deadlines.hurry(call.deadline)
        elif self._pool.closed or len(self._waiting) >= self._pool.max_waiting_per_origin:
            waiting = f"{len(self._waiting)} calls wait for a connection already"
            message = "the pool is closed" if self._pool.closed else waiting
            self._pool.loop.call_soon(call.failed, FailureKind.OVERLOAD, message)
        else:
            self._waiting.append(call)
            self._pool.deadlines.watch(call)
            self._grow()

    def retry(self, call: Call) -> None:
        """Put the call first in the queue; the other idle connections are as stale as the one that broke.

        It stays `sent`: the first try may have been executed.
        """
        for upstream in list(self.idle):
            upstream.discard()
        self._waiting.appendleft(call)
        self._pool.deadlines.watch(call)
        self._grow()

    def withdraw(self, call: Call) -> None:
        """The call waits no longer."""
        self._pool.deadlines.forget(call)
        if call in self._waiting:
            self._waiting.remove(call)

    def freed(self, upstream: Upstream) -> None:
        """A connection has finished its call: the next one, or rest."""
        if self._waiting:
            call = self._waiting.popleft()
            self._pool.deadlines.forget(call)
            upstream.carry(call)
            self._pool.deadlines.hurry(call.deadline)
        elif len(self.idle) >= self._pool.max_idle_per_origin or self._pool.closed:
            upstream.discard()
        else:
            upstream.deadline = deadline = time.monotonic() + self._pool.idle_timeout_s
            deadlines = self._pool.deadlines
            if deadline < deadlines.due:
                deadlines.hurry(deadline)
            self.idle.append(upstream)

    def dropped(self, upstream: Upstream) -> None:
        """A connection is gone."""
        if upstream in self.idle:
            self.idle.remove(upstream)
        self._open.discard(upstream)
        self._pool.deadlines.forget(upstream)
        self._grow()

    def settle(self) -> None:
        """Let the pool forget this origin when nothing is left of it: replicas come and go, each with its own port."""
        if not self._open and not self._waiting and not self._connecting:
            self._pool.forget(self)

    def close(self) -> None:
        """Drop all connections; calls fail."""
        for task in list(self._tasks):
            task.cancel()
        for call in list(self._waiting):
            self.withdraw(call)
            call.failed(FailureKind.OVERLOAD, "the pool is closed")
        for upstream in list(self._open):
            call_in_progress = upstream.call
            upstream.discard()
            if call_in_progress is not None:
                call_in_progress.failed(FailureKind.OVERLOAD, "the pool is closed")

    def _grow(self) -> None:
        """One new connection per waiting call, up to the limit; whichever connection is free first serves."""
        limit = self._pool.max_connections_per_origin
        while self._connecting < len(self._waiting) and len(self._open) + self._connecting < limit:
            self._connecting += 1
            task = self._pool.loop.create_task(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        origin, pool = self.origin, self._pool
        try:
            async with asyncio.timeout(pool.connect_timeout_s):
                _, upstream = await pool.loop.create_connection(
                    lambda: Upstream(self),
                    origin.address,
                    origin.port,
                    ssl=origin.tls,
                    server_hostname=origin.host if origin.tls is not None else None,
                )
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that DNS cannot carry
            self._connecting -= 1
            reason = str(error) or f"no answer within {pool.connect_timeout_s} s"
            if self._waiting:
                call = self._waiting.popleft()
                pool.deadlines.forget(call)
                call.failed(FailureKind.CONNECT, f"cannot connect: {reason}")
            self._grow()
            self.settle()
            return
        except asyncio.CancelledError:
            self._connecting -= 1
            raise
        self._connecting -= 1
        if upstream.lost:
            self._grow()
            return
        self._open.add(upstream)
        pool.deadlines.watch(upstream)
        self.freed(upstream)


class Pool:
    """Sends requests over kept connections. Times in seconds, kept within 10 ms.

    At most `max_connections_per_origin` connections; then calls wait, at most `max_waiting_per_origin` of them. A
    connection rests at most `idle_timeout_s`. A request that meets a connection which closed while it rested is sent
    once more on a fresh one, if it is GET, HEAD, PUT, DELETE or OPTIONS and no head of a reply came.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 5.0,
        idle_timeout_s: float = 60.0,
        max_idle_per_origin: int = 64,
        max_connections_per_origin: int = 1024,
        max_waiting_per_origin: int = 10_000,
    ) -> None:
        self.connect_timeout_s = connect_timeout_s
        self.idle_timeout_s = idle_timeout_s
        self.max_idle_per_origin = max_idle_per_origin
        self.max_connections_per_origin = max_connections_per_origin
        self.max_waiting_per_origin = max_waiting_per_origin
        self.closed = False
        self.outbox = Outbox()
        self.loop: asyncio.AbstractEventLoop
        self.deadlines: Deadlines
        self._attached = False
        self._lanes: dict[Origin, Lane] = {}
        self._http2: dict[Origin, Http2Lane] = {}

    def send(  # noqa: PLR0917  the order of a request line
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        sink: Sink,
        *,
        timeout_s: float,
    ) -> Call:
        """Send a request; the sink hears the reply. `timeout_s` runs from now to the reply's last byte, waiting
        included; `math.inf` is no timeout.

        `target` is path and query, percent-encoded. Host is taken from `headers` if there, else from the origin;
        framing and hop-by-hop fields are set here. ValueError when target or headers would break the framing.
        """
        if origin.h2c:
            http2 = self._http2.get(origin) or self._http2_lane(origin)
            return http2.send(method, target, headers, body, sink, time.monotonic() + timeout_s)
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lane(origin)
        if " " in target or target[:1] not in ("/", "*"):
            raise ValueError(f"request target is {target!r}; it must begin with / and be percent-encoded")
        framing = lane.host
        for item in headers:
            if item[0] in _FRAMING_OR_HOST:
                headers, _, _ = without_framing(headers)
                if first(headers, b"host") is not None:
                    framing = b""
                break
        if body or method not in _BODILESS:
            framing += b"content-length: %d\r\n" % len(body)
        text = head(f"{method} {target} HTTP/1.1\r\n".encode("latin-1"), headers, framing)
        call = Call(lane, method, text, body, sink, time.monotonic() + timeout_s)
        lane.place(call)
        return call

    async def fetch(
        self,
        url_or_origin: str | Origin,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        *,
        timeout_s: float,
        max_body: int = 64 * 1024 * 1024,
    ) -> Response:
        """One whole exchange; any status is returned. Without one: UpstreamFailed, UpstreamTimeout, Overloaded."""
        origin = url_or_origin if isinstance(url_or_origin, Origin) else Origin.parse(url_or_origin)
        sink = Collector(asyncio.get_running_loop().create_future(), max_body)
        call = self.send(origin, method, target, headers, body, sink, timeout_s=timeout_s)
        try:
            return await sink.future
        finally:
            call.cancel()

    async def close(self) -> None:
        """Drop every connection. Calls in progress and later ones fail with OVERLOAD."""
        self.closed = True
        lanes: list[Lane | Http2Lane] = [*self._lanes.values(), *self._http2.values()]
        for lane in lanes:
            lane.close()
        if self._attached:
            self.deadlines.close()
        await asyncio.sleep(0)  # lets the transports close their sockets

    def forget(self, lane: "Lane | Http2Lane") -> None:
        """The lane has no connection and no call any more."""
        lanes: dict[Origin, Lane] | dict[Origin, Http2Lane] = self._http2 if lane.origin.h2c else self._lanes
        if lanes.get(lane.origin) is lane:
            del lanes[lane.origin]

    def _attach(self) -> None:
        if not self._attached:
            self._attached = True
            self.loop = asyncio.get_running_loop()
            self.deadlines = Deadlines(self.loop)

    def _lane(self, origin: Origin) -> Lane:
        self._attach()
        lane = self._lanes[origin] = Lane(self, origin)
        return lane

    def _http2_lane(self, origin: Origin) -> "Http2Lane":
        from warmfront.wire.http2_lane import Http2Lane  # noqa: PLC0415 - loaded with the first such upstream

        self._attach()
        lane = self._http2[origin] = Http2Lane(self, origin)
        return lane
