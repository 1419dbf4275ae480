"""From a POST to a Broker to subscribers, dead-letter sinks and back, over real sockets."""

import asyncio
import base64

from warmfront.cloudevents import CloudEvent, Mode, encode, encode_batch
from warmfront.kube.resources import TRIGGERS


def test_an_event_reaches_every_trigger_that_wants_it(run, eventually):
    """Binary mode, original bytes, `Prefer: reply`, no hop count; who did not ask for the type gets nothing."""

    async def story(world):
        wants, all_of_them, other = [await world.subscriber() for _ in range(3)]
        world.broker()
        world.trigger("wants", wants, filter={"attributes": {"type": "t"}})
        world.trigger("all", all_of_them)
        world.trigger("other", other, filters=[{"cesql": "type = 'u'"}])
        data = '{"text":  "Grüß Gott"}'.encode()
        event = world.event(
            subject="s", datacontenttype="application/json", data=data, extensions={"deadlinems": "300"}
        )
        await world.send(event)
        assert await wants.received(1) == [event]
        assert await all_of_them.received(1) == [event]
        request = wants.requests[0]
        assert (request.method, request.body, request.header(b"prefer")) == ("POST", data, b"reply")
        await eventually(lambda: world.eventing.pending == 0)
        assert other.requests == []

    run(story)


def test_structured_and_batch_events_are_accepted(run):
    """All three modes of the HTTP binding; of a batch every event is delivered on its own."""

    async def story(world):
        subscriber = await world.subscriber()
        world.broker()
        world.trigger("all", subscriber)
        one, two, three = (world.event(data=b"{}", datacontenttype="application/json") for _ in range(3))
        assert (await world.post(*encode(one, Mode.STRUCTURED))).status == 202
        assert (await world.post(*encode_batch([two, three]))).status == 202
        assert (await world.post(*encode_batch([]))).status == 202
        received = await subscriber.received(3)
        assert sorted(e.id for e in received) == ["e0", "e1", "e2"]
        assert {e.data for e in received} == {b"{}"}

    run(story)


def test_what_is_no_event_is_refused_with_all_faults(run):
    """400 names every missing attribute, also by its place in a batch; 404 for no Broker; 405 and OPTIONS say POST."""

    async def story(world):
        world.broker()
        refused = await world.post([(b"ce-specversion", b"1.0"), (b"ce-id", b"1")])
        assert refused.status == 400
        assert b"source" in refused.body
        assert b"type" in refused.body
        batch = b'[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"specversion":"1.0","id":"2"}]'
        refused = await world.post([(b"content-type", b"application/cloudevents-batch+json")], batch)
        assert refused.status == 400
        assert b"[1].source" in refused.body
        for path in ("/default/absent", "/absent/default", "/default", "/a/b/c"):
            assert (await world.post(*encode(world.event()), path=path)).status == 404
        options = await world.post([], method="OPTIONS")
        assert (options.status, b"POST" in options.header(b"allow")) == (200, True)
        get = await world.post([], method="GET")
        assert (get.status, b"POST" in get.header(b"allow")) == (405, True)
        await world.send()

    run(story)


def test_retries_stop_at_the_first_success(run, eventually, quick):
    """503, 404 and a broken connection are tried again with the same event; then it is done."""

    async def story(world):
        def answer(exchange, number):
            if number == 2:
                exchange.abort()
            else:
                exchange.respond((503, 404, 0, 200)[number], [])

        subscriber = await world.subscriber(answer)
        world.broker()
        world.trigger("flaky", subscriber, delivery=quick)
        event = await world.send()
        assert await subscriber.received(4) == [event] * 4
        await eventually(lambda: world.eventing.pending == 0)
        assert world.eventing.dead_letters() == []

    run(story)


def test_retry_after_is_respected_up_to_its_bound(run):
    """A subscriber that asks for 1 s gets it; `retryAfterMax` PT0S ignores the header."""

    async def story(world):
        def answer(exchange, number):
            exchange.respond(*((429, [(b"retry-after", b"1")]) if number == 0 else (200, [])))

        patient, hasty = await world.subscriber(answer), await world.subscriber(answer)
        world.broker()
        delivery = {"retry": 1, "backoffPolicy": "linear", "backoffDelay": "PT0S"}
        world.trigger("patient", patient, delivery=delivery)
        world.trigger("hasty", hasty, delivery={**delivery, "retryAfterMax": "PT0S"})
        await world.send()
        await hasty.received(2)
        await patient.received(2)
        waits = [s.requests[1].received_at - s.requests[0].received_at for s in (patient, hasty)]
        assert waits[0] >= 0.99
        assert waits[1] < waits[0]

    run(story)


