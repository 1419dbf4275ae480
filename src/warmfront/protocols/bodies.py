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


def _as_it_is(asked: Asked) -> tuple[bytes, Back | None]:
    return asked.body, None


def _to_be_opened(asked: Asked) -> tuple[bytes, Back | None]:
    return asked.body, opened


def _rows_only(asked: Asked) -> tuple[bytes, Back | None]:
    """Row format without a signature. Searching for the two names costs a tenth of parsing."""
    body = asked.body
    if b'"signature_name"' in body or b'"inputs"' in body:
        found = fields(body)
        if found.get("signature_name", DEFAULT_SIGNATURE) != DEFAULT_SIGNATURE:
            raise Unprocessable("kserve-v1 knows no signatures; leave signature_name out")
        if "instances" not in found:
            raise Unprocessable('kserve-v1 has no column format; send {"instances": [...]}')
    return body, None


def _itself(name: str, keys: tuple[str, ...]) -> Callable[[Asked], tuple[bytes, Back | None]]:
    wanted = " or ".join(f'{{"{key}": ...}}' for key in keys)

    def convert(asked: Asked) -> tuple[bytes, Back | None]:
        if fields(asked.body).keys().isdisjoint(keys):
            raise Unprocessable(f"the body is no request of {name}; send {wanted} as JSON")
        return asked.body, None

    return convert


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
#: A body of no protocol goes to a model server if it is a request of that server's protocol, as it is.
ITSELF: Mapping[str, Conversion] = {
    name: Conversion("if it is one", _itself(name, keys), wants_json=True)
    for name, keys in (
        ("tensorflow-serving", ("instances", "inputs")),
        ("kserve-v1", ("instances",)),
        ("open-inference", ("inputs",)),
    )
}
