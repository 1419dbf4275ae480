"""The HTTP protocol binding 1.0.2: which mode a message is in, and binary mode with its header values.

What may live here: headers. What must not: the rules of attributes (event.py) and JSON (json_format.py).
"""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from warmfront.cloudevents import json_format
from warmfront.cloudevents.event import SPECVERSION, CloudEvent, build, charset_of, essence_of, show
from warmfront.errors import InvalidEvent

Headers = list[tuple[bytes, bytes]]

_FAMILY: Final = b"application/cloudevents"
_REQUIRED: Final = frozenset({b"ce-specversion", b"ce-id", b"ce-source", b"ce-type"})
# Space, double quote, percent and all outside U+0021..U+007E are percent-encoded (3.1.3.2).
_SAFE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
_UNSAFE: Final = re.compile("[^!#$&-~]")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_BACKSLASH: Final = re.compile(r"\\(.)")
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
# Known names need no decoding; every other `ce-` header is an extension, or a fault.
_NAMES: Final = {
    b"content-type": "datacontenttype",
    **{
        f"ce-{name}".encode(): name for name in ("specversion", "id", "source", "type", "subject", "time", "dataschema")
    },
}


class Mode(Enum):
    """How an event sits in a message: attributes in headers, one JSON object, or a JSON array of such objects."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCH = "batch"


def mode_of(headers: Headers) -> Mode | None:
    """How the event in this message travels; None if the message is no event at all.

    A message with any of the four required `ce-` headers is meant as a binary event, though it may be an invalid one.
    """
    mode = None
    for name, value in headers:
        if name == b"content-type":
            if value[:23].lower() == _FAMILY:
                return Mode.BATCH if value[23:29].lower() == b"-batch" else Mode.STRUCTURED
        elif name in _REQUIRED:
            mode = Mode.BINARY
    return mode


def decode(headers: Headers, body: bytes) -> CloudEvent:
    """The one event of a binary or structured message. Raises InvalidEvent with every fault found."""
    values, faults = _scan(headers)
    if values.get("datacontenttype", "")[: len(_FAMILY)].lower() != _FAMILY.decode():
        return build(values, body, faults)
    if mode_of(headers) is Mode.BATCH:
        raise InvalidEvent({"content-type": "is a batch; here one event is wanted, send them one by one"})
    _check_format(headers, json_format.MEDIA_TYPE)
    return json_format.read(body)


def decode_batch(headers: Headers, body: bytes) -> list[CloudEvent]:
    """All events of a batch, which may be empty. Raises InvalidEvent; its keys name the place, as in `[3].id`."""
    _check_format(headers, json_format.BATCH_MEDIA_TYPE)
    return json_format.read_batch(body)


def encode(event: CloudEvent, mode: Mode = Mode.BINARY) -> tuple[Headers, bytes]:
    """The message that carries the event; in batch mode a batch of one. Content-Length is the sender's business."""
    if mode is Mode.BATCH:
        return encode_batch([event])
    if mode is Mode.STRUCTURED:
        return [(b"content-type", f"{json_format.MEDIA_TYPE}; charset=utf-8".encode())], json_format.write(event)
    headers: Headers = [(b"ce-specversion", SPECVERSION.encode())]
    for name, value in event.attributes():
        if name == "datacontenttype":
            headers.append((b"content-type", value.encode()))
        else:
            text = quote(value, safe=_SAFE) if _UNSAFE.search(value) else value
            headers.append((f"ce-{name}".encode(), text.encode()))
    return headers, event.data


def encode_batch(events: Iterable[CloudEvent]) -> tuple[Headers, bytes]:
    """One message with all events. The binding allows it only towards a receiver that asked for batches."""
    media_type = f"{json_format.BATCH_MEDIA_TYPE}; charset=utf-8".encode()
    return [(b"content-type", media_type)], json_format.write_batch(events)


def _check_format(headers: Headers, wanted: str) -> None:
    """Only JSON, only in UTF-8: JSON text exchanged between systems has no other encoding (RFC 8259)."""
    given = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    if len(given) != 1 or essence_of(given[0]) != wanted or charset_of(given[0]) != "utf-8":
        raise InvalidEvent({"content-type": f"is {show(', '.join(given))}; wanted {wanted} (charset utf-8)"})


def _scan(headers: Headers) -> tuple[dict[str, str], dict[str, str]]:
    """The attributes that headers carry, and the faults of those that could not be read. About 4 us for 14 headers."""
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for header, raw in headers:
        name = _NAMES.get(header)
        if name is None:
            if header[:3] != b"ce-":
                continue
            name = header[3:].decode("latin-1")
            if name == "datacontenttype":
                faults[name] = "stands in a ce-datacontenttype header; in binary mode only Content-Type says it"
                continue
        if name in values:
            faults[name] = f"has more than one {header.decode('latin-1')} header; send it once"
            continue
        values[name] = text = raw.decode("latin-1")
        if not text.isascii():
            faults[name] = "holds bytes outside printable ASCII; percent-encode them as UTF-8"
        elif ("%" in text or '"' in text) and header != b"content-type":
            try:
                values[name] = _unescape(text)
            except ValueError as fault:
                faults[name] = str(fault)
    return values, faults


def _unescape(text: str) -> str:
    """Undo a quoted string with its backslashes, then exactly one round of percent-encoding (3.1.3.2)."""
    if text[0] == '"':
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise ValueError(f"is {show(text)}; a quoted value must end with its closing quote")
        text = _BACKSLASH.sub(r"\1", quoted[1])
    if _BAD_ESCAPE.search(text):
        raise ValueError(f"is {show(text)}; after a percent sign come two hexadecimal digits, itself it is %25")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"is {show(text)}; what is percent-encoded must be valid UTF-8") from None
