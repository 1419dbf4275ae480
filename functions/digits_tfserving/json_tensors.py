"""TensorFlow Serving's JSON: rows and columns to arrays and back; NaN and Infinity are allowed in it.

What lives here: the mapping of values. What must not: TensorFlow, routes. Source: TensorFlow Serving, "RESTful API".
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from warmfront.errors import InvalidRequest

Arrays = dict[str, np.ndarray]
# what TensorFlow calls the types that numpy calls otherwise
_TYPES = {"float32": "float", "float64": "double", "object": "string"}
_NAMES = {bool: "True or False", str: "String", dict: "Object", list: "Array", type(None): "Null"}


def read(body: bytes) -> dict[str, Any]:
    """A request as an object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"JSON Parse error: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequest(f"JSON Value: expected an object, found {type(found).__name__}")
    if not isinstance(found.get("signature_name", ""), str):
        raise InvalidRequest("'signature_name' key must be a string value.")
    return found


def arrays_of(request: Mapping[str, Any], dtypes: Mapping[str, np.dtype]) -> tuple[Arrays, bool]:
    """The inputs of a predict request by name, and whether it is in row format."""
    if "instances" in request and "inputs" in request:
        raise InvalidRequest("Not formatted correctly: expecting only one of 'instances' or 'inputs' keys to exist")
    if "instances" in request:
        return _rows(request["instances"], dtypes), True
    if "inputs" in request:
        return _columns(request["inputs"], dtypes), False
    raise InvalidRequest("Missing 'inputs' or 'instances' key")


def render(outputs: Arrays, *, rows: bool) -> bytes:
    """The reply to a predict request; a single output goes without its name."""
    values = {name: value_of(array, binary=name.endswith("_bytes")) for name, array in outputs.items()}
    single = next(iter(values.values())) if len(values) == 1 else None
    if not rows:
        return write({"outputs": values if single is None else single})
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) != 1 or sizes == {()}:
        raise InvalidRequest(
            f"the outputs differ in their first dimension ({', '.join(map(str, sizes))}): ask in columns, by `inputs`"
        )
    if single is not None:
        return write({"predictions": single})
    return write({"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]})


def write(reply: Any) -> bytes:
    """JSON, with NaN, Infinity and -Infinity as TensorFlow Serving writes them."""
    return json.dumps(reply, separators=(",", ":")).encode()


def value_of(array: np.ndarray, *, binary: bool = False) -> Any:
    """A tensor as nested lists; floats in single precision with the digits that they have, not those of a double."""
    if array.dtype == np.float32:
        return array.astype("U32").astype(np.float64).tolist()
    if array.dtype.kind in "SO":
        return _each(array.tolist(), _in_base64 if binary else lambda value: value.decode(errors="replace"))
    return array.tolist()


def plain(value: Any) -> Any:
    """A value of a request: bytes for a string and for `{"b64": ...}`, numbers and booleans as they are."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        if list(value) != ["b64"] or not isinstance(value["b64"], str):
            raise InvalidRequest(f"JSON Value: {json.dumps(value)[:100]} not formatted correctly for base64 data")
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise InvalidRequest("Unable to base64 decode") from error
    return value


def _rows(instances: Any, dtypes: Mapping[str, np.dtype]) -> Arrays:
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest("'instances' must be a list of one value or more")
    if not _named(instances[0]):
        return {_only(dtypes): array_of(instances, dtypes[_only(dtypes)])}
    names = instances[0].keys()
    for row in instances:
        if not _named(row) or row.keys() != names:
            raise InvalidRequest("Failed to process element of 'instances' list: all must name the same inputs")
    return {name: array_of([row[name] for row in instances], _known(name, dtypes)) for name in names}


def _columns(inputs: Any, dtypes: Mapping[str, np.dtype]) -> Arrays:
    if not _named(inputs):
        return {_only(dtypes): array_of(inputs, dtypes[_only(dtypes)])}
    return {name: array_of(value, _known(name, dtypes)) for name, value in inputs.items()}


def _named(value: Any) -> bool:
    return isinstance(value, dict) and list(value) != ["b64"]


def _only(dtypes: Mapping[str, np.dtype]) -> str:
    if len(dtypes) != 1:
        raise InvalidRequest(f"the signature has several inputs, {', '.join(sorted(dtypes))}: name them")
    return next(iter(dtypes))


def _known(name: str, dtypes: Mapping[str, np.dtype]) -> np.dtype:
    if name not in dtypes:
        raise InvalidRequest(f"JSON object: does not have named input: {name}; there are {', '.join(sorted(dtypes))}")
    return dtypes[name]


def array_of(value: Any, dtype: np.dtype) -> np.ndarray:
    """Nested lists as an array; the first element of each list says how long and deep its fellows must be."""
    shape: list[int] = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat: list[Any] = []
    _fill(value, shape, 0, flat)
    if dtype.kind == "O":
        flat = [plain(element) for element in flat]
    allowed = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,), "O": (bytes,)}.get(dtype.kind)
    if allowed is None:
        raise InvalidRequest(f"conversion of JSON to {dtype} is not possible; send it by gRPC")
    for element in flat:
        if type(element) not in allowed:
            kind, wanted = _NAMES.get(type(element), "Number"), _TYPES.get(dtype.name, dtype.name)
            raise InvalidRequest(
                f"JSON Value: {json.dumps(element)[:100]} Type: {kind} is not of expected type: {wanted}"
            )
    try:
        return np.array(flat, dtype).reshape(shape)
    except OverflowError as error:
        raise InvalidRequest(f"Cannot convert JSON value to {dtype} without loss of precision: {error}") from error


def _fill(value: Any, shape: list[int], level: int, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise InvalidRequest(
                f"JSON Value: {json.dumps(value)[:100]} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(value)
        return
    if level >= len(shape):
        raise InvalidRequest(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise InvalidRequest(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level + 1 == len(shape) and not any(isinstance(element, list) for element in value):
        flat += value  # the innermost lists are long: no call for each number
        return
    for element in value:
        _fill(element, shape, level + 1, flat)


def _each(value: Any, say: Callable[[bytes], Any]) -> Any:
    return [_each(element, say) for element in value] if isinstance(value, list) else say(value)


def _in_base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}
