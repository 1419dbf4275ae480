"""Conversions between named tensors: TensorFlow Serving's columns and rows, KServe's rows, Open Inference.

What may live here: how a request or reply of one is told in the other. Values and shapes stay as they are; what the
other side has no place for (a signature, a parameter, an input without a name) is refused, not dropped.
"""

from functools import partial
from typing import Any, NamedTuple

import msgspec

from warmfront.cloudevents import Headers
from warmfront.errors import InvalidRequest, Unprocessable, UpstreamFailed
from warmfront.protocols import values
from warmfront.protocols.bodies import MAX_READ, Asked, Back, Conversion, fields, readable
from warmfront.protocols.open_inference import JSON_LENGTH, OBJECTIVES, json_part
from warmfront.protocols.tensorflow_serving import DEFAULT_SIGNATURE
from warmfront.protocols.values import Tensor
from warmfront.wire.messages import first

# -- TensorFlow Serving and KServe v1 to Open Inference --------------------------------------------------------------


def _from_columns(asked: Asked) -> tuple[bytes, Back | None]:
    found = fields(readable(asked.body))
    if found.get("signature_name", DEFAULT_SIGNATURE) != DEFAULT_SIGNATURE:
        raise Unprocessable("open-inference knows no signatures; leave signature_name out")
    rows = "instances" in found
    if rows == ("inputs" in found):
        raise Unprocessable('wanted {"instances": [...]} or {"inputs": {...}}, one of them, as JSON')
    if beyond := found.keys() - {"signature_name", "instances", "inputs"}:
        raise Unprocessable(f"open-inference has no place for {', '.join(sorted(beyond))}")
    columns = _columns(found["instances"]) if rows else found["inputs"]
    if not isinstance(columns, dict) or not columns or values.is_base64(columns):
        raise Unprocessable('open-inference names its inputs; send {"inputs": {"NAME": ...}} or rows of {"NAME": ...}')
    try:
        tensors = [values.told(name, data) for name, data in columns.items()]
        body = _encoded({"inputs": [_input(tensor) for tensor in tensors]})
    except ValueError as error:
        raise Unprocessable(f"the input cannot be told as tensors: {error}") from None
    return body, partial(_to_predictions if rows else _to_outputs, len(found["instances"]) if rows else 0)


def _columns(instances: Any) -> dict[str, Any] | None:
    """Rows of named values as columns; None when they have no names."""
    if not isinstance(instances, list) or not instances:
        raise Unprocessable("instances must be a list that is not empty")
    names = instances[0].keys() if isinstance(instances[0], dict) and not values.is_base64(instances[0]) else None
    if names is None:
        return None
    if any(not isinstance(row, dict) or row.keys() != names for row in instances):
        raise Unprocessable("all instances must have the same names")
    return {name: [row[name] for row in instances] for name in names}


def _input(tensor: Tensor) -> dict[str, Any]:
    flat = values.flat(tensor.data)
    return {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype, "data": flat}


