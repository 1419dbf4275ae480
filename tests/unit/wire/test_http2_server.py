"""The server's HTTP/2: grpcio and raw frames against it, on both event loops."""

import asyncio
import itertools
import sys

import grpc
import grpc.aio
import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, StreamReset, TrailersReceived, WindowUpdated

from warmfront.wire import http2_server
from warmfront.wire.server import Limits

ECHO = "/test.Service/Echo"


def echo(exchange):
    """Answers with what was sent, and how many bytes in a trailer."""
    exchange.trailers = [(b"grpc-status", b"0"), (b"x-bytes", b"%d" % len(exchange.body))]
    exchange.respond(200, [(b"content-type", b"application/grpc")], exchange.body)


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 65_536, 1 << 20, 5_000_000])
def test_bodies_of_every_size_come_back_as_they_were(run, serving, size):
    """Across frame and window limits, by grpcio; the trailer tells that the handler saw all of it."""
    body = bytes(itertools.islice(itertools.cycle(range(251)), size))

    async def scene():
        options = [("grpc.max_receive_message_length", -1)]
        async with (
            serving(echo) as (_, port),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel,
        ):
            call = channel.unary_unary(ECHO)(body)
            return await call, dict(await call.trailing_metadata())

    got, trailers = run(scene())
    assert got == body
    assert trailers["x-bytes"] == str(size + 5)


