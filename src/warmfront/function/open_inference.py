"""Open Inference Protocol v2 (REST) as a classifier speaks it: one BYTES tensor in, labels and scores out.

What lives here: the shapes of the messages and their rules. What must not: routes, headers, the model itself.
Tensors in the binary extension are refused, not misread.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from warmfront.errors import InvalidRequest

LABEL, SCORE = "label", "score"
_PLATFORM = "warmfront_function"


class Tensor(msgspec.Struct, frozen=True):
    """One input tensor; `data` is flat or nested row by row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class WantedOutput(msgspec.Struct, frozen=True):
    """An output the caller asked for by name; without any, all are sent."""

    name: str


class InferRequest(msgspec.Struct, frozen=True):
    """The body of `POST /v2/models/{model}/infer`. `parameters` (the objective) concern the selector, not the model."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[WantedOutput] = []


def parse(body: bytes) -> tuple[InferRequest, list[str]]:
    """The request and its elements, in order.

    Raises:
        InvalidRequest: not the protocol, more than one input, another datatype, a shape that is not that of the
            data, an unknown output.
    """
    try:
        request = msgspec.json.decode(body, type=InferRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"not an Open Inference request: {error}") from error
    if len(request.inputs) != 1:
        raise InvalidRequest(f"found {len(request.inputs)} input tensors; this model takes one BYTES tensor")
    tensor = request.inputs[0]
    if tensor.datatype != "BYTES":
        raise InvalidRequest(f"input {tensor.name!r} has datatype {tensor.datatype!r}; this model takes BYTES")
    elements = list(_flat(tensor.data))
    if not elements or not all(isinstance(element, str) for element in elements):
        raise InvalidRequest(f"input {tensor.name!r} must hold one or more strings; found {_kinds(elements)}")
    if math.prod(tensor.shape) != len(elements):
        raise InvalidRequest(
            f"input {tensor.name!r} has shape {tensor.shape} and {len(elements)} elements; they must agree"
        )
    if unknown := [wanted.name for wanted in request.outputs if wanted.name not in (LABEL, SCORE)]:
        raise InvalidRequest(f"outputs {unknown} do not exist; this model has {LABEL!r} and {SCORE!r}")
    return request, elements


def render(request: InferRequest, *, model: str, version: str, answers: Sequence[tuple[str, float]]) -> bytes:
    """The reply to a request: `id` echoed, one element per input element."""
    outputs: list[dict[str, Any]] = [
        {"name": LABEL, "shape": [len(answers)], "datatype": "BYTES", "data": [label for label, _ in answers]},
        {"name": SCORE, "shape": [len(answers)], "datatype": "FP64", "data": [score for _, score in answers]},
    ]
    if request.outputs:
        wanted = {output.name for output in request.outputs}
        outputs = [output for output in outputs if output["name"] in wanted]
    reply: dict[str, Any] = {"model_name": model}
    if version:
        reply["model_version"] = version
    if request.id is not None:
        reply["id"] = request.id
    return msgspec.json.encode(reply | {"outputs": outputs})


def metadata(*, model: str, version: str) -> dict[str, Any]:
    """The answer of `GET /v2/models/{model}`."""
    return {
        "name": model,
        "versions": [version] if version else [],
        "platform": _PLATFORM,
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
            {"name": SCORE, "datatype": "FP64", "shape": [-1]},
        ],
    }


def _flat(data: list[Any]) -> list[Any]:
    """Nested rows as one row, without recursion: a hostile depth costs no stack."""
    while any(isinstance(element, list) for element in data):
        data = [inner for element in data for inner in (element if isinstance(element, list) else [element])]
    return data


def _kinds(elements: list[Any]) -> str:
    return ", ".join(sorted({type(element).__name__ for element in elements})) or "none"
