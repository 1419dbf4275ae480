"""The ASGI front: the same handler under uvicorn or any other ASGI server, and inside functions-framework's aio.

What may live here: ASGI messages to an Exchange and back. What must not: routes, errors' texts.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from warmfront.cloudevents import Headers
from warmfront.errors import BodyTooLarge
from warmfront.gateway import problems
from warmfront.gateway.app import App
from warmfront.protocols import errors_at
from warmfront.wire.messages import HOP_BY_HOP, Exchange

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_HIGH_WATER = 65_536


class AsgiExchange(Exchange):
    """Turns the handler's calls into ASGI messages, which `drain` sends one by one."""

    __slots__ = ("_client", "_cut", "_messages", "_news", "_paused", "_pending")

    def __init__(self, scope: Scope, body: bytes, received_at: float) -> None:
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
        super().__init__(
            method=scope["method"],
            path=path.partition(b"?")[0].decode("latin-1"),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            body=body,
            received_at=received_at,
        )
        self._client = scope.get("client")
        self._messages: deque[Message] = deque()
        self._news = asyncio.Event()
        self._pending = 0
        self._paused = False
        self._cut = False

    @property
    def remote(self) -> str:
        """The client's address as the server tells it."""
        return str(self._client[0]) if self._client else ""

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """The whole reply."""
        kept = [item for item in headers if item[0] != b"content-length"]
        if status != 204:
            kept.append((b"content-length", b"%d" % len(body)))
        self.start(status, kept)
        if self.method != "HEAD":
            self.write(body)
        self.finish()

    def start(self, status: int, headers: Headers) -> None:
        """The head."""
        if self.responded:
            raise RuntimeError(f"second reply to {self.method} {self.path}; an exchange takes one")
        self.responded = True
        kept = [item for item in headers if item[0] not in HOP_BY_HOP]
        self._put({"type": "http.response.start", "status": status, "headers": kept})

    def write(self, data: bytes) -> None:
        """A piece; asks the handler to pause when the server is behind."""
        if not data:
            return
        self._pending += len(data)
        self._put({"type": "http.response.body", "body": data, "more_body": True})
        if self._pending > _HIGH_WATER and not self._paused and self.on_pause is not None:
            self._paused = True
            self.on_pause()

    def finish(self) -> None:
        """The end."""
        self.finished = True
        self._put({"type": "http.response.body", "body": b"", "more_body": False})

    def abort(self) -> None:
        """End without the end: the server then closes the connection."""
        self.responded = self.finished = self._cut = True
        self._news.set()

    async def drain(self, send: Send) -> None:
        """Send messages as they come until the reply is over or cut."""
        while not self._cut:
            if not self._messages:
                if self.finished:
                    return
                self._news.clear()
                await self._news.wait()
                continue
            message = self._messages.popleft()
            await send(message)
            self._pending -= len(message.get("body", b""))
            if self._paused and self._pending <= _HIGH_WATER // 2 and not self.finished:
                self._paused = False
                if self.on_resume is not None:
                    self.on_resume()

    def disconnected(self) -> None:
        """The client has gone."""
        if not self.finished and self.on_disconnect is not None:
            self.on_disconnect()
        self.abort()

    def _put(self, message: Message) -> None:
        self._messages.append(message)
        self._news.set()


class AsgiFront:
    """An ASGI application. It starts the selector with the server's lifespan, or with the first request."""

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(await self._started(), scope, receive, send)

    async def _started(self) -> App:
        if self._app is None:
            self._app = self._build()
            await self._app.start()
        return self._app

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._started()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        app, self._app = self._app, None
        if app is not None:
            app.gateway.draining = True
            await app.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        try:
            body = await _body(receive, app.settings.max_body_bytes)
        except BodyTooLarge as error:
            exchange = AsgiExchange(scope, b"", loop.time())
            status, headers, text = problems.render(error, shape=errors_at(exchange.path))
            exchange.respond(status, [*headers, (b"connection", b"close")], text)
            await exchange.drain(send)
            return
        if body is None:
            return
        exchange = AsgiExchange(scope, body, loop.time())
        app.gateway.handle(exchange)
        watch = None if exchange.finished else loop.create_task(_watch(receive, exchange))
        try:
            await exchange.drain(send)
        except asyncio.CancelledError:
            exchange.disconnected()
            raise
        finally:
            if watch is not None:
                watch.cancel()


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when the client left before its end. Raises BodyTooLarge."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"body above {limit} bytes; send less")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _watch(receive: Receive, exchange: AsgiExchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.disconnected()
