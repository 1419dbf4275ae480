"""Open Inference Protocol v2 over REST: its paths, and the one part of a request that the selector reads.

That part is `parameters`. Tensors are skipped without being built, and a body that does not mention parameters is not
parsed at all. With the binary extension only a body's head is JSON, its length is in a header.
Source: Open Inference Protocol v2, REST; "Binary tensor data extension".
"""

from collections.abc import Mapping

import msgspec

from warmfront.errors import InvalidRequest
from warmfront.protocols.protocol import INFER, METADATA, Errors, Protocol

Scalar = str | int | float | bool

#: The length in bytes of the JSON part of a body with binary tensors.
JSON_LENGTH = b"inference-header-content-length"

#: The names of `parameters` that are the selector's own: an objective.
OBJECTIVES = frozenset(
    {
        "warmfront-deadline-ms",
        "warmfront-min-accuracy",
        "warmfront-on-miss",
        "warmfront-weights",
        "deadlinems",
        "deadlineat",
        "minaccuracy",
        "onmiss",
        "weights",
    }
)

OPEN_INFERENCE = Protocol(
    name="open-inference",
    paths={INFER: "/v2/models/{model}{version}/infer", METADATA: "/v2/models/{model}{version}"},
    content_type="application/json",
    readiness="/v2/models/{model}/ready",
    errors=Errors.ERROR,
    objective="`parameters` of the request",
)


class _Head(msgspec.Struct):
    parameters: dict[str, Scalar] = {}


_decoder = msgspec.json.Decoder(_Head)


def parameters(body: bytes, json_length: bytes | None = None) -> Mapping[str, Scalar]:
    """The top-level `parameters` of an inference request; empty when there are none.

    Raises InvalidRequest when the body, or its JSON part, is no JSON or a parameter no string, number or boolean.
    """
    if json_length is not None:
        body = json_part(body, json_length)
    if b'"parameters"' not in body:
        return {}
    try:
        return _decoder.decode(body).parameters
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"parameters of the inference request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the inference request is not JSON: {error}") from None


def json_part(body: bytes, json_length: bytes) -> bytes:
    """The head of a body with binary tensors. Raises InvalidRequest for a length that cannot be."""
    if not json_length.isdigit() or not 0 < int(json_length) <= len(body):
        told = json_length[:20].decode("latin-1")
        raise InvalidRequest(
            f"Inference-Header-Content-Length is {told!r}; it must be the length of the body's JSON part, "
            f"at most {len(body)}"
        )
    return body[: int(json_length)]


def server(*, name: str, version: str) -> dict[str, object]:
    """The answer of `GET /v2`."""
    return {"name": name, "version": version, "extensions": []}


def model_ready(name: str, *, ready: bool) -> dict[str, object]:
    """The answer of `GET /v2/models/NAME/ready`; a server that is not ready gives it with 503."""
    return {"name": name, "ready": ready}
