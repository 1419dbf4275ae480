"""`knativebrokerttl`: how many more times an event may enter a Broker, so that replies go round not for ever. Pure."""

from dataclasses import replace

from warmfront.cloudevents import CloudEvent
from warmfront.errors import InvalidEvent

TTL = "knativebrokerttl"
MAX_TTL = 255


def entering(event: CloudEvent) -> CloudEvent:
    """The event as a Broker keeps it: one hop less, at first 255. InvalidEvent when no hop is left.

    As in Knative, a value that is no integer counts as none.
    """
    left = _hops(event.extensions.get(TTL, ""))
    left = MAX_TTL if left is None else min(left, MAX_TTL + 1) - 1
    if left <= 0:
        raise InvalidEvent({TTL: "no hop is left; the event goes round in a loop of Triggers and replies"})
    return replace(event, extensions={**event.extensions, TTL: str(left)})


def reply_of(event: CloudEvent, reply: CloudEvent) -> CloudEvent:
    """The reply as it enters the Broker of the event that caused it: with one hop less. InvalidEvent as above."""
    return entering(replace(reply, extensions={**reply.extensions, TTL: event.extensions[TTL]}))


def _hops(value: str) -> int | None:
    try:
        return int(value) if value.isascii() else None
    except ValueError:
        return None
