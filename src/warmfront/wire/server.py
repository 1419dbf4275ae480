"""The HTTP server: listening sockets, limits, the set of connections, graceful end. It speaks HTTP/1.1, and HTTP/2 to
clients that begin with its preface.

What may live here: what concerns all connections. What must not: parsing, replies (connection.py, exchange.py), routes.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from warmfront.errors import Overloaded, WarmfrontError
from warmfront.wire.connection import Connection
from warmfront.wire.deadlines import Deadlines, Watched
from warmfront.wire.exchange import ServerExchange
from warmfront.wire.messages import Exchange, Headers
from warmfront.wire.outbox import Outbox

Handler = Callable[[Exchange], None]


class Client(Watched, Protocol):
    """A client's connection, of whatever version of HTTP."""

    refused: bool

    def shut_when_idle(self) -> None:
        """Close when nothing is in progress."""

    def reset(self) -> None:
        """Close at once, so that the client sees an error."""


Fault = Callable[[WarmfrontError, Exchange | None], tuple[int, Headers, bytes]]
_BACKLOG = 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server takes from its clients. Sizes in bytes, times in seconds, kept within 10 ms.

    `header_timeout_s` and `body_timeout_s` run from the first byte of head and body to the last (408 after that);
    `write_timeout_s` is how long a client may take nothing of a reply that waits for it; `idle_timeout_s` how long a
    connection may rest between requests. The 620 s exceed the idle time of every usual proxy in front (Go's transport
    90 s, Google's load balancer 600 s), so that the proxy closes first and no request meets a closing connection.
    `max_pipelined` complete requests may wait behind the one in progress before reading stops.
    """

    max_body: int = 16 * 1024 * 1024
    max_header_bytes: int = 32 * 1024
    max_headers: int = 100
    max_connections: int = 4096
    max_pipelined: int = 16
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    write_timeout_s: float = 60.0
    idle_timeout_s: float = 620.0


def plain_fault(error: WarmfrontError, _: Exchange | None) -> tuple[int, Headers, bytes]:
    """An error as one line of text; with Retry-After where the error knows it."""
    headers: Headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    return error.status, headers, f"{error.title}: {error}\n".encode()


class Server:
    """Calls `handler` once per complete request, on the event loop's thread; the handler answers now or later.

    A WarmfrontError that the handler raises is rendered by `fault`, any other exception is a logged 500 without detail.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits = Limits(),
        *,
        fault: Fault | None = None,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.fault = fault or plain_fault
        self.closing = False
        self.loop: asyncio.AbstractEventLoop
        self.deadlines: Deadlines
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Client] = set()
        self._empty: asyncio.Event | None = None
        self._refused = 0
        self._unsent: list[ServerExchange] = []
        self.outbox = Outbox()

    @property
    def connections(self) -> int:
        """How many client connections are open now, refused ones not counted."""
        return len(self._connections) - self._refused

    async def listen(self, host: str, port: int) -> int:
        """Accept on this address; the bound port (port 0: any free one). OSError when it is taken."""
        self._attach()
        listener = await self.loop.create_server(
            lambda: Connection(self), host, port, backlog=_BACKLOG, reuse_address=True
        )
        return self._listening(listener)

    async def listen_socket(self, sock: socket.socket) -> int:
        """Accept on a bound socket; its port."""
        self._attach()
        return self._listening(await self.loop.create_server(lambda: Connection(self), sock=sock, backlog=_BACKLOG))

    def _attach(self) -> None:
        if not self._listeners:
            self.loop = asyncio.get_running_loop()
            self.deadlines = Deadlines(self.loop)

    def _listening(self, listener: asyncio.Server) -> int:
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    def flush_later(self, exchange: ServerExchange) -> None:
        """Send what this exchange has pending at the end of the loop's turn, unless it was sent by then."""
        if not self._unsent:
            self.loop.call_soon(self._flush)
        self._unsent.append(exchange)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        for exchange in unsent:
            exchange.flush()

    def serve(self, exchange: Exchange) -> None:
        """Let the handler answer; whatever it does, this client gets a reply and the others are served."""
        try:
            self.handler(exchange)
        except WarmfrontError as error:
            if exchange.responded:
                _log.warning("handler raised after it had replied: %s", error)
                exchange.abort()
            else:
                exchange.respond(*self.fault(error, exchange))
        except Exception:  # noqa: BLE001  see above
            _log.exception("handler failed on %s %s", exchange.method, exchange.path)
            if exchange.responded:
                exchange.abort()
            else:
                exchange.respond(*self.fault(WarmfrontError("internal error"), exchange))

    def admit(self, connection: Client) -> WarmfrontError | None:
        """Count a new connection in; an error when there are too many or the server is closing."""
        self._connections.add(connection)
        self.deadlines.watch(connection)
        if self.closing:
            error = Overloaded("the server is shutting down; connect to another replica")
        elif self.connections > self.limits.max_connections:
            error = Overloaded(f"more than {self.limits.max_connections} connections; close some or wait")
        else:
            return None
        connection.refused = True
        self._refused += 1
        return error

    def dismiss(self, connection: Client) -> None:
        """Count a lost connection out."""
        self._connections.discard(connection)
        self._refused -= connection.refused
        self.deadlines.forget(connection)
        if self._empty is not None and not self._connections:
            self._empty.set()

    async def close(self, grace_s: float) -> None:
        """Stop accepting, close idle connections, let requests in progress finish for `grace_s`, then cut them."""
        self.closing = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.shut_when_idle()
        if self._connections:
            self._empty = asyncio.Event()
            try:
                await asyncio.wait_for(self._empty.wait(), grace_s)
            except TimeoutError:
                for connection in list(self._connections):
                    connection.reset()
                await self._empty.wait()
        if self._listeners:
            self.deadlines.close()
