"""Real loopback sockets on both event loops: a server under test, a client and an upstream that speak raw bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from warmfront.wire.messages import Exchange, Headers
from warmfront.wire.pool import Call, Failure, Origin, Pool
from warmfront.wire.server import Limits, Server

PATIENCE_S = 20.0
LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def opened():
    """The raw clients of one test; `run` closes them."""
    return []


@pytest.fixture(params=LOOPS)
def run(request, opened):
    """Runs a coroutine to its end on a fresh loop; nothing may reach the loop's exception handler meanwhile."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        complaints = []

        async def bounded() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            try:
                return await asyncio.wait_for(coroutine, PATIENCE_S)
            finally:
                for client in opened:
                    client.reset()
                await asyncio.sleep(0.001)  # transports close their sockets a turn later

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            result = runner.run(bounded())
        assert complaints == []
        return result

    return run


class RawClient:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and fields of the next reply."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        assert lines[0].startswith("HTTP/1.1 ")
        return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:])

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        """The next whole reply, by its Content-Length."""
        status, fields = await self.head()
        return status, fields, await self.reader.readexactly(int(fields.get("content-length", 0)))

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await self.reader.read()

    def reset(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
def connect(opened):
    """Opens a raw client to a port; all are closed in the end."""

    async def connect(port: int) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
        opened.append(client)
        return client

    return connect


@pytest.fixture
def serving():
    """`async with serving(handler, limits, fault) as (server, port)`: our Server, closed hard in the end."""

    @asynccontextmanager
    async def serving(
        handler: Callable[[Exchange], None], limits: Limits | None = None, **more: Any
    ) -> AsyncIterator[tuple[Server, int]]:
        server = Server(handler, limits or Limits(), **more)
        port = await server.listen("127.0.0.1", 0)
        try:
            yield server, port
        finally:
            await server.close(0)

    return serving


@pytest.fixture
def upstream():
    """`async with upstream(script) as origin`: a raw TCP server; `script(client, number)` plays one connection."""

    @asynccontextmanager
    async def upstream(script: Callable[[RawClient, int], Awaitable[None]]) -> AsyncIterator[Origin]:
        tasks: set[asyncio.Task[Any]] = set()
        number = 0

        async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal number
            number += 1
            tasks.add(asyncio.current_task())
            try:
                await script(RawClient(reader, writer), number)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(play, "127.0.0.1", 0)
        try:
            yield Origin("127.0.0.1", server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return upstream


class Listener:
    """A sink that notes all it hears and tells when the call is over."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Headers = []
        self.body = b""
        self.pieces = 0
        self.failure: Failure | None = None
        self.ends = 0
        self.head_came = asyncio.Event()
        self.body_came = asyncio.Event()
        self.over = asyncio.Event()
        self.call: Call | None = None

    def on_response(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        self.head_came.set()

    def on_body(self, data: bytes) -> None:
        self.body += data
        self.pieces += 1
        self.body_came.set()

    def on_complete(self) -> None:
        self.ends += 1
        self.over.set()

    def on_failure(self, failure: Failure) -> None:
        self.failure = failure
        self.ends += 1
        self.over.set()


@pytest.fixture
def pooling():
    """`async with pooling(**settings) as (pool, send)`: `send(origin, method, target, ...)` gives a Listener."""

    @asynccontextmanager
    async def pooling(**settings: Any) -> AsyncIterator[tuple[Pool, Callable[..., Listener]]]:
        pool = Pool(**settings)

        def send(
            origin: Origin,
            method: str = "GET",
            target: str = "/",
            headers: Headers = (),
            body: bytes = b"",
            **more: Any,
        ) -> Listener:
            listener = Listener()
            more.setdefault("timeout_s", PATIENCE_S)
            listener.call = pool.send(origin, method, target, list(headers), body, listener, **more)
            return listener

        try:
            yield pool, send
        finally:
            await pool.close()

    return pooling


async def _until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds; `run` fails the test when it never does."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0.001)


@pytest.fixture(name="until")
def _until_fixture():
    """Wait for a condition of this process."""
    return _until


class Peer:
    """A client of raw HTTP/2: requests by stream, events as they come."""

    def __init__(self, reader, writer):
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.reader, self.writer = reader, writer
        self.h2.initiate_connection()
        self.events = []

    async def send(self):
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def ask(self, path="/", body=None, *, method=b"POST", headers=(), end=True):
        stream = self.h2.get_next_available_stream_id()
        head = [(b":method", method), (b":scheme", b"http"), (b":authority", b"a:1"), (b":path", path.encode())]
        self.h2.send_headers(stream, [*head, *headers], end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        await self.send()
        return stream

    async def until(self, kind, stream=None):
        """The first event of this kind (on this stream)."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    return event
            data = await self.reader.read(65536)
            if not data:
                raise ConnectionResetError
            for event in self.h2.receive_data(data):
                self.events.append(event)
                if isinstance(event, DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            await self.send()

    async def reply(self, stream):
        """Status and body."""
        await self.until(StreamEnded, stream)
        status = dict((await self.until(ResponseReceived, stream)).headers)[b":status"]
        parts = [e.data for e in self.events if isinstance(e, DataReceived) and e.stream_id == stream]
        return int(status), b"".join(parts)


@pytest.fixture
def peer(opened):
    """Opens a raw HTTP/2 client; all are closed in the end."""

    async def connect(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        made = Peer(reader, writer)
        made.reset = writer.transport.abort
        opened.append(made)
        await made.send()
        return made

    return connect
