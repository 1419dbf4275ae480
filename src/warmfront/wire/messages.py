"""One HTTP request with the means to answer it, and one whole response, as every front and handler sees them.

What may live here: records of HTTP semantics and rules on header fields. What must not: sockets, parsers, event loops.
Header names are lower-case bytes, values are bytes as received.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from warmfront.cloudevents import Headers

__all__ = [
    "BODILESS",
    "HOP_BY_HOP",
    "NOT_FORWARDED",
    "NO_TRAILERS",
    "Exchange",
    "Headers",
    "Response",
    "first",
    "forwardable",
    "parted",
    "reason_phrase",
    "returnable",
]

# RFC 9110 section 7.6.1 and its ancestors: meant for one connection only.
BODILESS = frozenset({204, 304})
"""Statuses whose replies have no body (RFC 9110, sections 15.3.5 and 15.4.5)."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# The usual values of Connection, which name no other field.
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"close"})
# The pool writes its own framing and host; the server has already honoured `expect`.
NOT_FORWARDED = HOP_BY_HOP | {b"content-length", b"host", b"expect"}

# shared: never added to
NO_TRAILERS: Headers = []

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def reason_phrase(status: int) -> str:
    """The customary phrase of a status, "Unknown" for one that has none."""
    return _PHRASES.get(status, "Unknown")


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a field, None when absent; `name` is lower-case."""
    for key, value in headers:
        if key == name:
            return value
    return None


def returnable(headers: Headers) -> Headers:
    """What of an upstream's reply may go back to the client: as `forwardable`, but Content-Length stays, so that a
    reply of known length is passed on with that framing.
    """
    return parted(headers, HOP_BY_HOP)[0]


def forwardable(headers: Headers) -> Headers:
    """What of a request may go to the next hop: all but hop-by-hop fields, those that Connection names,
    Content-Length, Host and Expect. The input stays as it is.
    """
    return parted(headers, NOT_FORWARDED)[0]


def parted(headers: Headers, held: frozenset[bytes]) -> tuple[Headers, Headers]:
    """The fields to pass on and those that are `held` back, each in order; what Connection names is in neither.

    `held` contains HOP_BY_HOP.
    """
    kept, back, named = [], [], False
    for item in headers:
        if item[0] not in held:
            kept.append(item)
        else:
            back.append(item)
            if item[0] == b"connection" and item[1] not in _PLAIN_CONNECTION:
                named = True
    if named:
        tokens = b",".join(value for name, value in back if name == b"connection").split(b",")
        names = {token.strip().lower() for token in tokens}
        kept = [item for item in kept if item[0] not in names]
    return kept, back


class Exchange(ABC):
    """One request and its one reply: either respond(), or start(), write() any number of times and finish().

    `path` is percent-encoded as received, without the query; `query` has no question mark. `received_at` is the instant
    the request was complete, in seconds of the event loop's clock (`time.monotonic()`).
    After the client has gone away replies are dropped silently; `on_disconnect` says so once, before finish() only.
    `on_pause` asks the handler to stop writing, `on_resume` to go on. All calls happen on the event loop's thread.
    A front clears the three callbacks when the exchange is over (`release`): they lead to whoever answers, who holds
    the exchange, and such a ring per request would keep the garbage collector busy.
    `trailers` are fields behind the body: set by a handler before it responds or finishes, and sent by HTTP/2 only.
    """

    __slots__ = (
        "body",
        "finished",
        "headers",
        "method",
        "on_disconnect",
        "on_pause",
        "on_resume",
        "path",
        "query",
        "received_at",
        "responded",
        "trailers",
    )

    #: Whether the client hears trailers.
    carries_trailers = False

    def __init__(  # noqa: PLR0917  the order of a request on the wire
        self, method: str, path: str, query: str, headers: Headers, body: bytes, received_at: float
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.received_at = received_at
        self.responded = False
        self.finished = False
        self.trailers = NO_TRAILERS
        self.on_disconnect: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a request field, None when absent; `name` is lower-case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def remote(self) -> str:
        """The address of whoever is at the other end of the connection; empty when that is not known."""
        return ""

    def release(self) -> None:
        """The exchange is over: nobody is called back any more."""
        self.on_disconnect = self.on_pause = self.on_resume = None

    @abstractmethod
    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the whole reply; Content-Length is set here. RuntimeError when a reply was begun before."""

    @abstractmethod
    def start(self, status: int, headers: Headers) -> None:
        """Begin a reply. A Content-Length among `headers` is its framing, else it is chunked."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send a piece of the body. RuntimeError before start() or after finish()."""

    @abstractmethod
    def finish(self) -> None:
        """End the body."""

    @abstractmethod
    def abort(self) -> None:
        """Close the connection abruptly, so that the client cannot take a cut reply for a whole one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One whole response."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field, None when absent; `name` is lower-case."""
        return first(self.headers, name)
