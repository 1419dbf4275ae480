"""Brings every accepted event to every Trigger that wants it, at least once, and keeps what nobody takes.

What may live here: who is sent what and when. What must not: what an answer means (answers.py), rows (journal.py).

At most `CONCURRENCY` requests per Trigger are on their way at once: a Broker does not know its consumers' limits, so
this only bounds sockets and memory; a consumer sheds load by 429 or 503. Waiting for a retry takes no place. Each
Trigger has a lane of its own: a slow one holds up nobody else. Order is not promised; retries overtake.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from warmfront.cloudevents import CloudEvent
from warmfront.errors import NotFound, WarmfrontError
from warmfront.runtime.addresses import Addresses
from warmfront.runtime.eventing.answers import Refused, Taken
from warmfront.runtime.eventing.attempt import Attempt
from warmfront.runtime.eventing.controller import Controller, Subscription
from warmfront.runtime.eventing.delivery_spec import DEFAULT
from warmfront.runtime.eventing.destinations import Target
from warmfront.runtime.eventing.filters import attributes_of
from warmfront.runtime.eventing.journal import Delivery, Durable, Failure, Journal
from warmfront.runtime.eventing.ttl import reply_of
from warmfront.wire.pool import Pool

CONCURRENCY = 512
_KEPT_DATA = 64 * 1024  # bytes of a failing answer's body that are kept

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Lane:
    """One Trigger's deliveries: ready to go, on their way, waiting for a retry (by delivery id)."""

    ready: deque[Delivery] = field(default_factory=deque)
    flying: set[Attempt] = field(default_factory=set)
    waiting: dict[int, tuple[Delivery, asyncio.TimerHandle]] = field(default_factory=dict)
    woken: bool = False


