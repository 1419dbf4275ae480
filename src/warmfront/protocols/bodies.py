"""Conversions that leave the body as it is, and what they must know of it first.

What may live here: the record of a conversion and those that change no body. What must not: tensors.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from warmfront.cloudevents import Headers
from warmfront.errors import Unprocessable
from warmfront.protocols.cloudevents import opened
from warmfront.protocols.tensorflow_serving import DEFAULT_SIGNATURE

#: The largest body that is read to be converted, in bytes: it takes 25 ms per MB, in which nobody else is served.
MAX_READ = 4 * 1024 * 1024

#: A good reply of the variant as the client's protocol has it. Raises UpstreamFailed for one that cannot be.
Back = Callable[[Headers, bytes], tuple[Headers, bytes]]


class Asked(NamedTuple):
    """What a client sent, without what only the selector reads: its content headers, its body, and the variant's name
    for the model.
    """

    headers: Headers
    body: bytes
    model: str


class Conversion(NamedTuple):
    """`convert` gives the body for the variant and the way back (None: replies pass as they are).

    It raises Unprocessable when this request cannot be put in the other protocol without loss, saying what to send
    instead. `kind` is what docs/protocols.md calls it; `wants_json` whether it can only
    be of JSON, `makes_json` whether the body that comes of it is another one, which is JSON.
    """

    kind: str
    convert: Callable[[Asked], tuple[bytes, Back | None]]
    wants_json: bool = False
    makes_json: bool = False

    @property
    def reads(self) -> bool:
        """Whether the body is parsed."""
        return self.wants_json or self.makes_json


def _as_it_is(asked: Asked) -> tuple[bytes, Back | None]:
    return asked.body, None


def _to_be_opened(asked: Asked) -> tuple[bytes, Back | None]:
    return asked.body, opened


_BEYOND_ROWS = (b'"signature_name"', b'"inputs"')
_FEW_NAMES = 64


def _rows_only(asked: Asked) -> tuple[bytes, Back | None]:
    """Row format without a signature. A body that does not mention the others is not parsed."""
    body = asked.body
    if _mentions(body, _BEYOND_ROWS):
        found = fields(readable(body))
        if found.get("signature_name", DEFAULT_SIGNATURE) != DEFAULT_SIGNATURE:
            raise Unprocessable("kserve-v1 knows no signatures; leave signature_name out")
        if "instances" not in found:
            raise Unprocessable('kserve-v1 has no column format; send {"instances": [...]}')
    return body, None


def _mentions(body: bytes, names: tuple[bytes, bytes]) -> bool:
    """Whether one of the quoted names is in `body`. Looking at each quote is ten times faster in a body of numbers,
    which is what large bodies are, than looking for names: 0.06 ms per MB.
    """
    at = body.find(b'"')
    for _ in range(_FEW_NAMES):
        if at < 0:
            return False
        if body.startswith(names, at):
            return True
        at = body.find(b'"', at + 1)
    return names[0] in body or names[1] in body


def _itself(name: str, wanted: str) -> Conversion:
    """A body of no protocol goes to a server of this one if it is a request of it, as it is."""

    def convert(asked: Asked) -> tuple[bytes, Back | None]:
        if not is_request(name, readable(asked.body)):
            raise Unprocessable(f"the body is no request of {name}; send {wanted} as JSON")
        return asked.body, None

    return Conversion("if it is one", convert, wants_json=True)


def _are_rows(found: dict[str, Any]) -> bool:
    return "instances" in found and found.keys().isdisjoint({"inputs", "signature_name"})


def _are_tensors(found: dict[str, Any]) -> bool:
    inputs = found.get("inputs")
    members = {"name", "shape", "datatype"}
    return (
        isinstance(inputs, list)
        and bool(inputs)
        and all(isinstance(one, dict) and members <= one.keys() for one in inputs)
    )


def _are_rows_or_columns(found: dict[str, Any]) -> bool:
    return "instances" in found or ("inputs" in found and not _are_tensors(found))


_REQUESTS = {
    "tensorflow-serving": _are_rows_or_columns, "kserve-v1": _are_rows, "open-inference": _are_tensors,
}  # fmt: skip


def is_request(protocol: str, body: bytes) -> bool:
    """Whether a body is itself JSON of a model server's protocol: by what only that one has."""
    return _REQUESTS[protocol](fields(body))


def readable(body: bytes) -> bytes:
    """The body itself. Raises Unprocessable for one that is too large to be read here."""
    if len(body) > MAX_READ:
        raise Unprocessable(
            f"a body of {len(body)} bytes is not converted, {MAX_READ} are the most; "
            "use the variant's own protocol, in which bodies pass unread"
        )
    return body


def fields(body: bytes) -> dict[str, Any]:
    """The members of a JSON object; none for what is no such object. NaN and Infinity are taken, as TensorFlow Serving
    does.
    """
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, dict) else {}


OPAQUE = Conversion("same body", _as_it_is)
OPENED = Conversion("same body", _to_be_opened)
SAME_ROWS = Conversion("same body", _as_it_is)
ROWS_ONLY = Conversion("rows", _rows_only)
#: For clients that speak no protocol of model servers.
ITSELF: Mapping[str, Conversion] = {
    name: _itself(name, wanted)
    for name, wanted in {
        "tensorflow-serving": '{"instances": ...} or {"inputs": ...}',
        "kserve-v1": '{"instances": ...}',
        "open-inference": '{"inputs": [{"name": ..., "shape": ..., "datatype": ..., "data": ...}]}',
    }.items()
}
