"""What a broken, slow or hostile client is told, and that it harms nobody: the next good request works."""

import asyncio
import http.client
import re

import pytest

from warmfront.wire.messages import Exchange
from warmfront.wire.server import Limits

GOOD = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


class Counter:
    """A handler that answers 200 and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, exchange: Exchange) -> None:
        self.calls += 1
        exchange.respond(200, [], exchange.body)


MALFORMED = {
    "both lengths": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "both lengths, other order": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "signed length": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "length of words": (POST + b"Content-Length: three\r\n\r\nabc", 400),
    "unknown coding": (POST + b"Transfer-Encoding: gzip\r\n\r\nabc", 400),
    "coding in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "bad chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "folded field": (POST + b"X: a\r\n b\r\n\r\n", 400),
    "blank before colon": (POST + b"X : a\r\n\r\n", 400),
    "no colon": (POST + b"X\r\n\r\n", 400),
    "control in value": (POST + b"X: a\x00b\r\n\r\n", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "unknown version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "not ASCII in target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target without slash": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "foreign scheme": (b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/2 preface cut short": (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "declared too large": (POST + b"Content-Length: 2000\r\n\r\n", 413),
    "absurdly large": (POST + b"Content-Length: 18446744073709551616\r\n\r\n", 400),
    "chunked too large": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n201\r\n" + b"x" * 513,
        413,
    ),
    "too many fields": (POST + b"X: 1\r\n" * 40 + b"\r\n", 431),
    "field too long": (POST + b"X: " + b"1" * 5000 + b"\r\n\r\n", 431),
    "target too long": (b"GET /" + b"1" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "trailer flood": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: 1\r\n" * 40, 431),
}
LIMITS = Limits(max_body=1024, max_headers=30, max_header_bytes=4096)


@pytest.mark.parametrize(("sent", "status"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_requests_get_a_status_and_a_reason_and_never_reach_the_handler(run, serving, connect, sent, status):
    """One reply with a plain reason, then the connection closes; another client is served as if nothing happened."""
    handler = Counter()

    async def story():
        async with serving(handler, LIMITS) as (_, port):
            bad = await connect(port)
            await bad.send(sent)
            refusal = await bad.reply()
            assert await bad.rest() == b""
            good = await connect(port)
            await good.send(GOOD)
            assert (await good.reply())[0] == 200
            return refusal

    got, fields, reason = run(story())
    assert (got, fields["connection"], handler.calls) == (status, "close", 1)
    assert re.match(r"[A-Z][\w ]+: .{10,}\n$", reason.decode()), reason


def test_what_precedes_garbage_is_still_answered(run, serving, connect):
    """A complete request in front of a malformed one gets its reply first, also when that takes a while."""

    async def story():
        held: asyncio.Queue[Exchange] = asyncio.Queue()
        async with serving(held.put_nowait) as (_, port):
            client = await connect(port)
            await client.send(GOOD + b"garbage\r\n\r\n")
            (await held.get()).respond(200, [], b"ok")
            return [(await client.reply())[0] for _ in range(2)]

    assert run(story()) == [200, 400]


def test_a_hundred_megabytes_are_refused_and_the_client_can_read_why(run, serving):
    """http.client sends all of a body before it reads; the 413 reaches it although nobody wants the body."""
    handler = Counter()

    def client(port: int, chunked: bool) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        megabyte = b"x" * 2**20
        body = (megabyte for _ in range(100)) if chunked else megabyte * 100
        connection.request("POST", "/", body)
        reply = connection.getresponse()
        connection.close()
        return reply.status, reply.read()

    async def story():
        async with serving(handler) as (_, port):
            return [await asyncio.to_thread(client, port, chunked) for chunked in (False, True)]

    assert [status for status, _ in run(story())] == [413, 413]
    assert handler.calls == 0


@pytest.mark.parametrize(
    ("drip", "what"),
    [
        ([b"GET / HT", b"TP/1.1\r\n", b"X: 1\r\n"], b"head"),
        ([POST + b"Content-Length: 5\r\n\r\n", b"a", b"b"], b"body"),
        ([GOOD + b"POST / ", b"HTTP"], b"head"),
    ],
    ids=["head", "body", "second head"],
)
def test_slow_clients_get_408(run, serving, connect, drip, what):
    """Bytes that trickle do not extend the time; it counts from the first byte of head or body."""
    handler = Counter()

    async def story():
        async with serving(handler, Limits(header_timeout_s=0.1, body_timeout_s=0.1)) as (_, port):
            client = await connect(port)

            async def trickle() -> None:
                for piece in drip:
                    await client.send(piece)
                    await asyncio.sleep(0.03)

            trickling = asyncio.create_task(trickle())
            if drip[0].startswith(GOOD):
                assert (await client.reply())[0] == 200
            refusal = await client.reply()
            await trickling
            assert await client.rest() == b""
            return refusal

    status, _, reason = run(story())
    assert status == 408
    assert what in reason


def test_a_client_that_says_nothing_is_closed_without_a_word(run, serving, connect):
    """Before the first request the header time limits the silence, between requests the idle time."""

    async def story():
        async with serving(Counter(), Limits(header_timeout_s=0.05, idle_timeout_s=0.1)) as (server, port):
            silent, served = await connect(port), await connect(port)
            await served.send(GOOD)
            assert (await served.reply())[0] == 200
            assert await silent.rest() == b""
            assert server.connections == 1
            assert await served.rest() == b""

    run(story())


def test_an_endless_head_is_cut_off_while_it_arrives(run, serving, connect):
    """A single field that never ends gets 431 long before its time is over."""

    async def story():
        async with serving(Counter(), LIMITS) as (_, port):
            client = await connect(port)
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")

            async def flood() -> None:
                for _ in range(100):
                    await client.send(b"x" * 1024)

            flooding = asyncio.create_task(flood())
            reply = await client.reply()
            await flooding
            return reply[0]

    assert run(story()) == 431


@pytest.mark.parametrize("endless", [b"5;ext=", b"0\r\nTrailer: "], ids=["chunk extension", "trailer"])
def test_endless_framing_is_cut_off_while_it_arrives(run, serving, connect, endless):
    """Chunk extensions and trailers bring no body, so the body limit does not stop them; the header limit does."""

    async def story():
        async with serving(Counter(), LIMITS) as (_, port):
            client = await connect(port)
            await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + endless)

            async def flood() -> None:
                for _ in range(100):
                    await client.send(b"x" * 1024)
                    await asyncio.sleep(0)

            flooding = asyncio.create_task(flood())
            reply = await client.reply()
            await flooding
            return reply[0]

    assert run(story()) == 431


@pytest.mark.parametrize("cut", [b"GET / HT", POST + b"Content-Length: 9\r\n\r\nabc", b""])
def test_a_truncated_request_is_dropped(run, serving, connect, cut):
    """A client that goes away in the middle costs nothing: no handler call, no connection left."""
    handler = Counter()

    async def story():
        async with serving(handler) as (server, port):
            client = await connect(port)
            await client.send(cut)
            client.writer.write_eof()
            assert await client.rest() == b""
            after = await connect(port)
            await after.send(GOOD)
            await after.reply()
            assert server.connections == 1

    run(story())
    assert handler.calls == 1


def test_connections_beyond_the_limit_get_503_with_retry_after(run, serving, connect):
    """The client in excess is told; those inside are served; once one leaves there is room again."""

    async def story():
        async with serving(Counter(), Limits(max_connections=2)) as (server, port):
            inside = [await connect(port) for _ in range(2)]
            for client in inside:
                await client.send(GOOD)
                assert (await client.reply())[0] == 200
            excess = await connect(port)
            await excess.send(GOOD)
            status, fields, _ = await excess.reply()
            assert (status, fields["retry-after"], fields["connection"]) == (503, "1", "close")
            excess.writer.close()
            inside[0].writer.close()
            while server.connections > 1:  # noqa: ASYNC110  the server has no event for this
                await asyncio.sleep(0.001)
            late = await connect(port)
            await late.send(GOOD)
            assert (await late.reply())[0] == 200

    run(story())
