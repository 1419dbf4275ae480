"""How a variant is asked one input, past the selector, and what its reply says. No clock here and no connection.

A variant is asked in the first of these protocols that it speaks. Where the protocol has requests of its own, an input
that is such a request (JSON) is sent as it is; any other is put into the plainest one: one element, without a name.
Bytes have no plain place in rows: whether a model wants 0 to 255, 0 to 1 or base64 cannot be told, so nobody guesses.
"""

from typing import Any
from urllib.parse import unquote

import msgspec

from warmfront.cloudevents import CloudEvent, Headers, Mode, encode
from warmfront.domain import Variant
from warmfront.errors import SetupError
from warmfront.protocols import INFER, PROTOCOLS
from warmfront.protocols.bodies import ITSELF, is_request
from warmfront.wire.messages import Response, first

_SPOKEN = ("raw", "cloudevents", "sagemaker", "open-inference", "tensorflow-serving", "kserve-v1")
_REQUEST = "dev.warmfront.inference.request"
_SOURCE = "/warmfront/profile"
_JSON = [(b"content-type", b"application/json")]

Question = tuple[str, Headers, bytes]


def protocol_of(variant: Variant) -> str:
    """The protocol that a variant is asked in. Raises SetupError when it speaks none of ours."""
    for protocol in _SPOKEN:
        if protocol in variant.protocols:
            return protocol
    raise SetupError(f"{variant.name} speaks {', '.join(variant.protocols)}; profile asks in {', '.join(_SPOKEN)}")


def question(variant: Variant, body: bytes, content_type: str) -> Question:
    """Path, headers and body of one POST. Raises SetupError for bytes where the protocol has rows."""
    protocol = protocol_of(variant)
    path = PROTOCOLS[protocol].path(INFER, variant.name)
    if protocol == "cloudevents":
        event = CloudEvent(
            id="1", source=_SOURCE, type=_REQUEST, subject=variant.task, datacontenttype=content_type, data=body
        )
        return path, *encode(event, Mode.BINARY)
    if protocol not in ITSELF:
        return path, [(b"content-type", content_type.encode())], body
    if is_request(protocol, body):
        return path, _JSON, body
    text = content_type.startswith("text/")
    asked: dict[str, Any]
    if protocol == "open-inference":
        tensor = (
            {"name": "text", "shape": [1], "datatype": "BYTES", "data": [body.decode()]} if text
            else {"name": "image", "shape": [1, len(body)], "datatype": "UINT8", "data": list(body)}
        )  # fmt: skip
        asked = {"inputs": [tensor]}
    elif text:
        asked = {"instances": [body.decode()]}
    else:
        raise SetupError(
            f"found an input of {len(body)} bytes and no way to say it in {protocol}; wanted its own requests, such as "
            '{"instances": [...]}, as text in the column `input`'
        )
    return path, _JSON, msgspec.json.encode(asked)


def label_of(reply: Response) -> str | None:
    """The label of a good reply: its header, else what its JSON says; None when it does not say.

    In JSON: `label`, or the output of that name; else the one prediction or output there is, of several numbers the
    place of the largest, counted from 0.
    """
    said = first(reply.headers, b"warmfront-label")
    if said is not None:
        return unquote(said.decode("latin-1"))
    answer = _decoded(reply.body)
    if not isinstance(answer, dict):
        return _plain(answer)
    if "label" in answer:
        return _plain(answer["label"])
    outputs = answer.get("outputs")
    if isinstance(outputs, list):
        named = [one for one in outputs if isinstance(one, dict) and one.get("name") == "label"] or outputs[:1]
        data = [one.get("data") if isinstance(one, dict) else one for one in named]
        return _best(data[0]) if data else None
    predictions = answer.get("predictions")
    if isinstance(predictions, list) and predictions:
        one = predictions[0]
        return _plain(one.get("label")) if isinstance(one, dict) else _best(one)
    return None


def told_s(reply: Response, name: str) -> float | None:
    """Seconds that a `Warmfront-NAME-Ms` header tells, or None."""
    said = first(reply.headers, f"warmfront-{name}-ms".encode())
    try:
        return None if said is None else float(said) / 1000
    except ValueError:
        return None


def complaint(reply: Response) -> str:
    """What an error reply says, on one line."""
    answer = _fields(reply.body)
    text = str(answer.get("error") or answer.get("detail") or reply.body[:300].decode(errors="replace"))
    return f"{reply.status}: {' '.join(text.split())}"


def _best(value: Any) -> str | None:
    """The value, or of several numbers the place of the largest; a list of one thing is that thing."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        return str(value.index(max(value)))
    return _plain(value)


def _plain(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _fields(body: bytes) -> dict[str, Any]:
    found = _decoded(body)
    return found if isinstance(found, dict) else {}


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
