"""Events in, reply events out: what design section 3.3 promises, over real sockets."""

import asyncio
import json

import pytest

from warmfront.cloudevents import CloudEvent
from warmfront.gateway.events import reply_id
from warmfront.wire.messages import Exchange


def ok(exchange: Exchange) -> None:
    exchange.respond(200, [(b"content-type", b"text/plain"), (b"warmfront-label", b"gr%C3%B6%C3%9Fe")], b"ok")


class Counting:
    """A variant that counts, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self.failures = failures

    def __call__(self, exchange: Exchange) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            exchange.respond(500, [])
        else:
            ok(exchange)


def test_the_reply_id_follows_from_source_and_id_alone():
    """The same in every process, different for every identity, and no id can pretend to be another's."""
    event = CloudEvent(id="1", source="/s", type="t")
    assert reply_id(event) == reply_id(CloudEvent(id="1", source="/s", type="other", data=b"x"))
    assert reply_id(event) != reply_id(CloudEvent(id="2", source="/s", type="t"))
    assert reply_id(event) != reply_id(CloudEvent(id="s1", source="/", type="t"))
    assert reply_id(event) == "3c846c8524950a13aa8d2415b83caeed"


def test_a_failed_event_runs_again_and_is_judged_from_its_first_delivery(play):
    """502 is retried by the Broker: the second delivery executes, and its latency counts from the first."""

    async def scene(stage):
        variant = Counting(failures=1)
        await stage.variant("a", variant)
        assert (await stage.event(deadlinems="5000")).status == 502
        await asyncio.sleep(0.05)
        reply = await stage.event(deadlinems="5000")
        assert (reply.status, variant.calls) == (200, 2)
        assert float(reply.header(b"ce-latencyms")) >= 50

    play(scene)


def test_an_execution_outlives_the_client_that_asked(play):
    """A Broker that times out delivers again: it gets the kept answer of the execution that went on."""

    async def scene(stage):
        arrived = asyncio.Event()
        held: list[Exchange] = []
        await stage.variant("a", lambda e: (held.append(e), arrived.set()))
        first = asyncio.ensure_future(stage.event())
        await asyncio.wait_for(arrived.wait(), 5)
        first.cancel()
        second = asyncio.ensure_future(stage.event())
        await stage.until(lambda: stage.counter('warmfront_duplicates_total{answer="joined"}'))
        ok(held[0])
        assert ((await second).status, len(held)) == (200, 1)
        third = await stage.event()
        assert (third.header(b"ce-id"), len(held)) == ((await second).header(b"ce-id"), 1)

    play(scene)


def test_what_a_variant_turns_down_is_422(play, detail):
    """Its 4xx would be retried or read as text by a Broker; 422 goes to the dead letters with the variant's words."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.respond(415, [], b"no text, please"))
        reply = await stage.event()
        assert reply.status == 422
        assert detail(reply) == "a answered 415 to this event: no text, please"

    play(scene)


def test_a_variant_may_reply_with_an_event_of_its_own(play):
    """Binary or structured: its data is taken, the reply event is ours."""

    def structured(exchange: Exchange) -> None:
        document = {"specversion": "1.0", "id": "v", "source": "/v", "type": "v", "data": {"a": 1}}
        exchange.respond(200, [(b"content-type", b"application/cloudevents+json")], json.dumps(document).encode())

    def binary(exchange: Exchange) -> None:
        fields = [(b"ce-specversion", b"1.0"), (b"ce-id", b"v"), (b"ce-source", b"/v"), (b"ce-type", b"v")]
        exchange.respond(200, [*fields, (b"content-type", b"text/x")], b"data")

    async def scene(stage):
        await stage.variant("a", structured)
        reply = await stage.event("1")
        assert json.loads(reply.body) == {"a": 1}
        assert reply.header(b"ce-type") == b"dev.warmfront.inference.response"
        await stage.variant("b", binary, 0.99)
        reply = await stage.event("2")
        assert (reply.body, reply.header(b"content-type")) == (b"data", b"text/x")
        assert reply.header(b"ce-source") == b"/warmfront/selector"

    play(scene)


def test_an_invalid_event_from_a_variant_is_its_failure(play, detail):
    """502 that says what is wrong with the reply."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.respond(200, [(b"ce-id", b"1")], b"x"))
        reply = await stage.event()
        assert (reply.status, "a replied with an invalid event" in detail(reply)) == (502, True)

    play(scene)


