"""How connections end and how a handler is told: disconnects, back-pressure, failing handlers, graceful close."""

import asyncio
import logging

import pytest

from warmfront.errors import InvalidRequest, Overloaded, WarmfrontError
from warmfront.wire.messages import Exchange
from warmfront.wire.server import Limits, Server

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNK = b"x" * 65536


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("abrupt", [False, True])
def test_a_client_that_leaves_before_the_reply_is_whole_is_reported_once(run, serving, connect, begun, abrupt):
    """FIN or reset, before the reply or in its middle: on_disconnect once; whatever is written then is dropped."""

    async def story():
        held: asyncio.Queue[Exchange] = asyncio.Queue()
        gone: asyncio.Queue[None] = asyncio.Queue()

        def handle(exchange: Exchange) -> None:
            exchange.on_disconnect = lambda: gone.put_nowait(None)
            if begun:
                exchange.start(200, [])
            held.put_nowait(exchange)

        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(GET)
            exchange = await held.get()
            if abrupt:
                client.reset()
            else:
                client.writer.close()
            await gone.get()
            if not begun:
                exchange.start(200, [(b"content-length", b"3")])
            exchange.write(b"abc")
            exchange.finish()
            assert exchange.finished
        assert gone.empty()

    run(story())


def test_a_client_that_leaves_after_the_reply_is_nobody_s_business(run, serving, connect):
    """After finish() there is nothing to cancel."""
    told = []

    def handle(exchange: Exchange) -> None:
        exchange.on_disconnect = lambda: told.append(exchange)
        exchange.respond(200, [])

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(GET)
            await client.reply()

    run(story())
    assert told == []


def test_a_slow_reader_pauses_the_handler_and_gets_every_byte(run, serving, connect):
    """The handler writes until on_pause, goes on at on_resume: memory stays bounded and the order holds."""
    total, pauses = 400, []

    async def story():
        def handle(exchange: Exchange) -> None:
            state = {"left": total, "paused": False}

            def pump() -> None:
                while state["left"] and not state["paused"]:
                    state["left"] -= 1
                    exchange.write(CHUNK)
                if not state["left"] and not exchange.finished:
                    exchange.finish()

            def pause() -> None:
                state["paused"] = True
                pauses.append(state["left"])

            def resume() -> None:
                state["paused"] = False
                pump()

            exchange.on_pause, exchange.on_resume = pause, resume
            exchange.start(200, [(b"content-length", b"%d" % (total * len(CHUNK)))])
            pump()

        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(GET)
            _, _, body = await client.reply()
            return len(body)

    assert run(story()) == total * len(CHUNK)
    assert pauses
    assert pauses[0] > 0


def test_a_client_that_never_reads_is_cut_off_and_not_served_further(run, serving, connect):
    """Unread replies stop the serving of pipelined requests; after write_timeout_s the connection is reset."""
    served = []

    def handle(exchange: Exchange) -> None:
        served.append(exchange)
        exchange.respond(200, [], CHUNK * 64)

    async def story():
        limits = Limits(write_timeout_s=0.1, max_pipelined=4)
        async with serving(handle, limits) as (server, port):
            client = await connect(port)
            await client.send(GET * 50)
            while server.connections:  # noqa: ASYNC110  the server has no event for this
                await asyncio.sleep(0.005)

    run(story())
    assert 1 <= len(served) < 50


def test_more_requests_than_may_wait_are_read_later_and_all_served(run, serving, connect):
    """Reading stops at max_pipelined and goes on as replies leave; none of 2,000 requests is lost."""

    async def story():
        held: asyncio.Queue[Exchange] = asyncio.Queue()
        async with serving(held.put_nowait, Limits(max_pipelined=2)) as (_, port):
            client = await connect(port)
            sending = asyncio.create_task(
                client.send(
                    b"".join(
                        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" % n + b"x" * 1000
                        for n in range(2000)
                    )
                )
            )
            for n in range(2000):
                (await held.get()).respond(200, [], b"%d" % n)
                assert (await client.reply())[2] == b"%d" % n
            await sending

    run(story())


def test_failing_handlers_cost_one_reply_and_no_connection(run, serving, connect, caplog):
    """A WarmfrontError becomes its status and text; any other exception a 500 that tells the client nothing."""

    def handle(exchange: Exchange) -> None:
        if exchange.path == "/known":
            raise InvalidRequest("deadline is -1; it must be above 0")
        if exchange.path == "/busy":
            raise Overloaded("queue full", retry_after_s=7, status=429)
        raise KeyError("secret")

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            replies = []
            for path in (b"/known", b"/unknown", b"/busy"):
                await client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                replies.append(await client.reply())
            return replies

    with caplog.at_level(logging.ERROR):
        known, unknown, busy = run(story())
    assert known[::2] == (400, b"Invalid request: deadline is -1; it must be above 0\n")
    assert (unknown[0], b"secret" in unknown[2]) == (500, False)
    assert "KeyError: 'secret'" in caplog.text
    assert (busy[0], busy[1]["retry-after"]) == (429, "7")


