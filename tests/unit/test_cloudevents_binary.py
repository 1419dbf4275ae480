"""Binary mode: header names, header values, and the faults that cost an event its identity (binding 3.1)."""

import pytest

from warmfront.cloudevents import CloudEvent, Headers, Mode, decode, encode, mode_of
from warmfront.errors import InvalidEvent


def message(**changes: bytes | None) -> Headers:
    """A valid binary message with these `ce-` headers set, or removed by None."""
    headers = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"/s", b"ce-type": b"t"}
    for name, value in changes.items():
        key = b"content-type" if name == "content_type" else b"ce-" + name.encode()
        if value is None:
            headers.pop(key, None)
        else:
            headers[key] = value
    return list(headers.items())


def faults(headers: Headers, body: bytes = b"") -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        decode(headers, body)
    return caught.value.faults


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a%20b%E2%82%AC", "a b€"),
        (b"a%20b%e2%82%ac", "a b€"),
        (b'"a \\"b"', 'a "b'),
        (b'"a%20\\\\b"', "a \\b"),
        (b'""', ""),
        (b"a%2520b", "a%20b"),
        (b"%61", "a"),
        (b'say "hi"', 'say "hi"'),
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
    ],
)
def test_a_header_value_is_unquoted_and_then_decoded_exactly_once(raw: bytes, text: str) -> None:
    """Quotes and backslashes go first, then one round of percent-encoding; escapes that were not needed are fine."""
    assert text == decode(message(note=raw), b"").extensions["note"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"%C0%A0", "valid UTF-8"),
        (b"%ED%A0%80", "valid UTF-8"),
        (b"%E2%82", "valid UTF-8"),
        (b"50%", "two hexadecimal digits"),
        (b"%zz", "two hexadecimal digits"),
        (b'"open', "closing quote"),
        (b'"closed" or not', "closing quote"),
        ("ü".encode(), "percent-encode"),
        (b"\xff", "percent-encode"),
        (b"a\x00", "U+0000"),
        (b"a\tb", "U+0009"),
        (b"%00", "U+0000"),
        (b"%C2%85", "U+0085"),
        (b"%EF%BF%BE", "U+FFFE"),
        (b"%F0%9F%BF%BF", "U+1FFFF"),
    ],
)
def test_a_header_value_that_is_no_text_is_a_fault_of_its_attribute(raw: bytes, said: str) -> None:
    """Overlong UTF-8, half escapes, raw bytes and characters that no attribute may hold are all refused by name."""
    assert said in faults(message(id=raw))["id"]


def test_a_missing_id_is_refused_and_not_invented() -> None:
    """Without an id a redelivery could not be recognised."""
    assert faults(message(id=None)) == {"id": "is absent or empty; every event needs one"}


def test_all_faults_are_reported_at_once() -> None:
    """A sender corrects one message once, not once per attribute."""
    headers = message(
        specversion=b"0.3", id=None, source=b"not a uri", time=b"yesterday", content_type=b"xyz", BadName=b"1"
    )
    assert set(faults(headers)) == {"specversion", "id", "source", "time", "datacontenttype", "BadName"}


def test_a_value_that_could_not_be_read_is_not_also_called_absent() -> None:
    """The fault names the cause, not what follows from it."""
    assert "two hexadecimal digits" in faults(message(type=b"%"))["type"]


@pytest.mark.parametrize("content_type", [None, b"text/plain"])
def test_ce_datacontenttype_is_a_fault_with_or_without_a_content_type(content_type: bytes | None) -> None:
    """In binary mode the media type has one place."""
    headers = message(datacontenttype=b"text/plain", content_type=content_type)
    assert "ce-datacontenttype" in faults(headers)["datacontenttype"]


@pytest.mark.parametrize(("header", "name"), [(b"ce-id", "id"), (b"content-type", "datacontenttype"), (b"ce-x", "x")])
def test_a_header_given_twice_is_a_fault(header: bytes, name: str) -> None:
    """Which of the two is meant cannot be known, even when both say the same."""
    doubled = [*message(content_type=b"text/plain", x=b"1"), (header, b"text/plain")]
    assert f"more than one {header.decode()}" in faults(doubled)[name]


@pytest.mark.parametrize("name", ["my-ext", "my_ext", "data_base64", "a.b", ""])
def test_an_extension_is_named_with_small_letters_and_digits_only(name: str) -> None:
    """Any other name is refused under that name."""
    assert "no attribute name" in faults([*message(), (f"ce-{name}".encode(), b"1")])[name]


def test_an_extension_may_not_take_a_name_of_the_specification() -> None:
    """`data` would be taken for the payload elsewhere."""
    assert "own" in faults(message(data=b"1"))["data"]
    with pytest.raises(InvalidEvent):
        CloudEvent(id="1", source="/s", type="t", extensions={"subject": "x"})


