"""What a call hears when things go wrong, and when it is tried again: the kind, `sent` and `started` are exact."""

import asyncio
import logging

import pytest

from warmfront.errors import Overloaded, UpstreamFailed, UpstreamTimeout
from warmfront.wire.pool import Failure, FailureKind, Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def closed_port() -> int:
    """A port on which nothing listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def test_no_listener_is_a_connect_failure_for_every_call(run, pooling):
    """Nothing was sent; each of several waiting calls hears it once; the origin is forgotten."""

    async def story():
        origin = Origin("127.0.0.1", closed_port())
        async with pooling(max_connections_per_origin=2) as (pool, send):
            listeners = [send(origin) for _ in range(5)]
            for listener in listeners:
                await listener.over.wait()
                failure = listener.failure
                assert (failure.kind, failure.sent, failure.started) == (FailureKind.CONNECT, False, False)
                assert str(origin.port) in failure.message
            await asyncio.sleep(0)
            assert not pool._lanes

    run(story())


def test_an_address_that_does_not_answer_fails_after_the_connect_timeout(run, pooling):
    """A full backlog answers no SYN: CONNECT within connect_timeout_s, although the call has more time."""
    import socket

    async def story():
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            address = deaf.getsockname()
            fillers = []
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                fillers.append(filler)
            async with pooling(connect_timeout_s=0.1) as (_, send):
                listener = send(Origin(*address))
                await listener.over.wait()
            for filler in fillers:
                filler.close()
            return listener.failure

    failure = run(story())
    assert (failure.kind, failure.sent) == (FailureKind.CONNECT, False)
    assert "0.1 s" in failure.message


BROKEN = {
    "silence": (b"", FailureKind.RESET, False),
    "half a head": (b"HTTP/1.1 200 OK\r\nConte", FailureKind.RESET, False),
    "half a body": (HEAD + b"abc", FailureKind.RESET, True),
    "half a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", FailureKind.RESET, True),
    "no last chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", FailureKind.RESET, True),
    "not HTTP": (b"<html>hello</html>", FailureKind.PROTOCOL, False),
    "both lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        FailureKind.PROTOCOL,
        False,
    ),
    "switching": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", FailureKind.PROTOCOL, False),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", FailureKind.PROTOCOL, True),
    "too many fields": (b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 300 + b"\r\n", FailureKind.PROTOCOL, False),
    "head too long": (b"HTTP/1.1 200 OK\r\nX: " + b"1" * 70_000 + b"\r\n\r\n", FailureKind.PROTOCOL, False),
    "head without end": (b"HTTP/1.1 200 OK\r\nX: " + b"1" * 200_000, FailureKind.PROTOCOL, False),
}


@pytest.mark.parametrize(("sent", "kind", "started"), BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_broken_replies_fail_precisely_and_are_not_tried_again(run, pooling, upstream, method, sent, kind, started):
    """On a fresh connection a second try would meet the same upstream: one connection, one failure."""
    numbers = []

    async def story():
        async def script(client, number):
            numbers.append(number)
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(sent)

        async with upstream(script) as origin, pooling() as (pool, send):
            listener = send(origin, method)
            await listener.over.wait()
            assert origin not in pool._lanes
            return listener

    listener = run(story())
    assert (listener.failure.kind, listener.failure.sent, listener.failure.started) == (kind, True, started)
    assert (listener.ends, listener.status is not None, numbers) == (1, started, [1])


@pytest.mark.parametrize(
    ("method", "retried"), [("GET", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False)]
)
def test_a_stale_idle_connection_costs_one_more_try_only_where_that_is_safe(run, pooling, upstream, method, retried):
    """An idle connection that resets upon the next request: sent again on a fresh one if idempotent, never a POST."""

    async def story():
        async def script(client, number):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(OK)
            await client.reader.readuntil(b"\r\n\r\n")
            if number > 1:
                await client.send(OK)
            client.reset()

        async with upstream(script) as origin, pooling() as (_, send):
            await send(origin).over.wait()
            listener = send(origin, method)
            await listener.over.wait()
            return listener

    listener = run(story())
    if retried:
        assert (listener.status, listener.failure, listener.ends) == (200, None, 1)
    else:
        assert (listener.failure.kind, listener.failure.sent, listener.failure.started) == (
            FailureKind.RESET,
            True,
            False,
        )


def test_a_second_reset_is_final(run, pooling, upstream):
    """Once more means once."""
    requests = []

    async def story():
        async def script(client, number):
            requests.append(await client.reader.readuntil(b"\r\n\r\n"))
            if number == 1:
                await client.send(OK)
                requests.append(await client.reader.readuntil(b"\r\n\r\n"))
            client.reset()

        async with upstream(script) as origin, pooling() as (_, send):
            await send(origin).over.wait()
            listener = send(origin)
            await listener.over.wait()
            return listener

    listener = run(story())
    assert (listener.failure.kind, listener.ends, len(requests)) == (FailureKind.RESET, 1, 3)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nConte", HEAD + b"abc"], ids=["silence", "head", "body"])
def test_the_time_of_a_call_ends_it_wherever_it_stands(run, pooling, upstream, sent):
    """TIMEOUT, the connection closed, `started` exact; never before its time and soon after."""

    async def story():
        closed = asyncio.Event()

        async def script(client, _):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(sent)
            await client.rest()
            closed.set()

        async with upstream(script) as origin, pooling() as (_, send):
            loop = asyncio.get_running_loop()
            begun = loop.time()
            listener = send(origin, timeout_s=0.1)
            await listener.over.wait()
            assert loop.time() - begun >= 0.099
            await closed.wait()
            return listener.failure

    failure = run(story())
    assert (failure.kind, failure.sent, failure.started) == (FailureKind.TIMEOUT, True, sent.startswith(HEAD))


def test_the_time_of_a_call_runs_while_it_waits_for_a_connection(run, pooling, upstream):
    """A call in the queue times out there, unsent; a shorter deadline set later comes first."""

    async def story():
        async def script(client, _):
            await client.rest()

        async with upstream(script) as origin, pooling(max_connections_per_origin=1) as (_, send):
            busy = send(origin, timeout_s=10)
            waiting = [send(origin, timeout_s=t) for t in (0.2, 0.05, 0.1)]
            ended = []
            for listener in waiting:
                listener.on_failure = lambda failure, n=listener: (ended.append(n), type(n).on_failure(n, failure))
            for listener in waiting:
                await listener.over.wait()
                assert (listener.failure.kind, listener.failure.sent) == (FailureKind.TIMEOUT, False)
            assert ended == [waiting[1], waiting[2], waiting[0]]
            assert busy.failure is None

    run(story())


def test_a_sink_that_raises_is_logged_and_told_and_harms_no_other_call(run, pooling, upstream, caplog):
    """The call ends as PROTOCOL, the traceback is in the log, the next call works."""

    async def story():
        async def script(client, _):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(OK)

        async with upstream(script) as origin, pooling() as (_, send):
            bad = send(origin)
            bad.on_body = lambda data: {}[data]
            await bad.over.wait()
            good = send(origin)
            await good.over.wait()
            return bad, good

    with caplog.at_level(logging.ERROR):
        bad, good = run(story())
    assert (bad.failure.kind, good.body) == (FailureKind.PROTOCOL, b"ok")
    assert "KeyError: b'ok'" in caplog.text


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FailureKind.CONNECT, UpstreamFailed),
        (FailureKind.RESET, UpstreamFailed),
        (FailureKind.PROTOCOL, UpstreamFailed),
        (FailureKind.TIMEOUT, UpstreamTimeout),
        (FailureKind.OVERLOAD, Overloaded),
    ],
)
def test_failures_become_the_errors_of_the_tree(kind, error):
    """502, 504 or 503, with the message kept."""
    made = Failure(kind=kind, message="a:1: why", sent=True, started=False).error()
    assert (type(made), str(made)) == (error, "a:1: why")


def test_fetch_raises_and_a_cancelled_fetch_cancels_its_call(run, pooling, upstream):
    """The coroutine form: timeout is UpstreamTimeout; cancelling the task closes the connection."""

    async def story():
        closed: asyncio.Queue = asyncio.Queue()
        asked = asyncio.Event()

        async def script(client, number):
            await client.reader.readuntil(b"\r\n\r\n")
            asked.set()
            await client.rest()
            closed.put_nowait(number)

        async with upstream(script) as origin, pooling() as (pool, _):
            with pytest.raises(UpstreamTimeout):
                await pool.fetch(origin, "GET", "/", [], b"", timeout_s=0.05)
            await closed.get()
            asked.clear()
            task = asyncio.create_task(pool.fetch(origin, "GET", "/", [], b"", timeout_s=10))
            await asked.wait()
            task.cancel()
            assert await closed.get() == 2
            with pytest.raises(asyncio.CancelledError):
                await task

    run(story())
