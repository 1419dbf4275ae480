"""The server's own Exchange: writes the reply onto a client connection.

What may live here: framing of replies. What must not: reading, order of requests, limits.
"""

from typing import TYPE_CHECKING

from warmfront.wire.framing import LAST_CHUNK, chunk, head, status_line, without_framing
from warmfront.wire.messages import Exchange, Headers, first

if TYPE_CHECKING:
    from warmfront.wire.connection import Connection

# From here on head and body are handed over as two pieces instead of being copied into one.
_COPY_LIMIT = 65536
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"


def refusal(status: int, headers: Headers, body: bytes) -> bytes:
    """A whole reply to something that never became a request; the connection closes after it."""
    framing = b"content-length: %d\r\n%b" % (len(body), _CLOSE)
    return head(status_line(status), without_framing(headers), framing) + body


class ServerExchange(Exchange):
    """A request from one connection; its reply goes out as soon as it is written."""

    __slots__ = ("_chunked", "_connection", "_http11", "_keep", "_left")

    def __init__(
        self,
        connection: "Connection",
        *,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: bytes,
        received_at: float,
        http11: bool,
        keep: bool,
    ) -> None:
        super().__init__(method=method, path=path, query=query, headers=headers, body=body, received_at=received_at)
        self._connection = connection
        self._http11 = http11
        self._keep = keep
        self._chunked = False
        self._left: int | None = None

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the whole reply in one write."""
        if self.responded:
            raise RuntimeError(f"second reply to {self.method} {self.path}; an exchange takes one")
        line = status_line(status)
        fields = without_framing(headers)
        keep = self._agree(headers, fields)
        framing = b"" if status == 204 else b"content-length: %d\r\n" % len(body)
        data = head(line, fields, framing + self._persistence(keep))
        self.responded = self.finished = True
        connection = self._connection
        if connection.lost:
            return
        if self.method == "HEAD" or status in (204, 304) or not body:
            connection.transport.write(data)
        elif len(body) < _COPY_LIMIT:
            connection.transport.write(data + body)
        else:
            connection.transport.writelines([data, body])
        connection.done(keep)

    def start(self, status: int, headers: Headers) -> None:
        """Send the head. Until-close framing for an HTTP/1.0 client when the length is not known."""
        if self.responded:
            raise RuntimeError(f"second reply to {self.method} {self.path}; an exchange takes one")
        fields = without_framing(headers)
        keep = self._agree(headers, fields)
        framing = b""
        declared = first(headers, b"content-length")
        bodiless = self.method == "HEAD" or status in (204, 304)
        if declared is not None and status != 204:
            self._left = 0 if bodiless else int(declared)
            framing = b"content-length: %d\r\n" % int(declared)
        elif bodiless:
            self._left = 0
        elif self._http11:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            keep = False
        data = head(status_line(status), fields, framing + self._persistence(keep))
        self.responded = True
        self._keep = keep
        connection = self._connection
        if connection.lost:
            return
        connection.transport.write(data)
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
            if self.method == "HEAD" or self._left == 0 == len(data):
                return
            self._left -= len(data)
            if self._left < 0:
                self.abort()
                raise RuntimeError(f"body exceeds the declared content-length by {-self._left} bytes")
        self._connection.transport.write(data)

    def finish(self) -> None:
        """End the body. A body short of its declared length cannot be ended: the connection is cut, RuntimeError."""
        if not self.responded or self.finished:
            raise RuntimeError(f"finish without start(), or twice, on {self.method} {self.path}")
        if self._connection.lost:
            self.finished = True
            return
        if self._left:
            self.abort()
            raise RuntimeError(f"body ends {self._left} bytes before the declared content-length")
        self.finished = True
        if self._chunked:
            self._connection.transport.write(LAST_CHUNK)
        self._connection.done(self._keep)

    def abort(self) -> None:
        """Reset the connection at once."""
        self.responded = self.finished = True
        if not self._connection.lost:
            self._connection.transport.abort()

    def _agree(self, headers: Headers, fields: Headers) -> bool:
        """Whether the connection survives this reply: client, handler and server must want it."""
        if not self._keep or self._connection.server.closing:
            return False
        return fields is headers or first(headers, b"connection") != b"close"

    def _persistence(self, keep: bool) -> bytes:
        if keep:
            return b"" if self._http11 else _KEEP
        return _CLOSE
