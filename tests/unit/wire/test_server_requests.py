"""What a well-behaved client sees. Oracle: the standard library's http.client, and RFC 9112 byte for byte."""

import asyncio
import http.client

import pytest

from warmfront.wire.messages import Exchange


def echo(exchange: Exchange) -> None:
    """Says what arrived: method and target in fields, the body as body."""
    seen = f"{exchange.method} {exchange.path} {exchange.query}".encode()
    exchange.respond(200, [(b"x-seen", seen), (b"x-host", exchange.header(b"host") or b"-")], exchange.body)


def test_the_standard_library_client_is_served_over_one_kept_connection(run, serving):
    """http.client gets what it sent back, for every method, on a single connection."""

    def client(port: int) -> list[tuple[int, str, bytes]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        replies = []
        for method, target, body in [
            ("GET", "/a?x=1&y=%20", None),
            ("POST", "/b", b"hello"),
            ("PUT", "/c?", b"x" * 300_000),
            ("HEAD", "/d", None),
            ("DELETE", "/e", None),
            ("POST", "/f", iter([b"in ", b"two pieces"])),
        ]:
            connection.request(method, target, body, {"X-Upper": "CASE"})
            reply = connection.getresponse()
            replies.append((reply.status, reply.headers["x-seen"], reply.read()))
            first_socket = connection.sock
        assert first_socket is not None
        connection.close()
        return replies

    async def story():
        async with serving(echo) as (_, port):
            return await asyncio.to_thread(client, port)

    assert run(story()) == [
        (200, "GET /a x=1&y=%20", b""),
        (200, "POST /b ", b"hello"),
        (200, "PUT /c ", b"x" * 300_000),
        (200, "HEAD /d ", b""),
        (200, "DELETE /e ", b""),
        (200, "POST /f ", b"in two pieces"),
    ]


def test_pipelined_requests_are_answered_in_order_whatever_the_handler_does(run, serving, connect):
    """Three requests in one packet: the second is served after the first was answered, late; replies keep the order."""
    held: list[Exchange] = []

    async def story():
        arrived = asyncio.Event()

        def handle(exchange: Exchange) -> None:
            held.append(exchange)
            arrived.set()

        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(3)))
            bodies = []
            for _ in range(3):
                await arrived.wait()
                arrived.clear()
                assert len(held) == len(bodies) + 1
                held[-1].respond(200, [], held[-1].path.encode())
                bodies.append((await client.reply())[2])
            return bodies

    assert run(story()) == [b"/0", b"/1", b"/2"]


def test_head_of_a_streamed_reply_has_no_body(run, serving, connect):
    """What the handler writes for HEAD is dropped; the next request on the connection works."""

    def handle(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"5")])
        exchange.write(b"hello")
        exchange.finish()

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await client.head()
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return head, await client.reply()

    head, whole = run(story())
    assert head == (200, {"content-length": "5"})
    assert whole == (200, {"content-length": "5"}, b"hello")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body_get_none(run, serving, connect, status):
    """A 204 or 304 carries neither body nor chunks, so that the next reply is not taken for one."""

    def handle(exchange: Exchange) -> None:
        if exchange.path == "/streamed":
            exchange.start(status, [])
            exchange.write(b"never sent")
            exchange.finish()
        else:
            exchange.respond(status, [], b"never sent" if status == 204 else b"")

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            heads = []
            for path in (b"/streamed", b"/whole", b"/streamed"):
                await client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                heads.append((await client.head())[0])
            return heads

    assert run(story()) == [status] * 3


@pytest.mark.parametrize(
    ("request_head", "kept"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
    ],
)
def test_persistence_follows_version_and_connection_field(run, serving, connect, request_head, kept):
    """HTTP/1.0 closes unless asked to keep, HTTP/1.1 keeps unless asked to close; the reply says which."""

    async def story():
        async with serving(echo) as (_, port):
            client = await connect(port)
            await client.send(request_head)
            _, fields, _ = await client.reply()
            if not kept:
                assert fields["connection"] == "close"
                assert await client.rest() == b""
            else:
                await client.send(request_head)
                assert (await client.reply())[0] == 200

    run(story())


