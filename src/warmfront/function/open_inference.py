"""Open Inference Protocol v2 (REST) as a classifier speaks it: one tensor in, labels and scores out.

What lives here: the shapes of the messages and their rules. What must not: routes, headers, the model itself, and what
a tensor must hold, which is the business of `inputs.py`. Tensors in the binary extension are refused, not misread.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from warmfront.errors import InvalidRequest
from warmfront.function.inputs import Tensor, TensorSpec

LABEL, SCORE = "label", "score"
_PLATFORM = "warmfront_function"


class WantedOutput(msgspec.Struct, frozen=True):
    """An output the caller asked for by name; without any, all are sent."""

    name: str


class InferRequest(msgspec.Struct, frozen=True):
    """The body of `POST /v2/models/{model}/infer`. `parameters` (the objective) concern the selector, not the model."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[WantedOutput] = []


def parse(body: bytes) -> InferRequest:
    """The request, which has exactly one input.

    Raises:
        InvalidRequest: not the protocol, more than one input, an unknown output.
    """
    try:
        request = msgspec.json.decode(body, type=InferRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"not an Open Inference request: {error}") from error
    if len(request.inputs) != 1:
        raise InvalidRequest(f"found {len(request.inputs)} input tensors; this model takes one")
    if unknown := [wanted.name for wanted in request.outputs if wanted.name not in (LABEL, SCORE)]:
        raise InvalidRequest(f"outputs {unknown} do not exist; this model has {LABEL!r} and {SCORE!r}")
    return request


def render(request: InferRequest, *, model: str, version: str, answers: Sequence[tuple[str, float, object]]) -> bytes:
    """The reply to a request: `id` echoed, one element per input element."""
    outputs: list[dict[str, Any]] = [
        {"name": LABEL, "shape": [len(answers)], "datatype": "BYTES", "data": [label for label, *_ in answers]},
        {"name": SCORE, "shape": [len(answers)], "datatype": "FP64", "data": [score for _, score, _ in answers]},
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


def metadata(*, model: str, version: str, spec: TensorSpec) -> dict[str, Any]:
    """The answer of `GET /v2/models/{model}`."""
    return {
        "name": model,
        "versions": [version] if version else [],
        "platform": _PLATFORM,
        "inputs": [{"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}],
        "outputs": [
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
            {"name": SCORE, "datatype": "FP64", "shape": [-1]},
        ],
    }
