"""The pool's HTTP/2: against our server and raw frames, on both event loops."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import StreamEnded
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from warmfront.wire.pool import FailureKind, Origin

ECHO = "/test.Service/Echo"


def echo(exchange):
    """Answers with what was sent, and how many bytes in a trailer."""
    exchange.trailers = [(b"grpc-status", b"0"), (b"x-bytes", b"%d" % len(exchange.body))]
    exchange.respond(200, [(b"content-type", b"application/grpc")], exchange.body)


@asynccontextmanager
async def served(server_of):
    """A raw HTTP/2 server: `server_of(h2, event)` acts on each event of each connection."""
    tasks = set()

    async def play(reader, writer):
        tasks.add(asyncio.current_task())
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        h2.initiate_connection()
        try:
            while True:
                writer.write(h2.data_to_send())
                data = await reader.read(65536)
                if not data:
                    return
                for event in h2.receive_data(data):
                    more = server_of(h2, event, writer)
                    if more:
                        writer.write(h2.data_to_send() + more)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    try:
        yield Origin("127.0.0.1", server.sockets[0].getsockname()[1], h2c=True)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_the_pool_hears_head_body_and_trailers(run, pooling, serving):
    """By our own server; grpcio's is met in the tests of whole processes."""

    async def scene():
        async with serving(echo) as (server, port), pooling() as (pool, send):
            origin = Origin("127.0.0.1", port, h2c=True)
            heard = [
                send(origin, "POST", "/x?y", [(b"te", b"gzip"), (b"x-own", b"1")], bytes(n)) for n in (0, 3_000_000)
            ]
            for one in heard:
                await one.over.wait()
            fetched = await pool.fetch(origin, "GET", "/", [], b"", timeout_s=9)
            return heard, fetched, server.connections

    heard, fetched, connections = run(scene())
    assert [(one.status, len(one.body), one.ends) for one in heard] == [(200, 0, 1), (200, 3_000_000, 1)]
    assert heard[1].call.trailers == [(b"grpc-status", b"0"), (b"x-bytes", b"3000000")]
    assert (fetched.status, connections) == (200, 1)


def test_what_the_pool_sends(run, pooling, serving):
    """Authority by the Host header or the origin, TE for trailers, no field of one connection only."""

    async def scene():
        seen = []

        def handle(exchange):
            seen.append(exchange.headers)
            exchange.respond(200, [])

        async with serving(handle) as (_, port), pooling() as (_, send):
            origin = Origin("127.0.0.1", port, h2c=True)
            headers = [(b"connection", b"x"), (b"keep-alive", b"1"), (b"x-own", b"1")]
            for more in ([], [(b"host", b"digits.default")]):
                await send(origin, "POST", "/", headers + more, b"ab").over.wait()
            return seen, port

    seen, port = run(scene())
    assert seen[0] == [(b"host", b"127.0.0.1:%d" % port), (b"x-own", b"1"), (b"te", b"trailers")]
    assert seen[1][0] == (b"host", b"digits.default")


def test_a_call_that_was_not_processed_is_sent_again(run, pooling):
    """GOAWAY names the last stream that counts, REFUSED_STREAM says it of one; neither is heard of."""

    async def scene():
        streams = []

        def server_of(h2, event, writer):
            if not isinstance(event, StreamEnded):
                return b""
            streams.append(event.stream_id)
            if len(streams) == 1:
                return GoAwayFrame(0, last_stream_id=0, error_code=0).serialize()
            if len(streams) == 2:
                h2.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            else:
                h2.send_headers(event.stream_id, [(b":status", b"200")], end_stream=True)
            return b""

        async with served(server_of) as origin, pooling() as (_, send):
            first = send(origin, "POST", "/", [], b"a")
            await first.over.wait()
            second = send(origin, "POST", "/", [], b"b")
            await second.over.wait()
            return first, second, streams

    first, second, streams = run(scene())
    assert first.failure is not None  # refused a second time: told
    assert (first.failure.kind, first.failure.sent) == (FailureKind.RESET, True)
    assert second.status == 200
    assert len(streams) == 3


