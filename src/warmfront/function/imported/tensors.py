"""From values as JSON has them to the tensors that a model takes, and back.

What lives here: numpy, datatypes, shapes. What must not: protocols, routes, any runtime.
A number may change its datatype on the way in as long as it keeps its value (5 for an FP32, 5.0 for an INT64) or is
rounded to a float's precision, so that clients need not know which variant of a task answers.
"""

import base64
import binascii
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warmfront.errors import InvalidRequest
from warmfront.function.imported.signature import TensorSpec

Tensor = NDArray[Any]

NUMPY = {
    "BOOL": "bool",
    **{f"{kind}INT{bits}": f"{kind}int{bits}".lower() for kind in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BYTES": "object",
}
DATATYPE = {name: datatype for datatype, name in NUMPY.items()}


def rows(spec: TensorSpec, values: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """Values of one or more examples as the tensor that `spec` describes; nested lists, or flat with a `shape`.

    An example may also be given flat, when all of its lengths are known, and a single value without its brackets.

    Raises:
        InvalidRequest: ragged, of the wrong kind, out of range, or of a shape that does not fit.
    """
    array = _array(spec, values)
    if shape is not None:
        if math.prod(shape) != array.size:
            raise InvalidRequest(
                f"input {spec.name!r} has shape {list(shape)} and {array.size} elements; they must agree"
            )
        array = array.reshape(shape)
    if not spec.counts_rows:
        if not spec.fits_row(array.shape):
            raise _misfit(spec, array.shape)
        return array
    if array.ndim and spec.fits_row(array.shape[1:]):
        return array
    flat = math.prod(array.shape[1:]) if array.ndim else 0
    if flat and flat == spec.row_size and min(array.ndim - 1, len(spec.row)) <= 1:
        return array.reshape(array.shape[0], *spec.row)
    raise _misfit(spec, array.shape)


def example(spec: TensorSpec, value: Any) -> Tensor:
    """The value of a single example, with or without the leading dimension that counts rows."""
    if not spec.counts_rows:
        return rows(spec, value)
    try:
        return rows(spec, [value])
    except InvalidRequest:
        array = _array(spec, value)
        if array.ndim and array.shape[0] == 1 and spec.fits_row(array.shape[1:]):
            return array
        raise


def from_bytes(spec: TensorSpec, data: bytes) -> Tensor:
    """One example as it lies in memory, little endian, row by row.

    Raises:
        InvalidRequest: the number of bytes is not that of an example, or an example has no fixed one.
    """
    size = spec.row_size
    if size is None or spec.datatype == "BYTES":
        raise InvalidRequest(f"input {spec.name!r} ({spec}) has no fixed size in bytes; send JSON")
    kind = np.dtype(NUMPY[spec.datatype]).newbyteorder("<")
    if len(data) != size * kind.itemsize:
        raise InvalidRequest(
            f"the body has {len(data)} bytes; input {spec.name!r} ({spec}) takes {size * kind.itemsize} for an example"
        )
    leading = (1,) if spec.counts_rows else ()
    return np.frombuffer(data, kind).reshape(*leading, *spec.row).astype(NUMPY[spec.datatype])


def to_json(array: Tensor) -> Any:
    """Nested lists of plain numbers and strings; bytes that are not UTF-8 become `{"b64": ...}`."""
    return _plain(array.tolist())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return value


def _array(spec: TensorSpec, values: Any) -> Tensor:
    if spec.datatype == "BYTES":
        return _strings(spec, values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidRequest(f"input {spec.name!r} is ragged: all rows must be of one length") from error
    if array.size and array.dtype.kind not in ("b" if spec.datatype == "BOOL" else "biuf"):
        raise InvalidRequest(f"input {spec.name!r} holds {_kind(array)}; wanted {spec.datatype}")
    wanted = np.dtype(NUMPY[spec.datatype])
    if wanted.kind in "iu":
        within = np.iinfo(wanted)
        if array.size and not (np.all(array >= within.min) and np.all(array <= within.max)):
            raise InvalidRequest(f"input {spec.name!r} goes beyond {within.min} to {within.max}, the range of {spec}")
        if array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
            raise InvalidRequest(f"input {spec.name!r} has fractions; {spec.datatype} takes whole numbers")
    with np.errstate(over="ignore"):  # beyond a float's range is infinity, as in the model's own arithmetic
        return array.astype(wanted)


def _strings(spec: TensorSpec, values: Any) -> Tensor:
    def decoded(value: Any) -> Any:
        if isinstance(value, list):
            return [decoded(inner) for inner in value]
        if isinstance(value, str):
            return value
        if isinstance(value, bytes):
            return _text_if_any(value)
        if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
            try:
                return _text_if_any(base64.b64decode(value["b64"], validate=True))
            except binascii.Error as error:
                raise InvalidRequest(f"input {spec.name!r}: b64 is not base64 ({error})") from error
        raise InvalidRequest(f"input {spec.name!r} holds {type(value).__name__}; wanted strings")

    return np.array(decoded(values), dtype=object)


def _text_if_any(data: bytes) -> str | bytes:
    """Text where the bytes are some: runtimes take the one for strings, and few of them the other."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _kind(array: Tensor) -> str:
    if array.dtype.kind == "O":
        return f"values such as {array.flat[0]!r}"
    return {"U": "text", "S": "text", "b": "true and false", "f": "fractions"}.get(array.dtype.kind, str(array.dtype))


def _misfit(spec: TensorSpec, shape: tuple[int, ...]) -> InvalidRequest:
    return InvalidRequest(f"input {spec.name!r} has shape {list(shape)}; the model takes {spec}")