def test_many_calls_share_a_connection(run, serving):
    """300 calls at once, each gets its own answer."""

    async def scene():
        async with serving(echo) as (server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(ECHO)
            answers = await asyncio.gather(*(call(b"%d" % i * i) for i in range(300)))
            return answers, server.connections

    answers, connections = run(scene())
    assert answers == [b"%d" % i * i for i in range(300)]
    assert connections == 1


def test_http11_and_http2_on_one_port(run, serving, connect, peer):
    """A preface cut anywhere is still one; what begins like it and is none is HTTP/1.1's business."""

    async def scene():
        seen = []

        def handle(exchange):
            seen.append((exchange.method, exchange.path, exchange.query, exchange.header(b"host"), exchange.remote))
            exchange.respond(200, [], b"ok")

        async with serving(handle) as (_, port):
            old = await connect(port)
            await old.send(b"GET /a?b=c HTTP/1.1\r\nHost: a:1\r\n\r\n")
            first = await old.reply()
            for cut in (1, 3, 17, 23):
                new = await peer(port)
                stream = new.h2.get_next_available_stream_id()
                new.h2.send_headers(
                    stream,
                    [(":method", "GET"), (":scheme", "http"), (":authority", "a:1"), (":path", "/a?b=c")],
                    end_stream=True,
                )
                assert await new.reply(stream) is not None
                raw = await connect(port)
                fresh = H2Connection()
                fresh.initiate_connection()
                data = fresh.data_to_send()
                await raw.send(data[:cut])
                await asyncio.sleep(0.005)
                await raw.send(data[cut:])
                assert (await raw.reader.readexactly(9))[3] == 4  # the server's SETTINGS
            return first, seen

    (status, _, body), seen = run(scene())
    assert (status, body) == (200, b"ok")
    assert set(seen) == {("GET", "/a", "b=c", b"a:1", "127.0.0.1")}
    assert len(seen) == 5


def test_limits_are_kept_and_told(run, serving, peer):
    """413, 431 and 400 as by HTTP/1.1, each on its stream; the connection goes on."""

    async def scene():
        async with serving(echo, Limits(max_body=1000, max_headers=5)) as (_, port):
            client = await peer(port)
            big = await client.ask("/", bytes(1001))
            many = await client.ask("/", None, headers=[(b"x-%d" % i, b"1") for i in range(6)])
            star = await client.ask("nowhere", None)
            fine = await client.ask("/", b"fine")
            return [await client.reply(stream) for stream in (big, many, star, fine)]

    big, many, star, fine = run(scene())
    assert (big[0], many[0], star[0]) == (413, 431, 400)
    assert b"body above 1000 bytes" in big[1]
    assert b"at most 5 are taken" in many[1]
    assert fine == (200, b"fine")


def test_a_client_that_takes_its_call_back_is_noticed(run, serving, peer, until):
    """The handler hears of it once, and its late answer goes nowhere."""

    async def scene():
        held, gone = [], []

        def hold(exchange):
            exchange.on_disconnect = lambda: gone.append(exchange)
            held.append(exchange)

        async with serving(hold) as (_, port):
            client = await peer(port)
            stream = await client.ask("/", b"x")
            await until(lambda: held)
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            other = await client.ask("/", b"y")
            await until(lambda: len(held) == 2)
            held[0].respond(200, [], b"late")
            held[1].respond(200, [], b"fine")
            return gone == [held[0]], await client.reply(other)

    noticed, other = run(scene())
    assert noticed
    assert other == (200, b"fine")


def test_a_slow_reader_pauses_its_handler_only(run, serving, peer, until):
    """Beyond the client's window pieces wait here, the handler is asked to pause, and to go on when they are gone."""

    async def scene():
        told = []

        def stream(exchange):
            exchange.on_pause = lambda: told.append("pause")
            exchange.on_resume = lambda: (told.append("resume"), exchange.finish())
            exchange.start(200, [])
            for _ in range(8):
                exchange.write(bytes(65_536))

        async with serving(stream) as (_, port):
            client = await peer(port)
            number = await client.ask("/")
            await until(lambda: "pause" in told)
            before = list(told)
            return before, told, await client.reply(number)

    before, told, (status, body) = run(scene())
    assert "resume" not in before
    assert told[-1] == "resume"
    assert (status, len(body)) == (200, 8 * 65_536)


def test_broken_replies_reset_their_stream(run, serving, peer):
    """An aborted reply is no whole one; a handler that fails is a 500; neither ends the connection."""

    async def scene():
        def handle(exchange):
            if exchange.path == "/abort":
                exchange.start(200, [])
                exchange.write(b"half")
                exchange.abort()
            elif exchange.path == "/fail":
                raise ValueError("a mistake")
            else:
                exchange.respond(204, [(b"content-length", b"3")], b"abc")

        async with serving(handle) as (_, port):
            client = await peer(port)
            aborted = await client.ask("/abort")
            reset = await client.until(StreamReset, aborted)
            failed, empty = await client.ask("/fail"), await client.ask("/")
            return reset.error_code, await client.reply(failed), await client.reply(empty)

    code, failed, empty = run(scene())
    assert code == ErrorCodes.INTERNAL_ERROR
    assert failed[0] == 500
    assert empty == (204, b"")


def test_slow_bodies_are_timed_out(run, serving, peer):
    """408 on the stream whose body does not come; another one is served meanwhile."""

    async def scene():
        async with serving(echo, Limits(body_timeout_s=0.05)) as (_, port):
            client = await peer(port)
            slow = await client.ask("/", b"a", end=False)
            fine = await client.ask("/", b"b")
            return await client.reply(fine), await client.reply(slow)

    fine, slow = run(scene())
    assert fine == (200, b"b")
    assert slow[0] == 408


def test_rapid_resets_end_the_connection(run, serving, peer, monkeypatch):
    """A client that opens and takes back more than the limit within a second is told to calm down."""
    monkeypatch.setattr(http2_server, "_MAX_RESETS", 50)

    async def scene():
        async with serving(lambda exchange: None) as (_, port):
            client = await peer(port)
            for _ in range(51):
                stream = client.h2.get_next_available_stream_id()
                head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]
                client.h2.send_headers(stream, head, end_stream=True)
                client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            await client.send()
            return (await client.until(ConnectionTerminated)).error_code

    assert run(scene()) == ErrorCodes.ENHANCE_YOUR_CALM


