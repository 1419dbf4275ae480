"""How a request is put to a variant: path, headers and body per protocol, by the protocols that the variant lists.

What may live here: the table of protocols and the two lossless conversions (a raw body is the data of an event and the
other way round). What must not: reading bodies.
"""

from typing import NamedTuple

from warmfront.cloudevents import CloudEvent, Headers, encode
from warmfront.domain import Request, Variant
from warmfront.gateway.objective import HEADERS as OBJECTIVE_HEADERS
from warmfront.wire.messages import HOP_BY_HOP, NOT_FORWARDED, parted

CLOUDEVENTS = "cloudevents"
RAW = "raw"
OPEN_INFERENCE = "open-inference"
TASK_HEADER = b"warmfront-task"

_PATHS = {
    CLOUDEVENTS: "/",
    RAW: "/",
    OPEN_INFERENCE: "/v2/models/{}/infer",
    "tensorflow-serving": "/v1/models/{}:predict",
    "kserve-v1": "/v1/models/{}:predict",
    "sagemaker": "/invocations",
}
_STANDS_IN = {CLOUDEVENTS: RAW, RAW: CLOUDEVENTS}
_HELD = NOT_FORWARDED | {*OBJECTIVE_HEADERS, TASK_HEADER}
# what a variant tells the selector, and its client; and what only the selector tells
_NOTES = frozenset({b"warmfront-first-request", b"warmfront-execution-ms", b"warmfront-label"})
_OURS = frozenset(
    {
        b"warmfront-variant",
        b"warmfront-cold-start",
        b"warmfront-predicted-ms",
        b"warmfront-probability",
        b"warmfront-decision-id",
    }
)
_HELD_OF_REPLY = HOP_BY_HOP | _NOTES | _OURS | {b"content-length"}


def spoken(protocols: tuple[str, ...], variant: Variant) -> str | None:
    """The protocol to use with `variant` for a client that speaks one of `protocols`; None when there is none."""
    for protocol in protocols:
        if protocol in variant.protocols:
            return protocol
    for protocol in protocols:
        other = _STANDS_IN.get(protocol)
        if other in variant.protocols:
            return other
    return None


class Way(NamedTuple):
    """How a variant is asked: by which protocol, on which path."""

    protocol: str
    path: str


def way(protocols: tuple[str, ...], variant: Variant) -> Way:
    """The way to `variant`, which must speak one of `protocols` or its stand-in."""
    protocol = spoken(protocols, variant)
    assert protocol is not None, f"{variant.name} was to be excluded: it speaks none of {protocols}"
    return Way(protocol, _PATHS[protocol].format(variant.name))


def sorted_out(headers: Headers) -> tuple[Headers, Headers]:
    """What of a client's headers goes on to a variant, and those of the rest that state an objective."""
    kept, held = parted(headers, _HELD)
    return kept, [item for item in held if item[0] in OBJECTIVE_HEADERS]


class Message(NamedTuple):
    """One request, ready to be put to any variant. `headers` are those that go on, see `sorted_out`; `event` is set
    when the client sent one.
    """

    protocols: tuple[str, ...]
    headers: Headers
    body: bytes
    event: CloudEvent | None = None
    binary: bool = True


def to_variant(message: Message, protocol: str, request: Request, source: str) -> tuple[Headers, bytes]:
    """Headers and body in `protocol`; the headers are a list of its own, to be added to."""
    headers, event = message.headers.copy(), message.event
    if event is None:
        if protocol == CLOUDEVENTS:
            headers += _event_headers(request.id, source, request.task)
        return headers, message.body
    if protocol == CLOUDEVENTS and message.binary:
        return headers, message.body
    headers = [item for item in headers if item[0] != b"content-type" and item[0][:3] != b"ce-"]
    if protocol == CLOUDEVENTS:
        attributes, _ = encode(event)
        headers += [item for item in attributes if item[0] != b"content-type"]
    if event.data:
        # without datacontenttype the data of a structured event is JSON (JSON event format 1.0.2, section 3.1)
        kind = event.datacontenttype or (None if message.binary else "application/json")
        if kind:
            headers.append((b"content-type", kind.encode()))
    return headers, event.data


def from_variant(headers: Headers) -> tuple[Headers, int | None, Headers]:
    """What of a variant's reply goes on to the client, without Content-Length; the length that it declares; and its
    notes to the selector, which go on too.
    """
    kept, held = parted(headers, _HELD_OF_REPLY)
    length = None
    notes: Headers = []
    for item in held:
        if item[0] == b"content-length":
            length = int(item[1])
        elif item[0] in _NOTES:
            notes.append(item)
    return kept + notes if notes else kept, length, notes


def seconds(milliseconds: bytes) -> float | None:
    """A duration as a variant's note states it; None for what is none."""
    try:
        found = float(milliseconds) / 1000
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


def _event_headers(request_id: str, source: str, task: str) -> Headers:
    event = CloudEvent(id=request_id, source=source, type="dev.warmfront.inference.request", subject=task)
    return encode(event)[0]
