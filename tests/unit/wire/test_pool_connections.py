"""Which connection carries which call: reuse, limits, queue, cancellation, idle connections that die."""

import asyncio

from warmfront.wire.pool import FailureKind

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answer_forever(client, number):
    """Answers every request with the number of its connection."""
    while True:
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)


async def until(condition):
    """For states that have no event."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Gate:
    """A script whose connections note their requests and answer when told."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue = asyncio.Queue()

    async def __call__(self, client, number) -> None:
        while True:
            await client.reader.readuntil(b"\r\n\r\n")
            go_on = asyncio.Event()
            self.arrived.put_nowait((number, go_on))
            await go_on.wait()
            await client.send(OK)


def test_the_most_recently_used_connection_is_used_first(run, pooling, upstream):
    """LIFO: surplus connections fall idle and age out, and the one in use is the least likely to be stale."""

    async def story():
        async with upstream(answer_forever) as origin, pooling() as (pool, send):
            both = [send(origin), send(origin)]
            for listener in both:
                await listener.over.wait()
            last = pool._lanes[origin].idle[-1]
            for _ in range(3):
                listener = send(origin)
                await listener.over.wait()
                assert pool._lanes[origin].idle[-1] is last
            assert len(pool._lanes[origin].idle) == 2

    run(story())


def test_calls_beyond_the_limit_wait_in_order_and_then_fail_at_once(run, pooling, upstream):
    """One connection, two places in the queue: the fourth call is an OVERLOAD, the waiting are served in order."""

    async def story():
        gate = Gate()
        settings = {"max_connections_per_origin": 1, "max_waiting_per_origin": 2}
        async with upstream(gate) as origin, pooling(**settings) as (_, send):
            first = send(origin)
            _, go_on = await gate.arrived.get()
            waiting = [send(origin), send(origin)]
            excess = send(origin)
            assert excess.failure is None
            await excess.over.wait()
            assert (excess.failure.kind, excess.failure.sent) == (FailureKind.OVERLOAD, False)
            go_on.set()
            for listener in [first, *waiting]:
                await listener.over.wait()
                assert listener.failure is None
                if not gate.arrived.empty() or listener is not waiting[-1]:
                    (await gate.arrived.get())[1].set()
            assert [w.status for w in waiting] == [200, 200]

    run(story())


def test_a_cancelled_call_hears_nothing_and_its_connection_closes(run, pooling, upstream):
    """Cancelled while waiting, while in progress, in the middle of the body; after the end it does nothing."""

    async def story():
        closed: asyncio.Queue = asyncio.Queue()
        came = asyncio.Event()  # what is cancelled before would never be read

        async def script(client, number):
            request = await client.reader.readuntil(b"\r\n\r\n")
            came.set()
            if b"/body" in request:
                await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            if b"/whole" in request:
                await client.send(OK)
            await client.rest()
            closed.put_nowait(number)

        async with upstream(script) as origin, pooling(max_connections_per_origin=1) as (pool, send):
            busy, waiting = send(origin, "GET", "/silent"), send(origin)
            await came.wait()
            assert busy.call.sent
            waiting.call.cancel()
            busy.call.cancel()
            assert await closed.get() == 1
            body = send(origin, "GET", "/body")
            await body.body_came.wait()
            body.call.cancel()
            assert await closed.get() == 2
            whole = send(origin, "GET", "/whole")
            await whole.over.wait()
            whole.call.cancel()
            assert len(pool._lanes[origin].idle) == 1
            assert [x.ends for x in (busy, waiting, body, whole)] == [0, 0, 0, 1]

    run(story())


def test_a_sink_may_cancel_or_send_from_within_its_callbacks(run, pooling, upstream):
    """Cancelling at the head stops the body of the same packet; a call sent at completion reuses the connection."""

    async def story():
        async with upstream(answer_forever) as origin, pooling() as (pool, send):
            cancelled = send(origin)
            cancelled.on_response = lambda *_: cancelled.call.cancel()
            chained = send(origin)
            follow_up = []
            whole = chained.on_complete
            chained.on_complete = lambda: (follow_up.append(send(origin)), whole())
            await chained.over.wait()
            await follow_up[0].over.wait()
            assert follow_up[0].body == chained.body
            assert (cancelled.body, cancelled.ends) == (b"", 0)
            await until(lambda: len(pool._lanes[origin]._open) == 1)

    run(story())


def test_an_idle_connection_that_the_upstream_closes_is_dropped_at_once(run, pooling, upstream):
    """No later call meets it, not even a POST, which could not be sent twice; and the origin is forgotten."""

    async def story():
        async def once(client, number):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(OK)

        async with upstream(once) as origin, pooling() as (pool, send):
            for _ in range(3):
                listener = send(origin, "POST", body=b"")
                await listener.over.wait()
                assert listener.failure is None
                await until(lambda: origin not in pool._lanes)

    run(story())


def test_an_idle_connection_that_speaks_unasked_is_dropped(run, pooling, upstream):
    """Bytes without a request (a late 408, say) must not become the reply to the next one."""

    async def story():
        speak = asyncio.Event()

        async def script(client, number):
            await client.reader.readuntil(b"\r\n\r\n")
            await client.send(OK)
            await speak.wait()
            await client.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            await client.rest()

        async with upstream(script) as origin, pooling() as (pool, send):
            first = send(origin)
            await first.over.wait()
            speak.set()
            await until(lambda: origin not in pool._lanes)
            second = send(origin)
            await second.over.wait()
            assert second.status == 200

    run(story())


def test_idle_connections_age_out_and_are_bounded(run, pooling, upstream):
    """At most max_idle_per_origin rest, each for at most idle_timeout_s."""

    async def story():
        settings = {"idle_timeout_s": 0.05, "max_idle_per_origin": 2}
        async with upstream(answer_forever) as origin, pooling(**settings) as (pool, send):
            listeners = [send(origin) for _ in range(5)]
            for listener in listeners:
                await listener.over.wait()
            assert len(pool._lanes[origin].idle) <= 2
            await until(lambda: origin not in pool._lanes)

    run(story())


def test_closing_the_pool_fails_what_is_under_way_and_what_comes_later(run, pooling, upstream):
    """In progress, waiting and new calls all hear OVERLOAD once; nothing is left open."""

    async def story():
        gate = Gate()
        async with upstream(gate) as origin, pooling(max_connections_per_origin=1) as (pool, send):
            busy, waiting = send(origin), send(origin)
            await gate.arrived.get()
            await pool.close()
            late = send(origin)
            for listener in (busy, waiting, late):
                await listener.over.wait()
                assert (listener.failure.kind, listener.ends) == (FailureKind.OVERLOAD, 1)
            assert [x.failure.sent for x in (busy, waiting, late)] == [True, False, False]

    run(story())


def test_a_thousand_calls_over_a_few_connections_all_come_back(run, pooling, upstream):
    """Every call gets its own reply although connections are shared."""

    async def story():
        async def echo_target(client, _):
            while True:
                request = await client.reader.readuntil(b"\r\n\r\n")
                target = request.split()[1]
                await client.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target) + target)

        async with upstream(echo_target) as origin, pooling(max_connections_per_origin=7) as (pool, send):
            listeners = [send(origin, "GET", f"/{n}") for n in range(1000)]
            for n, listener in enumerate(listeners):
                await listener.over.wait()
                assert listener.body == b"/%d" % n
            assert len(pool._lanes[origin]._open) == 7

    run(story())
