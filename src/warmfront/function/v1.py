"""The first generation of model servers' REST, as TensorFlow Serving and KServe v1 share it: `instances` to
`predictions`, and TensorFlow Serving's column format, `inputs` to `outputs`.

What lives here: the shapes of the messages and their rules. What must not: routes, headers, the model itself.
A model with probabilities answers a list of them per input, any other `{"label": ..., "score": ...}`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from warmfront.errors import InvalidRequest

_SIGNATURES = ("", "serving_default")


class _Request(msgspec.Struct, frozen=True):
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None
    signature_name: str = ""


class PredictRequest(NamedTuple):
    """What one body asks: the model's inputs in order, and under which name the answers go back."""

    inputs: list[Any]
    answers: str


def parse(body: bytes, name: str) -> PredictRequest:
    """The inputs in a body; each may be bare or, as the only one a model has, called by its `name`.

    Raises:
        InvalidRequest: not the protocol, both formats or none, another signature or input, nothing to predict.
    """
    try:
        request = msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"not a predict request: {error}") from error
    if request.signature_name not in _SIGNATURES:
        raise InvalidRequest(f"signature_name is {request.signature_name!r}; this model has only serving_default")
    if (request.instances is None) == (request.inputs is None):
        raise InvalidRequest("a predict request has either `instances` (row format) or `inputs` (column format)")
    if request.instances is not None:
        rows = [_bare(row, name) for row in request.instances]
        answers = "predictions"
    else:
        rows = _bare(request.inputs, name)
        answers = "outputs"
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("found no inputs; send a list of one or more")
    return PredictRequest(rows, answers)


def render(request: PredictRequest, answers: Sequence[tuple[str, float, Sequence[float]]]) -> bytes:
    """The reply: one element per input, in order."""
    said = [list(p) if p else {"label": label, "score": score} for label, score, p in answers]
    return msgspec.json.encode({request.answers: said})


def status(name: str, *, ready: bool) -> dict[str, Any]:
    """The answer of `GET /v1/models/{model}`, as both families of clients read it."""
    state = (
        {"error_code": "OK", "error_message": ""} if ready else {"error_code": "UNAVAILABLE", "error_message": "ending"}
    )
    version = {"version": "1", "state": "AVAILABLE" if ready else "UNLOADING", "status": state}
    return {"name": name, "ready": ready, "model_version_status": [version]}


def _bare(value: Any, name: str) -> Any:
    """The value, without the name it may go by."""
    if not isinstance(value, dict) or list(value) == ["b64"]:
        return value
    if list(value) != [name]:
        raise InvalidRequest(f"found inputs called {', '.join(value) or 'nothing'}; this model has one, {name!r}")
    return value[name]
