"""Open Inference Protocol v2 over REST: the one part of a request that the selector reads, its `parameters`.

Tensors are skipped without being built, and a body that does not mention parameters is not parsed at all.
"""

from collections.abc import Mapping

import msgspec

from warmfront.errors import InvalidRequest

Scalar = str | int | float | bool


class _Head(msgspec.Struct):
    parameters: dict[str, Scalar] = {}


_decoder = msgspec.json.Decoder(_Head)


def parameters(body: bytes) -> Mapping[str, Scalar]:
    """The top-level `parameters` of an inference request; empty when there are none.

    Raises InvalidRequest when the body is not JSON or a parameter is not a string, number or boolean. Source: Open
    Inference Protocol v2, "Inference Request JSON Object".
    """
    if b'"parameters"' not in body:
        return {}
    try:
        return _decoder.decode(body).parameters
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"parameters of the inference request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the inference request is not JSON: {error}") from None
