"""What happens when something disappears or breaks while events are on their way."""

import sqlite3
from contextlib import closing

from warmfront.cloudevents import CloudEvent, encode, encode_batch
from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS
from warmfront.runtime.eventing.attempt import MAX_ANSWER


def test_a_journal_that_cannot_be_written_accepts_nothing(run, tmp_path, caplog):
    """503 with Retry-After, nothing pending, nothing delivered; when it can be written again, events are taken."""

    async def story(world):
        subscriber = await world.subscriber()
        world.broker()
        world.trigger("t", subscriber)
        with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
            db.execute("ALTER TABLE deliveries RENAME TO moved")
            refused = await world.post(*encode(world.event()))
            db.execute("ALTER TABLE moved RENAME TO deliveries")
        assert (refused.status, refused.header(b"retry-after")) == (503, b"1")
        assert world.eventing.pending == 0
        event = await world.send()
        assert await subscriber.received(1) == [event]

    run(story)
    assert "cannot write" in caplog.text


def test_a_batch_with_an_event_in_a_loop_is_refused_as_a_whole(run):
    """All or nothing: the place of the bad event is named, the good ones are not delivered."""

    async def story(world):
        subscriber = await world.subscriber()
        world.broker()
        world.trigger("t", subscriber)
        tired = world.event(extensions={"knativebrokerttl": "1"})
        refused = await world.post(*encode_batch([world.event(), tired, world.event()]))
        assert refused.status == 400
        assert b"[1].knativebrokerttl" in refused.body
        event = await world.send()
        assert await subscriber.received(1) == [event]

    run(story)


def test_a_reply_to_a_broker_that_is_gone_is_a_dead_letter(run, eventually):
    """The event was taken, but its answer has no way to go; the reason says so."""

    async def story(world):
        def answer(exchange, _):
            world.store.delete(BROKERS, "default", "default")
            exchange.respond(200, *encode(CloudEvent(id="r1", source="/r", type="answer")))

        subscriber = await world.subscriber(answer)
        world.broker()
        world.trigger("t", subscriber)
        await world.send()
        await eventually(world.eventing.dead_letters)
        (dead,) = world.eventing.dead_letters()
        assert dead.failure.code == 404
        assert "reply r1 of /r" in dead.failure.reason
        assert "Broker default is gone" in dead.failure.reason

    run(story)


def test_a_service_that_disappears_makes_its_triggers_wait(run, quick, eventually):
    """Attempts without an address count as failures; events arrive if the Service is back before they are used up."""

    async def story(world):
        subscriber = await world.subscriber()
        service = {"metadata": {"name": "s", "namespace": "default"}, "spec": {}}
        ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "s"}
        world.broker()
        world.trigger("patient", {"ref": ref}, delivery={**quick, "retry": 1000})
        world.trigger("hasty", {"ref": ref}, delivery={"retry": 0})
        world.store.create(SERVICES, service)
        world.store.set_status(SERVICES, "default", "s", {"address": {"url": subscriber.url}})
        world.store.delete(SERVICES, "default", "s")
        assert world.status(TRIGGERS, "patient")[1]["SubscriberResolved"]["status"] == "False"
        event = await world.send()
        await eventually(world.eventing.dead_letters)
        (dead,) = world.eventing.dead_letters()
        assert (dead.trigger, dead.failure.destination) == ("hasty", "")
        assert "no Service s" in dead.failure.reason
        world.store.create(SERVICES, service)
        world.store.set_status(SERVICES, "default", "s", {"address": {"url": subscriber.url}})
        assert await subscriber.received(1) == [event]

    run(story)


def test_a_trigger_that_became_invalid_keeps_its_events(run, quick):
    """What it accepted before waits under the default delivery until the Trigger is repaired."""

    async def story(world):
        broken = True
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(503 if broken else 200, []))
        world.broker()
        world.trigger("t", subscriber, delivery={**quick, "backoffDelay": "PT0.1S", "retry": 1000})
        event = await world.send()
        await subscriber.received(2)
        world.store.merge(TRIGGERS, "default", "t", {"spec": {"filters": [{"cesql": "("}]}})
        assert world.status(TRIGGERS, "t")[1]["Ready"]["status"] == "False"
        assert world.eventing.pending == 1
        broken = False
        world.store.merge(TRIGGERS, "default", "t", {"spec": {"filters": None}})
        seen = len(subscriber.requests)
        assert (await subscriber.received(seen + 1))[-1] == event

    run(story)


def test_an_endless_answer_is_cut_off(run, eventually):
    """A subscriber may not fill the memory: above the limit the attempt fails."""

    async def story(world):
        subscriber = await world.subscriber(lambda exchange, _: exchange.respond(200, [], b"x" * (MAX_ANSWER + 1)))
        world.broker()
        world.trigger("t", subscriber, delivery={"retry": 0})
        await world.send()
        await eventually(world.eventing.dead_letters)
        (dead,) = world.eventing.dead_letters()
        assert dead.failure.code == 502
        assert "more than" in dead.failure.reason

    run(story)


def test_a_broker_passes_its_dead_letter_sink_on(run, quick):
    """The Broker's sink is in both statuses; a Broker that refers to an absent one is not ready and says why."""

    async def story(world):
        sink = await world.subscriber()
        absent = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "absent"}}
        world.broker(delivery={"deadLetterSink": {"uri": sink.url}})
        world.broker("lost", delivery={"deadLetterSink": absent})
        world.trigger("t", {"uri": "http://127.0.0.1:1/"}, delivery=quick)
        assert world.status(BROKERS, "default")[0]["deadLetterSinkUri"] == sink.url
        assert world.status(TRIGGERS, "t")[0]["deadLetterSinkUri"] == sink.url
        assert "no Broker absent" in world.status(BROKERS, "lost")[1]["Ready"]["message"]
        await world.send()
        (dead,) = await sink.received(1)
        assert (dead.extensions["knativeerrorcode"], dead.extensions["knativeerrordest"]) == (
            "500",
            "http://127.0.0.1:1/",
        )

    run(story)


def test_a_trigger_deleted_while_its_event_is_written_gets_nothing(run, eventually):
    """The delivery finds its Trigger gone when the disk is done, and leaves no row behind."""

    async def story(world):
        subscriber = await world.subscriber()
        world.broker()
        world.trigger("t", subscriber)
        accepted = []
        world.eventing._dispatcher.publish(
            "default", "default", [world.event(extensions={"knativebrokerttl": "9"})], accepted.append
        )
        world.store.delete(TRIGGERS, "default", "t")
        await eventually(lambda: accepted)
        assert accepted == [None]
        assert world.eventing.pending == 0
        assert subscriber.requests == []

    run(story)


def test_a_dependency_is_an_error_not_silence(run):
    """An annotation that Knative would honour and this runtime does not makes the Trigger not ready."""

    async def story(world):
        world.broker()
        meta = {"name": "t", "namespace": "default", "annotations": {"knative.dev/dependency": "{}"}}
        spec = {"broker": "default", "subscriber": {"uri": "http://127.0.0.1:1/"}}
        world.store.create(TRIGGERS, {"metadata": meta, "spec": spec})
        _, conditions = world.status(TRIGGERS, "t")
        assert conditions["DependencyReady"]["status"] == conditions["Ready"]["status"] == "False"
        assert "not supported" in conditions["Ready"]["message"]

    run(story)
