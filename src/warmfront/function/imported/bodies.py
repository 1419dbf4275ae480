"""Tensors in the JSON of model servers: Open Inference v2, and TensorFlow Serving, whose rows are KServe v1.

What lives here: the messages and their rules. What must not: routes, headers, any runtime.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from warmfront.errors import InvalidRequest
from warmfront.function.imported.binary import SIZE, values
from warmfront.function.imported.signature import Signature, TensorSpec
from warmfront.function.imported.tensors import DATATYPE, Tensor, rows, to_json
from warmfront.function.open_inference import WantedOutput
from warmfront.protocols.values import DATATYPES

SIGNATURE_NAME = "serving_default"


class JsonTensor(msgspec.Struct, frozen=True):
    """One input; its `data` is here, or behind the JSON with its size in `parameters`."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, frozen=True):
    """The JSON of an Open Inference request. Its own `parameters` (the objective) concern the selector."""

    inputs: list[JsonTensor]
    id: str | None = None
    outputs: list[WantedOutput] = []


def parse_infer(body: bytes, binary: memoryview, signature: Signature) -> tuple[InferRequest, dict[str, Tensor]]:
    """An Open Inference request, its JSON and the binary data behind it, and its tensors by name.

    A model with one input takes it under any name, so that variants of a task may call it differently.

    Raises:
        InvalidRequest: not the protocol, another set of inputs, or data that does not fit.
    """
    try:
        request = msgspec.json.decode(body, type=InferRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"not an Open Inference request: {error}") from error
    specs = signature.inputs
    given = {tensor.name: tensor for tensor in request.inputs}
    if len(specs) == len(given) == len(request.inputs) == 1:
        given = {specs[0].name: request.inputs[0]}
    _check_names(given, specs)
    data = dict(zip(given, _data(list(given.values()), binary), strict=True))
    tensors = {}
    for spec in specs:
        tensor = given[spec.name]
        if (tensor.datatype == "BYTES") != (spec.datatype == "BYTES"):
            raise InvalidRequest(f"input {tensor.name!r} has datatype {tensor.datatype!r}; wanted {spec}")
        tensors[spec.name] = rows(spec, data[spec.name], tuple(tensor.shape))
    return request, tensors


def _data(tensors: Sequence[JsonTensor], binary: memoryview) -> Iterator[Any]:
    """The values of each input; binary ones follow each other in the order of the inputs."""
    for tensor in tensors:
        if tensor.datatype not in DATATYPES:
            raise InvalidRequest(
                f"input {tensor.name!r} has datatype {tensor.datatype!r}; there is {', '.join(DATATYPES)}"
            )
        if tensor.data is not None:
            yield tensor.data
            continue
        size = tensor.parameters.get(SIZE)
        if not isinstance(size, int) or not 0 <= size <= len(binary):
            raise InvalidRequest(
                f"input {tensor.name!r} has no `data`, and its {SIZE} is {size!r}, with {len(binary)} bytes left"
            )
        yield values(tensor.name, tensor.datatype, binary[:size])
        binary = binary[size:]
    if binary:
        raise InvalidRequest(f"{len(binary)} bytes follow the last input; wanted a {SIZE} that counts them")


def render_infer(request: InferRequest, outputs: Mapping[str, Tensor], *, model: str, version: str) -> bytes:
    """The reply: `id` echoed, all outputs or those that were asked for.

    Raises:
        InvalidRequest: an output was asked for that does not exist.
    """
    wanted = [output.name for output in request.outputs] or list(outputs)
    if unknown := [name for name in wanted if name not in outputs]:
        raise InvalidRequest(f"outputs {unknown} do not exist; this model has {list(outputs)}")
    reply: dict[str, Any] = {"model_name": model}
    if version:
        reply["model_version"] = version
    if request.id is not None:
        reply["id"] = request.id
    reply["outputs"] = [_open_inference(name, outputs[name]) for name in wanted]
    return msgspec.json.encode(reply)


def metadata(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    """Tensors as Open Inference's metadata has them."""
    return [{"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)} for spec in specs]


def parse_predict(body: bytes, signature: Signature) -> tuple[dict[str, Tensor], bool]:
    """A TensorFlow Serving predict request: tensors by name, and whether it was in the column format.

    NaN and Infinity are taken as they are, which TensorFlow Serving does and JSON does not.

    Raises:
        InvalidRequest: not such a request, another set of inputs, or data that does not fit.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not a predict request: {error}") from error
    if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
        raise InvalidRequest('not a predict request; wanted {"instances": [...]} or {"inputs": ...}, and not both')
    if (name := request.get("signature_name") or SIGNATURE_NAME) != SIGNATURE_NAME:
        raise InvalidRequest(f"no signature {name!r} here; this model has {SIGNATURE_NAME!r}")
    specs = signature.inputs
    if "inputs" in request:
        columns = by_name(request["inputs"], specs)
        return {spec.name: rows(spec, columns[spec.name]) for spec in specs}, True
    instances = request["instances"]
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest('"instances" must be a list of one or more examples')
    named = [by_name(instance, specs) for instance in instances]
    return {spec.name: rows(spec, [row[spec.name] for row in named]) for spec in specs}, False


def render_predict(outputs: Mapping[str, Tensor], count: int, *, column: bool) -> bytes:
    """The reply in the format of the request; the name of a single output is left out.

    Raises:
        InvalidRequest: asked row by row, an output does not have a row per example.
    """
    plain = {name: to_json(tensor) for name, tensor in outputs.items()}
    if column:
        return json.dumps({"outputs": next(iter(plain.values())) if len(plain) == 1 else plain}).encode()
    for name, tensor in outputs.items():
        if tensor.shape[:1] != (count,):
            raise InvalidRequest(
                f"output {name!r} has shape {list(tensor.shape)}, no row for each of {count} instances; "
                f'ask by column: {{"inputs": ...}}'
            )
    if len(plain) == 1:
        return json.dumps({"predictions": next(iter(plain.values()))}).encode()
    by_row = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    return json.dumps({"predictions": by_row}).encode()


def by_name(value: Any, specs: Sequence[TensorSpec]) -> Mapping[str, Any]:
    """The values of an example, or of columns, by input name; of a single input the name may be left out or differ.

    Raises:
        InvalidRequest: another set of names.
    """
    if isinstance(value, dict) and set(value) != {"b64"}:
        if len(specs) == len(value) == 1:
            return {specs[0].name: next(iter(value.values()))}
        _check_names(value, specs)
        return value
    if len(specs) == 1:
        return {specs[0].name: value}
    raise InvalidRequest(f"found {type(value).__name__}; wanted an object with {', '.join(s.name for s in specs)}")


def _check_names(given: Mapping[str, Any], specs: Sequence[TensorSpec]) -> None:
    if set(given) != {spec.name for spec in specs}:
        wanted = ", ".join(f"{spec.name}: {spec}" for spec in specs)
        raise InvalidRequest(f"found inputs {sorted(given)}; this model takes {wanted}")


def _open_inference(name: str, tensor: Tensor) -> dict[str, Any]:
    datatype = "BYTES" if tensor.dtype.kind in "OUS" else DATATYPE[tensor.dtype.name]
    return {"name": name, "shape": list(tensor.shape), "datatype": datatype, "data": to_json(np.ravel(tensor))}
