"""The server's own Exchange: writes the reply onto a client connection.

What may live here: framing of replies. What must not: reading, order of requests, limits.
"""

from typing import TYPE_CHECKING

from warmfront.wire.framing import LAST_CHUNK, chunk, head, status_line, without_framing
from warmfront.wire.messages import BODILESS, Exchange, Headers

if TYPE_CHECKING:
    from warmfront.wire.connection import Connection

# From here on head and body are handed over as two pieces instead of being copied into one.
_COPY_LIMIT = 65536
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"
# what is left to write of a reply that has no body, whatever its handler writes
_NO_BODY = -1


def refusal(status: int, headers: Headers, body: bytes) -> bytes:
    """A whole reply to something that never became a request; the connection closes after it."""
    fields, _, _ = without_framing(headers)
    framing = b"content-length: %d\r\n%b" % (len(body), _CLOSE)
    return head(status_line(status), fields, framing) + body


class ServerExchange(Exchange):
    """A request from one connection. What a handler writes within one turn of the event loop leaves in one piece: head
    and body are one system call and one packet where they can be.
    """

    __slots__ = ("_chunked", "_connection", "_http11", "_keep", "_left", "_pending")

    def __init__(  # noqa: PLR0917  one is made per request
        self,
        connection: "Connection",
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: bytes,
        received_at: float,
        http11: bool,
        keep: bool,
    ) -> None:
        Exchange.__init__(self, method, path, query, headers, body, received_at)
        self._connection = connection
        self._http11 = http11
        self._keep = keep
        self._chunked = False
        self._left: int | None = None
        self._pending = b""

    @property
    def remote(self) -> str:
        """The client's address, empty when it has gone."""
        name = self._connection.transport.get_extra_info("peername")
        return str(name[0]) if name else ""

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the whole reply in one write."""
        self._begin(status, headers, len(body))
        self.finished = True
        connection = self._connection
        if connection.lost:
            return
        outbox = connection.server.outbox
        if self.method == "HEAD" or status in BODILESS or not body:
            outbox.put(connection.transport, self._pending)
        elif len(body) < _COPY_LIMIT:
            outbox.put(connection.transport, self._pending + body)
        else:
            outbox.flush()
            connection.transport.writelines([self._pending, body])
        self.release()
        connection.done(self._keep)

    def start(self, status: int, headers: Headers) -> None:
        """Begin the reply. For an HTTP/1.0 client a body of unknown length ends with the connection."""
        self._begin(status, headers, None)
        connection = self._connection
        if connection.lost:
            return
        connection.server.flush_later(self)
        if connection.write_paused and self.on_pause is not None:
            self.on_pause()

    def write(self, data: bytes) -> None:
        """Send a piece of the body; dropped where the reply has none (HEAD, 204, 304)."""
        if not self.responded or self.finished:
            raise RuntimeError(f"write outside start() and finish() on {self.method} {self.path}")
        if not data or self._connection.lost:
            return
        if self._chunked:
            data = chunk(data)
        elif self._left is not None:
            if self._left < 0:
                return
            self._left -= len(data)
            if self._left < 0:
                excess = -self._left
                self.abort()
                raise RuntimeError(f"body exceeds the declared content-length by {excess} bytes")
        if len(data) >= _COPY_LIMIT:
            self.flush()
            self._connection.send(data)
        elif self._pending:
            self._pending += data
            if len(self._pending) >= _COPY_LIMIT:
                self.flush()
        else:
            self._pending = data
            self._connection.server.flush_later(self)

    def finish(self) -> None:
        """End the body. A body short of its declared length cannot be ended: the connection is cut, RuntimeError."""
        if not self.responded or self.finished:
            raise RuntimeError(f"finish without start(), or twice, on {self.method} {self.path}")
        left = self._left
        if left is not None and left > 0 and not self._connection.lost:
            self.abort()
            raise RuntimeError(f"body ends {left} bytes before the declared content-length")
        self.finished = True
        self.on_disconnect = self.on_pause = self.on_resume = None
        connection = self._connection
        if connection.lost:
            return
        pending = self._pending + LAST_CHUNK if self._chunked else self._pending
        if pending:
            self._pending = b""
            connection.send(pending)
        connection.done(self._keep)

    def abort(self) -> None:
        """Reset the connection at once."""
        self.responded = self.finished = True
        self._pending = b""
        self.release()
        if not self._connection.lost:
            self._connection.reset()

    def flush(self) -> None:
        """Hand what was written to the transport."""
        pending, self._pending = self._pending, b""
        if pending and not self._connection.lost:
            self._connection.send(pending)

    def _begin(self, status: int, headers: Headers, length: int | None) -> None:
        """Decide framing and persistence, put the head into `_pending`. `length` None: as declared, else unknown."""
        if self.responded:
            raise RuntimeError(f"second reply to {self.method} {self.path}; an exchange takes one")
        fields, declared, close = without_framing(headers)
        keep = self._keep and not close and not self._connection.server.closing
        if length is None:
            length = declared
        bodiless = self.method == "HEAD" or status in BODILESS
        chunked = False
        framing = b""
        if bodiless and (status == 204 or not length):
            pass  # nothing to say of a body that cannot come; `content-length: 0` would be a lie about HEAD and 304
        elif length is not None:
            framing = b"content-length: %d\r\n" % length
        elif self._http11:
            chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            keep = False
        if not keep:
            framing += _CLOSE
        elif not self._http11:
            framing += _KEEP
        self._pending = head(status_line(status), fields, framing)
        self._keep = keep
        self._chunked = chunked
        self._left = _NO_BODY if bodiless else length
        self.responded = True