def _to_outputs(_: int, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """An Open Inference reply in column format: one tensor without its name, several by name."""
    outputs = _outputs(headers, body)
    told = outputs[0].data if len(outputs) == 1 else {tensor.name: tensor.data for tensor in outputs}
    return json_headers(headers), _encoded({"outputs": told})


def _to_predictions(rows: int, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """An Open Inference reply in row format. Raises UpstreamFailed when an output has not one row per instance."""
    outputs = _outputs(headers, body)
    for tensor in outputs:
        if tensor.shape[:1] != [rows]:
            raise UpstreamFailed(
                f"answered {tensor.name} of shape {tensor.shape} to {rows} instances, which row format cannot tell; "
                'send {"inputs": {...}}'
            )
    if len(outputs) == 1:
        return json_headers(headers), _encoded({"predictions": outputs[0].data})
    told = [{tensor.name: tensor.data[row] for tensor in outputs} for row in range(rows)]
    return json_headers(headers), _encoded({"predictions": told})


def _outputs(headers: Headers, body: bytes) -> list[Tensor]:
    try:
        found = _document(headers, readable(body)).get("outputs", [])
        outputs = [_shown(tensor) for tensor in _tensors(found, headers, body)]
    except (ValueError, InvalidRequest, Unprocessable) as error:
        raise UpstreamFailed(f"answered what is no Open Inference response: {error}") from None
    if not outputs:
        raise UpstreamFailed("answered no outputs")
    return outputs


def _shown(tensor: Tensor) -> Tensor:
    """As TensorFlow Serving would show it: decimals with a point, bytes in base64 where the name says so."""
    data: list[Any] = values.flat(tensor.data)
    if tensor.datatype.startswith("FP"):
        data = [float(element) for element in data]
    elif tensor.datatype == "BYTES" and tensor.name.endswith("_bytes"):
        data = [values.base64_object(element) if isinstance(element, str) else element for element in data]
    else:
        return tensor
    return tensor._replace(data=values.nested(data, tensor.shape))


# -- Open Inference to TensorFlow Serving and KServe v1 --------------------------------------------------------------


class _Wanted(NamedTuple):
    """What an Open Inference client asked about its reply."""

    id: str | None
    model: str
    outputs: tuple[str, ...]


def _to_columns(asked: Asked) -> tuple[bytes, Back | None]:
    tensors, wanted = _request(asked)
    return _encoded({"inputs": {tensor.name: tensor.data for tensor in tensors}}), partial(_to_response, wanted)


def _to_rows(asked: Asked) -> tuple[bytes, Back | None]:
    tensors, wanted = _request(asked)
    sizes = {tensor.shape[0] if tensor.shape else 0 for tensor in tensors}
    if len(sizes) != 1 or sizes == {0}:
        raise Unprocessable("kserve-v1 takes rows; the first dimension of all inputs must be the same, and not 0")
    rows = [{tensor.name: tensor.data[row] for tensor in tensors} for row in range(sizes.pop())]
    return _encoded({"instances": rows}), partial(_to_response, wanted)


def _request(asked: Asked) -> tuple[list[Tensor], _Wanted]:
    found = _document(asked.headers, readable(asked.body))
    if beyond := {name.lower() for name in found.get("parameters") or ()} - OBJECTIVES - {"binary_data_output"}:
        raise Unprocessable(f"the parameters {', '.join(sorted(beyond))} have no place in that protocol")
    try:
        tensors = _tensors(found.get("inputs", []), asked.headers, asked.body)
        outputs = tuple(str(output["name"]) for output in found.get("outputs") or ())
        extra = {name for output in found.get("outputs") or () for name in output.get("parameters") or ()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unprocessable(f"the body is no Open Inference request: {error}") from None
    if not tensors:
        raise Unprocessable("the request has no inputs")
    if beyond := extra - {"binary_data"}:
        raise Unprocessable(f"the output parameters {', '.join(sorted(beyond))} have no place in that protocol")
    return tensors, _Wanted(found.get("id"), asked.model, outputs)


def _to_response(wanted: _Wanted, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """A reply in rows or columns as an Open Inference response: the outputs asked for, or all.

    A single output bears no name there: it gets the one that was asked for, else the key it stands under.
    """
    if len(body) > MAX_READ:
        raise UpstreamFailed(f"answered {len(body)} bytes, more than are converted ({MAX_READ})")
    found = fields(body)
    key = next((key for key in ("outputs", "predictions") if key in found), "")
    if not key:
        raise UpstreamFailed("answered neither outputs nor predictions")
    told = found[key]
    if key == "predictions" and isinstance(told, list) and told and isinstance(told[0], dict):
        told = _columns(told) or told
    if not isinstance(told, dict) or values.is_base64(told):
        told = {wanted.outputs[0] if len(wanted.outputs) == 1 else key: told}
    if missing := [name for name in wanted.outputs if name not in told]:
        raise UpstreamFailed(f"answered {', '.join(sorted(told))}; asked for was {', '.join(missing)}")
    names = wanted.outputs or tuple(told)
    try:
        outputs = [_input(values.told(name, told[name])) for name in names]
    except ValueError as error:
        raise UpstreamFailed(f"answered what Open Inference's JSON cannot tell: {error}") from None
    reply: dict[str, Any] = {"model_name": wanted.model}
    if wanted.id is not None:
        reply["id"] = wanted.id
    return json_headers(headers), _encoded(reply | {"outputs": outputs})


# -- Open Inference bodies -------------------------------------------------------------------------------------------


class _Told(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


def _document(headers: Headers, body: bytes) -> dict[str, Any]:
    """The JSON of a request or response, which may be only its head."""
    length = first(headers, JSON_LENGTH)
    return fields(body if length is None else json_part(body, length))


def _tensors(told: Any, headers: Headers, body: bytes) -> list[Tensor]:
    """The tensors that the JSON lists, their data there or binary at the end of the body.

    Raises ValueError for what breaks the protocol's rules.
    """
    at = int(first(headers, JSON_LENGTH) or len(body))
    try:
        found = msgspec.convert(told, list[_Told])
    except msgspec.ValidationError as error:
        raise ValueError(f"tensors: {error}") from None
    tensors = []
    for one in found:
        if one.datatype not in values.DATATYPES or any(size < 0 for size in one.shape):
            raise ValueError(f"{one.name} is of datatype {one.datatype} and shape {one.shape}, which is unknown")
        size = one.parameters.pop("binary_data_size", None)
        if one.parameters:
            raise ValueError(f"the parameters of {one.name} have no place in that protocol")
        try:
            if isinstance(size, int):
                count = 1
                for extent in one.shape:
                    count *= extent
                elements, at = values.unpacked(one.datatype, count, body[at : at + size]), at + size
            else:
                elements = values.flat(one.data)
            tensors.append(Tensor(one.name, one.datatype, one.shape, values.nested(elements, one.shape)))
        except ValueError as error:
            raise ValueError(f"{one.name} {error}") from None
    return tensors


def json_headers(headers: Headers) -> Headers:
    """The headers of a body that became JSON."""
    return [item for item in headers if item[0] not in (JSON_LENGTH, b"content-type")] + [_JSON]


_JSON = (b"content-type", b"application/json")
_encoded = msgspec.json.encode

FROM_COLUMNS = Conversion("named tensors", _from_columns, makes_json=True)
TO_COLUMNS = Conversion("tensors", _to_columns, makes_json=True)
TO_ROWS = Conversion("tensors with one first dimension", _to_rows, makes_json=True)
