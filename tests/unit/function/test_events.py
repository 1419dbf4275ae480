"""CloudEvents in and out of a model function."""

import json

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from warmfront.cloudevents import CloudEvent, Mode, decode, encode

REQUEST = CloudEvent(
    id="7",
    source="/shop/42",
    type="dev.warmfront.inference.request",
    subject="langid",
    datacontenttype="text/plain",
    extensions={"deadlinems": "300"},
    data="Guten Tag, Grüße".encode(),
)


def send(client: FlaskClient, event: CloudEvent, mode: Mode = Mode.BINARY) -> TestResponse:
    """Post an event."""
    headers, body = encode(event, mode)
    return client.post("/", data=body, headers=[(k.decode(), v.decode()) for k, v in headers])


def event_of(reply: TestResponse) -> CloudEvent:
    """The event in a reply, by the strict codec."""
    return decode([(k.lower().encode(), v.encode()) for k, v in reply.headers], reply.data)


@pytest.mark.parametrize("mode", [Mode.BINARY, Mode.STRUCTURED])
def test_event_in_event_out(client: FlaskClient, mode: Mode) -> None:
    """Either mode is answered by a binary response event about the same subject, naming its cause."""
    reply = send(client, REQUEST, mode)
    assert reply.status_code == 200
    event = event_of(reply)
    assert (event.type, event.subject, event.source) == (
        "dev.warmfront.inference.response",
        "langid",
        "/variants/langid-x",
    )
    assert event.extensions == {
        "causationid": "7",
        "correlationid": "7",
        "variant": "langid-x",
        "revision": "langid-x-00001",
    }
    assert (event.datacontenttype, json.loads(event.data)) == ("application/json", {"label": "de", "score": 0.75})
    assert event.time is not None
    assert reply.headers["Warmfront-Label"] == "de"


def test_reply_id_follows_from_the_request(client: FlaskClient) -> None:
    """Executed twice, the reply keeps its id; another source with the same id gets another."""
    other = CloudEvent(id="7", source="/shop/43", type=REQUEST.type, data=REQUEST.data)
    first, again, third = (event_of(send(client, event)).id for event in (REQUEST, REQUEST, other))
    assert first == again != third


def test_correlation_is_kept(client: FlaskClient) -> None:
    """A conversation keeps its correlation id; the cause is always the request itself."""
    event = CloudEvent(id="8", source="/a", type="t", extensions={"correlationid": "talk-1"}, data=b"x")
    assert event_of(send(client, event)).extensions["correlationid"] == "talk-1"


@pytest.mark.parametrize("content_type", ["application/json", None])
def test_structured_json_data_is_its_content(client: FlaskClient, content_type: str | None) -> None:
    """Data that is a JSON string stands for its text, also when the event leaves datacontenttype to its default."""
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": "Guten Tag"}
    if content_type:
        event["datacontenttype"] = content_type
    reply = client.post("/", data=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"})
    assert json.loads(event_of(reply).data)["label"] == "de"


def test_invalid_event(client: FlaskClient) -> None:
    """An event without an id is a 400 that a Broker does not retry, and says what is missing."""
    reply = client.post("/", data="x", headers={"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/a"})
    assert reply.status_code == 400
    assert "id" in reply.json["error"]


def test_event_with_bad_text(client: FlaskClient) -> None:
    """Text that is not UTF-8 is a 400 inside an event too."""
    assert send(client, CloudEvent(id="1", source="/a", type="t", data=b"\xff")).status_code == 400


def test_batch_is_refused(client: FlaskClient) -> None:
    """A batch has no single answer."""
    reply = client.post("/", data="[]", headers={"Content-Type": "application/cloudevents-batch+json"})
    assert reply.status_code == 415
