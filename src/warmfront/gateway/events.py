"""Events in, reply events out: one execution per (source, id), one reply event, whoever delivers it how often.

What may live here: the types of events, what a reply event says, how the statuses of section 3.3 of the design follow.
What must not: choosing, sending. A reply behind a Broker is an event, empty, or an error status, which the Broker
retries (404, 408, 409, 429, 5xx) or dead-letters (other 4xx); text with a 2xx status it would turn into a failure.
An execution whose client leaves goes on: its answer is kept for the redelivery that follows.
"""

import hashlib
import logging
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, encode, mode_of
from warmfront.errors import (
    InvalidEvent,
    ObjectiveUnmet,
    UnknownTask,
    Unprocessable,
    UnsupportedMediaType,
    UpstreamFailed,
    WarmfrontError,
)
from warmfront.gateway import feedback, objective, problems
from warmfront.gateway.dialects import Message, sorted_out
from warmfront.gateway.duplicates import Duplicates, Key
from warmfront.gateway.forwarding import Passage
from warmfront.gateway.hedging import new_passage
from warmfront.gateway.intake import Intake
from warmfront.gateway.objective import Objective
from warmfront.gateway.plane import Plane
from warmfront.protocols.cloudevents import CLOUDEVENTS, REQUEST
from warmfront.wire.messages import Exchange

RESPONSE = "dev.warmfront.inference.response"
REJECTED = "dev.warmfront.inference.rejected"
FEEDBACK = "dev.warmfront.feedback"

_log = logging.getLogger(__name__)

_PROTOCOLS = (CLOUDEVENTS.name,)
_TRACE = ("traceparent", "tracestate")


class Waiter(NamedTuple):
    """One delivery of an event and how its sender wants the reply."""

    exchange: Exchange
    mode: Mode


def reply_id(event: CloudEvent) -> str:
    """The id of the reply to `event`: the same whenever and wherever it is executed."""
    identity = f"{event.source}\0{event.id}".encode()
    return hashlib.blake2b(identity, digest_size=16).hexdigest()


class Events:
    """The door for events: `POST /`."""

    def __init__(self, plane: Plane, intake: Intake) -> None:
        settings = plane.settings
        self.plane = plane
        self._intake = intake
        self.duplicates: Duplicates[Waiter, CloudEvent] = Duplicates(
            max_answers=settings.duplicates,
            max_bytes=settings.duplicates_bytes,
            max_age_s=settings.duplicates_age_s,
        )

    def receive(self, exchange: Exchange) -> None:
        """Take one event. Raises WarmfrontError for what is no event or none that a selector takes."""
        mode = mode_of(exchange.headers)
        if mode is None:
            raise InvalidEvent(
                {"specversion": "found neither ce- headers nor application/cloudevents+json; POST / takes CloudEvents"}
            )
        if mode is Mode.BATCH:
            raise UnsupportedMediaType("a batch of events; each event has a reply of its own, send them one by one")
        event = decode(exchange.headers, exchange.body)
        if event.type == REQUEST:
            self._request(exchange, mode, event)
        elif event.type == FEEDBACK:
            feedback.take(self.plane, event)
            exchange.respond(202, [])
        else:
            raise Unprocessable(
                f"an event of type {event.type!r}; a selector takes {REQUEST} and {FEEDBACK}, let the Trigger filter"
            )

    def _request(self, exchange: Exchange, mode: Mode, event: CloudEvent) -> None:
        if event.subject is None:
            raise InvalidEvent({"subject": "is absent; a request for inference names its task there"})
        plane, waiter = self.plane, Waiter(exchange, mode)
        key = (event.source, event.id)
        now = plane.clock()
        kept = self.duplicates.kept(key, now)
        if kept is not None:
            plane.measures.duplicates.child("kept").value += 1
            _answer(waiter, kept)
            return
        if self.duplicates.join(key, waiter):
            plane.measures.duplicates.child("joined").value += 1
            return
        headers, stated = sorted_out(exchange.headers)
        asked = objective.from_extensions(event.extensions, self._intake.defaults(event.subject).objective)
        asked = objective.from_headers(stated, asked)
        message = Message(_PROTOCOLS, headers, exchange.body, event, binary=mode is Mode.BINARY)
        first_at = self.duplicates.begin(key, waiter, exchange.received_at).first_at
        try:
            self._begin(message, event, asked, first_at, EventReply(self, event, key))
        except Exception:  # noqa: BLE001 - the flight is open: whatever breaks, everyone who joined it gets an answer
            _log.exception("an event failed inside", extra={"fields": {"id": event.id, "source": event.source}})
            self.finish(key, problems.internal())

    def _begin(
        self, message: Message, event: CloudEvent, asked: Objective, first_at: float, reply: "EventReply"
    ) -> None:
        assert event.subject is not None
        size, headers = len(event.data), message.headers
        request = self._intake.request(event.subject, size, asked, _PROTOCOLS, headers, arrival_at=first_at)
        passage = new_passage(self.plane, request, message, reply)
        try:
            passage.begin()
        except WarmfrontError as error:
            reply.fail(passage, error)

    def finish(self, key: Key, answer: CloudEvent | WarmfrontError) -> None:
        """Answer everyone who waits for `key`; an event is kept for redeliveries, an error is not."""
        now = self.plane.clock()
        if isinstance(answer, CloudEvent):
            for waiter in self.duplicates.end(key, answer, len(answer.data), now):
                try:
                    _answer(waiter, answer)
                except Exception:  # noqa: BLE001 - the others are still to be answered
                    _log.exception("a reply event could not be sent", extra={"fields": {"id": answer.id}})
                    waiter.exchange.abort()
            return
        self.plane.measures.refused.child(answer.slug).value += 1
        # a Broker would retry 404: the task may be unknown for long
        status = 422 if isinstance(answer, UnknownTask) else None
        for waiter in self.duplicates.end(key, None, 0, now):
            waiter.exchange.respond(*problems.render(answer, status=status))