def test_text_in_a_2xx_is_a_failure(run, eventually, quick):
    """A subscriber that answers `OK` breaks the contract: tried again, then a dead letter of code 502 with the body."""

    async def story(world):
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(200, [], b"OK"))
        world.broker()
        world.trigger("chatty", subscriber, delivery=quick)
        event = await world.send()
        await eventually(world.eventing.dead_letters)
        (dead,) = world.eventing.dead_letters()
        assert len(subscriber.requests) == 4
        assert (dead.event.id, dead.trigger, dead.broker) == (event.id, "chatty", "default")
        assert (dead.failure.code, dead.failure.data, dead.failure.destination) == (502, b"OK", subscriber.url)
        assert "no CloudEvent" in dead.failure.reason
        assert world.eventing.pending == 0

    run(story)


def test_a_bad_event_is_not_tried_again_but_dead_lettered(run, eventually, quick):
    """400 goes to the dead-letter sink at once: the original event with destination, code and data of the error."""

    async def story(world):
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(400, [], b"no such task"))
        sink = await world.subscriber(lambda exchange, _: exchange.respond(200, [], b"thank you"))
        world.broker(delivery={"deadLetterSink": {"uri": sink.url}})
        world.trigger("strict", subscriber, delivery=quick)
        event = await world.send(world.event(data=b"\x00\xff", extensions={"mine": "1"}))
        (dead,) = await sink.received(1)
        assert (dead.id, dead.data, dead.extensions["mine"]) == (event.id, b"\x00\xff", "1")
        assert dead.extensions["knativeerrordest"] == subscriber.url
        assert dead.extensions["knativeerrorcode"] == "400"
        assert base64.b64decode(dead.extensions["knativeerrordata"]) == b"no such task"
        await eventually(lambda: world.eventing.pending == 0)
        assert len(subscriber.requests) == 1
        assert world.eventing.dead_letters() == []

    run(story)


def test_a_dead_letter_sink_that_fails_too_loses_nothing(run, eventually, quick):
    """After its own retries the event is kept, with both reasons."""

    async def story(world):
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(500, [], b"first"))
        sink = await world.subscriber(lambda exchange, _: exchange.respond(503, [], b"second"))
        world.broker()
        world.trigger("t", subscriber, delivery={**quick, "deadLetterSink": {"uri": sink.url}})
        await world.send()
        await eventually(world.eventing.dead_letters)
        (dead,) = world.eventing.dead_letters()
        assert (len(subscriber.requests), len(sink.requests)) == (4, 4)
        assert (dead.failure.code, dead.failure.data) == (500, b"first")
        assert "answered 500" in dead.failure.reason
        assert "answered 503" in dead.failure.reason

    run(story)


def test_a_reply_goes_back_to_the_broker(run):
    """The selector's way: a request in, its answer out to whoever asked for that type, one hop poorer."""

    async def story(world):
        def answer(exchange, _):
            exchange.respond(200, *encode(CloudEvent(id="r1", source="/selector", type="response", data=b"de")))

        selector, consumer = await world.subscriber(answer), await world.subscriber()
        world.broker()
        world.trigger("selector", selector, filters=[{"exact": {"type": "t"}}])
        world.trigger("consumer", consumer, filters=[{"exact": {"type": "response"}}])
        await world.send()
        (reply,) = await consumer.received(1)
        assert (reply.id, reply.source, reply.data) == ("r1", "/selector", b"de")
        assert "knativebrokerttl" not in reply.extensions
        assert "knativebrokerttl" not in selector.events[0].extensions

    run(story)


