"""Open Inference's binary extension: tensors behind the JSON of a request, as its official clients send them.

What lives here: where a body is cut, and bytes as the values of one tensor. What must not: shapes, models.
Source: Open Inference Protocol, "Binary Tensor Data Extension". Replies are in JSON, which the clients read as well.
"""

from typing import Any

import numpy as np

from warmfront.cloudevents import Headers
from warmfront.errors import InvalidRequest
from warmfront.function.imported.tensors import NUMPY
from warmfront.protocols.open_inference import JSON_LENGTH, json_part
from warmfront.wire.messages import first

SIZE = "binary_data_size"


def cut(headers: Headers, body: bytes) -> tuple[bytes, memoryview]:
    """The JSON of a body, and the binary data behind it, which is empty where there is none.

    Raises:
        InvalidRequest: the header that tells where is no number, or beyond the body.
    """
    told = first(headers, JSON_LENGTH)
    if told is None:
        return body, memoryview(b"")
    head = json_part(body, told)
    return head, memoryview(body)[len(head) :]


def values(name: str, datatype: str, data: memoryview) -> Any:
    """The elements of a tensor, flat: little endian numbers, or strings each behind its length in 4 bytes.

    Raises:
        InvalidRequest: the bytes are no whole number of elements.
    """
    if datatype == "BYTES":
        return _strings(name, data)
    kind = np.dtype(NUMPY[datatype]).newbyteorder("<")
    if len(data) % kind.itemsize:
        raise InvalidRequest(
            f"input {name!r} has {len(data)} bytes; wanted a multiple of {kind.itemsize} for {datatype}"
        )
    return np.frombuffer(data, kind)


def _strings(name: str, data: memoryview) -> list[bytes]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        if end > len(data):
            raise InvalidRequest(f"input {name!r} ends within a string; wanted a length in 4 bytes before each")
        found.append(bytes(data[4:end]))
        data = data[end:]
    return found
