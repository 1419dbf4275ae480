"""An exchange on a stream of HTTP/2: the reply as frames.

What may live here: what a reply looks like on its stream. What must not: reading, the connection.
"""

from typing import TYPE_CHECKING

from h2.errors import ErrorCodes

from warmfront.wire.framing import without_framing
from warmfront.wire.http2_link import HIGH_WATER
from warmfront.wire.messages import BODILESS, Exchange, Headers

if TYPE_CHECKING:
    from warmfront.wire.http2_server import Http2Connection


class Http2Exchange(Exchange):
    """A request from one stream. Trailers are sent; a reply that has neither body nor trailers is one frame."""

    carries_trailers = True
    __slots__ = ("_connection", "_head", "_lost", "_mute", "_stream_id")

    def __init__(  # noqa: PLR0917  one is made per request
        self,
        connection: "Http2Connection",
        stream_id: int,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: bytes,
        received_at: float,
    ) -> None:
        Exchange.__init__(self, method, path, query, headers, body, received_at)
        self._connection = connection
        self._stream_id = stream_id
        self._head: Headers | None = None  # begun, not sent yet
        self._mute = False
        self._lost = False

    @property
    def remote(self) -> str:
        """The client's address, empty when it has gone."""
        name = self._connection.transport.get_extra_info("peername")
        return str(name[0]) if name else ""

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the whole reply."""
        self._begin(status, headers)
        if self._lost:
            self.finished = True
            return
        assert self._head is not None
        if body and not self._mute and not self.trailers:
            self._head.append((b"content-length", b"%d" % len(body)))
        self._end(body)

    def start(self, status: int, headers: Headers) -> None:
        """Begin the reply. The head leaves with the first piece of the body, or at the end of this turn."""
        self._begin(status, headers)
        if self._lost:
            return
        self._connection.server.loop.call_soon(self._send_head)

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if not self.responded or self.finished:
            raise RuntimeError(f"write outside start() and finish() on {self.method} {self.path}")
        if not data or self._lost or self._mute:
            return
        self._send_head()
        connection = self._connection
        connection.body(self._stream_id, data, False, None, self._room)
        if connection.waiting(self._stream_id) > HIGH_WATER and self.on_pause is not None:
            self.on_pause()

    def finish(self) -> None:
        """End the body."""
        if not self.responded or self.finished:
            raise RuntimeError(f"finish without start(), or twice, on {self.method} {self.path}")
        if not self._lost:
            self._end(b"")
        self.finished = True

    def abort(self) -> None:
        """Reset the stream; the connection's other streams go on."""
        self.responded = self.finished = True
        self.release()
        if not self._lost:
            self._lost = True
            self._connection.reset_stream(self._stream_id, ErrorCodes.INTERNAL_ERROR)
            self._connection.done(self._stream_id)

    def left(self) -> None:
        """The client has taken its request back, or is gone."""
        self._lost = True
        gone = self.on_disconnect
        self.release()
        if gone is not None and not self.finished:
            gone()

    def _begin(self, status: int, headers: Headers) -> None:
        if self.responded:
            raise RuntimeError(f"second reply to {self.method} {self.path}; an exchange takes one")
        self.responded = True
        fields, declared, _ = without_framing(headers)
        self._mute = self.method == "HEAD" or status in BODILESS
        self._head = [(b":status", b"%d" % status), *fields]
        if declared is not None and not self._mute:
            self._head.append((b"content-length", b"%d" % declared))

    def _send_head(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self._lost:
            self._connection.h2.send_headers(self._stream_id, head)
            self._connection.flush_soon()

    def _end(self, body: bytes) -> None:
        """The rest of the reply, in as few frames as it takes."""
        self.finished = True
        self.release()
        connection, stream_id = self._connection, self._stream_id
        if self._mute:
            body = b""
        if self._head is not None and not body:
            head, self._head = self._head, None
            connection.h2.send_headers(stream_id, head + self.trailers, end_stream=True)
        else:
            self._send_head()
            connection.body(stream_id, body, True, self.trailers)
        connection.done(stream_id)

    def _room(self) -> None:
        if self.on_resume is not None:
            self.on_resume()
