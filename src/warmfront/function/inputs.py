"""What goes into a model: one class per kind of input, which makes it from every spelling the protocols have for it.

What lives here: the contract, text and bytes; images are in `images.py`. What must not: protocols, routes, and
packages that only some models need.
"""

import base64
import binascii
import math
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from warmfront.errors import InvalidRequest, UnsupportedMediaType

T = TypeVar("T")


class TensorSpec(NamedTuple):
    """An input as protocols with tensors name it; -1 is the number of inputs in one request."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Tensor(msgspec.Struct, frozen=True):
    """One tensor of an Open Inference request; `data` is flat or nested row by row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Input(Protocol[T]):
    """One kind of input. Whatever cannot be one raises InvalidRequest or UnsupportedMediaType with what is wanted."""

    spec: TensorSpec

    def of_body(self, data: bytes, content_type: str) -> T:
        """From a raw body, or an event's data; `content_type` is empty when nothing was said."""

    def of_tensor(self, tensor: Tensor) -> list[T]:
        """One or more, from a tensor in JSON."""

    def of_json(self, value: Any) -> T:
        """From one of the `instances` of TensorFlow Serving and KServe v1, parsed."""


class Text:
    """Text in UTF-8, which must not be blank. As a body: as it is, or the content of a JSON string."""

    spec = TensorSpec("text", "BYTES", (-1,))

    def of_body(self, data: bytes, content_type: str) -> str:
        """Every content type but JSON is taken as plain text, since `curl -d` calls a sentence a form."""
        charset = _parameter(content_type, "charset") or "utf-8"
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(f"the text is declared as {charset}; send it as UTF-8")
        if is_json(content_type):
            try:
                return _some(msgspec.json.decode(data, type=str))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InvalidRequest(
                    f'the JSON input is not one string ({error}); send "text" or use text/plain'
                ) from error
        return _some(_decoded(data))

    def of_tensor(self, tensor: Tensor) -> list[str]:
        """Each element of a BYTES tensor."""
        return [_some(element) for element in strings(tensor)]

    def of_json(self, value: Any) -> str:
        """A string, or bytes as `{"b64": ...}`."""
        return _some(value if isinstance(value, str) else _decoded(_base64(value)))


class Bytes:
    """Bytes of any kind, none included. As a body: as it is, except that a JSON string stands for its content, so that
    every protocol says the same.
    """

    spec = TensorSpec("text", "BYTES", (-1,))

    def of_body(self, data: bytes, content_type: str) -> bytes:
        """Takes anything."""
        if is_json(content_type):
            try:
                return msgspec.json.decode(data, type=str).encode()
            except (msgspec.DecodeError, UnicodeDecodeError):
                return data
        return data

    def of_tensor(self, tensor: Tensor) -> list[bytes]:
        """Each element of a BYTES tensor."""
        return [element.encode() for element in strings(tensor)]

    def of_json(self, value: Any) -> bytes:
        """A string, or bytes as `{"b64": ...}`."""
        return value.encode() if isinstance(value, str) else _base64(value)


def strings(tensor: Tensor) -> list[str]:
    """The elements of a tensor that must be a BYTES tensor of one or more strings."""
    if tensor.datatype != "BYTES":
        raise InvalidRequest(f"input {tensor.name!r} has datatype {tensor.datatype!r}; this model takes BYTES")
    elements = flat(tensor.data)
    if not elements or not all(isinstance(element, str) for element in elements):
        raise InvalidRequest(f"input {tensor.name!r} must hold one or more strings; found {kinds(elements)}")
    check_size(tensor, elements)
    return elements


def check_size(tensor: Tensor, elements: list[Any]) -> None:
    """Raises InvalidRequest unless the shape has as many elements as there are."""
    if math.prod(tensor.shape) != len(elements):
        raise InvalidRequest(
            f"input {tensor.name!r} has shape {tensor.shape} and {len(elements)} elements; they must agree"
        )


def flat(data: list[Any]) -> list[Any]:
    """Nested rows as one row, without recursion: a hostile depth costs no stack."""
    while any(isinstance(element, list) for element in data):
        data = [inner for element in data for inner in (element if isinstance(element, list) else [element])]
    return data


def kinds(elements: list[Any]) -> str:
    """The types of the elements, for a message."""
    return ", ".join(sorted({type(element).__name__ for element in elements})) or "none"


def is_json(content_type: str) -> bool:
    """Whether a media type is JSON: `application/json`, `text/json` or anything with the suffix `+json`."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _some(text: str) -> str:
    if not text.strip():
        raise InvalidRequest("the text is empty; send at least one character that is not a blank")
    return text


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the text is not UTF-8: {error.reason} at byte {error.start}; send it as UTF-8"
        ) from error


def _base64(value: Any) -> bytes:
    if not isinstance(value, dict) or list(value) != ["b64"]:
        raise InvalidRequest(f'found {kinds([value])} as an input; this model takes a string or {{"b64": "..."}}')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidRequest(f"the value of b64 is not base64: {error}") from error


def _parameter(content_type: str, name: str) -> str:
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""