@pytest.mark.parametrize("error", [InvalidRequest("late"), KeyError("late")])
def test_a_handler_that_fails_in_the_middle_of_a_reply_cuts_it(run, serving, connect, error, caplog):
    """A cut reply must not look whole: the connection is reset."""

    def handle(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"half")
        raise error

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(GET)
            with pytest.raises(ConnectionResetError):
                await client.rest()

    run(story())


def test_faults_are_rendered_by_the_given_hook(run, serving, connect):
    """The hook gets the error and the exchange, None for what never became a request."""
    seen = []

    def fault(error: WarmfrontError, exchange: Exchange | None):
        seen.append((error.slug, exchange and exchange.path))
        return error.status, [(b"content-type", b"application/problem+json")], b"{}"

    def handle(exchange: Exchange) -> None:
        raise InvalidRequest("no")

    async def story():
        async with serving(handle, fault=fault) as (_, port):
            client = await connect(port)
            await client.send(GET + b"garbage\r\n\r\n")
            return [await client.reply() for _ in range(2)]

    assert [(status, body) for status, _, body in run(story())] == [(400, b"{}")] * 2
    assert seen == [("invalid-request", "/"), ("invalid-request", None)]


def _misuse(exchange: Exchange) -> None:
    for early in (lambda: exchange.write(b"x"), exchange.finish):
        with pytest.raises(RuntimeError):
            early()
    for unsafe in ([(b"x", b"a\r\nset-cookie: b")], [(b"x\n", b"a")], [(b"x", b"a\rb")]):
        with pytest.raises(ValueError, match="line end"):
            exchange.respond(200, unsafe)
    with pytest.raises(ValueError, match="status"):
        exchange.start(101, [])
    exchange.respond(200, [], b"fine")
    for late in (lambda: exchange.respond(200, []), lambda: exchange.start(200, []), exchange.finish):
        with pytest.raises(RuntimeError):
            late()


def test_misuse_of_an_exchange_is_an_error_and_leaves_the_reply_intact(run, serving, connect):
    """Replies out of order, twice, or with line ends in fields raise; the one good reply still goes out."""

    async def story():
        async with serving(_misuse) as (_, port):
            client = await connect(port)
            await client.send(GET)
            return await client.reply()

    assert run(story())[::2] == (200, b"fine")


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abcdef"]], ids=["short", "long"])
def test_a_body_that_differs_from_its_declared_length_resets_the_connection(run, serving, connect, pieces, caplog):
    """Neither a short nor a long body can pass for the declared one."""

    def handle(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"5")])
        for piece in pieces:
            exchange.write(piece)
        exchange.finish()

    async def story():
        async with serving(handle) as (_, port):
            client = await connect(port)
            await client.send(GET)
            with pytest.raises(ConnectionResetError):
                await client.rest()

    run(story())
    assert "declared content-length" in caplog.text


def test_close_lets_the_request_in_progress_finish_and_turns_others_away(run, connect):
    """Idle connections close at once, the one in progress gets its reply with Connection: close, then all is gone."""

    async def story():
        held: asyncio.Queue[Exchange] = asyncio.Queue()
        server = Server(held.put_nowait)
        port = await server.listen("127.0.0.1", 0)
        idle, busy = await connect(port), await connect(port)
        await busy.send(GET)
        exchange = await held.get()
        closing = asyncio.create_task(server.close(10))
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await connect(port)
        exchange.respond(200, [], b"done")
        _, fields, body = await busy.reply()
        assert (fields["connection"], body, await busy.rest()) == ("close", b"done", b"")
        await closing
        assert server.connections == 0

    run(story())


def test_close_cuts_what_outlasts_the_grace(run, connect):
    """A handler that never answers does not keep the process; it is told that its client is gone."""

    async def story():
        told, begun = asyncio.Event(), asyncio.Event()

        def handle(exchange: Exchange) -> None:
            exchange.on_disconnect = told.set
            begun.set()

        server = Server(handle)
        port = await server.listen("127.0.0.1", 0)
        client = await connect(port)
        await client.send(GET)
        await begun.wait()
        closing = asyncio.create_task(server.close(0.05))
        with pytest.raises(ConnectionResetError):
            await client.rest()
        await closing
        assert told.is_set()

    run(story())


def test_an_existing_socket_can_be_served(run, connect):
    """listen_socket takes a bound socket, for instance an inherited one."""
    import socket

    async def story():
        server = Server(lambda exchange: exchange.respond(200, []))
        sock = socket.create_server(("127.0.0.1", 0))
        port = await server.listen_socket(sock)
        assert port == sock.getsockname()[1]
        client = await connect(port)
        await client.send(GET)
        assert (await client.reply())[0] == 200
        await server.close(0)

    run(story())
