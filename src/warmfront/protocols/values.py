"""Tensors as JSON has them: nested lists and their shapes, and what kind of number or text is in them.

What may live here: shapes, kinds, nesting, binary tensors of the Open Inference extension. What must not: any
protocol's request or reply.
"""

import base64
import binascii
import math
import struct
from typing import Any, NamedTuple

#: The binary extension's element types, little-endian. FP16 is two bytes, BF16 and strings are told apart elsewhere.
_FORMATS = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
    "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
DATATYPES = (*_FORMATS, "BYTES")
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


class Tensor(NamedTuple):
    """A named tensor: `datatype` in Open Inference's words, `data` nested as `shape` says (a scalar for shape [])."""

    name: str
    datatype: str
    shape: list[int]
    data: Any


def told(name: str, data: Any) -> Tensor:
    """The tensor that nested lists are. Whole numbers are INT64; with one decimal point among them all are FP32, which
    is what model servers read JSON numbers as; text and `{"b64": ...}` is BYTES.

    Raises ValueError for what is no tensor: rows of different length, mixed kinds, nothing at all, bytes that are no
    text.
    """
    shape, level = [], [data]
    while isinstance(level[0], list):
        size = len(level[0])
        if any(not isinstance(row, list) or len(row) != size for row in level):
            raise ValueError(f"{name} has rows of different length")
        shape.append(size)
        level = [element for row in level for element in row]
        if not level:
            raise ValueError(f"{name} is empty, so it does not say of what type it is")
    kinds = {type(element) for element in level}
    if kinds == {bool}:
        return Tensor(name, "BOOL", shape, data)
    if kinds == {int} and min(level) >= _INT64_MIN and max(level) <= _INT64_MAX:
        return Tensor(name, "INT64", shape, data)
    if kinds <= {int, float} and _are_finite(level):
        return Tensor(name, "FP32", shape, data)
    if kinds <= {str, dict}:
        texts = [element if isinstance(element, str) else _text(name, element) for element in level]
        return Tensor(name, "BYTES", shape, nested(texts, shape))
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(f"{name} holds {found}; a tensor is of one type, its numbers finite")


def _are_finite(numbers: list[Any]) -> bool:
    """Whether all fit a float. The sum tells fast, unless it is too large itself."""
    try:
        return math.isfinite(sum(numbers)) or all(map(math.isfinite, numbers))
    except OverflowError:
        return False


def nested(flat: list[Any], shape: list[int]) -> Any:
    """Row-major elements as nested lists. Raises ValueError when there are more or fewer than the shape says."""
    if math.prod(shape) != len(flat):
        raise ValueError(f"has {len(flat)} elements, its shape {shape} means {math.prod(shape)}")
    for size in reversed(shape[1:]):
        flat = [flat[at : at + size] for at in range(0, len(flat), size)] if size else [[] for _ in range(shape[0])]
    return flat if shape else flat[0]


def flat(data: Any) -> list[Any]:
    """Nested lists as one list, row-major; a scalar as a list of one."""
    level = data if isinstance(data, list) else [data]
    while level and isinstance(level[0], list):
        level = [element for row in level for element in (row if isinstance(row, list) else [row])]
    return level


def unpacked(datatype: str, count: int, raw: bytes) -> list[Any]:
    """The elements of a binary tensor. Raises ValueError when the bytes do not hold `count` of them."""
    if datatype == "BYTES":
        elements, at = [], 0
        while at + 4 <= len(raw):
            size = int.from_bytes(raw[at : at + 4], "little")
            elements.append(raw[at + 4 : at + 4 + size])
            at += 4 + size
        if at != len(raw) or len(elements) != count:
            raise ValueError(f"has {len(elements)} strings in {len(raw)} bytes, its shape means {count}")
        return [_readable(element) for element in elements]
    form = f"<{count}{_FORMATS[datatype]}"
    if struct.calcsize(form) != len(raw):
        raise ValueError(f"has {len(raw)} bytes, {count} elements of {datatype} are {struct.calcsize(form)}")
    return list(struct.unpack(form, raw))


def base64_object(text: str) -> dict[str, str]:
    """Text as TensorFlow Serving shows the elements of a tensor whose name ends in `_bytes`."""
    return {"b64": base64.b64encode(text.encode()).decode("ascii")}


def is_base64(value: Any) -> bool:
    """Whether this is one binary element, not an object of named values."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _text(name: str, element: dict[str, Any]) -> str:
    try:
        return base64.b64decode(element["b64"] if is_base64(element) else "?", validate=True).decode()
    except (ValueError, binascii.Error):
        raise ValueError(f"{name} holds an object or bytes that are no text; JSON strings cannot carry them") from None


def _readable(raw: bytes) -> str | dict[str, str]:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(raw).decode("ascii")}
