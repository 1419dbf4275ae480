"""HTTP/2 towards one client, over cleartext and with prior knowledge: streams in, exchanges out.

What may live here: the state of the connection's streams, their limits and deadlines. What must not: frames and windows
(http2_link.py), replies (http2_exchange.py), what a request means. The server hands a connection over when it begins
with the preface of RFC 9113 section 3.4.
"""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from hyperframe.frame import GoAwayFrame

from warmfront.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    RequestTimeout,
    WarmfrontError,
)
from warmfront.wire.connection import cut
from warmfront.wire.deadlines import NEVER
from warmfront.wire.http2_exchange import Http2Exchange
from warmfront.wire.http2_link import Link, plain
from warmfront.wire.messages import Headers

if TYPE_CHECKING:
    from warmfront.wire.server import Server

_log = logging.getLogger(__name__)

MAX_STREAMS = 1000
# What the incomplete requests of one connection may hold together, in bodies of the largest size.
_MAX_BODIES = 8
# What a client may take back within a second: twice all that it can have in flight, whose deadlines may end together.
_MAX_RESETS = 2 * MAX_STREAMS


class _Incoming:
    """A request that is not complete yet."""

    __slots__ = ("begun_at", "headers", "method", "parts", "size", "target")

    def __init__(self, method: str, target: str, headers: Headers, begun_at: float) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.parts: list[bytes] = []
        self.size = 0
        self.begun_at = begun_at


