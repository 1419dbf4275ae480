"""Structured and batch mode: the JSON event format 1.0.2 and its media types."""

import json
from typing import Any

import pytest

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, decode_batch, encode, encode_batch
from warmfront.errors import InvalidEvent

STRUCTURED: Headers = [(b"content-type", b"application/cloudevents+json; charset=utf-8")]
BATCH: Headers = [(b"content-type", b"application/cloudevents-batch+json")]
REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def read(body: str | bytes, headers: Headers = STRUCTURED) -> CloudEvent:
    return decode(headers, body.encode() if isinstance(body, str) else body)


def event(**members: Any) -> str:
    return json.dumps({**REQUIRED, **members})


def faults(body: str | bytes, headers: Headers = STRUCTURED) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        read(body, headers)
    return caught.value.faults


def test_json_data_is_cut_out_verbatim() -> None:
    """Blanks, number forms, escapes and the order of members inside the data are the sender's, byte for byte."""
    data = '{ "b": 1.50,\n "a": [1e2, "\\u00e9"], "a": null }'
    assert read('{"specversion":"1.0","id":"1","source":"/s","type":"t","data": ' + data + " }").data == data.encode()


@pytest.mark.parametrize("data", [b'{ "a": 1.50 }', b"null", b'"x"', b"0"])
def test_json_data_is_put_in_verbatim(data: bytes) -> None:
    """What goes into a structured event is found in its body as it was."""
    _, body = encode(
        CloudEvent(id="1", source="/s", type="t", datacontenttype="application/json", data=data), Mode.STRUCTURED
    )
    assert b'"data":' + data + b"}" in body


@pytest.mark.parametrize(
    ("media_type", "data", "member"),
    [
        ("text/plain", "Grüße".encode(), "data"),
        ("text/plain; charset=iso-8859-1", "Grüße".encode("latin-1"), "data"),
        ("text/plain; charset=utf-16", "Grüße".encode("utf-16"), "data_base64"),
        ("text/plain", b"\xff\xfe", "data_base64"),
        ("application/soap+xml", b"<a/>", "data"),
        ("application/octet-stream", b"abc", "data_base64"),
        ("application/json", b'{"a": 1}\n', "data_base64"),
        ("application/json", b'{"a": \xff}', "data_base64"),
        ("application/json", b'{"a": ', "data_base64"),
        ("application/json", b"[" * 100_000, "data_base64"),
        ("application/problem+json", b'{"a":1}', "data"),
        (None, b"[1]", "data"),
        (None, b"not json", "data_base64"),
    ],
)
def test_the_form_of_data_follows_its_media_type_and_loses_no_byte(
    media_type: str | None, data: bytes, member: str
) -> None:
    """JSON as a value, text as a string, everything else as base64; JSON that would lose a byte also as base64."""
    original = CloudEvent(id="1", source="/s", type="t", datacontenttype=media_type, data=data)
    headers, body = encode(original, Mode.STRUCTURED)
    assert member in json.loads(body)
    assert decode(headers, body) == original


@pytest.mark.parametrize(
    ("value", "canonical"),
    [(True, "true"), (False, "false"), (-5, "-5"), (2**31 - 1, "2147483647"), ("x", "x"), ("", "")],
)
def test_an_extension_keeps_its_canonical_string(value: object, canonical: str) -> None:
    """Booleans and integers are written as the type system writes them."""
    assert canonical == read(event(x=value)).extensions["x"]


@pytest.mark.parametrize("value", [1.5, 1e3, 2**31, {"a": 1}, ["a"]])
def test_an_attribute_that_is_no_simple_value_is_a_fault(value: object) -> None:
    """Fractions, numbers beyond 32 bits, objects and arrays have no canonical string."""
    assert "x" in faults(event(x=value))


