"""Keeps Brokers and Triggers as the API has them: who wants which event from where, and their statuses.

What may live here: reading objects, resolving destinations, writing statuses. What must not: events in flight.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from warmfront.errors import InvalidRequest
from warmfront.kube.resources import BROKERS, SERVICES, TRIGGERS, Json, Resource, annotations_of
from warmfront.runtime.addresses import Addresses
from warmfront.runtime.eventing.delivery_spec import DEFAULT, DeliverySpec, read_delivery
from warmfront.runtime.eventing.destinations import Target, resolve
from warmfront.runtime.eventing.filters import Filter, compile_filter
from warmfront.runtime.eventing.status import Fact, conditions
from warmfront.runtime.store import Store, now_rfc3339

BROKER_CLASS = "MTChannelBasedBroker"
_CLASS = "eventing.knative.dev/broker.class"
_DEPENDENCY = "knative.dev/dependency"

_Name = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A Trigger ready to be matched. `dead_letter` is None when neither Trigger nor Broker has a dead-letter sink."""

    uid: str
    namespace: str
    name: str
    broker: str
    passes: Filter
    spec: DeliverySpec
    subscriber: Target
    dead_letter: Target | None


class Controller:
    """Follows the store from `start` to `stop`; all calls on the event loop's thread.

    `on_removed` is called with the uid of every Trigger that is deleted.
    """

    def __init__(self, store: Store, addresses: Addresses, on_removed: Callable[[str], None]) -> None:
        self._store = store
        self._addresses = addresses
        self._on_removed = on_removed
        self._services: dict[_Name, str] = {}
        self._brokers: dict[_Name, Json] = {}
        self._triggers: dict[str, Json] = {}
        self._filters: dict[str, tuple[int, Filter | InvalidRequest]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._by_broker: dict[_Name, dict[str, Subscription]] = {}
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        """Take in everything the store has, and from then on every change."""
        for resource, callback in (
            (SERVICES, self._service_changed),
            (BROKERS, self._broker_changed),
            (TRIGGERS, self._trigger_changed),
        ):
            self._unsubscribe.append(self._store.subscribe(resource, callback))

    def stop(self) -> None:
        """Follow no more."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def serves(self, namespace: str, broker: str) -> bool:
        """Whether there is such a Broker, of a class that this runtime implements."""
        obj = self._brokers.get((namespace, broker))
        return obj is not None and _class_of(obj) == BROKER_CLASS

    def subscriptions(self, namespace: str, broker: str) -> Collection[Subscription]:
        """The Triggers of a Broker that can be matched."""
        return self._by_broker.get((namespace, broker), {}).values()

    def find(self, trigger: str) -> Subscription | None:
        """The Trigger with this uid, unless it is gone or its filter or delivery is invalid."""
        return self._subscriptions.get(trigger)

    def knows(self, trigger: str) -> bool:
        """Whether a Trigger with this uid exists, valid or not."""
        return trigger in self._triggers

    def name_of(self, trigger: str) -> str:
        """The name of the Trigger with this uid."""
        name: str = self._triggers[trigger]["metadata"]["name"]
        return name

    def _service_changed(self, change: str, obj: Json) -> None:
        key = _name_of(obj)
        url = ((obj.get("status") or {}).get("address") or {}).get("url", "") if change != "DELETED" else None
        if self._services.get(key) == url:
            return
        if url is None:
            self._services.pop(key, None)
        else:
            self._services[key] = url
        self._refresh_all()

    def _broker_changed(self, change: str, obj: Json) -> None:
        key = _name_of(obj)
        before = self._brokers.get(key)
        if change == "DELETED":
            self._brokers.pop(key, None)
        else:
            self._brokers[key] = obj
            if before is not None and _same_wish(before, obj):
                return  # only the status changed, most likely by us
        self._refresh_all()

    def _trigger_changed(self, change: str, obj: Json) -> None:
        uid = obj["metadata"]["uid"]
        if change == "DELETED":
            self._triggers.pop(uid, None)
            self._filters.pop(uid, None)
            self._subscribe(uid, None)
            self._on_removed(uid)
            return
        before = self._triggers.get(uid)
        self._triggers[uid] = obj
        if before is None or not _same_wish(before, obj):
            self._refresh_trigger(obj)

    def _refresh_all(self) -> None:
        for obj in list(self._brokers.values()):
            self._refresh_broker(obj)
        for obj in list(self._triggers.values()):
            self._refresh_trigger(obj)

    def _refresh_broker(self, obj: Json) -> None:
        namespace, name = _name_of(obj)
        supported = _class_of(obj) == BROKER_CLASS
        url = self._addresses.broker(namespace, name)
        invalid = Fact(
            true=supported,
            reason="" if supported else "BrokerClassUnsupported",
            message="" if supported else f"class is {_class_of(obj)}; this runtime has {BROKER_CLASS} only",
        )
        facts = {"IngressReady": invalid, "FilterReady": invalid, "Addressable": invalid}
        sink: Target | None = None
        try:
            spec = read_delivery({}, obj.get("spec") or {})
            facts["DeliveryValid"] = Fact()
            sink = self._dead_letter(spec, namespace)
        except InvalidRequest as error:
            facts["DeliveryValid"] = Fact(true=False, reason="DeliveryInvalid", message=str(error))
        facts["DeadLetterSinkResolved"] = _sink_fact(sink)
        status: Json = {"address": {"name": "http", "url": url}} if supported else {}
        if sink is not None and sink.url:
            status["deadLetterSinkUri"] = sink.url
        self._write_status(BROKERS, obj, status, facts)

    def _refresh_trigger(self, obj: Json) -> None:
        namespace, name = _name_of(obj)
        spec: Json = obj.get("spec") or {}
        broker = str(spec.get("broker") or "default")
        subscriber = resolve(spec.get("subscriber"), namespace, self._lookup)
        passes = self._filter(obj)
        delivery, fault = self._delivery(spec, namespace, broker)
        sink = self._dead_letter(delivery, namespace)
        invalid = passes if isinstance(passes, InvalidRequest) else fault
        facts = {
            "BrokerReady": self._broker_fact(namespace, broker),
            "DependencyReady": _dependency_fact(obj),
            "SubscriptionReady": Fact()
            if invalid is None
            else Fact(true=False, reason="SpecInvalid", message=str(invalid)),
            "SubscriberResolved": Fact()
            if subscriber.url
            else Fact(true=False, reason="SubscriberUnresolved", message=f"subscriber: {subscriber.fault}"),
            "DeadLetterSinkResolved": _sink_fact(sink),
        }
        subscription = None
        if invalid is None and not isinstance(passes, InvalidRequest):
            subscription = Subscription(
                uid=obj["metadata"]["uid"],
                namespace=namespace,
                name=name,
                broker=broker,
                passes=passes,
                spec=delivery,
                subscriber=subscriber,
                dead_letter=sink,
            )
        self._subscribe(obj["metadata"]["uid"], subscription)
        status = {"subscriberUri": subscriber.url} if subscriber.url else {}
        if sink is not None and sink.url:
            status["deadLetterSinkUri"] = sink.url
        self._write_status(TRIGGERS, obj, status, facts)

    def _subscribe(self, uid: str, subscription: Subscription | None) -> None:
        old = self._subscriptions.pop(uid, None)
        if old is not None:
            del self._by_broker[old.namespace, old.broker][uid]
        if subscription is not None:
            self._subscriptions[uid] = subscription
            self._by_broker.setdefault((subscription.namespace, subscription.broker), {})[uid] = subscription

    def _filter(self, obj: Json) -> Filter | InvalidRequest:
        """The compiled filter, or what is wrong with it; once per generation."""
        uid, generation = obj["metadata"]["uid"], obj["metadata"]["generation"]
        known = self._filters.get(uid)
        if known is None or known[0] != generation:
            try:
                known = generation, compile_filter(obj.get("spec") or {})
            except InvalidRequest as error:
                known = generation, error
            self._filters[uid] = known
        return known[1]

    def _delivery(self, spec: Json, namespace: str, broker: str) -> tuple[DeliverySpec, InvalidRequest | None]:
        try:
            broker_spec = self._brokers.get((namespace, broker), {}).get("spec") or {}
            return read_delivery(spec, broker_spec), None
        except InvalidRequest as error:
            return DEFAULT, error

    def _dead_letter(self, spec: DeliverySpec, namespace: str) -> Target | None:
        return None if spec.dead_letter_sink is None else resolve(spec.dead_letter_sink, namespace, self._lookup)

    def _lookup(self, kind: str, namespace: str, name: str) -> Target:
        if kind == "Broker":
            if self.serves(namespace, name):
                return Target(url=self._addresses.broker(namespace, name))
            return Target(fault=f"there is no Broker {name} in namespace {namespace}; create it")
        url = self._services.get((namespace, name))
        if url is None:
            return Target(fault=f"there is no Service {name} in namespace {namespace}; create it")
        return Target(url=url, fault="" if url else f"Service {name} has no address yet")

    def _broker_fact(self, namespace: str, broker: str) -> Fact:
        if (namespace, broker) not in self._brokers:
            message = f"Broker {broker} does not exist in namespace {namespace}; create it with `kn broker create`"
            return Fact(true=False, reason="BrokerDoesNotExist", message=message)
        if not self.serves(namespace, broker):
            message = f"Broker {broker} is not of class {BROKER_CLASS}"
            return Fact(true=False, reason="BrokerNotReady", message=message)
        return Fact()

    def _write_status(self, resource: Resource, obj: Json, status: Json, facts: dict[str, Fact]) -> None:
        namespace, name = _name_of(obj)
        current = self._store.find(resource, namespace, name)
        if current is None or current["metadata"]["uid"] != obj["metadata"]["uid"]:
            return  # deleted meanwhile; the callback is on its way
        status["observedGeneration"] = obj["metadata"]["generation"]
        status["conditions"] = conditions(facts, current.get("status") or {}, now_rfc3339())
        self._store.set_status(resource, namespace, name, status)


def _name_of(obj: Json) -> _Name:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _class_of(broker: Json) -> str:
    return annotations_of(broker).get(_CLASS) or BROKER_CLASS


def _same_wish(before: Json, after: Json) -> bool:
    """Whether two states of an object differ in their status only."""
    return all(
        (
            before["metadata"]["uid"] == after["metadata"]["uid"],
            before["metadata"]["generation"] == after["metadata"]["generation"],
            annotations_of(before) == annotations_of(after),
        )
    )


def _dependency_fact(trigger: Json) -> Fact:
    wanted: Any = annotations_of(trigger).get(_DEPENDENCY)
    if not wanted:
        return Fact()
    message = f"annotation {_DEPENDENCY} is not supported by this runtime; remove it"
    return Fact(true=False, reason="DependencyUnsupported", message=message)


def _sink_fact(sink: Target | None) -> Fact:
    if sink is None:
        message = "no dead-letter sink; what cannot be delivered is kept in the journal"
        return Fact(reason="DeadLetterSinkNotConfigured", message=message)
    if sink.url:
        return Fact()
    return Fact(true=False, reason="DeadLetterSinkUnresolved", message=f"deadLetterSink: {sink.fault}")
