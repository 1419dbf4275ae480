"""How a request is put to a variant, and what of its reply goes on: headers, and the body where it must be converted.

What may live here: which headers go on, and the message that a client sent. What must not: paths, protocols and their
conversions (warmfront.protocols), reading bodies.
"""

from collections.abc import Callable
from typing import NamedTuple

from warmfront.cloudevents import CloudEvent, Headers
from warmfront.domain import Request
from warmfront.errors import Unprocessable
from warmfront.gateway.objective import HEADERS as OBJECTIVE_HEADERS
from warmfront.protocols import INFER, PROTOCOLS
from warmfront.protocols.bodies import Asked, Back
from warmfront.protocols.cloudevents import CLOUDEVENTS, content_type, event_headers, request_headers
from warmfront.protocols.reach import Way
from warmfront.protocols.tensors import json_headers
from warmfront.wire.messages import HOP_BY_HOP, NOT_FORWARDED, first, parted

TASK_HEADER = b"warmfront-task"

_HELD = NOT_FORWARDED | {*OBJECTIVE_HEADERS, TASK_HEADER}
# what a variant tells the selector, and its client; and what only the selector tells
NOTES = frozenset({b"warmfront-first-request", b"warmfront-execution-ms", b"warmfront-label"})
_OURS = frozenset(
    {
        b"warmfront-variant",
        b"warmfront-cold-start",
        b"warmfront-predicted-ms",
        b"warmfront-probability",
        b"warmfront-decision-id",
    }
)
_HELD_OF_REPLY = HOP_BY_HOP | NOTES | _OURS | {b"content-length"}


def sorted_out(headers: Headers) -> tuple[Headers, Headers]:
    """What of a client's headers goes on to a variant, and those of the rest that state an objective."""
    kept, held = parted(headers, _HELD)
    return kept, [item for item in held if item[0] in OBJECTIVE_HEADERS]


def may_be_json(headers: Headers) -> bool:
    """Whether these headers leave it open that the body is JSON."""
    kind = first(headers, b"content-type")
    return kind is None or b"json" in kind


class Message(NamedTuple):
    """One request, ready to be put to any variant. `headers` are those that go on, see `sorted_out`; `event` is set
    when the client sent one. `verb` is what it asks of the model, `version` which of the model's versions.
    `named` makes the body for the variant of a name, where the body itself says it.
    """

    protocols: tuple[str, ...]
    headers: Headers
    body: bytes
    event: CloudEvent | None = None
    binary: bool = True
    verb: str = INFER
    version: str = ""
    named: Callable[[str], bytes] | None = None


#: Path, headers (a list of its own, to be added to) and body as sent to a variant, and what makes its reply one of the
#: client's protocol. A plain tuple: one is made per request.
Letter = tuple[str, Headers, bytes, Back | None]


def to_variant(message: Message, way: Way, request: Request, source: str, name: str) -> Letter:
    """`message` as the variant `name` is asked on this `way`.

    Raises Unprocessable when it cannot be told in the variant's protocol.
    """
    protocol, path, conversion = way
    event = message.event
    if conversion is not None:
        return _converted(message, way, request, source, name)
    if message.named is not None:
        return path, message.headers.copy(), message.named(name), None
    if message.version:
        path = PROTOCOLS[protocol].path(message.verb, name, message.version)
    if event is None or message.binary:
        return path, message.headers.copy(), message.body, None
    return path, _without_event(message.headers) + event_headers(event) + _kind(message), event.data, None


def _converted(message: Message, way: Way, request: Request, source: str, name: str) -> Letter:
    assert way.conversion is not None
    if message.version:
        raise Unprocessable(f"{way.protocol} knows nothing of {message.version}; ask for no version")
    encoding = first(message.headers, b"content-encoding")
    if way.conversion.reads and encoding not in {None, b"identity"}:
        raise Unprocessable("a body in a Content-Encoding is not converted; send it without")
    # what must be read again on its way back should come as it is
    headers = [item for item in message.headers if item[0] != b"accept-encoding"]
    if message.event is not None:
        headers = _without_event(headers) + _kind(message)
    elif way.protocol == CLOUDEVENTS.name:
        headers += request_headers(id_=request.id, source=source, task=request.task)
    data = message.body if message.event is None else message.event.data
    body, back = way.conversion.convert(Asked(headers, data, name))
    return way.path, json_headers(headers) if way.conversion.makes_json else headers, body, back


def _without_event(headers: Headers) -> Headers:
    return [item for item in headers if item[0] != b"content-type" and item[0][:3] != b"ce-"]


def _kind(message: Message) -> Headers:
    assert message.event is not None
    kind = content_type(message.event, binary=message.binary) if message.event.data else None
    return [(b"content-type", kind)] if kind else []


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
        elif item[0] in NOTES:
            notes.append(item)
    return kept + notes if notes else kept, length, notes


def seconds(milliseconds: bytes) -> float | None:
    """A duration as a variant's note states it; None for what is none."""
    try:
        found = float(milliseconds) / 1000
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None