class Dispatcher:
    """All calls on the event loop's thread."""

    def __init__(self, *, controller: Controller, journal: Journal, pool: Pool, addresses: Addresses) -> None:
        self._controller = controller
        self._journal = journal
        self._pool = pool
        self._addresses = addresses
        self._lanes: dict[str, _Lane] = {}
        self._stopped = False

    def publish(self, namespace: str, broker: str, events: Sequence[CloudEvent], then: Durable) -> None:
        """Journal the events for all Triggers that want them; then deliver, and report that they are safe.

        All events go in one transaction. An event that no Trigger wants needs no keeping.
        """
        deliveries: list[Delivery] = []
        for event in events:
            attributes = attributes_of(event)
            wanted = [
                subscription.uid
                for subscription in self._controller.subscriptions(namespace, broker)
                if subscription.passes(attributes)
            ]
            if wanted:
                deliveries += self._journal.accept(namespace, broker, event, wanted)
        if not deliveries:
            then(None)
            return

        def written(error: Exception | None) -> None:
            if error is None:
                self.resume(deliveries)
            else:
                self._journal.forget(deliveries)
            then(error)

        self._journal.when_durable(written)

    def resume(self, deliveries: Iterable[Delivery]) -> None:
        """Deliver what is in the journal; what belongs to a Trigger that is gone is dropped."""
        for delivery in deliveries:
            if not self._controller.knows(delivery.trigger):
                self._journal.finish(delivery)
            elif not self._stopped:
                self._schedule(delivery, max(0.0, delivery.due_at - time.time()))

    def drop(self, trigger: str) -> None:
        """The Trigger is deleted: so is everything on its way to it, as Knative does it."""
        lane = self._lanes.pop(trigger, None)
        if lane is None:
            return
        _log.info("trigger %s is deleted with %d undelivered events", trigger, _cancel(lane))
        for delivery in (
            *lane.ready,
            *(attempt.delivery for attempt in lane.flying),
            *(delivery for delivery, _ in lane.waiting.values()),
        ):
            self._journal.finish(delivery)
        lane.ready.clear()

    def stop(self) -> None:
        """End all requests; what is not done stays in the journal."""
        self._stopped = True
        for lane in self._lanes.values():
            _cancel(lane)
            lane.ready.clear()
        self._lanes.clear()

    def _schedule(self, delivery: Delivery, wait_s: float) -> None:
        lane = self._lanes.setdefault(delivery.trigger, _Lane())
        if wait_s <= 0:
            lane.ready.append(delivery)
            self._wake(lane)
        else:
            timer = asyncio.get_running_loop().call_later(wait_s, self._due, lane, delivery)
            lane.waiting[delivery.id] = delivery, timer

    def _due(self, lane: _Lane, delivery: Delivery) -> None:
        del lane.waiting[delivery.id]
        lane.ready.append(delivery)
        self._wake(lane)

    def _wake(self, lane: _Lane) -> None:
        """Work on the lane in the next turn of the loop: never from within, so that nothing here recurses."""
        if not lane.woken:
            lane.woken = True
            asyncio.get_running_loop().call_soon(self._work, lane)

    def _work(self, lane: _Lane) -> None:
        lane.woken = False
        while lane.ready and len(lane.flying) < CONCURRENCY:
            delivery = lane.ready.popleft()
            subscription = self._controller.find(delivery.trigger)
            target = _target(delivery, subscription)
            if subscription is None or not target.url:
                self._settle(delivery, target.url, Refused(code=500, reason=target.fault))
                continue
            attempt = Attempt(delivery, target.url, self._answered)
            lane.flying.add(attempt)
            attempt.send(self._pool, subscription.spec.mode, subscription.spec.timeout_s)

    def _answered(self, attempt: Attempt, verdict: Taken | Refused) -> None:
        lane = self._lanes[attempt.delivery.trigger]
        lane.flying.discard(attempt)
        if lane.ready:
            self._wake(lane)
        self._settle(attempt.delivery, attempt.url, verdict)

    def _settle(self, delivery: Delivery, url: str, verdict: Taken | Refused) -> None:
        """Finish, send the reply on, try again later, or give up."""
        if isinstance(verdict, Taken):
            if verdict.reply is None:
                self._journal.finish(delivery)
            else:
                self._reply(delivery, verdict.reply)
            return
        subscription = self._controller.find(delivery.trigger)
        spec = DEFAULT if subscription is None else subscription.spec
        if verdict.retry and delivery.attempts < spec.retries:
            wait_s = spec.wait_s(delivery.attempts, verdict.retry_after_s)
            self._schedule(self._journal.postpone(delivery, due_at=time.time() + wait_s), wait_s)
        else:
            failure = Failure(destination=url, code=verdict.code, reason=verdict.reason, data=verdict.data[:_KEPT_DATA])
            self._give_up(delivery, failure, subscription)

    def _reply(self, delivery: Delivery, reply: CloudEvent) -> None:
        """Back to the Broker: the reply is kept and the delivery finished in one transaction."""
        entry = delivery.entry
        try:
            event = self._entering(delivery, reply)
        except WarmfrontError as error:
            failure = Failure(
                destination=self._addresses.broker(entry.namespace, entry.broker),
                code=error.status,
                reason=f"reply {reply.id} of {reply.source}: {error}",
            )
            self._give_up(delivery, failure, self._controller.find(delivery.trigger))
            return
        self.publish(entry.namespace, entry.broker, [event], lambda _: None)
        self._journal.finish(delivery)

    def _entering(self, delivery: Delivery, reply: CloudEvent) -> CloudEvent:
        entry = delivery.entry
        if not self._controller.serves(entry.namespace, entry.broker):
            raise NotFound(f"Broker {entry.broker} is gone from namespace {entry.namespace}; create it again")
        return reply_of(entry.event, reply)

    def _give_up(self, delivery: Delivery, failure: Failure, subscription: Subscription | None) -> None:
        """To the dead-letter sink if there is one that has not failed too, else among the dead letters."""
        if delivery.failure is None and subscription is not None and subscription.dead_letter is not None:
            self._schedule(self._journal.divert(delivery, failure), 0.0)
            return
        if delivery.failure is not None:
            first = delivery.failure
            reason = f"{first.reason}; then the dead-letter sink {failure.destination}: {failure.reason}"
            failure = Failure(destination=first.destination, code=first.code, reason=reason, data=first.data)
        name = self._controller.name_of(delivery.trigger)
        _log.warning("event %s of trigger %s is a dead letter: %s", delivery.entry.event.id, name, failure.reason)
        self._journal.bury(delivery, trigger=name, failure=failure, now=time.time())


def _target(delivery: Delivery, subscription: Subscription | None) -> Target:
    if subscription is None:
        return Target(fault="the Trigger is not ready; see its conditions")
    if delivery.failure is None:
        return subscription.subscriber
    return subscription.dead_letter or Target(fault="the dead-letter sink was removed")


def _cancel(lane: _Lane) -> int:
    """End requests and timers; how many deliveries that and the ready ones are."""
    for attempt in lane.flying:
        attempt.cancel()
    for _, timer in lane.waiting.values():
        timer.cancel()
    return len(lane.ready) + len(lane.flying) + len(lane.waiting)