def test_a_loop_of_replies_ends(run, eventually):
    """A subscriber that answers every event with another is stopped when the hops are used up, and the reason kept."""

    async def story(world):
        def answer(exchange, number):
            exchange.respond(200, *encode(CloudEvent(id=f"r{number}", source="/loop", type="t")))

        subscriber = await world.subscriber(answer)
        world.broker()
        world.trigger("loop", subscriber)
        await world.send(world.event(extensions={"knativebrokerttl": "4"}))
        await eventually(world.eventing.dead_letters)
        (dead,) = world.eventing.dead_letters()
        assert len(subscriber.requests) == 3
        assert "knativebrokerttl" in dead.failure.reason
        refused = await world.post(*encode(world.event(extensions={"knativebrokerttl": "1"})))
        assert (refused.status, b"knativebrokerttl" in refused.body) == (400, True)

    run(story)


def test_a_trigger_from_a_broker_to_itself_ends_too(run, eventually, quick):
    """A Broker as subscriber sees the hops, so that the loop is finite: the last round is refused with 400."""

    async def story(world):
        ref = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}
        world.broker()
        world.trigger("self", {"ref": ref}, delivery=quick)
        await world.send(world.event(extensions={"knativebrokerttl": "5"}))
        await eventually(world.eventing.dead_letters)
        assert world.eventing.dead_letters()[0].failure.code == 400
        assert world.eventing.pending == 0

    run(story)


def test_an_attempt_is_cut_off_at_its_timeout(run, eventually):
    """A subscriber that never answers costs `timeout` per attempt; then the event is a dead letter."""

    async def story(world):
        silent = await world.subscriber(lambda exchange, _: None)
        world.broker()
        world.trigger("silent", silent, delivery={"retry": 1, "timeout": "PT0.05S"})
        await world.send()
        await eventually(world.eventing.dead_letters)
        assert len(silent.requests) == 2
        assert world.eventing.dead_letters()[0].failure.code == 500

    run(story)


def test_a_slow_trigger_holds_up_no_other(run):
    """With a hundred requests hanging at one subscriber the other has all events."""

    async def story(world):
        held = []
        slow = await world.subscriber(lambda exchange, _: held.append(exchange))
        fast = await world.subscriber()
        world.broker()
        world.trigger("slow", slow)
        world.trigger("fast", fast)
        await asyncio.gather(*(world.send() for _ in range(100)))
        await fast.received(100)
        await slow.received(100)
        assert world.eventing.pending >= 100
        for exchange in held:
            exchange.respond(200, [])

    run(story)


def test_a_full_broker_says_when_to_come_again(run, eventually):
    """429 with Retry-After while too much is pending; when it is done, events are taken again."""

    async def story(world):
        held = []
        subscriber = await world.subscriber(lambda exchange, _: held.append(exchange))
        world.broker()
        world.trigger("slow", subscriber)
        await world.send()
        await world.send()
        refused = await world.post(*encode(world.event()))
        assert refused.status == 429
        assert int(refused.header(b"retry-after")) >= 1
        await subscriber.received(2)
        for exchange in held:
            exchange.respond(202, [])
        await eventually(lambda: world.eventing.pending == 0)
        await world.send()

    run(story, max_pending=2)


def test_deleting_a_trigger_drops_what_waits_for_it(run):
    """Nothing is sent to a Trigger that is gone, and nothing of it stays pending."""

    async def story(world):
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(503, []))
        hanging = await world.subscriber(lambda exchange, _: None)
        world.broker()
        world.trigger("waits", subscriber, delivery={"retry": 5, "backoffPolicy": "linear", "backoffDelay": "PT1M"})
        world.trigger("hangs", hanging)
        await world.send()
        await subscriber.received(2)  # the first linear retry follows at once, the next after a minute
        await hanging.received(1)
        assert world.eventing.pending == 2
        world.store.delete(TRIGGERS, "default", "waits")
        world.store.delete(TRIGGERS, "default", "hangs")
        assert world.eventing.pending == 0

    run(story)


def test_structured_delivery_is_a_choice_of_the_trigger(run):
    """`format: json` sends the whole event as one JSON object."""

    async def story(world):
        subscriber = await world.subscriber()
        world.broker()
        world.trigger("json", subscriber, delivery={"format": "json"})
        event = await world.send()
        assert await subscriber.received(1) == [event]
        assert subscriber.requests[0].header(b"content-type").startswith(b"application/cloudevents+json")

    run(story)
