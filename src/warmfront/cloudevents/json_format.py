"""The JSON event format 1.0.2: one event as an object, several as an array.

What may live here: JSON. What must not: headers (http.py) and the rules of attributes (event.py).
"""

import base64
from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from warmfront.cloudevents.event import CORE, SPECVERSION, CloudEvent, build, charset_of, essence_of, show
from warmfront.errors import InvalidEvent

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"

_INTEGERS: Final = range(-(2**31), 2**31)  # the type system's Integer has 32 bits
# Character sets in which a JSON string may stand for text data; other text travels as data_base64.
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1"})

_Members = dict[str, msgspec.Raw]
_Parsed = TypeVar("_Parsed")
_OBJECT: Final = msgspec.json.Decoder(_Members)
_ARRAY: Final = msgspec.json.Decoder(list[_Members])
_SCALAR: Final = msgspec.json.Decoder(str | bool | int | float | None)
_STRING: Final = msgspec.json.Decoder(str)
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)


def read(body: bytes) -> CloudEvent:
    """The event of one JSON object. Raises InvalidEvent with every fault found."""
    return _from_members(_parse(_OBJECT, body))


def read_batch(body: bytes) -> list[CloudEvent]:
    """The events of a JSON array. Raises InvalidEvent with every fault of every event."""
    events: list[CloudEvent] = []
    faults: dict[str, str] = {}
    objects = _parse(_ARRAY, body)
    for place, members in enumerate(objects):
        try:
            events.append(_from_members(members))
        except InvalidEvent as invalid:
            faults.update({f"[{place}].{name}": fault for name, fault in invalid.faults.items()})
    if faults:
        raise InvalidEvent(faults)
    return events


def write(event: CloudEvent) -> bytes:
    """The event as one JSON object; its data can be read back byte for byte."""
    return msgspec.json.encode(_to_members(event))


def write_batch(events: Iterable[CloudEvent]) -> bytes:
    """The events as a JSON array."""
    return msgspec.json.encode([_to_members(event) for event in events])


def _parse(decoder: "msgspec.json.Decoder[_Parsed]", body: bytes) -> _Parsed:
    try:
        body.decode("utf-8")  # the parser does not check what it leaves raw
        return decoder.decode(body)
    except RecursionError:
        raise InvalidEvent({"body": "is nested too deeply"}) from None
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidEvent({"body": f"is not the JSON of an event: {error}"}) from None


def _from_members(members: _Members) -> CloudEvent:
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    plain, encoded = members.pop("data", None), members.pop("data_base64", None)
    for name, raw in members.items():
        try:
            value = _canonical(raw, only_string=name in CORE)
        except (ValueError, msgspec.DecodeError) as fault:
            faults[name] = str(fault)
        else:
            if value is not None:
                values[name] = value
    data = b""
    try:
        data = _data_of(plain, encoded, values.get("datacontenttype"))
    except (ValueError, msgspec.DecodeError) as fault:
        faults["data"] = str(fault)
    return build(values, data, faults)


def _canonical(raw: msgspec.Raw, *, only_string: bool) -> str | None:
    """The canonical string of a JSON string, boolean or integer; None for null, which means absent."""
    value = _SCALAR.decode(raw)
    if value is None or isinstance(value, str):
        return value
    if only_string:
        raise ValueError(f"is {value}; wanted a string")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or value not in _INTEGERS:
        raise ValueError(f"is {value}; a number must be a whole one of 32 bits, anything else a string")
    return str(value)


def _data_of(plain: msgspec.Raw | None, encoded: msgspec.Raw | None, media_type: str | None) -> bytes:
    """The members `data` or `data_base64` as the bytes that the media type describes."""
    if plain is not None and encoded is not None:
        raise ValueError("is there twice, as data and as data_base64; send one of them")
    if encoded is not None:
        return base64.b64decode(_STRING.decode(encoded), validate=True)
    if plain is None:
        return b""
    if _is_json(media_type):
        return bytes(plain)
    charset = charset_of(media_type)
    if charset not in _CHARSETS:
        raise ValueError(f"is text in {show(charset)}; send such data as data_base64")
    return _STRING.decode(plain).encode(charset)


def _to_members(event: CloudEvent) -> dict[str, str | msgspec.Raw]:
    members: dict[str, str | msgspec.Raw] = {"specversion": SPECVERSION, **dict(event.attributes())}
    if event.data:
        if _is_json(event.datacontenttype) and _is_bare_json(event.data):
            members["data"] = msgspec.Raw(event.data)
        elif (text := _as_text(event.data, event.datacontenttype)) is not None:
            members["data"] = text
        else:
            members["data_base64"] = base64.b64encode(event.data).decode()
    return members


def _is_json(media_type: str | None) -> bool:
    """Data without a media type counts as JSON (JSON format 3.1)."""
    return media_type is None or essence_of(media_type).endswith(("/json", "+json"))


def _is_bare_json(data: bytes) -> bool:
    """Whether the data can be cut out of a JSON text again byte for byte: blanks around it would be lost."""
    if data != data.strip(b" \t\r\n"):
        return False
    try:
        data.decode("utf-8")
        _ANY.decode(data)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return False
    return True


def _as_text(data: bytes, media_type: str | None) -> str | None:
    """The data as the string that stands for it in JSON; None if it is not text or its bytes would change."""
    charset = charset_of(media_type)
    if media_type is None or charset not in _CHARSETS:
        return None
    essence = essence_of(media_type)
    if not (essence.startswith("text/") or essence.endswith(("/xml", "+xml"))) or _is_json(media_type):
        return None
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None