def _answer(waiter: Waiter, event: CloudEvent) -> None:
    headers, body = encode(event, waiter.mode)
    waiter.exchange.respond(200, headers, body)


class EventReply:
    """Collects a variant's reply and makes the one reply event of it, or of the refusal."""

    __slots__ = ("_body", "_event", "_events", "_headers", "_key", "_status")

    def __init__(self, events: Events, event: CloudEvent, key: Key) -> None:
        self._events = events
        self._event = event
        self._key = key
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()

    def whole(self, passage: Passage, status: int, headers: Headers, body: bytes) -> None:
        """Make the reply event, or the error when the variant turned the input down."""
        name = passage.chosen.variant.name
        answer: CloudEvent | WarmfrontError
        if status >= 300:
            said = body[:200].decode("utf-8", "replace")
            answer = Unprocessable(f"{name} answered {status} to this event: {said}")
        else:
            try:
                answer = self._response(passage, headers, body)
            except InvalidEvent as error:
                answer = UpstreamFailed(f"{name} replied with an invalid event ({error}); mend the function")
        self._events.finish(self._key, answer)

    def begin(self, passage: Passage, status: int, headers: Headers) -> None:  # noqa: ARG002 - the Reply protocol
        """Remember the head; an event goes out whole."""
        self._status, self._headers = status, headers

    def piece(self, passage: Passage, data: bytes) -> None:
        """Collect, up to the limit on replies. Raises UpstreamFailed beyond."""
        limit = self._events.plane.settings.max_reply_bytes
        if len(self._body) + len(data) > limit:
            raise UpstreamFailed(f"{passage.chosen.variant.name} replied with more than {limit} bytes, the limit")
        self._body += data

    def end(self, passage: Passage) -> None:
        """The reply is whole now."""
        self.whole(passage, self._status, self._headers, bytes(self._body))

    def cut(self, passage: Passage, error: WarmfrontError) -> None:
        """Nothing was sent yet, so this is a failure like any other."""
        self.fail(passage, error)

    def fail(self, passage: Passage, error: WarmfrontError) -> None:
        """A rejection that was asked for is an event; everything else an error status."""
        answer: CloudEvent | WarmfrontError = error
        if isinstance(error, ObjectiveUnmet):
            try:
                answer = self._rejected(passage, error)
            except Exception:  # noqa: BLE001 - the event's flight must end, whatever is broken here
                _log.exception("a rejection could not be made")
        self._events.finish(self._key, answer)

    def _response(self, passage: Passage, headers: Headers, body: bytes) -> CloudEvent:
        chosen = passage.chosen
        data, content_type = body, next((v.decode("latin-1") for n, v in headers if n == b"content-type"), None)
        if mode_of(headers) is not None:
            inner = decode(headers, body)
            data, content_type = inner.data, inner.datacontenttype
        return self._event_of(
            passage,
            RESPONSE,
            data,
            content_type,
            variant=chosen.variant.name,
            revision=chosen.variant.revision,
            coldstart="true" if passage.cold else "false",
            hedged="true" if passage.hedged else "",
            accuracy=f"{chosen.accuracy:.4f}",
            predictedms=f"{chosen.predicted_s * 1000:.1f}",
            probability=f"{chosen.probability:.4f}",
            latencyms=f"{passage.latency_s * 1000:.3f}",
        )

    def _rejected(self, passage: Passage, error: ObjectiveUnmet) -> CloudEvent:
        data = msgspec.json.encode(problems.document(error))
        return self._event_of(passage, REJECTED, data, problems.CONTENT_TYPE.decode())

    def _event_of(self, passage: Passage, type_: str, data: bytes, content_type: str | None, **more: str) -> CloudEvent:
        event, plane = self._event, self._events.plane
        extensions = {
            "correlationid": event.extensions.get("correlationid", event.id),
            "causationid": event.id,
            **{name: text for name, text in more.items() if text},
        }
        if passage.decision is not None:
            extensions["decisionid"] = passage.decision.id
        extensions.update({name: event.extensions[name] for name in _TRACE if name in event.extensions})
        return CloudEvent(
            id=reply_id(event),
            source=plane.settings.source,
            type=type_,
            subject=event.subject,
            time=datetime.fromtimestamp(plane.wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            datacontenttype=content_type,
            extensions=extensions,
            data=data,
        )