def test_a_streamed_reply_is_chunked_for_1_1_and_ends_with_the_connection_for_1_0(run, serving, connect):
    """Without a declared length the framing is what the client's version understands."""

    def handle(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"abc")
        exchange.write(b"")
        exchange.write(b"d" * 17)
        exchange.finish()

    async def story():
        async with serving(handle) as (_, port):
            old, new = await connect(port), await connect(port)
            await old.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            await new.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return await old.rest(), await new.rest()

    old, new = run(story())
    assert old == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc" + b"d" * 17
    assert new.endswith(
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n11\r\n" + b"d" * 17 + b"\r\n0\r\n\r\n"
    )


def test_a_started_reply_reaches_the_client_before_it_is_finished(run, serving, connect):
    """Head and pieces leave at the end of the loop's turn, not at finish(): an event stream is live."""
    held: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"6")])
        held.append(exchange)

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.head()
            held[0].write(b"one")
            assert await client.reader.readexactly(3) == b"one"
            held[0].write(b"two")
            assert await client.reader.readexactly(3) == b"two"
            held[0].finish()
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return await client.head()

    assert run(story())[0] == 200


def test_expect_100_continue_is_answered_before_the_body_is_sent(run, serving, connect):
    """A waiting client is told to go on; one that sent its body unasked is simply served."""

    async def story():
        async with serving(echo) as (_, port):
            client = await connect(port)
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"ok")
            assert (await client.reply())[2] == b"ok"
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok")
            assert (await client.reply())[::2] == (200, b"ok")

    run(story())


def test_a_continue_never_lands_inside_an_earlier_reply(run, serving, connect):
    """Pipelined behind a request in progress, the interim reply waits for its turn."""

    async def story():
        held: asyncio.Queue[Exchange] = asyncio.Queue()
        async with serving(lambda x: held.put_nowait(x) if x.path == "/slow" else echo(x)) as (_, port):
            client = await connect(port)
            await client.send(
                b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
                b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            (await held.get()).respond(200, [], b"first")
            assert (await client.reply())[2] == b"first"
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"ok")
            assert (await client.reply())[2] == b"ok"

    run(story())


@pytest.mark.parametrize(
    ("target", "seen", "host"),
    [
        (b"http://other:81/p?q=1", "GET /p q=1", "other:81"),
        (b"HTTP://other?q", "GET / q", "other"),
        (b"/p%2Fq?a%3F=b?c", "GET /p%2Fq a%3F=b?c", "a"),
        (b"//double", "GET //double ", "a"),
    ],
)
def test_target_forms(run, serving, connect, target, seen, host):
    """Path and query stay percent-encoded; the authority of an absolute target replaces Host."""

    async def story():
        async with serving(echo) as (_, port):
            client = await connect(port)
            await client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            return await client.reply()

    _, fields, _ = run(story())
    assert (fields["x-seen"], fields["x-host"]) == (seen, host)


def test_chunked_requests_lose_extensions_and_trailers(run, serving, connect):
    """Trailer fields never become fields of the request: they could smuggle in what the head did not say."""
    seen: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        seen.append(exchange)
        exchange.respond(200, [], exchange.body)

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nAuthorization: trailer\r\n\r\n"
            )
            first = await client.reply()
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return first, await client.reply()

    first, second = run(story())
    assert (first[2], second[2]) == (b"abcde", b"")
    assert [x.header(b"authorization") for x in seen] == [None, None]


def test_a_body_in_thousands_of_tiny_chunks_arrives_whole(run, serving, connect):
    """Five thousand chunks of one to three bytes give the body they spell."""
    parts = [b"%d" % n for n in range(500)] * 10

    async def story():
        async with serving(echo) as (_, port):
            client = await connect(port)
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n")
            return (await client.reply())[2]

    assert run(story()) == b"".join(parts)


def test_an_upgrade_offer_is_ignored_and_the_connection_lives_on(run, serving, connect):
    """curl --http2 offers h2c on its first request; it is served as HTTP/1.1, and so is what follows in the packet."""

    async def story():
        async with serving(echo) as (_, port):
            client = await connect(port)
            await client.send(
                b"POST /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab"
                b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            return [(await client.reply())[1]["x-seen"] for _ in range(2)]

    assert run(story()) == ["POST /1 ", "GET /2 "]