class Http2Connection(Link):
    """One client. `deadline`, `expire`, `refused`, `shut_when_idle` and `reset` are what the server wants of it."""

    def __init__(self, server: "Server") -> None:
        limits = server.limits
        super().__init__(
            client=False,
            stream_window=min(limits.max_body + 1024, (1 << 31) - 1),
            max_streams=MAX_STREAMS,
            max_header_bytes=limits.max_header_bytes,
        )
        self.server = server
        self.refused = False
        self.deadline = NEVER
        self.exchanges: dict[int, Http2Exchange] = {}
        self._incoming: dict[int, _Incoming] = {}
        self._held = 0
        self._leaving = False
        self._resets = 0
        self._resets_since = 0.0
        self._write_deadline = NEVER
        self.hears = {
            RequestReceived: self._on_request,
            DataReceived: self._on_data,
            StreamEnded: self._on_end,
            StreamReset: self._on_reset,
            ConnectionTerminated: self._on_goaway,
        }

    def take_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Go on with a connection whose first bytes, `data`, are those of HTTP/2."""
        error = self.server.admit(self)
        self.connection_made(transport)
        if error is not None:
            self.shut_when_idle()
            return
        self._reschedule()
        self.data_received(data)

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._reschedule()
        self._settle()

    def eof_received(self) -> None:
        """The client will send no more: it has gone, as in HTTP/1.1."""
        self._disconnect()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, whoever closed it."""
        self._disconnect()
        self.server.dismiss(self)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        self._write_deadline = self.server.loop.time() + self.server.limits.write_timeout_s
        self._reschedule()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._write_deadline = NEVER
        super().resume_writing()
        self._reschedule()

    # -- events of h2 -------------------------------------------------------------------------------------------

    def _on_request(self, event: RequestReceived) -> None:
        stream_id = event.stream_id
        if self._leaving:
            self.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        pseudo = {bytes(name): bytes(value) for name, value in event.headers if name[:1] == b":"}
        headers = _joined_cookies(plain(event.headers))
        authority = pseudo.get(b":authority")
        if authority is not None:
            headers = [(b"host", authority), *(item for item in headers if item[0] != b"host")]
        method, target = pseudo[b":method"].decode("latin-1"), pseudo.get(b":path", b"").decode("latin-1")
        self._incoming[stream_id] = _Incoming(method, target, headers, self.server.loop.time())
        limits = self.server.limits
        if len(headers) > limits.max_headers:
            text = f"{len(headers)} header fields; at most {limits.max_headers} are taken"
            self._refuse(stream_id, HeadersTooLarge(text))
        elif method == "CONNECT":
            self._refuse(stream_id, MethodNotAllowed("CONNECT is not offered; this is no forward proxy"))
        elif target[:1] != "/" and target != "*":
            self._refuse(stream_id, InvalidRequest(f"request target {target[:80]!r}; it must begin with /"))

    def _on_data(self, event: DataReceived) -> None:
        incoming = self._incoming.get(event.stream_id)
        self.acknowledge(event)
        if incoming is None:
            return
        data = event.data
        incoming.parts.append(data)
        incoming.size += len(data)
        self._held += len(data)
        limits = self.server.limits
        if incoming.size > limits.max_body:
            self._refuse(event.stream_id, BodyTooLarge(f"body above {limits.max_body} bytes; send less"))
        elif self._held > _MAX_BODIES * limits.max_body:
            self._drop(event.stream_id)
            self.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)

    def _on_end(self, event: StreamEnded) -> None:
        incoming = self._drop(event.stream_id)
        if incoming is None:
            return
        parts = incoming.parts
        self._serve(event.stream_id, incoming, parts[0] if len(parts) == 1 else b"".join(parts))

    def _on_reset(self, event: StreamReset) -> None:
        now = self.server.loop.time()
        if now - self._resets_since > 1:
            self._resets, self._resets_since = 0, now
        self._resets += event.remote_reset
        self._drop(event.stream_id)
        self.forget(event.stream_id)
        exchange = self.exchanges.pop(event.stream_id, None)
        if exchange is not None:
            exchange.left()
        if self._resets > _MAX_RESETS:
            _log.warning("a client took back %d requests within a second: connection closed", self._resets)
            self._goodbye(ErrorCodes.ENHANCE_YOUR_CALM)
            self.transport.close()

    def _on_goaway(self, event: ConnectionTerminated) -> None:  # noqa: ARG002 - one shape for all events
        self._leaving = True

    # -- serving ------------------------------------------------------------------------------------------------

    def _serve(self, stream_id: int, incoming: _Incoming, body: bytes) -> None:
        path, _, query = incoming.target.partition("?")
        exchange = Http2Exchange(
            self, stream_id, incoming.method, path, query, incoming.headers, body, time.monotonic()
        )
        self.exchanges[stream_id] = exchange
        self.server.serve(exchange)

    def _refuse(self, stream_id: int, error: WarmfrontError) -> None:
        """Answer a request that is not taken whole; what it still sends is dropped."""
        incoming = self._drop(stream_id)
        assert incoming is not None
        path = incoming.target.partition("?")[0]
        exchange = Http2Exchange(self, stream_id, incoming.method, path, "", incoming.headers, b"", time.monotonic())
        self.exchanges[stream_id] = exchange
        exchange.respond(*self.server.fault(error, exchange))

    def _drop(self, stream_id: int) -> _Incoming | None:
        incoming = self._incoming.pop(stream_id, None)
        if incoming is not None:
            self._held -= incoming.size
        return incoming

    def done(self, stream_id: int) -> None:
        """The exchange of this stream has its whole reply."""
        self.exchanges.pop(stream_id, None)
        self.flush_soon()
        self._reschedule()

    def flush(self) -> None:
        """Send what may be sent; when all was said that was owed, close."""
        super().flush()
        self._settle()

    # -- deadlines and endings ----------------------------------------------------------------------------------

    def _reschedule(self) -> None:
        limits = self.server.limits
        deadline = self._write_deadline
        if self.owes:
            deadline = min(deadline, self.moved_at + limits.write_timeout_s)
        if self._incoming:
            oldest = next(iter(self._incoming.values()))
            deadline = min(deadline, oldest.begun_at + limits.body_timeout_s)
        elif deadline == NEVER and not self.exchanges:
            deadline = self.server.loop.time() + limits.idle_timeout_s
        self.deadline = deadline
        if deadline < self.server.deadlines.due:
            self.server.deadlines.hurry(deadline)

    def expire(self) -> None:
        """A deadline has passed, maybe one that no longer holds."""
        now = self.server.loop.time()
        stalled = self.owes and self.moved_at + self.server.limits.write_timeout_s <= now
        if stalled or self._write_deadline <= now:
            self.transport.abort()
            return
        for stream_id, incoming in list(self._incoming.items()):
            if incoming.begun_at + self.server.limits.body_timeout_s <= now:
                self._refuse(stream_id, RequestTimeout("the request's body did not arrive in time; send it faster"))
        if not self._incoming and not self.exchanges and not self.owes:
            self.shut_when_idle()
        else:
            self._reschedule()

    def shut_when_idle(self) -> None:
        """Take no further request; close when those that were taken are answered."""
        self._goodbye(ErrorCodes.NO_ERROR)
        self._settle()

    def reset(self) -> None:
        """End the connection so that the client sees an error."""
        cut(self.transport)

    def broken(self, why: str) -> None:
        """The client broke the protocol."""
        super().broken(why)
        self._disconnect()

    def _goodbye(self, code: ErrorCodes) -> None:
        if not self._leaving and not self.lost:
            self._leaving = True
            frame = GoAwayFrame(0, last_stream_id=self.h2.highest_inbound_stream_id, error_code=code)
            super().flush()
            self.transport.write(frame.serialize())

    def _settle(self) -> None:
        if self._leaving and not self.lost and not self._incoming and not self.exchanges and not self.owes:
            self.transport.close()

    def _disconnect(self) -> None:
        if self.lost:
            return
        self.lost = True
        self._incoming.clear()
        self._outgoing.clear()
        exchanges, self.exchanges = self.exchanges, {}
        for exchange in exchanges.values():
            exchange.left()


def _joined_cookies(headers: Headers) -> Headers:
    """A client may send its cookie in crumbs; HTTP/1.1 behind us has it in one field (RFC 9113 section 8.2.3)."""
    crumbs = [value for name, value in headers if name == b"cookie"]
    if len(crumbs) < 2:
        return headers
    return [*(item for item in headers if item[0] != b"cookie"), (b"cookie", b"; ".join(crumbs))]
