"""CloudEvents over HTTP as a protocol of inference: the input is an event's data, the output that of the reply event.

What may live here: the event that an input without one is sent as, and the data of a reply. What must not: the HTTP
binding itself (warmfront.cloudevents).
"""

from warmfront.cloudevents import CloudEvent, Headers, decode, encode, mode_of
from warmfront.errors import InvalidEvent, UpstreamFailed
from warmfront.protocols.protocol import INFER, Errors, Protocol

REQUEST = "dev.warmfront.inference.request"

CLOUDEVENTS = Protocol(
    name="cloudevents",
    paths={INFER: "/"},
    content_type="any, with `ce-` headers; `application/cloudevents+json`",
    readiness="/readyz",
    errors=Errors.PROBLEM,
    objective="extensions `deadlinems`, `minaccuracy`, ...",
)


def request_headers(*, id_: str, source: str, task: str) -> Headers:
    """The `ce-` headers that make a request's body the data of an event."""
    return encode(CloudEvent(id=id_, source=source, type=REQUEST, subject=task))[0]


def event_headers(event: CloudEvent) -> Headers:
    """The `ce-` headers of an event that is passed on in binary mode."""
    return [item for item in encode(event)[0] if item[0] != b"content-type"]


def content_type(event: CloudEvent, *, binary: bool) -> bytes | None:
    """The content type of an event's data; None when it is not told.

    Without datacontenttype the data of a structured event is JSON (JSON event format 1.0.2, section 3.1).
    """
    kind = event.datacontenttype or (None if binary else "application/json")
    return kind.encode() if kind else None


def opened(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """A variant's reply event as what it says: its data, and the headers that are not the event's.

    Raises UpstreamFailed for a reply that claims to be an event and is none.
    """
    if mode_of(headers) is None:
        return headers, body
    try:
        event = decode(headers, body)
    except InvalidEvent as error:
        raise UpstreamFailed(f"replied with an invalid event ({error}); mend the function") from None
    kept = [item for item in headers if item[0] != b"content-type" and item[0][:3] != b"ce-"]
    kind = event.datacontenttype
    return ([*kept, (b"content-type", kind.encode())] if kind else kept), event.data
