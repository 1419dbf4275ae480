"""One connection to an upstream: one request at a time, its reply parsed as it arrives.

What may live here: the state of one connection. What must not: the choice of connections, waiting, retries (pool.py).
"""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import httptools

from warmfront.wire.calls import FailureKind
from warmfront.wire.deadlines import NEVER
from warmfront.wire.messages import Headers

if TYPE_CHECKING:
    from warmfront.wire.pool import Call, Lane

_log = logging.getLogger(__name__)
_COPY_LIMIT = 65536
MAX_HEAD_BYTES = 65536
MAX_FIELDS = 200


class _BadReplyError(Exception):
    """The reply breaks a rule of ours; the message says which."""


class Upstream(asyncio.Protocol):
    """A connection of a lane: carries a call, or rests among the lane's idle ones. Watched by the pool's Deadlines."""

    __slots__ = (
        "_ended",
        "_fed",
        "_head_bytes",
        "_headers",
        "_informational",
        "_keep",
        "_parser",
        "_unbounded",
        "call",
        "deadline",
        "lane",
        "lost",
        "transport",
        "used",
    )

    transport: asyncio.Transport

    def __init__(self, lane: "Lane") -> None:
        self.lane = lane
        self.call: Call | None = None
        self.used = False
        self.lost = False
        self.deadline = NEVER
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._fed = 0
        self._head_bytes = 0
        self._ended = False
        self._keep = False
        self._unbounded = False
        self._informational = False

    def carry(self, call: "Call") -> None:
        """Send the call's request and take its reply."""
        self.call = call
        call.upstream = self
        call.sent = True
        self.deadline = call.deadline
        self._ended = False
        if len(call.body) < _COPY_LIMIT:
            self.lane.outbox.put(self.transport, call.head + call.body if call.body else call.head)
        else:
            self.transport.writelines([call.head, call.body])
        if call.paused:
            self.transport.pause_reading()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected; the lane hands out the work."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse the reply; bytes that nobody asked for end the connection."""
        call = self.call
        if call is None:
            self.discard()
            return
        self._fed = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as failure:
            self._break(failure.__context__)
        except httptools.HttpParserUpgrade:
            self._break(_BadReplyError("101 Switching Protocols, which nobody asked for"))
        except httptools.HttpParserError as failure:
            if not self._ended:
                self._break(_BadReplyError(str(failure)))
            self._keep = False
        if self._ended:
            self._finish()
        elif not call.started and self.call is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._break(_BadReplyError(f"head above {MAX_HEAD_BYTES} bytes"))

    def eof_received(self) -> None:
        """The upstream sends no more: the end of a reply without length, else a broken connection."""
        call = self.call
        if call is not None and call.started and self._unbounded:
            self._keep = False
            self._finish()
        else:
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever closed it."""
        if self.lost:
            return
        self.lost = True
        self.lane.dropped(self)
        call, self.call = self.call, None
        if call is not None:
            call.broken(FailureKind.RESET, f"{exc or 'closed by the upstream'}")
        self.lane.settle()

    def discard(self) -> None:
        """Close at once; the call it carries hears nothing."""
        self.call = None
        self.transport.abort()
        self.connection_lost(None)

    def expire(self) -> None:
        """The call's time is over, or the connection has rested too long."""
        call = self.call
        self.discard()
        if call is not None:
            call.failed(FailureKind.TIMEOUT, "no complete reply in time")

    # -- httptools ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A status line has begun; behind a complete reply there must be none."""
        if self._ended:
            self._keep = False
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, of the head or (ignored) of the trailer."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """Hand over the head of a final reply."""
        call = self.call
        if call is None or self._ended:
            return
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []
        if len(headers) > MAX_FIELDS:
            raise _BadReplyError(f"{len(headers)} header fields; at most {MAX_FIELDS} are taken")
        if self._head_bytes + self._fed > MAX_HEAD_BYTES:
            size = sum(len(name) + len(value) + 4 for name, value in headers)
            if size > MAX_HEAD_BYTES:
                raise _BadReplyError(f"head of {size} bytes; at most {MAX_HEAD_BYTES} are taken")
        self._informational = status < 200
        if self._informational:
            return
        self._keep = keep = self._parser.should_keep_alive()
        self._unbounded = not keep and _unbounded(headers)
        call.started = True
        if call.method == "HEAD":
            # the parser would wait for a body that never comes
            self._ended = True
            self._parser = httptools.HttpResponseParser(self)
        call.sink.on_response(status, headers)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._ended:
            self._keep = False
        elif self.call is not None:
            self.call.sink.on_body(data)

    def on_message_complete(self) -> None:
        """The reply is whole, or was informational and another one follows."""
        if self._informational:
            self._informational = False
        else:
            self._ended = True

    # -- endings ------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Free the connection first, so that what the sink sends next can use it."""
        call, self.call = self.call, None
        if call is None:
            return
        if not self._keep or (len(call.body) >= _COPY_LIMIT and self.transport.get_write_buffer_size()):
            self.transport.close()
            self.connection_lost(None)
        else:
            if call.paused:
                self.transport.resume_reading()
            self._head_bytes = 0
            self.used = True
            self.lane.freed(self)
        call.completed()

    def _break(self, error: BaseException | None) -> None:
        call = self.call
        self.discard()
        if call is None:
            return
        if isinstance(error, _BadReplyError):
            call.failed(FailureKind.PROTOCOL, f"not a reply by HTTP/1.1: {error}")
        else:
            _log.error("a sink failed", exc_info=error)
            call.failed(FailureKind.PROTOCOL, "the reply could not be handled here")


def _unbounded(headers: Headers) -> bool:
    """Whether only the end of the connection ends the body (RFC 9112 section 6.3, item 8)."""
    for name, value in headers:
        if name == b"content-length" or (name == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            return False
    return True