def test_null_means_absent() -> None:
    """For every attribute, required ones included."""
    optional = read(event(subject=None, time=None, datacontenttype=None, dataschema=None, x=None))
    assert optional == CloudEvent(id="1", source="/s", type="t")
    assert "absent" in faults(event(id=None))["id"]


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"data": "x", "data_base64": "eA=="}, "twice"),
        ({"data_base64": "eA"}, "padding"),
        ({"data_base64": "e!A="}, ""),
        ({"data_base64": 5}, "str"),
        ({"datacontenttype": "text/plain", "data": {"a": 1}}, "str"),
        ({"datacontenttype": "text/plain; charset=utf-16", "data": "x"}, "data_base64"),
        ({"datacontenttype": "text/plain; charset=us-ascii", "data": "ü"}, "ascii"),
    ],
)
def test_data_that_cannot_be_had_as_bytes_is_a_fault(members: dict[str, object], fault: str) -> None:
    """Two payloads, broken base64, or a value that its media type cannot mean."""
    assert fault in faults(event(**members))["data"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"{}{}",
        b'{"id": "\xff"}',
        b'{"data": "\xff"}',
        b'{"a":' + b"[" * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_body_that_is_no_json_object_is_one_fault(body: bytes) -> None:
    """Truncated, not UTF-8, nested without end: refused as a whole, with a reason."""
    assert set(faults(body)) == {"body"}


def test_a_lone_surrogate_is_a_fault() -> None:
    """JSON can write what Unicode text cannot hold."""
    assert faults('{"specversion":"1.0","id":"\\ud800","source":"/s","type":"t"}')
    assert faults(event(data={"deep": ["\ud800"]}))


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+avro",
        b"application/cloudevents",
        b"application/cloudevents+json-seq",
        b"application/cloudevents+json; charset=utf-16",
        b"application/cloudevents+json; charset=iso-8859-1",
    ],
)
def test_an_event_format_other_than_json_in_utf_8_is_named(content_type: bytes) -> None:
    """A fault says which format came and which is wanted."""
    assert "application/cloudevents+json" in faults(event(), [(b"content-type", content_type)])["content-type"]


@pytest.mark.parametrize(
    "content_type", [b'application/cloudevents+json; charset="UTF-8"', b"Application/CloudEvents+JSON"]
)
def test_case_and_quotes_of_the_content_type_do_not_matter(content_type: bytes) -> None:
    """Media types and charsets are case-insensitive, parameters may be quoted."""
    assert read(event(), [(b"content-type", content_type)]).id == "1"


def test_a_structured_body_without_its_content_type_is_not_structured() -> None:
    """It is a binary event that lacks everything."""
    assert set(faults(event(), [(b"content-type", b"application/json")])) == {"specversion", "id", "source", "type"}


def test_headers_beside_a_structured_body_do_not_count() -> None:
    """They may be there; the body says it all."""
    assert read(event(), [*STRUCTURED, (b"ce-id", b"other"), (b"ce-type", b"%")]).id == "1"


def test_a_batch_is_a_list_of_events_that_may_be_empty() -> None:
    """Order is kept; each event has its own media type."""
    events = [
        CloudEvent(id="1", source="/s", type="t"),
        CloudEvent(id="2", source="/s", type="t", datacontenttype="text/plain", data=b"x"),
    ]
    assert decode_batch(*encode_batch(events)) == events
    assert decode_batch(BATCH, b"[]") == []
    assert encode(events[0], Mode.BATCH) == encode_batch(events[:1])


def test_faults_in_a_batch_name_their_place() -> None:
    """All faults of all events, as in `[1].id`."""
    with pytest.raises(InvalidEvent) as caught:
        decode_batch(BATCH, f"[{event()}, {event(id='')}, {event(time='x', source=' ')}]".encode())
    assert set(caught.value.faults) == {"[1].id", "[2].time", "[2].source"}


def test_a_batch_is_not_one_event_and_one_event_is_no_batch() -> None:
    """Either way the fault names the content type."""
    assert set(faults("[]", BATCH)) == {"content-type"}
    with pytest.raises(InvalidEvent, match="cloudevents-batch"):
        decode_batch(STRUCTURED, b"[]")
    with pytest.raises(InvalidEvent, match="cloudevents-batch"):
        decode_batch([], b"[]")
    with pytest.raises(InvalidEvent, match="body"):
        decode_batch(BATCH, b"{}")
