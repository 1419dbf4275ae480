"""Protobuf as bytes: find one field by its number, read it, put another value in its place. Nothing is decoded.

What may live here: the wire format (varints, tags, lengths). What must not: which message has which field (grpc.py).
Everything beside the field stays byte for byte as it was, unknown fields included.
Source: Protocol Buffers, "Encoding".
"""

from collections.abc import Iterator, Mapping
from struct import unpack_from

from warmfront.errors import InvalidRequest

_VARINT, _EIGHT, _LENGTH, _GROUP, _GROUP_END, _FOUR = 0, 1, 2, 3, 4, 5
_MAX_FIELD = (1 << 29) - 1

Value = str | int | float | bool
Message = bytes | memoryview


def varint(number: int) -> bytes:
    """A number of 0 to 2^64-1 as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text_field(number: int, text: str | bytes) -> bytes:
    """A string, bytes or message field."""
    data = text.encode() if isinstance(text, str) else text
    return varint(number << 3 | _LENGTH) + varint(len(data)) + data


def number_field(number: int, value: int) -> bytes:
    """An integer, enum or bool field; nothing for zero, which is the default."""
    return varint(number << 3 | _VARINT) + varint(value) if value else b""


def texts(message: Message, path: tuple[int, ...]) -> list[bytes]:
    """Every value of the string field at `path`, the numbers that lead to it through messages, in order.

    Raises InvalidRequest for what is not a protobuf message as far as it must be read.
    """
    return [bytes(message[begin:end]) for begin, end in _found(message, 0, len(message), path)]


def replaced(message: Message, path: tuple[int, ...], value: bytes) -> list[Message]:
    """The message in pieces, with `value` wherever the string field at `path` stands, lengths around it corrected."""
    return list(_rewritten(message, 0, len(message), path, value))


def parameters(message: Message, number: int) -> Mapping[str, Value]:
    """A `map<string, InferParameter>` of Open Inference at field `number`."""
    found: dict[str, Value] = {}
    for entry, end in _found(message, 0, len(message), (number,)):
        key, value = "", None
        for field, kind, _, begin, stop in _fields(message, entry, end):
            if field == 1 and kind == _LENGTH:
                key = _text(message[begin:stop])
            elif field == 2 and kind == _LENGTH:
                value = _parameter(message, begin, stop)
        if value is not None:
            found[key] = value
    return found


def _parameter(message: Message, begin: int, end: int) -> Value | None:
    """InferParameter: bool_param = 1, int64_param = 2, string_param = 3, double_param = 4, uint64_param = 5."""
    value: Value | None = None
    for field, kind, _, start, stop in _fields(message, begin, end):
        if kind == _VARINT and field in (1, 2, 5):
            number = _varint(message, start, stop)[0]
            value = bool(number) if field == 1 else number - (1 << 64) if field == 2 and number >> 63 else number
        elif field == 3 and kind == _LENGTH:
            value = _text(message[start:stop])
        elif field == 4 and kind == _EIGHT:
            value = float(unpack_from("<d", message, start)[0])
    return value


def _rewritten(message: Message, begin: int, end: int, path: tuple[int, ...], value: bytes) -> Iterator[Message]:
    wanted, rest = path[0], path[1:]
    copied = begin
    for field, kind, tag_at, start, stop in _fields(message, begin, end):
        if field != wanted or kind != _LENGTH:
            continue
        inner = b"".join(_rewritten(message, start, stop, rest, value)) if rest else value
        yield message[copied:tag_at]
        yield text_field(field, inner)
        copied = stop
    yield message[copied:end]


def _found(message: Message, begin: int, end: int, path: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    wanted, rest = path[0], path[1:]
    for field, kind, _, start, stop in _fields(message, begin, end):
        if field == wanted and kind == _LENGTH:
            if rest:
                yield from _found(message, start, stop, rest)
            else:
                yield start, stop


def _fields(message: Message, begin: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Of each field of the message between `begin` and `end`: number, wire type, where it begins, and begin and end of
    its value.
    """
    position = begin
    while position < end:
        tag_at = position
        field, kind, position = _tag(message, position, end)
        start, position = _value(message, field, kind, position, end)
        yield field, kind, tag_at, start, position


def _tag(message: Message, position: int, end: int) -> tuple[int, int, int]:
    tag, position = _varint(message, position, end)
    field = tag >> 3
    if not 0 < field <= _MAX_FIELD:
        raise InvalidRequest(f"not a protobuf message: field number {field} at byte {position}")
    return field, tag & 7, position


def _value(message: Message, field: int, kind: int, position: int, end: int) -> tuple[int, int]:
    """Where the value begins, its length left out, and where it ends."""
    start = position
    if kind == _LENGTH:
        length, start = _varint(message, position, end)
        stop = start + length
    elif kind == _VARINT:
        stop = _varint(message, position, end)[1]
    elif kind in (_EIGHT, _FOUR):
        stop = start + (8 if kind == _EIGHT else 4)
    elif kind == _GROUP:
        stop = _group(message, field, position, end)
    else:
        raise InvalidRequest(f"not a protobuf message: wire type {kind} at byte {position}")
    if stop > end:
        raise InvalidRequest(f"not a protobuf message: a field of {stop - start} bytes at byte {start} ends behind it")
    return start, stop


def _group(message: Message, field: int, position: int, end: int) -> int:
    """Where a group ends, which nobody writes any more and unknown fields may be."""
    begun = [field]
    while begun:
        number, kind, position = _tag(message, position, end)
        if kind == _GROUP:
            begun.append(number)
        elif kind != _GROUP_END:
            position = _value(message, number, kind, position, end)[1]
        elif begun.pop() != number:
            raise InvalidRequest(f"not a protobuf message: group {number} ends at byte {position} without a begin")
    return position


def _varint(message: Message, position: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while position < end and shift < 70:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise InvalidRequest(f"not a protobuf message: a number that does not end at byte {position}")


def _text(data: Message) -> str:
    return bytes(data).decode("utf-8", "backslashreplace")
