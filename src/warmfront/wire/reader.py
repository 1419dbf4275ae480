"""Requests out of bytes: what one client sends, parsed, bounded, complete.

What may live here: the parser's callbacks and the limits on size. What must not: transports, replies, clocks.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import httptools

from warmfront.errors import BodyTooLarge, HeadersTooLarge, InvalidRequest
from warmfront.wire.heads import judge_head, judge_size, origin_form, without_upgrade
from warmfront.wire.messages import Headers

if TYPE_CHECKING:
    from warmfront.wire.exchange import ServerExchange
    from warmfront.wire.server import Limits

IDLE, HEAD, BODY = 0, 1, 2
# Chunks of one byte would otherwise cost forty bytes each.
_MANY_PARTS = 512


class RequestReader:
    """Feeds on bytes and puts complete requests into `complete`, made by `make` (a ServerExchange without connection).

    `phase` tells what part of a request is begun; `ended` that the client will send no further request; `expects` that
    it waits for `100 Continue` before its body. `timed` belongs to whoever keeps the clock: each new phase clears it.
    """

    __slots__ = (
        "_fed",
        "_fields",
        "_headers",
        "_http11",
        "_limits",
        "_make",
        "_method",
        "_parser",
        "_parts",
        "_size",
        "_size_seen",
        "_surplus",
        "_target",
        "complete",
        "ended",
        "expects",
        "phase",
        "timed",
    )

    def __init__(self, limits: "Limits", make: "Callable[..., ServerExchange]") -> None:
        self.complete: deque[ServerExchange] = deque()
        self.ended = False
        self._limits = limits
        self._make = make
        self._parser = httptools.HttpRequestParser(self)
        self._fields: Headers = []
        self._method = b""
        self._http11 = True
        self._fed = 0
        self._size = self._size_seen = self._surplus = 0
        self.on_message_begin()
        self.phase = IDLE

    def feed(self, data: bytes) -> None:
        """Take what came. A WarmfrontError says why nothing more is taken; what is complete stays in `complete`."""
        self._fed = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            version = b"1.1" if self._http11 else b"1.0"
            plain = without_upgrade(self._method, self._target, version, self._fields)
            self.feed(plain + data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError as failure:
            self.phase = IDLE
            raise (failure.__context__ or failure) from None
        except httptools.HttpParserError as failure:
            self.phase = IDLE
            if not self.ended:  # bytes behind a request that said `Connection: close` are nobody's
                raise InvalidRequest(f"not an HTTP/1.1 request: {failure}; send a well-formed one") from None
        if self.phase:
            self._bound(len(data))

    @property
    def awaits_continue(self) -> bool:
        """Whether the client holds its body back until it is told to go on."""
        return self.expects and self.phase == BODY and not self._size

    def _bound(self, fed: int) -> None:
        """A request is begun and incomplete: bound what brings no body (head, chunk extensions, trailers)."""
        if not self.timed or self._size != self._size_seen:
            # the read in which a phase began may hold the end of another, so only what follows is counted
            self._surplus = 0
            self._size_seen = self._size
        else:
            self._surplus += fed
        limits = self._limits
        if self._surplus > limits.max_header_bytes or (self.phase == BODY and len(self._headers) > limits.max_headers):
            what = "head" if self.phase == HEAD else "trailer"
            self.phase = IDLE
            raise HeadersTooLarge(f"{what} above {limits.max_header_bytes} bytes; send less")

    # -- httptools ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request line has begun."""
        self.phase = HEAD
        self.timed = False
        self.expects = False
        self._target = b""
        self._headers: Headers = []
        self._parts: list[bytes | bytearray] = []
        self._size = self._size_seen = self._surplus = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, of the head or (ignored) of the trailer."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """Judge the head before a byte of the body is accepted."""
        limits = self._limits
        fields = self._fields = self._headers
        if len(fields) > limits.max_headers:
            raise HeadersTooLarge(f"{len(fields)} header fields; at most {limits.max_headers} are taken")
        if self._surplus + self._fed > limits.max_header_bytes:
            judge_size(self._target, fields, limits.max_header_bytes)
        self.phase = BODY
        self.timed = False
        self._headers = []  # from here on trailer fields
        self._method = method = self._parser.get_method()
        version = self._parser.get_http_version()
        self._http11 = version == "1.1"
        self.expects = judge_head(method, version, fields, limits.max_body)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        parts = self._parts
        parts.append(data)
        self._size += len(data)
        if self._size > self._limits.max_body:
            raise BodyTooLarge(f"body above {self._limits.max_body} bytes; send less")
        if len(parts) > _MANY_PARTS:
            bulk = parts[0] if isinstance(parts[0], bytearray) else bytearray(parts[0])
            bulk += b"".join(parts[1:])
            self._parts = [bulk]

    def on_message_complete(self) -> None:
        """Queue the complete request, unless it offers an upgrade: then the parser stops before the body."""
        if self._parser.should_upgrade():
            return
        self.phase = IDLE
        parts = self._parts
        keep = self._parser.should_keep_alive()
        self.ended = not keep
        target, headers = self._target.decode("latin-1"), self._fields
        if target[:1] != "/":
            target, headers = origin_form(target, headers)
        if "#" in target:
            raise InvalidRequest("request target with a fragment; leave out # and what follows")
        path, _, query = target.partition("?")
        body = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
        method = self._method.decode("ascii")
        exchange = self._make(method, path, query, headers, body, time.monotonic(), self._http11, keep)
        self.complete.append(exchange)
