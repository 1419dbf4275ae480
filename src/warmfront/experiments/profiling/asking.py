"""How a variant is asked one input, past the selector, and what its reply says. No clock here and no connection.

A variant is asked in the first of its protocols that takes an input as it is: raw, cloudevents, open-inference.
"""

from typing import Any
from urllib.parse import unquote

import msgspec

from warmfront.cloudevents import CloudEvent, Headers, Mode, encode
from warmfront.domain import Variant
from warmfront.errors import SetupError
from warmfront.wire.messages import Response, first

_SPOKEN = ("raw", "cloudevents", "open-inference")
_REQUEST = "dev.warmfront.inference.request"
_SOURCE = "/warmfront/profile"

Question = tuple[str, Headers, bytes]


def protocol_of(variant: Variant) -> str:
    """The protocol that a variant is asked in. Raises SetupError when it speaks none of ours."""
    for protocol in _SPOKEN:
        if protocol in variant.protocols:
            return protocol
    raise SetupError(f"{variant.name} speaks {', '.join(variant.protocols)}; profile asks in {', '.join(_SPOKEN)}")


def question(variant: Variant, body: bytes, content_type: str) -> Question:
    """Path, headers and body of one POST."""
    protocol = protocol_of(variant)
    if protocol == "raw":
        return "/", [(b"content-type", content_type.encode())], body
    if protocol == "cloudevents":
        event = CloudEvent(
            id="1", source=_SOURCE, type=_REQUEST, subject=variant.task, datacontenttype=content_type, data=body
        )
        return "/", *encode(event, Mode.BINARY)
    headers = [(b"content-type", b"application/json")]
    return f"/v2/models/{variant.name}/infer", headers, msgspec.json.encode({"inputs": [_tensor(body, content_type)]})


def _tensor(body: bytes, content_type: str) -> dict[str, Any]:
    if content_type.startswith("text/"):
        return {"name": "text", "shape": [1], "datatype": "BYTES", "data": [body.decode()]}
    return {"name": "image", "shape": [1, len(body)], "datatype": "UINT8", "data": list(body)}


def label_of(reply: Response) -> str | None:
    """The label of a good reply: its header, else `label` of its JSON, else the output of that name; None without."""
    said = first(reply.headers, b"warmfront-label")
    if said is not None:
        return unquote(said.decode("latin-1"))
    try:
        answer = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(answer, dict):
        return str(answer) if isinstance(answer, str | int) else None
    if "label" in answer:
        return str(answer["label"])
    for output in answer.get("outputs") or ():
        if output.get("name") == "label" and output.get("data"):
            value = output["data"][0]
            return str(value)
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
    text = reply.body[:300].decode(errors="replace")
    try:
        answer = msgspec.json.decode(reply.body)
        text = str(answer.get("error") or answer.get("detail") or text)
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        pass
    return f"{reply.status}: {' '.join(text.split())}"