def test_a_chunked_reply_becomes_one_event_up_to_the_limit(play, detail):
    """Events go out whole; above the limit the variant is cut off and the event fails."""

    def pieces(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-type", b"text/plain")])
        for _ in range(10):
            exchange.write(b"x" * 10)
        exchange.finish()

    async def scene(stage):
        await stage.variant("a", pieces)
        assert (await stage.event()).body == b"x" * 100

    play(scene, max_reply_bytes=100)

    async def too_large(stage):
        await stage.variant("a", pieces)
        reply = await stage.event()
        assert (reply.status, "more than 99 bytes" in detail(reply)) == (502, True)

    play(too_large, max_reply_bytes=99)


def test_an_empty_reply_is_an_event_without_data(play):
    """204 of a variant: the reply event has no data and no content type."""

    async def scene(stage):
        await stage.variant("a", lambda e: e.respond(204, []))
        reply = await stage.event()
        assert (reply.status, reply.body, reply.header(b"content-type")) == (200, b"", None)

    play(scene)


def test_trace_attributes_reach_the_reply(play):
    """The distributed-tracing extensions go on to whoever gets the reply."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def scene(stage):
        await stage.variant("a", ok)
        reply = await stage.event(traceparent=trace, tracestate="a=1")
        assert reply.header(b"ce-traceparent") == trace.encode()
        assert reply.header(b"ce-tracestate") == b"a=1"

    play(scene)


def test_the_absolute_deadline_is_the_wall_clocks(play):
    """`deadlineat` 100 ms ahead of this machine's clock leaves 100 ms, whatever the monotonic clock says."""

    async def scene(stage):
        left: list[int] = []

        def note(exchange: Exchange) -> None:
            left.append(int(exchange.header(b"warmfront-deadline-ms")))
            ok(exchange)

        await stage.variant("a", note)
        stage.wall[0] = 1_764_000_000.0
        await stage.event(deadlineat="2025-11-24T16:00:00.100Z")
        assert 0 < left[0] <= 100
        await stage.event("2", deadlineat="2025-11-24T16:00:00.100Z", deadlinems="50")
        assert 0 < left[1] <= 50

    play(scene)


def test_overload_is_an_error_status_and_not_kept(play):
    """503 with Retry-After for the Broker; the redelivery is executed."""

    async def scene(stage):
        arrived = asyncio.Event()
        held: list[Exchange] = []
        await stage.variant("a", lambda e: (held.append(e), arrived.set()))
        first = asyncio.ensure_future(stage.event("1"))
        await asyncio.wait_for(arrived.wait(), 5)
        second = await stage.event("2")
        assert (second.status, second.header(b"retry-after")) == (503, b"1")
        ok(held[0])
        assert (await first).status == 200
        arrived.clear()
        again = asyncio.ensure_future(stage.event("2"))
        await asyncio.wait_for(arrived.wait(), 5)
        ok(held[1])
        assert (await again).status == 200

    play(scene, max_in_flight=1)


@pytest.mark.parametrize(("label", "correct"), [("größe", 1.0), ("grösse", 0.0)])
def test_a_label_is_compared_decoded(play, label, correct):
    """The remembered header is percent-encoded UTF-8, the feedback's label text."""

    async def scene(stage):
        await stage.variant("a", ok)
        decision = (await stage.event()).header(b"ce-decisionid").decode()
        body = json.dumps({"decision_id": decision, "label": label}).encode()
        reply = await stage.event("f", body, type="dev.warmfront.feedback")
        assert (reply.status, reply.body) == (202, b"")
        assert [f.correct for f in stage.witness.feedback] == [correct]

    play(scene)
