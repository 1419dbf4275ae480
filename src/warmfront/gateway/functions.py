"""The functions-framework fronts: its `http` signature, synchronous (Flask under gunicorn) and aio (Starlette).

What may live here: handing a request to the event loop that runs the selector, and its reply back to a thread.
Neither framework is imported: a synchronous function may return (body, status, headers), an aio one any ASGI
application, which is then called in its place.
A waiting synchronous request holds a worker thread (`THREADS`), so this front suits trials, not traffic.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from warmfront.cloudevents import Headers
from warmfront.errors import BodyTooLarge
from warmfront.gateway import problems
from warmfront.gateway.app import App
from warmfront.gateway.asgi import AsgiFront
from warmfront.protocols import errors_at
from warmfront.wire.messages import HOP_BY_HOP, Exchange

_HIGH_WATER = 65_536

Body = bytes | Iterator[bytes]
FlaskReply = tuple[Body, int, list[tuple[str, str]]]


class FlaskRequest(Protocol):
    """What is used of a Flask request."""

    method: str
    environ: Mapping[str, Any]
    headers: Any
    content_length: int | None

    def get_data(self) -> bytes:
        """The whole body."""
        ...


class ThreadExchange(Exchange):
    """Written on the loop's thread, read on a worker's: a queue of pieces in between, None as the end."""

    __slots__ = ("_client", "_cut", "_loop", "_paused", "_pending", "_pieces", "head", "whole")

    def __init__(self, request: FlaskRequest, body: bytes, loop: asyncio.AbstractEventLoop) -> None:
        environ = request.environ
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or quote(environ.get("PATH_INFO", "/"))
        path, _, query = target.partition("?")
        headers = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in request.headers]
        super().__init__(
            method=request.method, path=path, query=query, headers=headers, body=body, received_at=loop.time()
        )
        self._client = str(environ.get("REMOTE_ADDR", ""))
        self._loop = loop
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._pending = 0
        self._paused = False
        self._cut = False
        self.head: queue.SimpleQueue[tuple[int, Headers]] = queue.SimpleQueue()
        self.whole: bytes | None = None

    @property
    def remote(self) -> str:
        """The client's address as the server tells it."""
        return self._client

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """The whole reply; the framework sets Content-Length."""
        self.whole = body
        self.start(status, [item for item in headers if item[0] != b"content-length"])
        self.finish()

    def start(self, status: int, headers: Headers) -> None:
        """The head, which the worker waits for."""
        if self.responded:
            raise RuntimeError(f"second reply to {self.method} {self.path}; an exchange takes one")
        self.responded = True
        self.head.put((status, headers))

    def write(self, data: bytes) -> None:
        """A piece; asks the handler to pause when the worker is behind."""
        if data:
            self._pending += len(data)
            self._pieces.put(data)
            if self._pending > _HIGH_WATER and not self._paused and self.on_pause is not None:
                self._paused = True
                self.on_pause()

    def finish(self) -> None:
        """The end."""
        self.finished = True
        self._pieces.put(None)

    def abort(self) -> None:
        """A cut reply: the worker raises, so that the server closes the connection."""
        self._cut = True
        if not self.responded:
            self.start(502, [])
        self.finish()

    def pieces(self) -> Iterator[bytes]:
        """The body, on the worker's thread."""
        return _Pieces(self)

    def next_piece(self) -> bytes | None:
        """Wait for a piece; None at the end. Raises ConnectionAbortedError for a cut reply."""
        piece = self._pieces.get()
        if piece is None:
            if self._cut:
                raise ConnectionAbortedError("the variant broke off its reply")
            return None
        self._loop.call_soon_threadsafe(self._taken, len(piece))
        return piece

    def left(self) -> None:
        """The client is gone or has all: called on the worker's thread."""
        self._loop.call_soon_threadsafe(self._disconnected)

    def _disconnected(self) -> None:
        if not self.finished and self.on_disconnect is not None:
            self.on_disconnect()
            self.finished = True

    def _taken(self, size: int) -> None:
        self._pending -= size
        if self._paused and self._pending <= _HIGH_WATER // 2 and not self.finished:
            self._paused = False
            if self.on_resume is not None:
                self.on_resume()


class _Pieces(Iterator[bytes]):
    """The pieces of one reply. The server calls `close` when it is done, early too."""

    def __init__(self, exchange: ThreadExchange) -> None:
        self._exchange = exchange

    def __next__(self) -> bytes:
        piece = self._exchange.next_piece()
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        self._exchange.left()


class FunctionFronts:
    """Both signatures over one builder of the selector; nothing starts before the first request."""

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._running: tuple[App, asyncio.AbstractEventLoop] | None = None
        self.asgi = AsgiFront(build)

    def handle(self, request: FlaskRequest) -> FlaskReply:
        """The synchronous signature: body or iterator, status, headers."""
        app, loop = self._started()
        limit = app.settings.max_body_bytes
        body = b"" if (request.content_length or 0) > limit else request.get_data()
        if (request.content_length or 0) > limit or len(body) > limit:
            error = BodyTooLarge(f"body above {limit} bytes; send less")
            status, headers, text = problems.render(error, shape=errors_at(request.environ.get("PATH_INFO", "/")))
            return text, status, _text(headers)
        exchange = ThreadExchange(request, body, loop)
        loop.call_soon_threadsafe(app.gateway.handle, exchange)
        status, headers = exchange.head.get()
        content = exchange.pieces() if exchange.whole is None else exchange.whole
        return content, status, _text(headers)

    async def handle_async(self, request: object) -> AsgiFront:  # noqa: ARG002 - the signature of the framework
        """The aio signature: an ASGI application, which the framework calls to answer."""
        return self.asgi

    def _started(self) -> tuple[App, asyncio.AbstractEventLoop]:
        with self._lock:
            if self._running is None:
                loop = asyncio.new_event_loop()
                app = self._build()
                threading.Thread(target=loop.run_forever, name="warmfront-selector", daemon=True).start()
                asyncio.run_coroutine_threadsafe(app.start(), loop).result()
                self._running = app, loop
            return self._running


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in HOP_BY_HOP]
