"""The words between the pool and whoever calls upstream: where to, what went wrong, who listens.

What may live here: small records and the sink's contract. What must not: connections, the pool's bookkeeping.
"""

import asyncio
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from warmfront.errors import InvalidRequest, Overloaded, UpstreamFailed, UpstreamTimeout, WarmfrontError
from warmfront.wire.messages import Headers, Response


class Origin(NamedTuple):
    """Where a connection goes: host, port, and TLS when a context is given. A tuple: every call looks its lane up.

    `h2c`: by HTTP/2 with prior knowledge, which is offered without TLS only.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    h2c: bool = False

    @classmethod
    def parse(cls, url: str, tls: ssl.SSLContext | None = None) -> "Origin":
        """The origin of a URL; path and query are ignored, `https` needs `tls`. InvalidRequest for anything else."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidRequest(f"{url!r} is not a URL: {error}") from None
        scheme = "http" if tls is None else "https"
        if parts.scheme != scheme or not parts.hostname or parts.username is not None or not url.isascii():
            shown = url if parts.username is None else f"{parts.scheme}://***@{parts.hostname}"  # never show a password
            raise InvalidRequest(
                f"{shown!r} is not usable; wanted {scheme}://HOST[:PORT] in ASCII, without user information"
            )
        return cls(parts.hostname, port or (80 if tls is None else 443), tls)

    @property
    def authority(self) -> str:
        """What the Host field says: the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (80 if self.tls is None else 443) else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """What to connect to: all of `localhost` is this machine (RFC 6761 section 6.3), without asking DNS."""
        name = self.host.rstrip(".").lower()
        return "127.0.0.1" if name == "localhost" or name.endswith(".localhost") else self.host


class FailureKind(Enum):
    """Why a call failed; fit for a metric label.

    CONNECT: no connection was had. RESET: it broke. TIMEOUT: the call's time is over. PROTOCOL: the reply is not HTTP
    or breaks a limit. OVERLOAD: too many calls wait for a connection, or the pool is closed.
    """

    CONNECT = "connect"
    RESET = "reset"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    OVERLOAD = "overload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a call failed. `sent`: some of the request may have reached the upstream, so that it may have been executed.
    `started`: the head of the reply was handed to the sink.
    """

    kind: FailureKind
    message: str
    sent: bool
    started: bool

    def error(self) -> WarmfrontError:
        """The failure as an error to raise or to render."""
        if self.kind is FailureKind.TIMEOUT:
            return UpstreamTimeout(self.message)
        if self.kind is FailureKind.OVERLOAD:
            return Overloaded(self.message)
        return UpstreamFailed(self.message)


class Sink(Protocol):
    """Who receives one reply: on_response, on_body any number of times, on_complete; or on_failure at any point.

    on_complete or on_failure comes exactly once, last, unless the call was cancelled: then nothing comes. Never called
    from within `Pool.send`.
    """

    def on_response(self, status: int, headers: Headers) -> None:
        """The head of the final reply; names are lower-case."""

    def on_body(self, data: bytes) -> None:
        """A piece of the body, as it arrives."""

    def on_complete(self) -> None:
        """The reply is whole."""

    def on_failure(self, failure: Failure) -> None:
        """The call failed."""


class Collector:
    """A sink that keeps the whole reply for a waiting coroutine."""

    def __init__(self, future: asyncio.Future[Response], max_body: int) -> None:
        self.future = future
        self._max_body = max_body
        self._status = 0
        self._headers: Headers = []
        self._parts: list[bytes] = []
        self._size = 0

    def on_response(self, status: int, headers: Headers) -> None:
        """The head."""
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        """A piece."""
        self._size += len(data)
        if self._size <= self._max_body:
            self._parts.append(data)
        elif not self.future.done():
            self.future.set_exception(UpstreamFailed(f"reply above {self._max_body} bytes; raise the limit"))

    def on_complete(self) -> None:
        """Hand the whole reply over."""
        if not self.future.done():
            self.future.set_result(Response(status=self._status, headers=self._headers, body=b"".join(self._parts)))

    def on_failure(self, failure: Failure) -> None:
        """Hand the failure over."""
        if not self.future.done():
            self.future.set_exception(failure.error())