def test_what_is_under_way_survives_a_goaway(run, pooling):
    """The upstream is leaving, but it still answers what it took; the next call goes to another connection."""

    async def scene():
        connections = []

        def server_of(h2, event, writer):
            if h2 not in connections:
                connections.append(h2)
            if not isinstance(event, StreamEnded):
                return b""
            goaway = GoAwayFrame(0, last_stream_id=event.stream_id, error_code=0).serialize()
            h2.send_headers(event.stream_id, [(b":status", b"200")])
            h2.send_data(event.stream_id, b"answer", end_stream=True)
            answer = h2.data_to_send()
            return goaway + answer

        async with served(server_of) as origin, pooling() as (_, send):
            answers = []
            for _ in range(2):
                heard = send(origin, "POST", "/", [], b"a")
                await heard.over.wait()
                answers.append((heard.status, heard.body))
            return answers, len(connections)

    assert run(scene()) == ([(200, b"answer")] * 2, 2)


def test_how_calls_fail(run, pooling, upstream):
    """Refused, not HTTP/2, broken, too late: each has its kind, and tells whether it was sent."""

    async def other(client, _):
        await client.reader.read(100)
        await client.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await client.rest()

    async def broken(client, _):
        await client.reader.read(100)

    async def silent(client, _):
        await client.rest()

    async def scene():
        found = []
        async with pooling() as (_, send):
            heard = send(Origin("127.0.0.1", 1, h2c=True), "POST", "/", [], b"a")
            await heard.over.wait()
            found.append(heard.failure)
            for script in (other, broken, silent):
                async with upstream(script) as origin:
                    heard = send(origin._replace(h2c=True), "POST", "/", [], b"a", timeout_s=0.3)
                    await heard.over.wait()
                    found.append(heard.failure)
        return [(failure.kind, failure.sent) for failure in found]

    assert run(scene()) == [
        (FailureKind.CONNECT, False),
        (FailureKind.PROTOCOL, True),
        (FailureKind.RESET, True),
        (FailureKind.TIMEOUT, True),
    ]


def test_a_cancelled_call_resets_its_stream(run, pooling, serving, until):
    """The upstream stops working on it; other calls of the connection are not touched."""

    async def scene():
        held, gone = [], asyncio.Event()

        def hold(exchange):
            exchange.on_disconnect = gone.set
            held.append(exchange)

        async with serving(hold) as (server, port), pooling() as (_, send):
            origin = Origin("127.0.0.1", port, h2c=True)
            first, second = send(origin, "POST", "/"), send(origin, "POST", "/")
            await until(lambda: len(held) == 2)
            first.call.cancel()
            await gone.wait()
            held[1].respond(200, [], b"fine")
            await second.over.wait()
            return first.ends, second.body, server.connections

    assert run(scene()) == (0, b"fine", 1)


def test_a_paused_call_holds_its_upstream_back(run, pooling, serving):
    """No more than a window comes while the sink is paused; all of it does afterwards."""
    size = 40 << 20

    async def scene():
        def stream(exchange):
            exchange.start(200, [])
            exchange.write(bytes(size))
            exchange.finish()

        async with serving(stream) as (_, port), pooling() as (_, send):
            heard = send(Origin("127.0.0.1", port, h2c=True), "GET", "/")
            await heard.head_came.wait()
            heard.call.pause()
            seen = -1
            while seen != len(heard.body):
                seen = len(heard.body)
                await asyncio.sleep(0.1)
            heard.call.resume()
            await heard.over.wait()
            return seen, len(heard.body)

    seen, whole = run(scene())
    assert seen < size / 2
    assert whole == size


def test_trailers_only(run, pooling, serving):
    """A reply of one frame: what a gRPC error looks like."""

    async def scene():
        def refuse(exchange):
            exchange.respond(200, [(b"grpc-status", b"5")])

        async with serving(refuse) as (_, port), pooling() as (_, send):
            heard = send(Origin("127.0.0.1", port, h2c=True), "POST", "/", [], b"a")
            await heard.over.wait()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await channel.unary_unary(ECHO)(b"")
            return heard.headers, heard.body, error.value.code()

    assert run(scene()) == ([(b"grpc-status", b"5")], b"", grpc.StatusCode.NOT_FOUND)


def test_an_upstream_that_takes_no_call_is_not_knocked_at_again(run, pooling):
    """It says that a connection takes none: calls wait for their time, on the one connection there is."""

    async def scene():
        connections = []

        def server_of(h2, event, writer):
            if h2 not in connections:
                connections.append(h2)
                h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
            return b""

        async with served(server_of) as origin, pooling() as (_, send):
            first = send(origin, "POST", "/", [], b"a", timeout_s=0.2)
            await first.over.wait()
            others = [send(origin, "POST", "/", [], b"a", timeout_s=0.2) for _ in range(3)]
            for heard in others:
                await heard.over.wait()
            return {heard.failure.kind for heard in [first, *others]}, len(connections)

    assert run(scene()) == ({FailureKind.TIMEOUT}, 1)
