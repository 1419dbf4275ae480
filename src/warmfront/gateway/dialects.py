"""How a request is put to a variant: path, headers and body per protocol, by the protocols that the variant lists.

What may live here: the table of protocols and the two lossless conversions (a raw body is the data of an event and the
other way round). What must not: reading bodies.
"""

from typing import NamedTuple

from warmfront.cloudevents import CloudEvent, Headers, encode
from warmfront.domain import Variant
from warmfront.gateway.objective import HEADERS as OBJECTIVE_HEADERS
from warmfront.wire.messages import forwardable

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
_DROPPED = frozenset({*OBJECTIVE_HEADERS, TASK_HEADER})


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


class Message(NamedTuple):
    """One request as it came, ready to be put to any variant. `event` is set when the client sent one."""

    protocols: tuple[str, ...]
    headers: Headers
    body: bytes
    event: CloudEvent | None = None
    binary: bool = True


def to_variant(message: Message, variant: Variant, request_id: str, source: str) -> tuple[str, Headers, bytes]:
    """Path, headers and body for `variant`. It must speak one of the message's protocols or its stand-in."""
    protocol = spoken(message.protocols, variant)
    assert protocol is not None, f"{variant.name} was to be excluded: it speaks none of {message.protocols}"
    headers = [item for item in forwardable(message.headers) if item[0] not in _DROPPED]
    path = _PATHS[protocol].format(variant.name)
    event = message.event
    if event is None:
        if protocol == CLOUDEVENTS:
            headers += _event_headers(request_id, source, variant.task)
        return path, headers, message.body
    if protocol == CLOUDEVENTS and message.binary:
        return path, headers, message.body
    headers = [item for item in headers if item[0] != b"content-type" and item[0][:3] != b"ce-"]
    if protocol == CLOUDEVENTS:
        attributes, _ = encode(event)
        headers += [item for item in attributes if item[0] != b"content-type"]
    if event.data:
        # without datacontenttype the data of a structured event is JSON (JSON event format 1.0.2, section 3.1)
        kind = event.datacontenttype or (None if message.binary else "application/json")
        if kind:
            headers.append((b"content-type", kind.encode()))
    return path, headers, event.data


def _event_headers(request_id: str, source: str, task: str) -> Headers:
    event = CloudEvent(id=request_id, source=source, type="dev.warmfront.inference.request", subject=task)
    return encode(event)[0]
