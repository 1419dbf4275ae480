"""Laws of the codec over arbitrary events: what goes out comes in again, and no message brings it down."""

import json

from hypothesis import given
from hypothesis import strategies as st

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, decode_batch, encode, encode_batch, mode_of
from warmfront.errors import InvalidEvent

NON_CHARACTERS = [chr(c) for c in range(0xFDD0, 0xFDF0)]
NON_CHARACTERS += [chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)]
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=NON_CHARACTERS))
some_text = texts.filter(bool)
sources = st.from_regex(
    r"(https?://[a-z]{1,9}(:[0-9]{1,4})?)?(/[A-Za-z0-9._~!$&'()*+,;=:@-]*){1,4}(\?[a-z=&]*)?", fullmatch=True
)
names = st.from_regex("[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: (
        name not in {"id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "specversion", "data"}
    )
)
media_types = st.sampled_from(
    [
        "application/json",
        "application/problem+json",
        "text/plain",
        "text/plain; charset=iso-8859-1",
        "text/plain; charset=utf-16",
        'text/csv; header=present; charset="utf-8"',
        "image/svg+xml",
        "application/octet-stream",
    ]
)
json_data = st.sampled_from([b"{}", b"null", b'{"a": 1.50}', b" [1] ", b'"\xff"', b'"\\ud800"', b"1 2"])
events = st.builds(
    CloudEvent,
    id=some_text,
    source=sources,
    type=some_text,
    subject=st.none() | some_text,
    time=st.none() | st.datetimes().map(lambda at: at.isoformat() + "Z"),
    datacontenttype=st.none() | media_types,
    dataschema=st.none() | st.just("https://x/y#z"),
    extensions=st.dictionaries(names, texts, max_size=4),
    data=st.binary(max_size=64) | texts.map(str.encode) | json_data,
)


@given(events)
def test_a_binary_round_trip_changes_nothing(event: CloudEvent) -> None:
    """All attributes over all of Unicode and all bytes of the data survive, and headers hold printable ASCII only."""
    headers, body = encode(event)
    assert decode(headers, body) == event
    assert mode_of(headers) is Mode.BINARY
    values = [value for name, value in headers if name != b"content-type"]
    assert all(0x21 <= byte <= 0x7E and byte != 0x22 for value in values for byte in value)


@given(events)
def test_a_structured_round_trip_changes_nothing(event: CloudEvent) -> None:
    """Whatever form the data takes in JSON, its bytes are the same afterwards."""
    headers, body = encode(event, Mode.STRUCTURED)
    assert decode(headers, body) == event
    assert mode_of(headers) is Mode.STRUCTURED


@given(st.lists(events, max_size=4))
def test_a_batch_round_trip_changes_nothing(several: list[CloudEvent]) -> None:
    """Number, order and every event survive."""
    headers, body = encode_batch(several)
    assert decode_batch(headers, body) == several
    assert mode_of(headers) is Mode.BATCH


header_names = st.sampled_from(
    [b"ce-id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-time", b"ce-x", b"content-type"]
)
header_values = st.binary(max_size=24) | st.sampled_from(
    [b"1.0", b"/s", b'"a', b"%C0%A0", b"application/cloudevents+json"]
)


def faults_of(headers: Headers, body: bytes) -> dict[str, str] | None:
    try:
        event = decode(headers, body)
    except InvalidEvent as invalid:
        return invalid.faults
    assert decode(*encode(event)) == event
    return None


@given(st.lists(st.tuples(header_names, header_values), max_size=8), st.binary(max_size=64))
def test_any_message_is_an_event_or_a_named_fault(headers: Headers, body: bytes) -> None:
    """No bytes bring anything but an event, which can be written again, or at least one fault with a reason."""
    faults = faults_of(headers, body)
    assert faults is None or (faults and all(faults.values()))


@given(st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.dictionaries(texts, inner)))
def test_any_json_is_an_event_or_a_named_fault(document: object) -> None:
    """The same for structured bodies that are JSON, but of any shape."""
    faults = faults_of([(b"content-type", b"application/cloudevents+json")], json.dumps(document).encode())
    assert faults is None or (faults and all(faults.values()))
