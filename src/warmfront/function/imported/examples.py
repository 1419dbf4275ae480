"""One example for an imported model, from every spelling that has one: a body, a tensor, a row.

What lives here: which spelling a model's inputs allow. What must not: requests with several examples, routes.
"""

from typing import Any

import msgspec
import numpy as np

from warmfront.errors import InvalidRequest
from warmfront.function.imported.bodies import by_name
from warmfront.function.imported.signature import Signature
from warmfront.function.imported.tensors import Tensor, example, from_bytes, rows
from warmfront.function.inputs import Tensor as JsonTensor
from warmfront.function.inputs import TensorSpec as PlainSpec
from warmfront.function.inputs import Text

Tensors = dict[str, Tensor]
_TEXT = Text()


class Examples:
    """The inputs of a model as a kind of input, see `function.inputs.Input`. `spec` is the first of them."""

    def __init__(self, signature: Signature) -> None:
        self._specs = signature.inputs
        self._spec = self._specs[0]
        self.spec: PlainSpec = self._spec
        self._only = len(self._specs) == 1
        self._text = self._only and self._spec.datatype == "BYTES" and self._spec.row == ()

    def of_body(self, data: bytes, content_type: str) -> Tensors:
        """A text for a model of texts, else JSON (whatever the content type says) or a tensor's own bytes."""
        if self._text:
            return self.of_json(_TEXT.of_body(data, content_type))
        if self._only and content_type.partition(";")[0].strip() == "application/octet-stream":
            return {self._spec.name: from_bytes(self._spec, data)}
        try:
            return self.of_json(msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            wanted = ", ".join(f"{spec.name}: {spec.datatype} {list(spec.row)}" for spec in self._specs)
            raise InvalidRequest(f"the body is not JSON ({error}); wanted an example of {wanted}") from error

    def of_tensor(self, tensor: JsonTensor) -> list[Tensors]:
        """The rows of the only input."""
        found = rows(self._spec, tensor.data, tuple(tensor.shape))
        return [{self._spec.name: found[i : i + 1]} for i in range(len(found))]

    def of_json(self, value: Any) -> Tensors:
        """The value of the only input, or an object with one for each."""
        if self._text and isinstance(value, str):
            return {self._spec.name: np.array([value], dtype=object)}
        values = by_name(value, self._specs)
        return {spec.name: example(spec, values[spec.name]) for spec in self._specs}
