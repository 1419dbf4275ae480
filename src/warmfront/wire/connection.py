"""One client connection: bytes in, exchanges in order out.

What may live here: the state of one connection (order of replies, deadlines, back-pressure, endings). What must not:
parsing (reader.py), framing of replies (exchange.py), what a request means. A connection owns at most one exchange in
progress and a queue of complete requests behind it (pipelining); replies therefore leave in the order of the requests.
"""

import asyncio
import functools
import logging
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

from warmfront.errors import RequestTimeout, WarmfrontError
from warmfront.wire.deadlines import NEVER
from warmfront.wire.exchange import ServerExchange, refusal
from warmfront.wire.framing import CONTINUE
from warmfront.wire.reader import HEAD, IDLE, RequestReader

if TYPE_CHECKING:
    from warmfront.wire.server import Server

_log = logging.getLogger(__name__)
# A refused client gets this long to stop sending and to read why; closing with unread bytes would destroy the reply.
_LINGER_S = 5.0
# RFC 9113 section 3.4: no request of HTTP/1.1 begins like this
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# SO_LINGER on, zero seconds: close with RST
_RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """HTTP/1.1 towards one client. `deadline` and `expire` are for the server's Deadlines."""

    __slots__ = (
        "_deaf",
        "_fault",
        "_greeting",
        "_pumping",
        "_queue",
        "_read_deadline",
        "_reader",
        "_reading",
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
        self._reader = RequestReader(server.limits, functools.partial(ServerExchange, self))
        self._queue = self._reader.complete
        self._fault: WarmfrontError | None = None
        self._greeting: bytes | None = b""
        self._deaf = False
        self._reading = True
        self._pumping = False
        self._read_deadline = NEVER
        self._write_deadline = NEVER

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
        if self._greeting is not None:
            data = self._greeted(self._greeting + data)
            if not data:
                return
        reader = self._reader
        try:
            reader.feed(data)
        except WarmfrontError as error:
            self._fault = error
            self._deaf = True
        else:
            self._deaf = reader.ended
        if not reader.phase:
            self._read_deadline = NEVER
        elif not reader.timed:
            reader.timed = True
            limits = self.server.limits
            timeout_s = limits.header_timeout_s if reader.phase == HEAD else limits.body_timeout_s
            self._read_deadline = self.server.loop.time() + timeout_s
            self._reschedule(self._read_deadline)
        self._pump()

    def _greeted(self, data: bytes) -> bytes:
        """The first bytes, to be parsed here; nothing if they are, or may yet become, those of HTTP/2."""
        if PREFACE.startswith(data[: len(PREFACE)]) and not self.refused:
            if len(data) < len(PREFACE):
                self._greeting = data
                return b""
            if self._hand_over(data):
                return b""
        self._greeting = None
        return data

    def _hand_over(self, data: bytes) -> bool:
        """Let HTTP/2 go on with this connection; False when it is not installed here."""
        try:
            from warmfront.wire import http2_server  # noqa: PLC0415 - loaded with the first such connection
        except ImportError:
            _log.warning("a client speaks HTTP/2, which needs the package h2: pip install h2")
            return False
        self._deaf = self.lost = True
        self.server.dismiss(self)
        successor = http2_server.Http2Connection(self.server)
        self.transport.set_protocol(successor)
        successor.take_over(self.transport, data)
        return True

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

    # -- order of replies ---------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Serve complete requests one after another until one is in progress or the client reads too slowly."""
        if self._pumping:
            return
        self._pumping = True
        queue = self._queue
        while queue and self.current is None and not self.write_paused and not self.lost:
            exchange = self.current = queue.popleft()
            self.server.serve(exchange)
        self._pumping = False
        if self.lost:
            return
        if self.current is None and not queue:
            if self._fault is not None:
                fault, self._fault = self._fault, None
                self._refuse(fault)
            elif self._reader.awaits_continue:
                self._reader.expects = False
                self.send(CONTINUE)
        if (len(queue) < self.server.limits.max_pipelined) != self._reading:
            self._turn_reading()

    def done(self, keep: bool) -> None:
        """The exchange in progress has its whole reply; `keep` tells whether the connection lives on."""
        self.current = None
        if not keep:
            self._queue.clear()
            if self._reader.phase == IDLE:
                self._close()
            else:
                self._linger()
            return
        if self._reader.phase == IDLE and not self.write_paused:
            deadline = time.monotonic() + self.server.limits.idle_timeout_s
        else:
            deadline = min(self._read_deadline, self._write_deadline)
        self.deadline = deadline
        deadlines = self.server.deadlines
        if deadline < deadlines.due:
            deadlines.hurry(deadline)
        if not self._pumping and (self._queue or self._fault or self._reader.expects or not self._reading):
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

    def _reschedule(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
        self.server.deadlines.hurry(deadline)

    def expire(self) -> None:
        """A deadline has passed, maybe one that no longer holds."""
        now = self.server.loop.time()
        if (self._deaf and self.current is None and not self._queue) or self._write_deadline <= now:
            self.transport.abort()
        elif self._read_deadline <= now:
            what = "head" if self._reader.phase == HEAD else "body"
            self._fault = RequestTimeout(f"the request's {what} did not arrive in time; send it faster")
            self._deaf = True
            self._reader.phase = IDLE
            self._read_deadline = NEVER
            self._pump()
        elif self.current is None and not self._queue and self._reader.phase == IDLE:
            self._close()
        else:
            self.deadline = min(self._read_deadline, self._write_deadline)

    def _refuse(self, error: WarmfrontError) -> None:
        self.send(refusal(*self.server.fault(error, None)))
        self._linger()

    def _linger(self) -> None:
        """Close the sending side; read and drop what still comes, for a while, so that the reply is not lost."""
        self._deaf = True
        self.server.outbox.flush()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = self.server.loop.time() + _LINGER_S
        self.server.deadlines.hurry(self.deadline)

    def reset(self) -> None:
        """End the connection so that the client sees an error: a plain end would complete a reply without length."""
        cut(self.transport)

    def shut_when_idle(self) -> None:
        """Close now if no request is begun or in progress; else the reply says `Connection: close`."""
        if self.current is None and not self._queue and self._reader.phase == IDLE:
            self._close()

    def send(self, data: bytes) -> None:
        """Write now, after what waits for the end of the turn."""
        self.server.outbox.flush()
        self.transport.write(data)

    def _close(self) -> None:
        self.server.outbox.flush()
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


def cut(transport: asyncio.Transport) -> None:
    """Close with a reset, whatever is still to be sent."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
