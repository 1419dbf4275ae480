"""However the network cuts a byte stream into pieces, the same requests and the same replies come out of it."""

import asyncio
import itertools

import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warmfront.wire.messages import Exchange
from warmfront.wire.pool import Origin, Pool
from warmfront.wire.server import Server

REQUESTS = (
    b"POST /a%20b?q=1 HTTP/1.1\r\nHost: one\r\nX-Empty:\r\nX-Blank:  v \r\nContent-Length: 11\r\n\r\nhello world"
    b"GET http://two:8/x HTTP/1.1\r\nHost: one\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    b"PUT /c HTTP/1.1\r\nHost: three\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;e=x\r\nhello\r\n"
    b"6\r\n world\r\n0\r\nT: r\r\n\r\n"
    b"\r\nGET /end HTTP/1.0\r\n\r\n"
)
EXPECTED = [
    (
        "POST",
        "/a%20b",
        "q=1",
        [(b"host", b"one"), (b"x-empty", b""), (b"x-blank", b"v"), (b"content-length", b"11")],
        b"hello world",
    ),
    ("GET", "/x", "", [(b"host", b"two:8"), (b"connection", b"Upgrade")], b""),
    ("PUT", "/c", "", [(b"host", b"three"), (b"transfer-encoding", b"chunked")], b"hello world"),
    ("GET", "/end", "", [], b""),
]
_WHOLE = b"HTTP/1.1 200 OK\r\nX: a \r\nContent-Length: 11\r\n\r\nhello world"
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REPLIES = {
    "length": (_WHOLE, True),
    "chunked": (_CHUNKED_HEAD + b"5\r\nhello\r\n6;e\r\n world\r\n0\r\nT: r\r\n\r\n", True),
    "interim": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 11\r\n\r\nhello world",
        True,
    ),
    "until close": (b"HTTP/1.1 200 OK\r\nX: a\r\n\r\nhello world", False),
}


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream cut at these places."""
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(stream)}), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(bounds)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, len(REQUESTS) - 1), max_size=12))
@example(list(range(len(REQUESTS))))
def test_any_split_of_a_request_stream_gives_the_same_exchanges(cuts):
    """Four requests of every framing, cut anywhere (also after each byte), arrive complete and equal."""

    async def story() -> list[tuple]:
        seen = []

        def handle(exchange: Exchange) -> None:
            seen.append((exchange.method, exchange.path, exchange.query, exchange.headers, exchange.body))
            exchange.respond(200, [])

        server = Server(handle)
        port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        (connection,) = server._connections
        for piece in pieces(REQUESTS, cuts):
            connection.data_received(piece)  # exactly these pieces: a socket would join some
        await reader.read()
        writer.close()
        await server.close(0)
        return seen[1:]

    assert uvloop.run(story()) == EXPECTED


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(REPLIES)), st.lists(st.integers(1, 120), max_size=10))
@example("chunked", list(range(120)))
@example("interim", list(range(120)))
def test_any_split_of_a_reply_gives_the_same_response(kind, cuts):
    """Every framing of a reply, cut anywhere, gives the same response, and the connection is kept where it may be."""
    stream, kept = REPLIES[kind]

    async def story() -> None:
        asked = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()
            writer.close()

        upstream = await asyncio.start_server(silent, "127.0.0.1", 0)
        origin = Origin("127.0.0.1", upstream.sockets[0].getsockname()[1])
        pool = Pool()
        fetching = asyncio.create_task(pool.fetch(origin, "GET", "/", [], b"", timeout_s=10))
        await asked.wait()
        (connection,) = pool._lanes[origin]._open
        for piece in pieces(stream, cuts):
            connection.data_received(piece)
        if not kept:
            connection.eof_received()
        response = await fetching
        assert (response.status, response.header(b"x"), response.body) == (200, b"a", b"hello world")
        assert (len(pool._lanes[origin].idle) == 1) if kept else (origin not in pool._lanes)
        await pool.close()
        upstream.close()

    uvloop.run(story())
