"""One client connection: bytes in, exchanges in order out.

What may live here: the state of one connection (parsing, order of replies, deadlines, back-pressure). What must not:
what a request means. The server owns the connections; a connection owns at most one exchange in progress and a queue of
complete requests behind it (pipelining); replies therefore leave in the order of the requests.
"""

import asyncio
import logging
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from warmfront.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    WarmfrontError,
)
from warmfront.wire.deadlines import NEVER
from warmfront.wire.exchange import ServerExchange, refusal
from warmfront.wire.framing import CONTINUE
from warmfront.wire.heads import judge_head, judge_size, origin_form, without_upgrade
from warmfront.wire.messages import Headers

if TYPE_CHECKING:
    from warmfront.wire.server import Server

_log = logging.getLogger(__name__)
_IDLE, _HEAD, _BODY = 0, 1, 2
# A refused client gets this long to stop sending and to read why; closing with unread bytes would destroy the reply.
_LINGER_S = 5.0
# Chunks of one byte would otherwise cost forty bytes each.
_MANY_PARTS = 512
# SO_LINGER on, zero seconds: close with RST
_RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """HTTP/1.1 towards one client. `deadline` and `expire` are for the server's Deadlines."""

    __slots__ = (
        "_deaf",
        "_expects",
        "_fault",
        "_fed",
        "_fields",
        "_head_bytes",
        "_headers",
        "_http11",
        "_idle_bytes",
        "_method",
        "_parser",
        "_parts",
        "_phase",
        "_pumping",
        "_queue",
        "_read_deadline",
        "_reading",
        "_size",
        "_target",
        "_write_deadline",
        "current",
        "deadline",
        "lost",
        "refused",
        "server",
        "transport",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.current: ServerExchange | None = None
        self.lost = False
        self.refused = False
        self.write_paused = False
        self.deadline = NEVER
        self._queue: deque[ServerExchange] = deque()
        self._fault: WarmfrontError | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._phase = _IDLE
        self._deaf = False
        self._reading = True
        self._pumping = False
        self._read_deadline = NEVER
        self._write_deadline = NEVER
        self._fields: Headers = []
        self._method = b""
        self._http11 = True
        self._fed = 0
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: Headers = []
        self._parts: list[bytes | bytearray] = []
        self._size = 0
        self._head_bytes = 0
        self._idle_bytes = 0
        self._expects = False

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)
        self.deadline = self.server.loop.time() + self.server.limits.header_timeout_s
        error = self.server.admit(self)
        if error is not None:
            self._refuse(error)

    def data_received(self, data: bytes) -> None:
        """Parse what came and serve what is complete."""
        if self._deaf:
            return
        self._fed = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            version = b"1.1" if self._http11 else b"1.0"
            plain = without_upgrade(self._method, self._target, version, self._fields)
            self.data_received(plain + data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError as failure:
            self._reject(failure.__context__)
        except httptools.HttpParserError as failure:
            if not self._deaf:  # bytes behind a request that said `Connection: close` are nobody's
                self._reject(InvalidRequest(f"not an HTTP/1.1 request: {failure}; send a well-formed one"))
        if self._phase and not self._deaf:
            self._unfinished(len(data))
        self._pump()

    def eof_received(self) -> None:
        """The client will send no more. With a reply outstanding that means it has gone: a killed client and one that
        shut down only its sending side look the same (Go's server and nginx judge alike).
        """
        self._deaf = True
        self._disconnect()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, whoever closed it."""
        self._disconnect()
        self.server.dismiss(self)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.write_paused = True
        self._write_deadline = self.server.loop.time() + self.server.limits.write_timeout_s
        self._reschedule(self._write_deadline)
        if self.current is not None and self.current.on_pause is not None:
            self.current.on_pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        self._write_deadline = NEVER
        if self.current is not None:
            if self.current.on_resume is not None:
                self.current.on_resume()
        else:
            self._pump()

    # -- httptools ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request line has begun."""
        self._phase = _HEAD
        self._read_deadline = NEVER
        self._begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, of the head or (ignored) of the trailer."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """Judge the head before a byte of the body is accepted."""
        self._phase = _BODY
        self._read_deadline = NEVER
        limits = self.server.limits
        fields = self._fields = self._headers
        self._headers = []  # from here on trailer fields
        if len(fields) > limits.max_headers:
            raise HeadersTooLarge(f"{len(fields)} header fields; at most {limits.max_headers} are taken")
        if self._head_bytes + self._fed > limits.max_header_bytes:
            judge_size(self._target, fields, limits.max_header_bytes)
        self._method = method = self._parser.get_method()
        version = self._parser.get_http_version()
        self._http11 = version == "1.1"
        self._expects = judge_head(method, version, fields, limits.max_body)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        parts = self._parts
        parts.append(data)
        self._size += len(data)
        if self._size > self.server.limits.max_body:
            raise BodyTooLarge(f"body above {self.server.limits.max_body} bytes; send less")
        if len(parts) > _MANY_PARTS:
            bulk = parts[0] if isinstance(parts[0], bytearray) else bytearray(parts[0])
            bulk += b"".join(parts[1:])
            self._parts = [bulk]

    def on_message_complete(self) -> None:
        """Queue the complete request, unless it offers an upgrade: then the parser stops before the body."""
        if self._parser.should_upgrade():
            return
        self._phase = _IDLE
        self._read_deadline = NEVER
        parts = self._parts
        keep = self._parser.should_keep_alive()
        self._deaf = not keep
        target, headers = self._target.decode("latin-1"), self._fields
        if target[:1] != "/":
            target, headers = origin_form(target, headers)
        if "#" in target:
            raise InvalidRequest("request target with a fragment; leave out # and what follows")
        path, _, query = target.partition("?")
        body = b"".join(parts) if len(parts) != 1 else bytes(parts[0])
        self._queue.append(
            ServerExchange(
                self,
                method=self._method.decode("ascii"),
                path=path,
                query=query,
                headers=headers,
                body=body,
                received_at=time.monotonic(),
                http11=self._http11,
                keep=keep,
            )
        )

    # -- order of replies ---------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Serve complete requests one after another until one is in progress or the client reads too slowly."""
        if self._pumping:
            return
        self._pumping = True
        queue = self._queue
        while queue and self.current is None and not self.write_paused and not self.lost:
            exchange = self.current = queue.popleft()
            self._serve(exchange)
        self._pumping = False
        if self.lost:
            return
        if self.current is None and not queue:
            if self._fault is not None:
                fault, self._fault = self._fault, None
                self._refuse(fault)
            elif self._expects and self._phase == _BODY and not self._size:
                self._expects = False
                self.transport.write(CONTINUE)
        if (len(queue) < self.server.limits.max_pipelined) != self._reading:
            self._turn_reading()

    def _serve(self, exchange: ServerExchange) -> None:
        try:
            self.server.handler(exchange)
        except WarmfrontError as error:
            if exchange.responded:
                _log.warning("handler raised after it had replied: %s", error)
                exchange.abort()
            else:
                exchange.respond(*self.server.fault(error, exchange))
        except Exception:  # noqa: BLE001  whatever a handler does, this client gets a reply and the others are served
            _log.exception("handler failed on %s %s", exchange.method, exchange.path)
            if exchange.responded:
                exchange.abort()
            else:
                exchange.respond(*self.server.fault(WarmfrontError("internal error"), exchange))

    def done(self, keep: bool) -> None:
        """The exchange in progress has its whole reply; `keep` tells whether the connection lives on."""
        self.current = None
        if not keep:
            self._queue.clear()
            if self._phase == _IDLE:
                self.transport.close()
            else:
                self._linger()
            return
        if self._phase == _IDLE and not self.write_paused:
            deadline = time.monotonic() + self.server.limits.idle_timeout_s
        else:
            deadline = min(self._read_deadline, self._write_deadline)
        self.deadline = deadline
        deadlines = self.server.deadlines
        if deadline < deadlines.due:
            deadlines.hurry(deadline)
        if not self._pumping and (self._queue or self._fault or self._expects or not self._reading):
            self._pump()

    def _turn_reading(self) -> None:
        """Stop reading when enough requests wait. One read (at most 256 KiB) may bring more than `max_pipelined`."""
        if self.transport.is_closing():
            return
        self._reading = not self._reading
        if self._reading:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    # -- deadlines and endings ----------------------------------------------------------------------------------

    def _unfinished(self, fed: int) -> None:
        """A request is begun and incomplete: bound its head, its framing and its time."""
        limits = self.server.limits
        if self._phase == _HEAD:
            # the first read may hold the end of another message, so only what follows is counted
            self._head_bytes += fed if self._read_deadline != NEVER else 0
            if self._head_bytes > limits.max_header_bytes:
                self._reject(HeadersTooLarge(f"head above {limits.max_header_bytes} bytes; send less"))
                return
            timeout_s = limits.header_timeout_s
        else:
            # chunk extensions and trailers: bytes that bring no body
            progress = self._size - self._idle_bytes
            self._head_bytes = self._head_bytes + fed if progress == 0 and self._read_deadline != NEVER else 0
            self._idle_bytes = self._size
            if self._head_bytes > limits.max_header_bytes or len(self._headers) > limits.max_headers:
                self._reject(HeadersTooLarge(f"trailer above {limits.max_header_bytes} bytes; send less"))
                return
            timeout_s = limits.body_timeout_s
        if self._read_deadline == NEVER:
            self._read_deadline = self.server.loop.time() + timeout_s
            self._reschedule(self._read_deadline)

    def _reschedule(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
        self.server.deadlines.hurry(deadline)

    def expire(self) -> None:
        """A deadline has passed, maybe one that no longer holds."""
        now = self.server.loop.time()
        if (self._deaf and self.current is None and not self._queue) or self._write_deadline <= now:
            self.transport.abort()
        elif self._read_deadline <= now:
            what = "head" if self._phase == _HEAD else "body"
            self._reject(RequestTimeout(f"the request's {what} did not arrive in time; send it faster"))
            self._pump()
        elif self.current is None and not self._queue and self._phase == _IDLE:
            self.transport.close()
        else:
            self.deadline = min(self._read_deadline, self._write_deadline)

    def _reject(self, error: BaseException | None) -> None:
        """No more requests from this client; it is told why after the replies it is still owed."""
        self._deaf = True
        self._phase = _IDLE
        self._read_deadline = NEVER
        if isinstance(error, WarmfrontError):
            self._fault = error
        else:
            _log.error("parsing failed", exc_info=error)
            self._fault = WarmfrontError("internal error")

    def _refuse(self, error: WarmfrontError) -> None:
        self.transport.write(refusal(*self.server.fault(error, None)))
        self._linger()

    def _linger(self) -> None:
        """Close the sending side; read and drop what still comes, for a while, so that the reply is not lost."""
        self._deaf = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = self.server.loop.time() + _LINGER_S
        self.server.deadlines.hurry(self.deadline)

    def reset(self) -> None:
        """End the connection so that the client sees an error: a plain end would complete a reply without length."""
        if not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def shut_when_idle(self) -> None:
        """Close now if no request is begun or in progress; else the reply says `Connection: close`."""
        if self.current is None and not self._queue and self._phase == _IDLE:
            self.transport.close()

    def _disconnect(self) -> None:
        if self.lost:
            return
        self.lost = True
        self._queue.clear()
        exchange, self.current = self.current, None
        if exchange is not None:
            gone = exchange.on_disconnect
            exchange.release()
            if gone is not None:
                gone()