def test_closing_finishes_what_was_begun(run, serving, peer, until):
    """GOAWAY at once, the reply in progress, then the end; a call that comes later is refused, to be sent elsewhere."""

    async def scene():
        held = []
        async with serving(held.append) as (server, port):
            client = await peer(port)
            stream = await client.ask("/", b"x")
            await until(lambda: held)
            closing = asyncio.create_task(server.close(5))
            await asyncio.sleep(0.02)
            late = client.h2.get_next_available_stream_id()
            head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]
            client.h2.send_headers(late, head, end_stream=True)
            await client.send()
            await asyncio.sleep(0.02)
            held[0].respond(200, [], b"done")
            data = bytearray()
            while piece := await client.reader.read(65536):
                data += piece
            await closing
            return bytes(data), stream, late

    data, stream, late = run(scene())
    frames = []
    while data:
        length = int.from_bytes(data[:3], "big")
        frames.append((data[3], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
        data = data[9 + length :]
    kinds = [(kind, number) for kind, number, _ in frames]
    assert (7, 0) in kinds  # GOAWAY
    assert (3, late) in kinds  # RST_STREAM
    assert (0, stream, b"done") in frames


def test_trailers_are_read_once(run, serving, peer):
    """As frames: head, body, trailers."""

    async def scene():
        async with serving(echo) as (_, port):
            client = await peer(port)
            stream = await client.ask("/", b"abc")
            await client.reply(stream)
            return (await client.until(TrailersReceived, stream)).headers

    assert [tuple(item) for item in run(scene())] == [(b"grpc-status", b"0"), (b"x-bytes", b"3")]


def test_incomplete_bodies_are_bounded_together(run, serving, peer):
    """Eight bodies of the largest size may be under way; whose piece exceeds that is refused, the others go on."""

    async def scene():
        async with serving(echo, Limits(max_body=10_000)) as (_, port):
            client = await peer(port)
            await client.until(WindowUpdated)
            streams = [await client.ask("/", bytes(9_000), end=False) for _ in range(9)]
            refused = await client.until(StreamReset)
            client.h2.send_data(streams[0], b"x", end_stream=True)
            await client.send()
            return streams, refused, await client.reply(streams[0])

    streams, refused, (status, body) = run(scene())
    assert (refused.stream_id, refused.error_code) == (streams[8], ErrorCodes.REFUSED_STREAM)
    assert (status, len(body)) == (200, 9_001)


def test_who_takes_nothing_is_cut_off(run, serving, connect):
    """A client that opens no window for its reply is not waited for longer than the limit."""

    async def scene():
        def much(exchange):
            exchange.respond(200, [], bytes(200_000))

        async with serving(much, Limits(write_timeout_s=0.05)) as (_, port):
            raw = await connect(port)
            h2 = H2Connection()
            h2.initiate_connection()
            h2.send_headers(
                1, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")], end_stream=True
            )
            await raw.send(h2.data_to_send())
            return await raw.rest()

    try:
        got = run(scene())
    except ConnectionResetError:
        return
    assert 65_000 < len(got) < 70_000


def test_without_h2_the_preface_is_refused_as_http11(run, serving, connect, monkeypatch, caplog):
    """A function's image has no h2: its server says what is missing, once, and answers 400."""
    monkeypatch.setitem(sys.modules, "warmfront.wire.http2_server", None)
    monkeypatch.delattr("warmfront.wire.http2_server", raising=False)

    async def scene():
        async with serving(echo) as (_, port):
            client = await connect(port)
            await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            return await client.reply()

    assert run(scene())[0] == 400
    assert "needs the package h2: pip install h2" in caplog.text


def test_a_preface_that_does_not_go_on_is_not_waited_for(run, serving, connect):
    """The connection is closed when a whole head should have come."""

    async def scene():
        async with serving(echo, Limits(header_timeout_s=0.05)) as (_, port):
            client = await connect(port)
            await client.send(b"PRI * HT")
            return await client.rest()

    assert run(scene()) == b""