@pytest.mark.parametrize(
    "time",
    [
        "2018-04-05T17:31:00Z",
        "2018-04-05t17:31:00.000000000z",
        "2018-04-05T18:31:00+01:00",
        "2018-04-05T16:31:00-23:59",
        "2016-12-31T23:59:60Z",
        "2024-02-29T00:00:00.1Z",
    ],
)
def test_time_stays_the_string_it_came_as(time: str) -> None:
    """Every RFC 3339 instant is accepted, a leap second too, and none is rewritten."""
    assert time == decode(message(time=time.encode()), b"").time


@pytest.mark.parametrize(
    "time",
    [
        "",
        "lunchtime",
        "2018-04-05T18:31Z",
        "2018-04-05T18:31:00X",
        "2018-04-05T18:31:00",
        "2018-04-05T18:31:00+25:00",
        "2018-04-05T18:31:00+05:60",
        "2018-04-05T18:31:00+xx:00",
        "2018-04-05T18:31:00+05",
        "2018-04-05 18:31:00Z",
        "2018-02-30T18:31:00Z",
        "2018-04-05T24:00:00Z",
        "2018-04-05T18:31:61Z",
        "2018-04-05T18:31:00.Z",
        "20180405T183100Z",
    ],
)
def test_a_time_that_is_no_rfc_3339_instant_is_a_fault(time: str) -> None:
    """ISO 8601 knows more forms; they do not count."""
    assert "RFC 3339" in faults(message(time=time.encode()))["time"]


@pytest.mark.parametrize(
    "source",
    [
        "/a/b",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "https://h:80/a?b#c",
        "//h/p",
        "#f",
        "a%25b",
        "mailto:x@y",
        "1/a:b",
        "?q",
        "https://[::1]:8080/",
    ],
)
def test_a_source_is_any_uri_reference(source: str) -> None:
    """Absolute, relative or only a fragment."""
    assert source == CloudEvent(id="1", source=source, type="t").source


@pytest.mark.parametrize("source", ["a b", "ü", "a<b>", "1a:b", "%2", "a#b#c", "/[", "\\"])
def test_a_source_that_is_no_uri_reference_is_a_fault(source: str) -> None:
    """Characters outside RFC 3986 must have been percent-encoded in the URI itself."""
    with pytest.raises(InvalidEvent) as caught:
        CloudEvent(id="1", source=source, type="t")
    assert "URI reference" in caught.value.faults["source"]


def test_a_dataschema_is_an_absolute_uri() -> None:
    """A relative one is refused, one that ends in a fragment is not."""
    assert "absolute URI" in faults(message(dataschema=b"/schemas/1"))["dataschema"]
    assert decode(message(dataschema=b"https://x/s#1"), b"").dataschema == "https://x/s#1"


@pytest.mark.parametrize("name", ["subject", "dataschema", "content_type"])
def test_an_optional_attribute_is_absent_or_has_a_value(name: str) -> None:
    """Empty is neither."""
    assert faults(message(**{name: b""}))


def test_a_hostile_value_costs_linear_time() -> None:
    """Patterns that could backtrack would need longer than anyone waits for these 32 KiB."""
    long = "a" * 32768
    for value in (f"/{long}%", f"{long}:{long}<", "//" + "a:" * 9999 + "<"):
        assert faults(message(source=value.replace("%", "%25").encode()))["source"]
    assert faults(message(content_type=b"text/plain" + b"; a=b" * 6000 + b'; c="'))
    assert faults(message(id=b'"' + b"\\a" * 16000))


def test_the_mode_of_a_message_shows_in_its_headers() -> None:
    """The media type wins; any required `ce-` header makes a binary event; nothing of both is no event."""
    assert mode_of(message(id=None)) is Mode.BINARY
    assert mode_of([(b"content-type", b"Application/CloudEvents+JSON"), *message()]) is Mode.STRUCTURED
    assert mode_of([*message(), (b"content-type", b"application/cloudevents-batch+json")]) is Mode.BATCH
    assert mode_of([(b"content-type", b"application/json"), (b"ce-subject", b"x")]) is None


def test_values_are_written_as_the_binding_wants_them() -> None:
    """Space, quote, percent and everything outside printable ASCII are encoded, in capitals; nothing else is."""
    event = CloudEvent(id='a "b" 100%', source="/s?x=%20", type="t!#~", subject="Euro € 😀", datacontenttype="a/b; c=d")
    headers, body = encode(event)
    assert headers == [
        (b"ce-specversion", b"1.0"),
        (b"ce-id", b"a%20%22b%22%20100%25"),
        (b"ce-source", b"/s?x=%2520"),
        (b"ce-type", b"t!#~"),
        (b"ce-subject", b"Euro%20%E2%82%AC%20%F0%9F%98%80"),
        (b"content-type", b"a/b; c=d"),
    ]
    assert body == b""


def test_headers_of_others_are_left_alone() -> None:
    """What does not begin with `ce-` is no attribute, whatever its bytes."""
    event = decode([(b"x-ce-id", b"\xff"), (b"traceparent", b"00-1"), *message()], b"\x00\xff")
    assert (event.extensions, event.data) == ({}, b"\x00\xff")
