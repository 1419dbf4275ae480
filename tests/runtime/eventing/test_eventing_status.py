"""Statuses of Brokers and Triggers, and how they follow what a Trigger refers to."""

from warmfront.cloudevents import encode
from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS

SERVICE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "selector"}


def address(world, url: str) -> None:
    """What the serving side writes when the Service has an address."""
    world.store.set_status(SERVICES, "default", "selector", {"address": {"url": url}})


def test_a_broker_is_ready_with_its_address(run):
    """`kn broker list` finds URL and Ready=True as soon as the Broker is created."""

    async def story(world):
        world.broker("b")
        status, conditions = world.status(BROKERS, "b")
        assert status["address"]["url"] == f"http://broker-ingress.knative-eventing.localhost:{world.port}/default/b"
        assert status["observedGeneration"] == 1
        assert {c["status"] for c in conditions.values()} == {"True"}
        assert {"Ready", "Addressable", "IngressReady", "FilterReady"} <= set(conditions)

    run(story)


def test_a_broker_of_another_class_is_not_served(run):
    """The class names an implementation that is not here: Ready=False says so, and its address is a 404."""

    async def story(world):
        annotations = {"eventing.knative.dev/broker.class": "Kafka"}
        meta = {"name": "default", "namespace": "default", "annotations": annotations}
        world.store.create(BROKERS, {"metadata": meta, "spec": {}})
        status, conditions = world.status(BROKERS, "default")
        assert conditions["Ready"]["status"] == "False"
        assert "Kafka" in conditions["Ready"]["message"]
        assert "address" not in status
        assert (await world.post(*encode(world.event()))).status == 404

    run(story)


def test_a_trigger_becomes_ready_when_what_it_names_appears(run):
    """Broker, then Service, then the Service's address: each missing piece is named until all are there."""

    async def story(world):
        world.trigger("t", {"ref": SERVICE, "uri": "/events"})
        _, conditions = world.status(TRIGGERS, "t")
        assert conditions["BrokerReady"]["status"] == conditions["SubscriberResolved"]["status"] == "False"
        assert conditions["Ready"]["reason"] == "BrokerDoesNotExist"
        world.broker()
        _, conditions = world.status(TRIGGERS, "t")
        assert conditions["BrokerReady"]["status"] == "True"
        assert "no Service selector" in conditions["Ready"]["message"]
        world.store.create(SERVICES, {"metadata": {"name": "selector", "namespace": "default"}, "spec": {}})
        assert "no address yet" in world.status(TRIGGERS, "t")[1]["Ready"]["message"]
        address(world, "http://selector.default.localhost:1234")
        status, conditions = world.status(TRIGGERS, "t")
        assert status["subscriberUri"] == "http://selector.default.localhost:1234/events"
        assert sorted(conditions) == [
            "BrokerReady",
            "DeadLetterSinkResolved",
            "DependencyReady",
            "Ready",
            "SubscriberResolved",
            "SubscriptionReady",
        ]
        assert {c["status"] for c in conditions.values()} == {"True"}
        world.store.delete(BROKERS, "default", "default")
        assert world.status(TRIGGERS, "t")[1]["Ready"]["status"] == "False"

    run(story)


def test_events_follow_a_service_to_its_new_address(run, quick):
    """What was accepted while the Service had no working address is delivered to the one it gets."""

    async def story(world):
        subscriber = await world.subscriber()
        world.broker()
        world.trigger("t", {"ref": SERVICE}, delivery={**quick, "retry": 1000})
        event = await world.send()
        world.store.create(SERVICES, {"metadata": {"name": "selector", "namespace": "default"}, "spec": {}})
        address(world, "http://127.0.0.1:1/")
        address(world, subscriber.url)
        assert await subscriber.received(1) == [event]

    run(story)


def test_an_unknown_function_is_reported_on_the_trigger(run):
    """Ready=False with place, column and the functions there are; the Trigger gets nothing, others go on."""

    async def story(world):
        bad, good = await world.subscriber(), await world.subscriber()
        world.broker()
        world.trigger("bad", bad, filters=[{"cesql": "REVERSE(type) = 't'"}])
        world.trigger("good", good)
        _, conditions = world.status(TRIGGERS, "bad")
        assert conditions["SubscriptionReady"]["status"] == "False"
        assert "unknown function REVERSE" in conditions["Ready"]["message"]
        assert "spec.filters[0].cesql" in conditions["Ready"]["message"]
        await world.send()
        await good.received(1)
        assert bad.requests == []
        repaired = {"spec": {"filters": [{"cesql": "UPPER(type) = 'T'"}]}}
        world.store.merge(TRIGGERS, "default", "bad", repaired)
        status, conditions = world.status(TRIGGERS, "bad")
        assert (conditions["Ready"]["status"], status["observedGeneration"]) == ("True", 2)
        event = await world.send()
        assert await bad.received(1) == [event]

    run(story)


def test_wrong_deliveries_destinations_and_annotations_are_named(run):
    """Every field that cannot be honoured makes Ready=False with a message that names it."""

    async def story(world):
        uri = {"uri": "http://127.0.0.1:1/"}
        pod = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
        world.broker()
        world.broker("strange", delivery={"backoffPolicy": "sometimes"})
        world.trigger("delay", uri, delivery={"backoffDelay": "soon"})
        world.trigger("sink", uri, delivery={"deadLetterSink": {"ref": pod}})
        world.trigger("tls", {"uri": "https://example.org/"})
        world.trigger("ref", {"ref": {**SERVICE, "apiVersion": "v1"}})
        found = {}
        for name in ("delay", "sink", "tls", "ref"):
            found[name] = world.status(TRIGGERS, name)[1]["Ready"]
        assert {c["status"] for c in found.values()} == {"False"}
        assert "delivery.backoffDelay is 'soon'" in found["delay"]["message"]
        assert "ref names Pod" in found["sink"]["message"]
        assert "https://example.org/" in found["tls"]["message"]
        assert "wanted Service of serving.knative.dev" in found["ref"]["message"]
        assert "backoffPolicy" in world.status(BROKERS, "strange")[1]["Ready"]["message"]

    run(story)


def test_a_status_is_written_once(run):
    """Nothing changed, nothing is written: statuses do not chase each other, transition times stay."""

    async def story(world):
        world.broker()
        world.trigger("t", {"ref": SERVICE})
        version = world.store.version
        world.store.create(SERVICES, {"metadata": {"name": "other", "namespace": "default"}, "spec": {}})
        assert int(world.store.version) == int(version) + 1
        before = world.status(TRIGGERS, "t")[1]
        world.store.create(SERVICES, {"metadata": {"name": "selector", "namespace": "default"}, "spec": {}})
        after = world.status(TRIGGERS, "t")[1]
        assert before["SubscriberResolved"]["message"] != after["SubscriberResolved"]["message"]
        assert before["SubscriberResolved"]["lastTransitionTime"] == after["SubscriberResolved"]["lastTransitionTime"]

    run(story)
